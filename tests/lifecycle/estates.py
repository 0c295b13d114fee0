"""Real servers for whole lives of grants: a database of our own on each, and how to log in to it as somebody."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

import MySQLdb
import psycopg


class Session(Protocol):
    """An open login."""

    def ask(self, statement: str) -> Any:
        """The first value that the statement gives; raises the driver's error."""

    def close(self) -> None:
        """End it."""


@dataclass(slots=True)
class PostgreSQLSession:
    """Over psycopg."""

    connection: psycopg.Connection[Any]

    def ask(self, statement: str) -> Any:
        row = self.connection.execute(statement.encode()).fetchone()
        return row and row[0]

    def close(self) -> None:
        self.connection.close()


@dataclass(slots=True)
class MariaDBSession:
    """Over mysqlclient."""

    connection: Any

    def ask(self, statement: str) -> Any:
        cursor = self.connection.cursor()
        cursor.execute(statement)
        row = cursor.fetchone()
        return row and row[0]

    def close(self) -> None:
        self.connection.close()


#: What a refused login or a session that was ended raises.
REFUSED = (psycopg.OperationalError, MySQLdb.OperationalError)


@dataclass(slots=True)
class Estate:
    """One server with a database `database`, in which a table `orders` has three rows."""

    engine: str
    url: SplitResult
    database: str

    @property
    def password(self) -> str:
        return unquote(self.url.password or "")

    def log_in(self, user: str, password: str, database: str | None = None) -> Session:
        """A real login with the engine's own driver; raises one of `REFUSED`."""
        database = self.database if database is None else database
        if self.engine == "postgresql":
            return PostgreSQLSession(
                psycopg.connect(
                    host=self.url.hostname,
                    port=self.url.port,
                    user=user,
                    password=password,
                    dbname=database,
                    connect_timeout=5,
                    autocommit=True,
                )
            )
        return MariaDBSession(
            MySQLdb.connect(
                host=self.url.hostname,
                port=self.url.port,
                user=user,
                password=password,
                database=database,
                connect_timeout=5,
                autocommit=True,
            )
        )

    @contextmanager
    def as_root(self, database: str = "") -> Iterator[Session]:
        """The server's own administrator."""
        session = self.log_in(
            self.url.username or "", self.password, database or ("postgres" if self.engine == "postgresql" else "mysql")
        )
        try:
            yield session
        finally:
            session.close()

    def accounts(self, prefix: str) -> int:
        """How many accounts whose name begins so the server's own catalog has."""
        catalog, column = ("pg_roles", "rolname") if self.engine == "postgresql" else ("mysql.global_priv", "User")
        with self.as_root() as root:
            return int(root.ask(f"SELECT count(*) FROM {catalog} WHERE {column} LIKE '{prefix}%'"))

    def create(self) -> None:
        """Make the database."""
        with self.as_root() as root:
            _execute(root, f"CREATE DATABASE {self.database}")
            if self.engine == "mariadb":
                # What the SQL for Lockgate's own account makes; here the server's administrator is used instead.
                _execute(root, "CREATE DATABASE IF NOT EXISTS lockgate")
        with self.as_root(self.database) as root:
            for statement in (
                "CREATE TABLE orders (id int PRIMARY KEY, item varchar(50))",
                "INSERT INTO orders VALUES (1, 'tea'), (2, 'milk'), (3, 'sugar')",
            ):
                _execute(root, statement)

    def drop(self) -> None:
        """Take the database away, whoever is in it."""
        with self.as_root() as root:
            force = " WITH (FORCE)" if self.engine == "postgresql" else ""
            _execute(root, f"DROP DATABASE IF EXISTS {self.database}{force}")


def _execute(session: Session, statement: str) -> None:
    connection: Any = session.connection  # type: ignore[attr-defined]
    cursor = connection.cursor()
    cursor.execute(statement)
    cursor.close()


def estate(engine: str, url: str) -> Estate:
    """A fresh one; its database does not exist yet."""
    return Estate(engine, urlsplit(url), f"shop_{secrets.token_hex(4)}")
