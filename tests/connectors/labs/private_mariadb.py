"""A MariaDB of some tests' own, for what is set for a server as a whole, and an account of Lockgate's on it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import MySQLdb

from connectors.base import CheckReport, Level, ProvisionRequest, Receipt, RevokeRequest, Scope, Secret, Target, Tls
from connectors.registry import open_connector
from tests.connectors.conftest import Notebook
from tests.connectors.labs.base import make_password, make_principal
from tests.connectors.labs.mariadb import read_in_client, run_in_client, wait_until

READ = Scope(Level.READ, ("shop",), group="lockgate_shop_read")
DDL = Scope(Level.DDL, ("shop",), group="lockgate_shop_ddl")


class PrivateServer:
    """A MariaDB of one test module's own, for what concerns a server as a whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._user = "mysql" if os.geteuid() == 0 else ""
        self.root = Target("mariadb", "127.0.0.1", self.port, "root", Secret("of this test"), tls=Tls.DISABLE)
        self._install()

    def _install(self) -> None:
        self.folder.chmod(0o755)
        (self.folder / "tmp").mkdir()
        if self._user:
            shutil.chown(self.folder, self._user)
            shutil.chown(self.folder / "tmp", self._user)
        user = [f"--user={self._user}"] if self._user else []
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={self.folder / 'data'}", "--skip-test-db", *user,
             "--auth-root-authentication-method=normal"],
            check=True,
            capture_output=True,
        )  # fmt: skip
        (self.folder / "init.sql").write_text(
            # The address becomes `localhost` where the server looks names up.
            "ALTER USER root@localhost IDENTIFIED BY 'of this test';\n"
        )

    def start(self, *options: str) -> None:
        """Start, or start again with other options."""
        self.stop()
        user = [f"--user={self._user}"] if self._user else []
        # A path to a socket may have a hundred characters.
        self._process = subprocess.Popen(
            ["mariadbd", "--no-defaults", f"--datadir={self.folder / 'data'}", f"--port={self.port}", *user,
             # Not the folder of all, from which a server that starts removes the temporary tables of the others.
             f"--tmpdir={self.folder / 'tmp'}", f"--socket=/tmp/lockgate-{self.port}.sock",
             "--bind-address=127.0.0.1", "--skip-log-bin",
             f"--init-file={self.folder / 'init.sql'}", "--innodb-flush-log-at-trx-commit=0", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self._answers, seconds=60)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)
            self._process = None

    def run(self, sql: str) -> None:
        run_in_client(self.root, sql)

    def rows(self, sql: str) -> list[str]:
        """The lines of an answer, columns with tabs between."""
        return read_in_client(self.root, sql)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "The server has ended by itself."
        try:
            self.run("SELECT 1")
        except subprocess.CalledProcessError:
            return False
        return True


def set_up(server: PrivateServer, name: str = "lockgate") -> Target:
    target = replace(server.root, user=name, password=Secret("chosen"))
    server.run(open_connector(target).setup_sql())
    server.run(f"SET PASSWORD FOR {name}@'%' = PASSWORD('chosen')")
    return target


@dataclass
class Alice:
    """An account of a grant."""

    target: Target
    scope: Scope = READ
    principal: str = field(default_factory=make_principal)
    password: Secret = field(default_factory=make_password)
    identifier: str = ""

    def provision(self) -> Alice:
        ends = datetime.now(UTC) + timedelta(hours=1)
        with open_connector(self.target) as connector:
            request = ProvisionRequest(self.principal, self.password, self.scope, ends)
            self.identifier = connector.provision(request, Notebook())
        return self

    def revoke(self, **changes: Any) -> Receipt:
        with open_connector(replace(self.target, **changes)) as connector:
            request = RevokeRequest(self.principal, self.scope, identifier=self.identifier)
            return connector.revoke(request, Notebook())

    def log_in(self, name: str = "", database: str = "shop") -> Any:
        return MySQLdb.connect(
            host="127.0.0.1",
            port=self.target.port,
            user=name or self.principal,
            password=self.password.reveal(),
            database=database,
            ssl_mode="DISABLED",
            autocommit=True,
        )


def administrator(server: PrivateServer) -> Any:
    root = server.root
    return MySQLdb.connect(host=root.host, port=root.port, user=root.user, passwd=root.password.reveal())


def check(target: Target) -> CheckReport:
    with open_connector(target) as connector:
        return connector.check()


def is_alive(connection: Any) -> bool:
    try:
        connection.query("DO 1")
    except MySQLdb.Error:
        return False
    return True


@contextmanager
def set_globally(server: PrivateServer, setting: str, value: str, back: str) -> Iterator[None]:
    server.run(f"SET GLOBAL {setting} = {value}")
    try:
        yield
    finally:
        server.run(f"SET GLOBAL {setting} = {back}")


@contextmanager
def checking_passwords(server: PrivateServer) -> Iterator[None]:
    server.run("INSTALL SONAME 'simple_password_check'")
    try:
        yield
    finally:
        server.run("UNINSTALL SONAME 'simple_password_check'")
