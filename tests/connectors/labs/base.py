"""What the contract suite needs from a server of any engine, so that one suite runs on all of them.

A lab plays three parts: the database administrator (makes and drops databases, tables and roles, behind Lockgate's back
too), the person (logs in as a principal with the engine's own driver) and the witness (says what is on the server, read
as the administrator and without the connector's help). It never goes through the code under test, except `connector()`.

Everything it makes has a random name, so that many tests run on one server at the same time.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from connectors.base import Connector, Level, Scope, Secret, Target

#: Characters that have broken somebody's quoting; every engine can hold each of them in a name.
HOSTILE = "a'\"`\\%;--/*${}\u00e9\u4e16 b"


#: What a server may lack that is no fault of ours, in the words of the skip. A lab with such a server has `lacks`.
ENDS_BY_ITSELF = "an end, or limits, that the server itself holds a login to"
DEFINING = "privileges to define (ALTER on a schema)"
HASHES = "passwords that are sent as hashes"
TELLS_PERMISSIONS = "a catalog of permissions"
OWNERS = "changing the owner of a schema or an object"
WITHOUT_LOGIN = "users without a login"
SERVER_LOG = "a log of statements that the tests can read"
LEAST_ACCOUNT = "permissions on the server for an account that is not in sysadmin"
SLEEPING = "a statement that takes a given time"
BRACKETS = "names that hold a bracket"
BACKSLASHES = "roles in a database whose name holds a backslash"
LONG_NAMES = "names of 128 characters"
WIDE_DATABASES = "databases with names beyond ASCII"


class LoginRefused(Exception):
    """The server did not let the principal in."""


class NotPermitted(Exception):
    """The server refused a statement of the principal for want of a privilege (or for being read only)."""


class SessionEnded(Exception):
    """The server has ended the session of the principal."""


class Stopped(Exception):
    """The server stopped a statement because it took longer than the account may."""


@dataclass(frozen=True, slots=True)
class Place:
    """A table (or something like it). `schema` is empty on engines without schemas inside a database."""

    database: str
    schema: str
    name: str

    def sibling(self, name: str) -> Place:
        """Another name in the same container."""
        return Place(self.database, self.schema, name)

    @property
    def pair(self) -> tuple[str, str]:
        """As `Scope.tables` wants it: the container first."""
        return (self.schema or self.database, self.name)


class Session(Protocol):
    """A principal's login through the engine's own driver; every statement is its own transaction unless `begin` ran.

    Each method raises `NotPermitted`, `Stopped` or `SessionEnded`, told by the engine's error code, and anything else as
    the driver raised it.
    """

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run any SQL and fetch what it gives."""
        ...

    def begin(self) -> None: ...

    def commit(self) -> None: ...

    def count(self, place: Place) -> int:
        """Read: the number of rows."""
        ...

    def insert(self, place: Place) -> None:
        """Write: one more row, numbered by the table's own sequence or auto-increment."""
        ...

    def create_table(self, place: Place) -> None:
        """Define: a table that the principal will own, with the same shape as `Lab.make_table` gives."""
        ...

    def sleep(self, seconds: float) -> None:
        """A query that runs that long."""
        ...

    def sleep_in_thread(self, seconds: float) -> Future[None]:
        """The same, without waiting; returns once the server runs it. The future holds how it ended."""
        ...

    def is_alive(self) -> bool:
        """Whether the server still answers on this session."""
        ...

    def close(self) -> None: ...


class Lab(Protocol):
    """One real server (or the fake) in the hands of the tests."""

    engine: str
    target: Target
    """Lockgate's own account: the least one, made by running `setup_sql()`."""
    has_schemas: bool
    longest_principal: int
    """Bytes of UTF-8 in the longest account name."""

    # --- The connector under test

    def connector(self) -> Connector:
        """A connector on `target`."""
        ...

    def unreachable(self) -> Target:
        """A target on which nothing listens."""
        ...

    def wrong_password(self) -> Target:
        """The target with a password that the server does not accept."""
        ...

    # --- The administrator

    def make_database(self, stem: str = "db") -> str:
        """A fresh database that Lockgate's account may work on; its random name holds `stem` as it is."""
        ...

    def drop_database(self, database: str) -> None: ...

    def make_schema(self, database: str, stem: str = "app") -> str:
        """A fresh schema that Lockgate's account may grant on; the empty string without schemas."""
        ...

    def make_table(self, database: str, schema: str, stem: str = "orders", rows: int = 3) -> Place:
        """A table `(id <numbered by itself> primary key, note text)` of the administrator's, with that many rows."""
        ...

    def make_role(self, stem: str, reads: Place | None = None) -> str:
        """An existing database role, as a customer has them; with the right to read one table."""
        ...

    def drop_role(self, role: str) -> None:
        """Drop a role (or account) behind Lockgate's back, with whatever stands in the way."""
        ...

    def lock_out_of(self, database: str) -> None:
        """Take away what lets everybody connect to a database, where the engine has such a thing."""
        ...

    def without_rights(self) -> AbstractContextManager[None]:
        """While it lasts, Lockgate's own account may log in, but may neither make nor take away accounts."""
        ...

    # --- The person

    def log_in(self, principal: str, password: Secret, database: str) -> Session:
        """A session as the principal. Raises `LoginRefused`."""
        ...

    def plant_residue(self, session: Session, place: Place) -> Sequence[str]:
        """As a principal with the right to define: leave one of each kind of thing that outlives its maker (tables,
        sequences, functions, views with a definer, default privileges, large objects …). Returns what a receipt has to
        name as handed over, as texts that each occur in one of its lines."""
        ...

    # --- The witness

    def account_exists(self, principal: str) -> bool: ...

    def role_exists(self, role: str) -> bool: ...

    def sessions_of(self, principal: str) -> int:
        """Live sessions, as the server counts them."""
        ...

    def privileges_of(self, principal: str) -> Sequence[str]:
        """Everything the catalog still says about the account, in any database; one line each."""
        ...

    def table_exists(self, place: Place) -> bool: ...

    def server_log(self) -> str:
        """What the server has logged so far, statements included (the labs' servers log every statement)."""
        ...

    # --- Hands

    def close(self) -> None:
        """Drop what was made and close every connection."""
        ...


def random_token() -> str:
    """Ten characters that no other test has."""
    return secrets.token_hex(5)


def make_principal(piece: str = "alice") -> str:
    """An account name as Lockgate makes them; `piece` may be anything that the engine can hold."""
    return f"lg_{random_token()}_{piece}"


def make_password() -> Secret:
    """A password with characters that would break careless quoting."""
    return Secret(f"pw'\"\\%;{secrets.token_urlsafe(18)}")


def scope_of(level: Level, *places: Place, named: bool = False, group: str = "") -> Scope:
    """The scope that reaches the databases of these places, or (`named`) just the tables."""
    databases = tuple(dict.fromkeys(place.database for place in places))
    tables = tuple(place.pair for place in places) if named else ()
    return Scope(level, databases, tables=tables, group=group or f"lockgate_test_{random_token()}")
