"""Private servers: each in a folder of its own, on a port of its own, with a password of its own, stopped by its own pid.

A folder keeps its port, so that what is stored about a server stays true. As root PostgreSQL runs as the `postgres` user,
since it refuses to run as root.
"""

from __future__ import annotations

import glob
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from deploy.local.errors import CommandFailed, PortTaken, ServerDidNotStart

START_SECONDS = 60.0
STOP_SECONDS = 20.0


class PrivateServer:
    """One server process. `start` and `stop` may be called in any order, any number of times."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        """`durable=False` trades the data's safety for speed: for tests, whose data nobody needs."""
        self.folder = folder
        self.durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """For messages."""
        return self.folder.name

    @property
    def port(self) -> int:
        """Chosen when first asked for, and kept in the folder."""
        return int(self._kept("port", lambda: str(free_port())))

    @property
    def password(self) -> str:
        """Of the server's own administrator; made when first asked for, readable by its owner only."""
        return self._kept("password", lambda: secrets.token_urlsafe(24))

    @property
    def url(self) -> str:
        """Where the server's administrator logs in."""
        raise NotImplementedError

    @property
    def pid(self) -> int | None:
        """The process, if it runs and is the one that was started here: after a restart of the machine the number may
        belong to anybody.
        """
        try:
            pid = int(self._pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_text()
        except (OSError, ValueError):
            return None
        return pid if str(self.folder) in command or f":{self.port}" in command else None

    @property
    def _pid_file(self) -> Path:
        return self.folder / "pid"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "log"

    def start(self) -> None:
        """Run, and answer. Raises `ServerDidNotStart` or `PortTaken`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.pid is not None:
            return
        if not port_is_free(self.port):
            raise PortTaken(f"{self.name} needs port {self.port}. Free it, or remove {self.folder}.")
        self._prepare()
        self._launch()
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline:
                raise ServerDidNotStart(f"{self.name}: see {self.log}\n{_tail(self.log)}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the process, by its pid, and wait until it is gone."""
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, self._stop_signal)
        deadline = time.monotonic() + STOP_SECONDS
        while _runs(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                return
            time.sleep(0.05)
        if self._process is not None:
            self._process.poll()

    _stop_signal = signal.SIGTERM

    def _prepare(self) -> None:
        raise NotImplementedError

    def _launch(self) -> None:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def _spawn(self, command: list[str], user: str = "") -> None:
        with self.log.open("ab") as log:
            # Kept, so that Python does not complain about a child that nobody waits for.
            self._process = subprocess.Popen(
                [*as_user(user), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Ctrl-C goes to us; we stop the servers when everything else has ended
            )
        self._pid_file.write_text(f"{self._process.pid}\n")

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        path = self.folder / name
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(make())
        return path.read_text()


class PostgreSQL(PrivateServer):
    """A PostgreSQL cluster; the administrator is `lockgate_root`."""

    _stop_signal = signal.SIGINT  # a fast shutdown: sessions are ended, nothing is lost

    @property
    def url(self) -> str:
        """Where the administrator logs in."""
        return f"postgresql://lockgate_root:{self.password}@127.0.0.1:{self.port}/postgres"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _prepare(self) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        user = _server_user("postgres")
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        with tempfile.NamedTemporaryFile("w", suffix=".pw") as password_file:
            password_file.write(self.password)
            password_file.flush()
            if user:
                for path in (self._data, Path(password_file.name)):
                    shutil.chown(path, user)
            _run(
                [
                    *as_user(user),
                    _postgres_program("initdb"),
                    f"--pgdata={self._data}",
                    "--username=lockgate_root",
                    f"--pwfile={password_file.name}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C.UTF-8",
                    "--no-sync",
                ]
            )

    def _launch(self) -> None:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 400,
            "shared_buffers": "128MB",
            "max_prepared_transactions": 20,
            "log_line_prefix": "%m %u@%d ",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._spawn([_postgres_program("postgres"), "-D", str(self._data), *options], _server_user("postgres"))

    def _answers(self) -> bool:
        command = [_postgres_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def create_database(self, name: str) -> None:
        """A database of this name, where there is none yet."""
        sql = f"SELECT 'CREATE DATABASE {name}' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec"
        _run([_postgres_program("psql"), "-q", "-X", "-v", "ON_ERROR_STOP=1", self.url], text=sql)


class MariaDB(PrivateServer):
    """A MariaDB server with its event scheduler on; the administrator is `root`."""

    @property
    def url(self) -> str:
        """Where the administrator logs in."""
        return f"mysql://root:{self.password}@127.0.0.1:{self.port}/"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _init_file(self) -> Path:
        return self.folder / "init.sql"

    @property
    def _user(self) -> str:
        return pwd.getpwuid(os.geteuid()).pw_name

    def _prepare(self) -> None:
        self._kept(
            "init.sql",
            lambda: (
                # A new data folder comes with accounts that have no password, and some without a name.
                "DELETE FROM mysql.global_priv WHERE User = '' OR User = 'root' AND Host <> 'localhost';\n"
                "FLUSH PRIVILEGES;\n"
                f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{self.password}';\n"
                f"CREATE USER 'root'@'127.0.0.1' IDENTIFIED BY '{self.password}';\n"
                "GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n"
            ),
        )
        if (self._data / "mysql").is_dir():
            return
        shutil.rmtree(self._data, ignore_errors=True)
        _run(
            [
                _program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={self._data}",
                f"--user={self._user}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ]
        )

    def _launch(self) -> None:
        # A path to a socket may have a hundred characters; a folder of ours may have more.
        socket_folder = Path(tempfile.mkdtemp(prefix="lockgate-"))
        command = [
            _program("mariadbd"),
            "--no-defaults",
            f"--user={self._user}",
            f"--datadir={self._data}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={socket_folder / 'mariadb.sock'}",
            f"--pid-file={self.folder / 'mariadb.pid'}",
            f"--init-file={self._init_file}",
            "--event-scheduler=ON",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--max-connections=400",
            "--character-set-server=utf8mb4",
        ]
        if not self.durable:
            command += ["--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync"]
        self._spawn(command)

    def _answers(self) -> bool:
        client = [_program("mariadb"), "--no-defaults", "--host=127.0.0.1", f"--port={self.port}", "--user=root"]
        done = subprocess.run(
            [*client, "--execute=SELECT 1"],
            env={**os.environ, "MYSQL_PWD": self.password},
            capture_output=True,
            check=False,
        )
        return done.returncode == 0


class Redis(PrivateServer):
    """A Redis that keeps nothing on disk: Lockgate may lose it at any time."""

    @property
    def url(self) -> str:
        """Where the administrator logs in."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _prepare(self) -> None:
        self._kept(
            "redis.conf",
            lambda: (
                f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\n"
                f'save ""\nappendonly no\ndir "{self.folder}"\n'
            ),
        )

    def _launch(self) -> None:
        self._spawn([_program("redis-server"), str(self.folder / "redis.conf")])

    def _answers(self) -> bool:
        return not port_is_free(self.port)


def free_port() -> int:
    """A TCP port of the loopback address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def port_is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def as_user(user: str) -> list[str]:
    """What to put in front of a command to run it as `user`; nothing for oneself."""
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []


def reachable_by_servers(folder: Path) -> bool:
    """Whether the user that PostgreSQL runs as can get into `folder`: not, say, below root's home."""
    user = _server_user("postgres")
    if not user:
        return True
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.run([*as_user(user), "test", "-x", str(folder)], check=False).returncode == 0


def _server_user(name: str) -> str:
    return name if os.geteuid() == 0 else ""


def _postgres_program(name: str) -> str:
    found = glob.glob(f"/usr/lib/postgresql/*/bin/{name}")
    # The newest version: 9 < 15 < 16, so by number.
    return max(found, key=lambda path: float(path.split("/")[4])) if found else _program(name)


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise ServerDidNotStart(f"There is no program {name!r} on this machine.")
    return found


def _run(command: list[str], text: str = "") -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd="/", check=False)
    if done.returncode != 0:
        raise CommandFailed(f"{command[0]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-2000:] if path.exists() else ""
