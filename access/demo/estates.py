"""The two servers of the demo: their data, and Lockgate's own account on each, made as an administrator would make it, by
running the SQL that the connector prints.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from connectors.base import Secret, Target, Tls
from connectors.registry import open_connector

_HERE = Path(__file__).parent
_ADMIN = "lockgate"
#: What comes after the SQL that the connector prints, which makes an account that no password opens.
_PASSWORDS = {
    "postgresql": f"ALTER ROLE {_ADMIN} PASSWORD '{{password}}';",
    "mariadb": f"SET PASSWORD FOR {_ADMIN}@'%' = PASSWORD('{{password}}');",
}


class DemoServerMissing(Exception):
    """The demo needs a server to put its data on; `make demo` starts them and says where they are."""


class DemoSqlFailed(Exception):
    """The SQL of the demo failed on its server."""


@dataclass(frozen=True, slots=True)
class Estate:
    """One server of the demo, with Lockgate's own account on it."""

    engine: str
    host: str
    port: int
    admin_user: str
    admin_secret: str


def orders() -> Estate:
    """The PostgreSQL server, filled when it is empty."""
    url = _url("LOCKGATE_DEMO_POSTGRESQL_URL")
    if not _psql(url, "postgres", "SELECT 1 FROM pg_database WHERE datname = 'orders'"):
        _psql(url, "postgres", "CREATE DATABASE orders")
    if not _psql(url, "postgres", f"SELECT 1 FROM pg_roles WHERE rolname = '{_ADMIN}'"):
        # In one transaction: a load that was interrupted has left an empty database and nothing else.
        data = (_HERE / "orders.sql").read_text() + _setup_sql(url, "postgresql")
        _psql(url, "orders", data, "--single-transaction", "--file=-")
    return _estate(url, "postgresql")


def catalogue() -> Estate:
    """The MariaDB server, filled when it is empty."""
    url = _url("LOCKGATE_DEMO_MARIADB_URL")
    # MariaDB has no transaction around all this; both scripts may run again after a load that was interrupted.
    _mariadb(url, (_HERE / "catalogue.sql").read_text() + _setup_sql(url, "mariadb"))
    return _estate(url, "mariadb")


def _url(variable: str) -> SplitResult:
    url = os.environ.get(variable, "")
    if not url:
        raise DemoServerMissing(f"{variable} is not set. Start the demo with `make demo`.")
    return urlsplit(url)


def _estate(url: SplitResult, engine: str) -> Estate:
    return Estate(engine, url.hostname or "", url.port or 0, _ADMIN, f"file:{_password_file(engine)}")


def _setup_sql(url: SplitResult, engine: str) -> str:
    """What the console prints for an administrator to paste, with a password in it."""
    target = Target(engine, url.hostname or "", url.port or 0, _ADMIN, Secret(""), tls=Tls.DISABLE)
    with open_connector(target) as connector:
        return f"{connector.setup_sql()}\n{_PASSWORDS[engine].format(password=_password(engine))}\n"


def _password_file(engine: str) -> Path:
    return Path(os.environ.get("LOCKGATE_DATA") or ".lockgate").resolve() / "secrets" / f"{engine}-admin"


def _password(engine: str) -> str:
    path = _password_file(engine)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text()


def _psql(url: SplitResult, database: str, sql: str, *options: str) -> str:
    command = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
    command += [f"--host={url.hostname}", f"--port={url.port}", f"--username={url.username}", *options, database]
    return _run(command, sql, {"PGPASSWORD": unquote(url.password or "")})


def _mariadb(url: SplitResult, sql: str) -> str:
    command = ["mariadb", "--no-defaults", f"--host={url.hostname}", f"--port={url.port}"]
    command += [f"--user={url.username}"]
    return _run(command, sql, {"MYSQL_PWD": unquote(url.password or "")})


def _run(command: list[str], sql: str, environment: dict[str, str]) -> str:
    if shutil.which(command[0]) is None:
        raise DemoSqlFailed(f"There is no program {command[0]!r} on this machine.")
    done = subprocess.run(
        command, input=sql, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DemoSqlFailed(f"{command[0]}: {done.stderr[-2000:]}")
    return done.stdout
