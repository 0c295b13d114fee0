"""A SQL Server that is not there: it keeps a small model of one, records every statement, and answers as documented.

For showing order and recovery where no server is at hand. What is asked of the catalog is answered by a real SQL engine
from tables of the model; what changes the server changes the model, or fails with the number that the documentation
gives. It shows what the connectors do about an answer, and never that a server gives it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from mssql_python import OperationalError, ProgrammingError

from connectors.sqlserver.failures import refused_login, translate
from connectors.sqlserver.recorded_catalogue import Catalogue, Database, Login, Model, Owned, Running, User
from connectors.sqlserver.session import Session, Sessions, Value

#: The driver's own phrases for the SQLSTATEs 42000 and 08S01.
_REFUSED, _BROKEN = "Syntax error or access violation", "Communication link failure"
_NAME = r"\[((?:[^\]]|\]\])+)\]"
_ANY_NAME = r"\[(?:[^\]]|\]\])+\]"
_TEXT = r"N'((?:[^']|'')*)'"


@dataclass(slots=True)
class Failure:
    """An error to answer with: the number, for which statements, and how often."""

    pattern: str
    number: int
    times: int = 1
    breaks: bool = False
    """The connection is lost with it."""


__all__ = ["Database", "Login", "Owned", "RecordedServer", "RecordedSession", "RecordedSessions", "Running", "User"]


class RecordedServer(Model):
    """The model, and what was done to it."""

    def __init__(self, *databases: str) -> None:
        super().__init__(databases={name: Database() for name in ("master", *databases)})
        self.statements: list[tuple[str, str]] = []
        """Every statement that was to change something, with its database, refused ones too."""
        self.failures: list[Failure] = []
        self._saved: dict[str, Database] = {}
        self._saved_logins: dict[str, Login] | None = None
        self.before: Callable[[str], None] = lambda sql: None
        """Called before each statement that changes something; what it raises is raised: a crash."""

    def ran(self, pattern: str) -> list[int]:
        """At which places in the record a statement matches."""
        return [place for place, (_, sql) in enumerate(self.statements) if re.search(pattern, sql)]

    def answer(self, database: str, sql: str, values: tuple[Value, ...]) -> list[tuple[Any, ...]]:
        """What the server gives for a statement. Raises `ConnectorError` as a session would."""
        if "applock" in sql:
            # Nobody else is there to take turns with.
            return [(0,)]
        is_question = sql.lstrip().upper().startswith("SELECT")
        if not is_question:
            self.before(sql)
            self.statements.append((database, sql))
        self._fail_as_planned(sql)
        if not is_question:
            self._change(database, sql)
            return []
        if "SYSUTCDATETIME" in sql:
            return [(datetime.now(UTC).replace(tzinfo=None),)]
        if elsewhere := re.search(rf"{_NAME}\.(?=sys\.)", sql):
            # The catalog of another database, asked by its name.
            database = _unquoted(elsewhere[1])
            self.open(database)
            sql = sql.replace(elsewhere[0], "")
        rows = Catalogue(self, database).rows(sql, values)
        if "sys.dm_exec_sessions" in sql:
            self._let_time_pass()
        return rows

    def open(self, database: str) -> None:
        """Let somebody in. Raises `ConnectorError` where it cannot be opened."""
        self._fail_as_planned(f"OPEN {database}")
        found = self.databases.get(database)
        if found is None or not found.is_online or not found.may_enter:
            raise refused_login(ProgrammingError(_REFUSED, "Cannot open the database that the login asks for."))

    def lets_in(self, principal: str, database: str) -> bool:
        """Whether a login with the account works."""
        user = self.databases[database].users.get(principal)
        if user is None or not user.may_connect:
            return False
        login = self.logins.get(principal)
        return login is None or not login.is_disabled

    def roll_back(self) -> None:
        """What a transaction that never ended had changed is undone."""
        for name, saved in self._saved.items():
            for one in fields(saved):
                setattr(self.databases[name], one.name, getattr(saved, one.name))
        if self._saved_logins is not None:
            self.logins.clear()
            self.logins.update(self._saved_logins)
        self._saved, self._saved_logins = {}, None

    def fail(self, pattern: str, number: int, *, times: int = 1, breaks: bool = False) -> None:
        """Answer the next statements that match with an error."""
        self.failures.append(Failure(pattern, number, times, breaks))

    def _fail_as_planned(self, sql: str) -> None:
        for failure in self.failures:
            if failure.times and re.search(failure.pattern, sql):
                failure.times -= 1
                if failure.breaks:
                    self.roll_back()
                raise_number(failure.number, breaks=failure.breaks)

    def _let_time_pass(self) -> None:
        for number, one in list(self.running.items()):
            if one.is_killed and one.polls <= 0:
                del self.running[number]
            elif one.is_killed:
                one.polls -= 1

    # --- What changes the server

    def _change(self, database: str, sql: str) -> None:
        for pattern, change in _CHANGES:
            if found := re.match(pattern, sql):
                change(self, self.databases[database], *(_unquoted(group) for group in found.groups()))
                return
        raise AssertionError(f"The double does not know this statement: {sql}")

    def create_login(self, database: Database, name: str, rest: str) -> None:
        """15025: it exists."""
        _unless(name not in self.logins, 15025)
        sid = re.search(r"SID = 0x([0-9a-f]+)", rest)
        self.logins[name] = Login(bytes.fromhex(sid[1]) if sid else name.encode())

    def alter_login(self, database: Database, name: str, what: str) -> None:
        """15151: it is not there, or the old password is another one."""
        _unless(name in self.logins, 15151)
        login = self.logins[name]
        if what in ("DISABLE", "ENABLE"):
            login.is_disabled = what == "DISABLE"
        elif renamed := re.match(rf"WITH NAME = {_NAME}$", what):
            self._rename_login(name, _unquoted(renamed[1]))
        elif changed := re.match(rf"WITH PASSWORD = {_TEXT} OLD_PASSWORD = {_TEXT}$", what):
            _unless(login.password == _unquoted(changed[2]), 15151)
            login.password = _unquoted(changed[1])

    def _rename_login(self, name: str, other: str) -> None:
        """15025: the other name is taken. Sessions that there are keep the name that they began with."""
        _unless(other not in self.logins, 15025)
        for one in self.running.values():
            if one.login == name:
                one.sid = self.logins[name].sid
        self.logins[other] = self.logins.pop(name)

    def drop_login(self, database: Database, name: str) -> None:
        """15434: somebody is logged in with it."""
        _unless(name in self.logins, 15151)
        sid = self.logins[name].sid
        _unless(all(one.sid != sid and (one.sid or one.login != name) for one in self.running.values()), 15434)
        del self.logins[name]

    def kill(self, database: Database, number: str) -> None:
        """6106: there is no such session."""
        _unless(int(number) in self.running, 6106)
        self.running[int(number)].is_killed = True

    def create_user(self, database: Database, name: str, how: str) -> None:
        """15023: it exists. 15007: its login does not."""
        _unless(name not in database.users, 15023)
        if how.startswith("FOR LOGIN"):
            _unless(name in self.logins, 15007)
        sid = self.logins[name].sid if how.startswith("FOR LOGIN") else b"of " + name.encode()
        database.users[name] = User(sid, "E" if how.startswith("FROM EXTERNAL") else "S")

    def alter_user(self, database: Database, name: str, how: str) -> None:
        """15151: it is not there."""
        _unless(name in database.users, 15151)
        if how.startswith("WITH LOGIN"):
            database.users[name].sid = self.logins[name].sid
        elif renamed := re.match(rf"WITH NAME = {_NAME}$", how):
            other = _unquoted(renamed[1])
            _unless(other not in database.users, 15023)
            database.rename_user(name, other)

    def drop_user(self, database: Database, name: str) -> None:
        """15138: it owns a schema. 15421: it owns a role. 15284: it owns something else."""
        _unless(name in database.users, 15151)
        for one in database.owned:
            _unless(one.owner != name, {"SCHEMA": 15138, "ROLE": 15421}.get(one.kind, 15284))
        del database.users[name]
        for members in database.roles.values():
            members.discard(name)
        for user, prop in list(database.properties):
            if user == name:
                del database.properties[user, prop]

    def create_role(self, database: Database, name: str) -> None:
        """15023: it exists."""
        _unless(name not in database.roles, 15023)
        database.roles[name] = set()

    def alter_role(self, database: Database, role: str, what: str, user: str) -> None:
        """15151: the role or the member is not there."""
        _unless(role in database.roles and (user in database.users or user in database.roles), 15151)
        members = database.roles[role]
        members.add(user) if what == "ADD" else members.discard(user)

    def connect(self, database: Database, what: str, user: str) -> None:
        """15151: it is not there."""
        _unless(user in database.users, 15151)
        database.users[user].may_connect = what == "GRANT"

    def grant(self, database: Database, verb: str, held: str, role: str) -> None:
        """On the database as a whole. 15151: the role is not there."""
        _unless(role in database.roles or role in database.users, 15151)
        names = set(held.split(", "))
        before = database.granted.get(role, set())
        database.granted[role] = before | names if verb == "GRANT" else before - names

    def grant_within(self, database: Database, role: str) -> None:
        """On a schema or a table: not modelled, only who it is given to. 15151: the role is not there."""
        _unless(role in database.roles or role in database.users, 15151)

    def hand_over(self, database: Database, kind: str, name: str, heir: str) -> None:
        """15151: the heir, or what is to be handed over, is not there."""
        found = [one for one in database.owned if one.kind == kind and one.name == name]
        _unless(bool(found) and heir in database.users, 15151)
        for one in found:
            one.owner = heir

    def add_property(self, database: Database, name: str, value: str, user: str) -> None:
        """15233: it exists. 15135: its user does not."""
        _unless(user in database.users, 15135)
        _unless((user, name) not in database.properties, 15233)
        database.properties[user, name] = value

    def drop_property(self, database: Database, name: str, user: str) -> None:
        """15217: it is not there."""
        _unless((user, name) in database.properties, 15217)
        del database.properties[user, name]

    def begin(self, database: Database) -> None:
        """From here on all or nothing."""
        self._saved, self._saved_logins = deepcopy(self.databases), deepcopy(self.logins)

    def commit(self, database: Database) -> None:
        """All."""
        self._saved, self._saved_logins = {}, None

    def end_transaction(self, database: Database) -> None:
        """Nothing."""
        self.roll_back()

    def nothing(self, database: Database) -> None:
        """What leaves no trace in the model."""


_Change = Callable[..., None]
_CHANGES: list[tuple[str, _Change]] = [
    (rf"CREATE LOGIN {_NAME} (WITH .*)$", RecordedServer.create_login),
    (rf"ALTER LOGIN {_NAME} (DISABLE|ENABLE|WITH .*)$", RecordedServer.alter_login),
    (rf"DROP LOGIN {_NAME}$", RecordedServer.drop_login),
    (r"KILL (\d+)$", RecordedServer.kill),
    (
        rf"CREATE USER {_NAME} (FOR LOGIN .*|WITHOUT LOGIN|WITH PASSWORD .*|FROM EXTERNAL PROVIDER)$",
        RecordedServer.create_user,
    ),
    (rf"ALTER USER {_NAME} (WITH .*)$", RecordedServer.alter_user),
    (rf"DROP USER {_NAME}$", RecordedServer.drop_user),
    (rf"CREATE ROLE {_NAME}$", RecordedServer.create_role),
    (rf"ALTER ROLE {_NAME} (ADD|DROP) MEMBER {_NAME}$", RecordedServer.alter_role),
    (rf"(GRANT|REVOKE) CONNECT (?:TO|FROM) {_NAME}(?: CASCADE)?$", RecordedServer.connect),
    (rf"(GRANT|REVOKE) ([A-Z, ]+) (?:TO|FROM) {_NAME}(?: CASCADE)?$", RecordedServer.grant),
    (rf"(?:GRANT|REVOKE) .* (?:TO|FROM) {_NAME}(?: CASCADE)?(?: AS {_ANY_NAME})?$", RecordedServer.grant_within),
    (
        rf"ALTER AUTHORIZATION ON (SCHEMA|ROLE|OBJECT|TYPE)::(?:{_ANY_NAME}\.)?{_NAME} TO {_NAME}$",
        RecordedServer.hand_over,
    ),
    (
        rf"EXEC sys.sp_addextendedproperty @name = {_TEXT}, @value = {_TEXT}, @level0type = N'USER', @level0name = {_TEXT}$",
        RecordedServer.add_property,
    ),
    (
        rf"EXEC sys.sp_dropextendedproperty @name = {_TEXT}, @level0type = N'USER', @level0name = {_TEXT}$",
        RecordedServer.drop_property,
    ),
    (r"BEGIN TRANSACTION$", RecordedServer.begin),
    (r"COMMIT TRANSACTION$", RecordedServer.commit),
    (r"IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION$", RecordedServer.end_transaction),
    (r"DBCC FLUSHAUTHCACHE$", RecordedServer.nothing),
]


class RecordedSession(Session):
    """A session on the model."""

    def __init__(self, server: RecordedServer, database: str) -> None:
        server.open(database)
        self.database = database
        self._server = server
        self._is_lost = False

    def rows(self, sql: str, *values: Value) -> list[tuple[Any, ...]]:
        """As `Session.rows`."""
        return self._server.answer(self.database, sql, values)

    @property
    def patience(self) -> timedelta:
        """Nobody else is there to wait for."""
        return timedelta(0)

    @property
    def is_broken(self) -> bool:
        """Never: one that was lost is not met again."""
        return False

    def spoil(self) -> None:
        """There is no pool that it could come back to."""

    def close(self) -> None:
        """Nothing is open."""


class RecordedSessions(Sessions):
    """The sessions of a connector on the model."""

    def __init__(self, server: RecordedServer, home: str = "master") -> None:
        self._server = server
        self._home = home

    @property
    def home(self) -> Session:
        """For the server as a whole."""
        return self.on(self._home)

    def on(self, database: str) -> Session:
        """On one database."""
        return RecordedSession(self._server, database)

    @contextmanager
    def visit(self, database: str) -> Iterator[Session]:
        """For one look."""
        yield self.on(database)

    def close(self) -> None:
        """Nothing is open."""


def raise_number(number: int, *, breaks: bool = False) -> None:
    """Raise what a session raises for an error of this number."""
    words = f"Error {number}, in whatever language."
    raise translate(OperationalError(_BROKEN, words) if breaks else ProgrammingError(_REFUSED, words), number)


def _unless(condition: bool, number: int) -> None:
    if not condition:
        raise_number(number)


def _unquoted(text: str) -> str:
    return text.replace("]]", "]").replace("''", "'")
