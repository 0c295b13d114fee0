"""Private servers: each in a folder of its own, on a port of its own, with a password of its own, stopped by its own pid.

A folder keeps its port, so that what is stored about a server stays true. As root each server runs as the user that its
package made: PostgreSQL refuses to be root, and the others have no need to be.
"""

from __future__ import annotations

import getpass
import glob
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from deploy.local.errors import PortTaken, ServerDidNotStart
from deploy.local.processes import end, program, run, server_user, spawn

START_SECONDS = 60.0
STOP_SECONDS = 20.0

#: Where ports are looked for: below those that the kernel gives to outgoing connections, one of which may hold any of
#: them at the moment of a later start.
PORTS = range(20000, 32768)


class PrivateServer:
    """One server process. `start` and `stop` may be called in any order, any number of times."""

    #: The user that the server's package made.
    package_user = ""
    #: What makes the server end in order, soon, with nothing lost.
    stop_signal = signal.SIGTERM

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
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "log"

    @property
    def pid(self) -> int | None:
        """The process, if it runs and is the one that was started here: after a restart of the machine the number may
        belong to anybody.
        """
        if self._process is not None and self._process.poll() is None:
            return self._process.pid
        try:
            pid = int((self.folder / "pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_text()
        except (OSError, ValueError):
            return None
        return pid if str(self.folder) in command or f":{self.port}" in command else None

    def start(self) -> None:
        """Run, and answer. Raises `ServerDidNotStart` or `PortTaken`."""
        if self.pid is not None:
            return
        self._make_folder()
        if not port_is_free(self.port):
            raise PortTaken(f"{self.name} needs port {self.port}. Free it, or remove {self.folder}.")
        self._prepare()
        self._launch()
        self._wait_until_it_answers()

    def stop(self) -> None:
        """End the process, by its pid, and wait until it is gone."""
        if (pid := self.pid) is not None:
            end(pid, self.stop_signal, STOP_SECONDS)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            ended = self._process is not None and self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise ServerDidNotStart(f"{self.name}: see {self.log}\n{_tail(self.log)}")
            time.sleep(0.05)

    def _prepare(self) -> None:
        """Make the data, where there is none yet."""
        raise NotImplementedError

    def _launch(self) -> None:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    @property
    def _user(self) -> str:
        return server_user(self.package_user)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _spawn(self, command: list[str]) -> None:
        self._process = spawn(command, log=self.log, user=self._user, last_signal=self.stop_signal)
        (self.folder / "pid").write_text(f"{self._process.pid}\n")

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # The server, which may be another user, goes through it to its data; it need not see what else is there.
        self.folder.chmod(0o711)

    def _make_data_folder(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        self._hand_over(self._data)

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        path = self.folder / name
        if not path.exists():
            self._make_folder()
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(make())
        return path.read_text()

    def _hand_over(self, path: Path) -> Path:
        if self._user:
            shutil.chown(path, self._user, self._user)
        return path


class PostgreSQL(PrivateServer):
    """A PostgreSQL cluster; the administrator is `lockgate_root`."""

    package_user = "postgres"
    stop_signal = signal.SIGINT  # a fast shutdown: sessions are ended, nothing is lost
    most_sessions = 400

    def __init__(self, folder: Path, *, durable: bool = True, programs: Path | None = None) -> None:
        """`programs` holds `initdb` and `postgres` of another version than the system's newest."""
        super().__init__(folder, durable=durable)
        self._programs = programs

    @property
    def url(self) -> str:
        """Where the administrator logs in."""
        return f"postgresql://lockgate_root:{self.password}@127.0.0.1:{self.port}/postgres"

    def create_database(self, name: str) -> None:
        """A database of this name, where there is none yet."""
        sql = f"SELECT 'CREATE DATABASE {name}' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec"
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "lockgate_root", "-d", "postgres"]
        run(
            [_postgresql_program("psql"), *address, "-q", "-X", "-v", "ON_ERROR_STOP=1"],
            text=sql,
            environment={**os.environ, "PGPASSWORD": self.password},
        )

    def _prepare(self) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        self._make_data_folder()
        with tempfile.NamedTemporaryFile("w", suffix=".pw") as password_file:
            password_file.write(self.password)
            password_file.flush()
            self._hand_over(Path(password_file.name))
            options = [f"--pgdata={self._data}", "--username=lockgate_root", f"--pwfile={password_file.name}"]
            options += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
            run([self._server_program("initdb"), *options], user=self._user)

    def _launch(self) -> None:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": self.most_sessions,
            "shared_buffers": "128MB",
            "max_prepared_transactions": 20,
            "log_line_prefix": "%m %u@%d ",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
            # A standby that a test makes may begin a while after its copy was taken, and everybody writes meanwhile.
            settings["wal_keep_size"] = "512MB"
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._spawn([self._server_program("postgres"), "-D", str(self._data), *options])

    def _answers(self) -> bool:
        command = [_postgresql_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def _server_program(self, name: str) -> str:
        return str(self._programs / name) if self._programs else _postgresql_program(name)


class MariaDB(PrivateServer):
    """A MariaDB server with its event scheduler on; the administrator is `root`."""

    package_user = "mysql"

    def __init__(self, folder: Path, *, durable: bool = True, unpacked: Path | None = None) -> None:
        """`unpacked` is where packages of another version than the system's lie, as in `/`."""
        super().__init__(folder, durable=durable)
        self._home = unpacked / "usr" if unpacked else None

    @property
    def url(self) -> str:
        """Where the administrator logs in."""
        return f"mysql://root:{self.password}@127.0.0.1:{self.port}/"

    def _prepare(self) -> None:
        self._kept("init.sql", self._first_statements)
        self._hand_over(self.folder / "init.sql")
        self._temporary.mkdir(exist_ok=True)
        self._hand_over(self._temporary)
        if (self._data / "mysql").is_dir():
            return
        self._make_data_folder()
        options = ["--no-defaults", f"--datadir={self._data}", "--auth-root-authentication-method=normal"]
        if self._home:
            options += [f"--basedir={self._home}", "--force"]  # without asking its own programs for this host's name
        # With temporary files where no other server that starts clears them away.
        environment = {**os.environ, "TMPDIR": str(self._temporary)}
        run(
            [self._program("bin", "mariadb-install-db"), *options, "--skip-test-db"],
            user=self._user,
            environment=environment,
        )

    @property
    def _temporary(self) -> Path:
        return self.folder / "tmp"

    def _program(self, folder: str, name: str) -> str:
        return str(self._home / folder / name) if self._home else program(name)

    def _own_files(self) -> list[str]:
        """The options that lead it to its own messages, character sets and plugins instead of the system's."""
        if self._home is None:
            return []
        shared = self._home / "share" / "mariadb"
        return [
            f"--basedir={self._home}",
            f"--lc-messages-dir={shared}",
            f"--character-sets-dir={shared / 'charsets'}",
            f"--plugin-dir={self._home / 'lib' / 'mysql' / 'plugin'}",
        ]

    def _first_statements(self) -> str:
        return (
            # A new data folder comes with accounts that have no password, and some without a name.
            "DELETE FROM mysql.global_priv WHERE User = '' OR User = 'root' AND Host <> 'localhost';\n"
            "FLUSH PRIVILEGES;\n"
            f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{self.password}';\n"
            f"CREATE USER IF NOT EXISTS 'root'@'127.0.0.1' IDENTIFIED BY '{self.password}';\n"
            "GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n"
        )

    def _launch(self) -> None:
        command = [
            self._program("sbin", "mariadbd"),
            "--no-defaults",
            *self._own_files(),
            f"--user={self._user or getpass.getuser()}",
            f"--datadir={self._data}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            # In the data folder, and given from there: the path to a socket may have no more than a hundred characters.
            "--socket=mariadb.sock",
            "--pid-file=mariadb.pid",
            # One of its own: a server that starts clears away what it takes for leftovers, also another server's files.
            f"--tmpdir={self._temporary}",
            f"--init-file={self.folder / 'init.sql'}",
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
        client = [program("mariadb"), "--no-defaults", "--host=127.0.0.1", f"--port={self.port}", "--user=root"]
        done = subprocess.run(
            [*client, "--execute=SELECT 1"],
            env={**os.environ, "MYSQL_PWD": self.password},
            capture_output=True,
            check=False,
        )
        return done.returncode == 0


class Redis(PrivateServer):
    """A Redis that keeps nothing on disk: Lockgate may lose it at any time."""

    package_user = "redis"

    @property
    def url(self) -> str:
        """Where Lockgate logs in."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _prepare(self) -> None:
        self._kept("redis.conf", self._configuration)
        self._hand_over(self.folder / "redis.conf")

    def _configuration(self) -> str:
        return f'bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\nsave ""\nappendonly no\n'

    def _launch(self) -> None:
        self._spawn([program("redis-server"), str(self.folder / "redis.conf")])

    def _answers(self) -> bool:
        return not port_is_free(self.port)


def free_port() -> int:
    """A TCP port of the loopback address that nobody uses now."""
    # Each try at random, since others look at the same time.
    while True:
        port = random.choice(PORTS)
        if not port_is_free(port):
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def port_is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _postgresql_program(name: str) -> str:
    found = glob.glob(f"/usr/lib/postgresql/*/bin/{name}")
    # The newest version: 9 < 15 < 16, so by number.
    return max(found, key=lambda path: float(path.split("/")[4])) if found else program(name)


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-2000:] if path.exists() else ""
