"""The server: databases, tables, roles, accounts and sessions in this process, one server a host name."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import ClassVar

from connectors.base import Level, Limits, Scope, Secret

#: What a level may do to a table.
_ACTIONS = {
    Level.READ: {"read"},
    Level.WRITE: {"read", "write"},
    Level.DDL: {"read", "write", "define"},
    Level.MEMBER: set[str](),
}

Place = tuple[str, str, str]
"""Database, schema, table."""


class FakeError(Exception):
    """What the driver of a real server would raise."""


class FakeLoginRefused(FakeError):
    """No such account, a wrong password, or no right to connect."""


class FakeNotPermitted(FakeError):
    """The account may not do this."""


class FakeSessionEnded(FakeError):
    """The server has ended the session."""


class FakeStopped(FakeError):
    """The statement took longer than the account may."""


@dataclass
class FakeTable:
    """A table: a number of rows and an owner."""

    rows: int = 0
    owner: str = "customer"


@dataclass
class FakeAccount:
    """An account that Lockgate made."""

    digest: str
    valid_until: datetime
    limits: Limits
    memberships: set[str] = field(default_factory=set)
    can_log_in: bool = True
    made_as: str = ""
    """The name that Lockgate gave it."""
    identifier: str = field(default_factory=lambda: token_hex(8))
    """What a new name does not change."""
    made_by: str = ""


def digest(password: Secret) -> str:
    """What the server keeps of a password, and all that it is sent."""
    return hashlib.sha256(password.reveal().encode()).hexdigest()


class FakeServer:
    """One server. `FakeServer.named` gives the one that a target with this host reaches."""

    _servers: ClassVar[dict[str, FakeServer]] = {}

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.identity = f"fake:{token_hex(8)}"
        """What it is, whatever its address."""
        self.admin_password: Secret | None = None
        """When set, the only password that Lockgate's account gets in with."""
        self.is_down = False
        self.lacks_rights = False
        """Whether Lockgate's account may neither make nor take away accounts."""
        self.has_stubborn_sessions = False
        """Whether sessions refuse to end."""
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.started_at = self.clock()
        self.databases: dict[str, dict[tuple[str, str], FakeTable]] = {}
        self.closed: set[str] = set()
        """Databases that only those may connect to who were let in."""
        self.roles: dict[str, set[Place]] = {}
        """The customer's roles, and the tables that each may read."""
        self.groups: dict[str, Scope] = {}
        self.accounts: dict[str, FakeAccount] = {}
        self.sessions: list[FakeSession] = []
        self.log: list[str] = []
        self._fails_in: int | None = None

    @classmethod
    def named(cls, host: str) -> FakeServer:
        """The server of that host name; made when first asked for."""
        return cls._servers.setdefault(host, cls())

    def also_at(self, host: str) -> None:
        """The same server answers under another host name as well; whoever answered there until now does no more."""
        self._servers[host] = self

    @classmethod
    def forget_all(cls) -> None:
        """No server is there any more."""
        cls._servers.clear()

    def fail_statement(self, number: int) -> None:
        """Let the n-th changing statement from now on be refused, once; 1 is the next."""
        self._fails_in = number

    def run(self, text: str, effect: Callable[[], None]) -> None:
        """One changing statement of Lockgate's. Raises `FakeError` when it was told to fail."""
        with self.lock:
            self.log.append(text)
            if self._fails_in is not None:
                self._fails_in -= 1
                if self._fails_in == 0:
                    self._fails_in = None
                    raise FakeError("The server was told to refuse this statement.")
            effect()

    def make_table(self, database: str, schema: str, table: str, rows: int = 3) -> None:
        """A table of the customer's, and its database where missing."""
        self.databases.setdefault(database, {})[schema, table] = FakeTable(rows)

    def log_in(self, principal: str, password: Secret, database: str) -> FakeSession:
        """A session as an account. Raises `FakeLoginRefused`."""
        with self.lock:
            account = self.accounts.get(principal)
            if self.is_down or account is None or account.digest != digest(password) or not account.can_log_in:
                raise FakeLoginRefused("The server does not let this account in.")
            if account.valid_until <= self.clock():
                raise FakeLoginRefused("The account's time is over.")
            if not self._may_connect(account, database):
                raise FakeLoginRefused("The account may not connect to this database.")
            if (
                account.limits.connections is not None
                and len(self.sessions_of(principal)) >= account.limits.connections
            ):
                raise FakeLoginRefused("The account has as many sessions as it may.")
            session = FakeSession(self, principal, database)
            self.sessions.append(session)
            return session

    def rename(self, principal: str, name: str) -> None:
        """Somebody gives an account another name; its sessions, tables and password stay its own."""
        with self.lock:
            self.accounts[name] = self.accounts.pop(principal)
            for session in self.sessions_of(principal):
                session.principal = name
            for database, schema, table in self.owned_by(principal):
                self.databases[database][schema, table].owner = name

    def name_now(self, principal: str, identifier: str) -> str:
        """What an account is called now that Lockgate made under this name."""
        if principal in self.accounts:
            return principal
        return next((name for name, each in self.accounts.items() if each.identifier == identifier), principal)

    def sessions_of(self, principal: str) -> list[FakeSession]:
        """The account's live sessions."""
        return [session for session in self.sessions if session.principal == principal]

    def owned_by(self, principal: str) -> list[Place]:
        """The tables of an account."""
        return [
            (database, schema, name)
            for database, tables in self.databases.items()
            for (schema, name), table in tables.items()
            if table.owner == principal
        ]

    def may(self, principal: str, action: str, place: Place) -> bool:
        """Whether an account may read, write or define here: by a membership, or because the table is its own."""
        account = self.accounts.get(principal)
        if account is None:
            return False
        table = self.databases.get(place[0], {}).get(place[1:])
        if table is not None and table.owner == principal:
            return True
        return any(self._role_may(role, action, place) for role in account.memberships)

    def _role_may(self, role: str, action: str, place: Place) -> bool:
        scope = self.groups.get(role)
        if scope is None:
            return action == "read" and place in self.roles.get(role, set())
        return action in _ACTIONS[scope.level] and _is_inside(scope, place)

    def _may_connect(self, account: FakeAccount, database: str) -> bool:
        if database not in self.databases:
            return False
        scopes = [self.groups[role] for role in account.memberships if role in self.groups]
        return database not in self.closed or any(database in scope.databases for scope in scopes)


def _is_inside(scope: Scope, place: Place) -> bool:
    database, schema, table = place
    if database not in scope.databases:
        return False
    if not scope.schemas and not scope.tables:
        return True
    return schema in scope.schemas or (schema or database, table) in scope.tables


class FakeSession:
    """A login as an account. Its statements raise `FakeNotPermitted`, `FakeStopped` or `FakeSessionEnded`."""

    def __init__(self, server: FakeServer, principal: str, database: str) -> None:
        self.principal = principal
        self.database = database
        self._server = server
        self._ended = threading.Event()
        self._pending: dict[Place, int] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the server still answers on it."""
        return not self._ended.is_set()

    def begin(self) -> None:
        """From here on, what is written is undone when the session ends before `commit`."""
        self._pending = {}

    def commit(self) -> None:
        """Keep what was written since `begin`."""
        pending, self._pending = self._pending, None
        for (_, schema, name), rows in (pending or {}).items():
            self._server.databases[self.database][schema, name].rows += rows

    def count(self, schema: str, name: str) -> int:
        """The number of rows."""
        place = self._allowed("read", schema, name)
        return self._server.databases[self.database][schema, name].rows + (self._pending or {}).get(place, 0)

    def insert(self, schema: str, name: str) -> None:
        """One more row."""
        place = self._allowed("write", schema, name)
        if self._pending is None:
            self._server.databases[self.database][schema, name].rows += 1
        else:
            self._pending[place] = self._pending.get(place, 0) + 1

    def create_table(self, schema: str, name: str) -> None:
        """A table of the account's own."""
        self._allowed("define", schema, name)
        self._server.databases[self.database][schema, name] = FakeTable(owner=self.principal)

    def sleep(self, seconds: float) -> None:
        """A statement that takes this long."""
        self._must_be_alive()
        limit = self._server.accounts[self.principal].limits.statement_timeout
        longest = seconds if limit is None else min(seconds, limit.total_seconds())
        if self._ended.wait(longest):
            raise FakeSessionEnded("The session was ended.")
        if longest < seconds:
            raise FakeStopped("The statement took too long.")

    def end(self) -> None:
        """By the person or by the server; what was not committed is undone."""
        self._pending = None
        self._ended.set()
        with self._server.lock:
            if self in self._server.sessions:
                self._server.sessions.remove(self)

    def _allowed(self, action: str, schema: str, name: str) -> Place:
        self._must_be_alive()
        place = (self.database, schema, name)
        if not self._server.may(self.principal, action, place):
            raise FakeNotPermitted(f"The account may not {action} {'.'.join(place)}.")
        return place

    def _must_be_alive(self) -> None:
        if self._ended.is_set():
            raise FakeSessionEnded("The session was ended.")
