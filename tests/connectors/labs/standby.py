"""A standby that streams from the server of the tests: a copy of its folder, started beside it by the same program.

It needs nothing but what the running server is made of, so it works for every version that a test run may name.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.connectors.labs.postgresql import PostgreSQLLab

#: What a standby has to have at least as much of as its primary.
_AS_MUCH = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
_DEADLINE_SECONDS = 30


class Standby:
    """One standby. `stop` ends it and throws its folder away."""

    def __init__(self, lab: PostgreSQLLab, name: str) -> None:
        """Skips the test where the server's files are not at hand."""
        self._lab = lab
        self.name = name
        program, folder = _program_of(lab)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port: int = taken.getsockname()[1]
        self._parent = Path(tempfile.mkdtemp(prefix="lockgate-standby-"))
        self._parent.chmod(0o755)
        self.folder = self._parent / "data"
        self._copy(folder)
        owner = folder.stat()
        command = [program, "-D", str(self.folder)]
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "hot_standby": "on",
            "fsync": "off",
            "primary_conninfo": self._primary(),
            **{setting: lab.run(f"SHOW {setting}")[0][0] for setting in _AS_MUCH},
        }
        for setting, value in settings.items():
            command += ["-c", f"{setting}={value}"]
        self._log = (self._parent / "log").open("wb")
        self._process = subprocess.Popen(
            command, user=owner.st_uid, group=owner.st_gid, extra_groups=[], cwd="/", stdout=self._log, stderr=self._log
        )
        self.wait_until(lambda: self.run("SELECT pg_is_in_recovery()") == [(True,)])

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """As the superuser, who came over with everything else."""
        root = self._lab.superuser
        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=root.user,
            password=root.password.reveal(),
            dbname="postgres",
            sslmode="disable",
            autocommit=True,
        ) as connection:
            return connection.execute(sql).fetchall()

    def wait_until(self, condition: Any) -> None:
        """Until a question that may also fail is answered with yes."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while True:
            try:
                if condition():
                    return
            except psycopg.Error:
                pass
            assert self._process.poll() is None, (self._parent / "log").read_text(errors="replace")
            assert time.monotonic() < deadline, (self._parent / "log").read_text(errors="replace")
            time.sleep(0.05)

    def catch_up(self) -> None:
        """Until everything that the primary has done has arrived."""
        with self._lab.as_superuser("postgres") as connection:
            # The tests' server answers before it has written; what follows makes it write everything so far.
            connection.execute("SET synchronous_commit = on")
            connection.execute("SELECT pg_logical_emit_message(true, 'lockgate', 'so far')")
            row = connection.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
        assert row is not None
        log = row[0]
        self.wait_until(lambda: self.run(f"SELECT pg_last_wal_replay_lsn() >= '{log}'") == [(True,)])

    def stop(self) -> None:
        """At once."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(20)
        self._log.close()
        shutil.rmtree(self._parent)

    def _primary(self) -> str:
        root = self._lab.superuser
        return (
            f"host={root.host} port={root.port} user={root.user} password={root.password.reveal()} sslmode=disable"
            f" application_name={self.name}"
        )

    def _copy(self, folder: Path) -> None:
        """A base backup by hand: the label comes from the server, the rest is its files."""
        with self._lab.as_superuser("postgres") as connection:
            if self._lab.version >= 150000:
                begin, end = "pg_backup_start('lockgate', true)", "pg_backup_stop(false)"
            else:
                begin, end = "pg_start_backup('lockgate', true, false)", "pg_stop_backup(false, false)"
            connection.execute(f"SELECT {begin}")
            # Other tests drop their databases meanwhile: what vanishes under the copy is gone there too.
            subprocess.run(["cp", "-a", str(folder), str(self.folder)], stderr=subprocess.DEVNULL, check=False)
            label = connection.execute(f"SELECT labelfile FROM {end}").fetchone()
        assert label is not None
        for name in ("postmaster.pid", "postmaster.opts"):
            (self.folder / name).unlink(missing_ok=True)
        for name, content in (("backup_label", label[0]), ("standby.signal", "")):
            (self.folder / name).write_text(content)
            shutil.chown(self.folder / name, folder.stat().st_uid, folder.stat().st_gid)


def _program_of(lab: PostgreSQLLab) -> tuple[str, Path]:
    """The running server's own program, and its folder."""
    folder = Path(lab.run("SHOW data_directory")[0][0])
    try:
        pid = (folder / "postmaster.pid").read_text().split()[0]
        return os.readlink(f"/proc/{pid}/exe"), folder
    except OSError:
        pytest.skip("could not be shown on this server: a standby, since its files are not at hand")
