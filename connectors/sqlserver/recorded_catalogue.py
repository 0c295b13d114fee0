"""The model of a SQL Server that `recording` keeps, and its catalog: views in an SQL engine, filled for one question."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from connectors.sqlserver.privileges import FIXED_ROLES
from connectors.sqlserver.session import Value


@dataclass(slots=True)
class Login:
    """A login of the server."""

    sid: bytes
    is_disabled: bool = False
    password: str = ""
    """As text, where it was set as one."""


@dataclass(slots=True)
class User:
    """A user of a database: `S` with a login or password, `E` of Entra ID."""

    sid: bytes
    type: str = "S"
    may_connect: bool = True


@dataclass(slots=True)
class Running:
    """A session on the server."""

    login: str
    database: str = "master"
    polls: int = 0
    """How often it is still seen after it was killed, since rolling back takes time."""
    is_killed: bool = False
    sid: bytes = b""
    """Where it is another one than that of the login of this name."""


@dataclass(slots=True)
class Owned:
    """Something that somebody owns: a `SCHEMA`, an `OBJECT` or a `ROLE`."""

    kind: str
    name: str
    owner: str


@dataclass(slots=True)
class Database:
    """One database."""

    is_online: bool = True
    may_enter: bool = True
    is_read_only: bool = False
    is_secondary: bool = False
    triggers: dict[str, set[str]] = field(default_factory=dict)
    """Of the database, with the events that they answer to."""
    permissions: list[tuple[str, int, str, str, str]] = field(default_factory=list)
    """What else is granted: to whom, the class, the permission, the schema and the object."""
    users: dict[str, User] = field(default_factory=dict)
    roles: dict[str, set[str]] = field(default_factory=lambda: {role: set() for role in FIXED_ROLES})
    """With who is in each; a role can be in another."""
    granted: dict[str, set[str]] = field(default_factory=dict)
    """What each role has been granted on the database as a whole; on schemas and tables nothing is modelled."""
    owned: list[Owned] = field(default_factory=list)
    properties: dict[tuple[str, str], str] = field(default_factory=dict)
    """Extended properties of users: user and name of the property."""

    def rename_user(self, name: str, other: str) -> None:
        """What it has and is goes on under the other name."""
        self.users[other] = self.users.pop(name)
        self.granted = {other if who == name else who: held for who, held in self.granted.items()}
        self.properties = {(other if who == name else who, of): text for (who, of), text in self.properties.items()}
        for members in self.roles.values():
            if name in members:
                members.remove(name)
                members.add(other)
        for one in self.owned:
            one.owner = other if one.owner == name else one.owner


@dataclass
class Model:
    """The server as it is at one moment."""

    databases: dict[str, Database]
    logins: dict[str, Login] = field(default_factory=dict)
    running: dict[int, Running] = field(default_factory=dict)
    properties: dict[str, str | int] = field(
        default_factory=lambda: {
            "ProductVersion": "12.0.2000.8",
            "EngineEdition": 5,
            "IsIntegratedSecurityOnly": 0,
            "ServerName": "recorded",
        }
    )
    secondaries: dict[str, str] = field(default_factory=dict)
    """Who follows it, and whether readers are let in there: `NO`, `READ_ONLY`, `ALL`."""
    triggers: dict[str, set[str]] = field(default_factory=dict)
    """Of the server, with the events that they answer to."""
    lacking: set[str] = field(default_factory=set)
    """Permissions and roles that Lockgate's own account has not."""


class Catalogue:
    """The views of the catalog, as tables of an SQL engine, filled from the model for one question."""

    def __init__(self, server: Model, database: str) -> None:
        self._server = server
        self._name = database
        self._database = server.databases[database]
        self._engine = sqlite3.connect(":memory:")
        self._engine.executescript(_VIEWS)
        self._define_functions()
        self._fill_server()
        self._fill_database()
        self._fill_triggers()

    def rows(self, sql: str, values: tuple[Value, ...]) -> list[tuple[Any, ...]]:
        """What the question gives."""
        question = re.sub(r"\b0x([0-9a-f]+)", r"X'\1'", re.sub(r"\bN'", "'", sql))
        question = question.replace("@@SPID", "0").replace("LEFT(", "left_of(")
        if values:
            question = re.sub(r"%s", "?", question).replace("%%", "%")
        try:
            return self._engine.execute(question, values).fetchall()
        finally:
            self._engine.close()

    def _define_functions(self) -> None:
        define = self._engine.create_function
        define("left_of", 2, lambda text, count: None if text is None else text[:count])
        define("HAS_DBACCESS", 1, lambda name: int(self._server.databases[name].may_enter))
        define("HAS_PERMS_BY_NAME", 3, lambda *asked: int(asked[2] not in self._server.lacking))
        define("IS_SRVROLEMEMBER", 1, lambda _: 0)
        define("IS_MEMBER", 1, lambda role: int(role not in self._server.lacking))
        define("QUOTENAME", 1, lambda name: f"[{name}]")
        define("DB_NAME", 0, lambda: self._name)
        define("OBJECT_ID", 1, lambda _: 1)
        define("SERVERPROPERTY", 1, lambda name: self._server.properties[name])
        define("DATABASEPROPERTYEX", 2, lambda name, _: self._updateability(self._server.databases[name]))
        define("SUSER_SNAME", -1, self._login_of)
        define("COL_LENGTH", 2, lambda *_: 1)

    @staticmethod
    def _updateability(database: Database) -> str:
        return "READ_ONLY" if database.is_read_only or database.is_secondary else "READ_WRITE"

    def _login_of(self, *sid: bytes | None) -> str | None:
        if not sid:
            return "lockgate"
        return next((name for name, login in self._server.logins.items() if login.sid == sid[0]), None)

    def _sid_of(self, one: Running) -> bytes:
        login = self._server.logins.get(one.login)
        return one.sid or (login.sid if login else b"of " + one.login.encode())

    def _fill_server(self) -> None:
        put = self._engine.executemany
        put(
            "INSERT INTO sys.server_principals VALUES (?, ?, 'S', ?)",
            [(name, login.sid, int(login.is_disabled)) for name, login in self._server.logins.items()],
        )
        put(
            "INSERT INTO sys.databases VALUES (?, ?, ?, NULL, ?, NULL)",
            [
                (name, 0 if one.is_online else 6, "ONLINE" if one.is_online else "OFFLINE", int(one.is_read_only))
                for name, one in self._server.databases.items()
            ],
        )
        put(
            "INSERT INTO sys.dm_exec_sessions VALUES (?, 'sleeping', ?, ?, ?)",
            [
                (number, one.login, one.login, self._sid_of(one))
                for number, one in self._server.running.items()
                # Azure SQL shows those of the database that is asked; of a server all are asked for in master.
                if self._name in ("master", one.database)
            ],
        )

    def _fill_triggers(self) -> None:
        put = self._engine.executemany
        following = list(self._server.secondaries.items())
        put("INSERT INTO sys.availability_replicas VALUES (?, ?, '', ?)", [(one, one, how) for one, how in following])
        put("INSERT INTO sys.dm_geo_replication_link_status VALUES (?, 'x', ?, 'CATCH_UP', 'PRIMARY')", following)
        for table, of in (("server_trigger", self._server.triggers), ("trigger", self._database.triggers)):
            columns = "?, ?, 0, 0" if table == "server_trigger" else "?, ?, 0, 0, 0"
            put(f"INSERT INTO sys.{table}s VALUES ({columns})", list(enumerate(of)))
            events = [(number, event) for number, name in enumerate(of) for event in sorted(of[name])]
            put(f"INSERT INTO sys.{table}_events VALUES (?, ?)", events)

    def _fill_database(self) -> None:
        put, numbers = self._engine.executemany, {"dbo": 1}
        for name in [*self._database.users, *self._database.roles]:
            numbers.setdefault(name, len(numbers) + 4)
        owners = {(one.kind, one.name): numbers.get(one.owner) for one in self._database.owned}
        put(
            "INSERT INTO sys.database_principals VALUES (?, ?, ?, ?, NULL, 0)",
            [(name, numbers[name], user.sid, user.type) for name, user in self._database.users.items()],
        )
        put(
            "INSERT INTO sys.database_principals VALUES (?, ?, NULL, 'R', ?, 0)",
            [(name, numbers[name], owners.get(("ROLE", name), 1)) for name in self._database.roles],
        )
        put(
            "INSERT INTO sys.database_role_members VALUES (?, ?)",
            [(numbers[role], numbers[user]) for role, members in self._database.roles.items() for user in members],
        )
        put(
            "INSERT INTO sys.database_permissions VALUES (0, 'CONNECT', 'CO', 'G', 0, 0, ?, 1)",
            [(1,), *((numbers[name],) for name, user in self._database.users.items() if user.may_connect)],
        )
        put(
            "INSERT INTO sys.database_permissions VALUES (0, ?, '', 'G', 0, 0, ?, 1)",
            [(name, numbers[role]) for role, held in self._database.granted.items() for name in sorted(held)],
        )
        put("INSERT INTO sys.database_principals VALUES (?, ?, X'01', 'S', NULL, 0)", [("dbo", 1), ("guest", 2)])
        put("INSERT INTO sys.database_principals VALUES ('public', ?, NULL, 'R', 1, 0)", [(3,)])
        numbers |= {"guest": 2, "public": 3}
        schemas = [("dbo", 1), *((name, owner) for (kind, name), owner in owners.items() if kind == "SCHEMA")]
        put("INSERT INTO sys.schemas VALUES (?, ?, ?)", [(name, n, owner) for n, (name, owner) in enumerate(schemas)])
        of_schemas = {name: n for n, (name, _) in enumerate(schemas)}
        named = sorted({(schema, name) for _, kind, _, schema, name in self._database.permissions if kind == 1})
        put(
            "INSERT INTO sys.objects VALUES (?, ?, ?, NULL, 'U', 0)",
            [(name, 1000 + n, of_schemas[schema]) for n, (schema, name) in enumerate(named)],
        )
        majors = {(1, *pair): 1000 + n for n, pair in enumerate(named)}
        majors |= {(3, name, ""): n for name, n in of_schemas.items()}
        put(
            "INSERT INTO sys.database_permissions VALUES (?, ?, '', 'G', ?, 0, ?, 1)",
            [
                (kind, permission, majors.get((kind, schema, name), 0), numbers[who])
                for who, kind, permission, schema, name in self._database.permissions
            ],
        )
        objects = [(name, owner) for (kind, name), owner in owners.items() if kind == "OBJECT"]
        put(
            "INSERT INTO sys.objects VALUES (?, ?, 0, ?, 'U', 0)",
            [(name, n, owner) for n, (name, owner) in enumerate(objects)],
        )
        put(
            "INSERT INTO sys.extended_properties VALUES (4, ?, ?, ?)",
            [(numbers[user], name, value) for (user, name), value in self._database.properties.items()],
        )


_VIEWS = """
ATTACH ':memory:' AS sys;
CREATE TABLE sys.server_principals (name, sid, type, is_disabled);
CREATE TABLE sys.databases (name, state, state_desc, source_database_id, is_read_only, service_broker_guid);
CREATE TABLE sys.dm_exec_sessions (session_id, status, login_name, original_login_name, original_security_id);
CREATE TABLE sys.dm_exec_connections (session_id, encrypt_option);
INSERT INTO sys.dm_exec_connections VALUES (0, 'TRUE');
CREATE TABLE sys.database_principals (name, principal_id, sid, type, owning_principal_id, is_fixed_role);
CREATE TABLE sys.database_role_members (role_principal_id, member_principal_id);
CREATE TABLE sys.database_permissions (
  class, permission_name, type, state, major_id, minor_id, grantee_principal_id, grantor_principal_id
);
CREATE TABLE sys.schemas (name, schema_id, principal_id);
CREATE TABLE sys.objects (name, object_id, schema_id, principal_id, type, is_ms_shipped);
CREATE TABLE sys.sql_modules (object_id, execute_as_principal_id);
CREATE TABLE sys.availability_replicas (
  replica_id, replica_server_name, endpoint_url, secondary_role_allow_connections_desc
);
CREATE TABLE sys.dm_hadr_availability_replica_states (replica_id, is_local, connected_state_desc);
CREATE TABLE sys.dm_geo_replication_link_status (
  partner_server, partner_database, secondary_allow_connections_desc, replication_state_desc, role_desc
);
CREATE TABLE sys.server_triggers (object_id, name, is_disabled, is_ms_shipped);
CREATE TABLE sys.server_trigger_events (object_id, type_desc);
CREATE TABLE sys.triggers (object_id, name, is_disabled, is_ms_shipped, parent_class);
CREATE TABLE sys.trigger_events (object_id, type_desc);
CREATE TABLE sys.types (name, schema_id, principal_id);
CREATE TABLE sys.extended_properties (class, major_id, name, value);
"""
