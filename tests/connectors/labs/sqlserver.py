"""The laboratory of SQL Server: its administrator, its people and its witness, through Microsoft's driver alone.

The server is whichever `LOCKGATE_TEST_SQLSERVER_URL` names, `mssql://user:password@host:port/?encrypt=…`, with a login in
`sysadmin`. What it can do is tried, not concluded from its name: `lacks` says what cannot be shown on it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import mssql_python
import pytest

from connectors.base import Level, Scope, Secret, Target, Tls
from connectors.quoting import sqlserver_name as name
from connectors.quoting import sqlserver_text as text
from connectors.redaction import PASSWORD_TO_CHOOSE
from connectors.sqlserver.connector import SQLServerConnector
from connectors.sqlserver.setup import database_statements, setup_batches
from tests.connectors.labs.base import (
    BACKSLASHES,
    BRACKETS,
    DEFINING,
    ENDS_BY_ITSELF,
    HASHES,
    LEAST_ACCOUNT,
    LONG_NAMES,
    OWNERS,
    SERVER_LOG,
    SLEEPING,
    TELLS_PERMISSIONS,
    WIDE_DATABASES,
    WITHOUT_LOGIN,
    LoginRefused,
    NotPermitted,
    Place,
    SessionEnded,
    random_token,
)

mssql_python.pooling(enabled=False)

#: Where a server is to be found.
SQLSERVER_URL = "LOCKGATE_TEST_SQLSERVER_URL"
NAMES_NONE = f"{SQLSERVER_URL} names no server"

_NOT_PERMITTED = {229, 230, 262, 300, 916, 2760, 15151, 1088, 4902}


class SQLServerSession:
    """A principal's login."""

    def __init__(self, lab: SQLServerLab, user: str, password: Secret, database: str) -> None:
        self._lab = lab
        try:
            self._connection: Any = connect(lab.target, user, password, database)
        except mssql_python.Error as error:
            raise LoginRefused(str(error)) from error
        self.number = int(self.run("SELECT @@SPID")[0][0])

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            return rows(self._connection, sql)
        except mssql_python.Error as error:
            raise self._told(error) from error

    def begin(self) -> None:
        self.run("BEGIN TRANSACTION")

    def commit(self) -> None:
        self.run("COMMIT TRANSACTION")

    def count(self, place: Place) -> int:
        return int(self.run(f"SELECT COUNT(*) FROM {at(place)}")[0][0])

    def insert(self, place: Place) -> None:
        self.run(f"INSERT INTO {at(place)} (note) VALUES (N'one more')")

    def create_table(self, place: Place) -> None:
        self.run(f"CREATE TABLE {at(place)} (id int IDENTITY PRIMARY KEY, note nvarchar(max))")

    def sleep(self, seconds: float) -> None:
        self.run(self._lab.sleeping(seconds))

    def sleep_in_thread(self, seconds: float) -> Future[None]:
        pool = ThreadPoolExecutor(1)
        future = pool.submit(self.sleep, seconds)
        pool.shutdown(wait=False)
        running = f"SELECT status FROM sys.dm_exec_sessions WHERE session_id = {self.number}"
        wait_until(lambda: future.done() or self._lab.rows(running)[0][0] not in ("sleeping", "idle"))
        return future

    def is_alive(self) -> bool:
        try:
            self.run("SELECT 1")
        except (SessionEnded, mssql_python.Error):
            return False
        return True

    def close(self) -> None:
        with suppress(mssql_python.Error):
            self._connection.close()

    def _told(self, error: mssql_python.Error) -> Exception:
        try:
            number = int(rows(self._connection, "SELECT @@ERROR")[0][0])
        except mssql_python.Error:
            return SessionEnded(str(error))
        # A server may have one number for everything; its class of error is then all there is.
        if number in _NOT_PERMITTED or number in self._lab.refusals:
            return NotPermitted(str(error))
        return error


class SQLServerLab:
    """One worker's part of a SQL Server."""

    engine = "sqlserver"
    has_schemas = True
    #: 128 characters, of which the first fourteen take a byte each, and the others, in the tests, two.
    longest_principal = 242
    #: What a login with a password, or a role, cannot have in its name.
    not_in_accounts = frozenset("\\")

    def __init__(self, url: str) -> None:
        """`url` is that of a member of sysadmin."""
        self.root = root_of(url)
        token = random_token()
        self.target = replace(self.root, user=f"lockgate_{token}", password=Secret(f"Admin-{random_token()}"))
        self._connections: dict[str, Any] = {}
        self._databases: list[str] = []
        self._roles: list[str] = []
        self.refusals: set[int] = set()
        self.lacks: dict[str, str] = {ENDS_BY_ITSELF: "SQL Server has none"}
        self.version = str(self.rows("SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128))")[0][0])
        self._probe()
        self._set_up()

    # --- What the server can do

    def _probe(self) -> None:
        probed = f"probe_{random_token()}"
        self.rows(f"CREATE DATABASE {name(probed)}")
        try:
            self._try_in(probed)
        finally:
            self.drop_database(probed)
        if self.rows("SELECT OBJECT_ID(N'sys.sql_logins')") == [(None,)]:
            self.lacks[HASHES] = "it has no catalog of password hashes"
        self.lacks[SERVER_LOG] = "not over this protocol"
        self._try_long_name()
        self._try_backslash()
        self._try_wide_database()
        self._try(SLEEPING, "WAITFOR DELAY '00:00:00.010'")

    def _try_long_name(self) -> None:
        """A login that the server makes and then does not know again is none."""
        long, password = f"probe_{random_token()}_".ljust(128, "é"), "Probe-1-" + random_token()
        try:
            self.rows(f"CREATE LOGIN {name(long)} WITH PASSWORD = {text(password)}")
            connect(self.root, long, Secret(password), "master").close()
        except mssql_python.Error as error:
            self.lacks[LONG_NAMES] = str(error)
        finally:
            with suppress(mssql_python.Error):
                self.rows(f"DROP LOGIN {name(long)}")

    def _try_backslash(self) -> None:
        database = f"probe_\\_{random_token()}"
        try:
            self.rows(f"CREATE DATABASE {name(database)}")
            self.rows("CREATE ROLE prober", database)
        except mssql_python.Error as error:
            self.lacks[BACKSLASHES] = str(error)
        finally:
            self.drop_database(database)

    def _try_wide_database(self) -> None:
        database = f"probe_é世_{random_token()}"
        try:
            self.rows(f"CREATE DATABASE {name(database)}")
            connect(self.root, self.root.user, self.root.password, database).close()
        except mssql_python.Error as error:
            self.lacks[WIDE_DATABASES] = str(error)
        finally:
            self.drop_database(database)

    def _try_in(self, database: str) -> None:
        self.rows("CREATE SCHEMA probed", database)
        self.rows("CREATE ROLE prober", database)
        self._try(DEFINING, "GRANT ALTER ON SCHEMA::probed TO prober", database)
        if not self._try(WITHOUT_LOGIN, "CREATE USER nobody WITHOUT LOGIN", database):
            self.lacks[OWNERS] = self.lacks[WITHOUT_LOGIN]
        else:
            self._try(OWNERS, "ALTER AUTHORIZATION ON SCHEMA::probed TO nobody", database)
        self._try(BRACKETS, "CREATE TABLE probed.[a]]b] (id int)", database)
        if self.rows("SELECT COUNT(*) FROM sys.database_permissions", database) == [(0,)]:
            self.lacks[TELLS_PERMISSIONS] = "its catalog is empty"

    def _try(self, feature: str, sql: str, database: str = "master") -> bool:
        try:
            self.rows(sql, database)
        except mssql_python.Error as error:
            self.lacks[feature] = str(error)
            number = int(self.rows("SELECT @@ERROR", database)[0][0])
            # The number it has for what it does not know is one that SQL Server has not: it may mean anything.
            if number > 1_000_000:
                self.refusals.add(number)
            return False
        return True

    def sleeping(self, seconds: float) -> str:
        """A statement that takes so long."""
        if SLEEPING not in self.lacks:
            return f"WAITFOR DELAY '{time.strftime('%H:%M:%S', time.gmtime(seconds))}.{int(seconds % 1 * 1000):03d}'"
        # Busy for as long as the clock says.
        return (
            f"DECLARE @end datetime2 = DATEADD(millisecond, {int(seconds * 1000)}, SYSUTCDATETIME()), @n bigint = 0;"
            " WHILE SYSUTCDATETIME() < @end SET @n = @n + 1"
        )

    def _set_up(self) -> None:
        """What an administrator does once: run the script of the page, in its batches."""
        for batch in setup_batches(self.target)[:1]:
            script = batch.replace(PASSWORD_TO_CHOOSE, f"N'{self.target.password.reveal()}'")
            self._run_creating(script)
        for batch in setup_batches(self.target)[1:2]:
            if not self._try(LEAST_ACCOUNT, batch):
                self.rows(f"ALTER SERVER ROLE sysadmin ADD MEMBER {name(self.target.user)}")

    def _run_creating(self, script: str) -> None:
        try:
            self.rows(script)
        except mssql_python.Error:
            # A server that takes no policy for a login takes the login.
            plain = re.sub(r",\s*CHECK_\w+ = \w+", "", script)
            self.rows(plain)

    # --- The connector under test

    def connector(self) -> SQLServerConnector:
        return SQLServerConnector(self.target)

    def unreachable(self) -> Target:
        return replace(self.target, port=1, connect_timeout=timedelta(seconds=1))

    def wrong_password(self) -> Target:
        return replace(self.target, password=Secret("not-the-password"))

    def cannot_show(self, scope: Scope) -> str:
        """Why a scope cannot be granted on this server; empty when it can."""
        return DEFINING if scope.level is Level.DDL and DEFINING in self.lacks else ""

    # --- The administrator

    def rows(self, sql: str, database: str = "master") -> list[tuple[Any, ...]]:
        """What the administrator reads."""
        if database not in self._connections:
            self._connections[database] = connect(self.root, self.root.user, self.root.password, database)
        return rows(self._connections[database], sql)

    def disconnect(self, database: str) -> None:
        """Let go of a database, which nobody could drop otherwise."""
        if connection := self._connections.pop(database, None):
            connection.close()

    def make_database(self, stem: str = "db") -> str:
        plain = self._holdable(stem)
        if WIDE_DATABASES in self.lacks:
            plain = plain.encode("ascii", "ignore").decode()
        database = f"{plain}_{random_token()}"
        self.rows(f"CREATE DATABASE {name(database)}")
        self._databases.append(database)
        if LEAST_ACCOUNT not in self.lacks:
            for statement in database_statements(self.target.user):
                self.rows(statement, database)
        return database

    def drop_database(self, database: str) -> None:
        if not self.rows(f"SELECT 1 FROM sys.databases WHERE name = {text(database)}"):
            return
        self.disconnect(database)
        for _ in range(100):
            # Connections that wait for their next use keep it, for some seconds.
            self._kill(f"database_id = DB_ID({text(database)})")
            try:
                self.rows(f"DROP DATABASE {name(database)}")
                return
            except mssql_python.Error:
                time.sleep(0.2)
        raise AssertionError(f"The database {database} could not be dropped.")

    def make_schema(self, database: str, stem: str = "app") -> str:
        schema = f"{self._holdable(stem)}_{random_token()}"
        self.rows(f"CREATE SCHEMA {name(schema)}", database)
        return schema

    def make_table(self, database: str, schema: str, stem: str = "orders", rows: int = 3) -> Place:
        place = Place(database, schema, f"{self._holdable(stem)}_{random_token()}")
        self.rows(f"CREATE TABLE {at(place)} (id int IDENTITY PRIMARY KEY, note nvarchar(max))", database)
        for number in range(rows):
            self.rows(f"INSERT INTO {at(place)} (note) VALUES (N'note {number}')", database)
        return place

    def make_role(self, stem: str, reads: Place | None = None) -> str:
        plain = "".join(character for character in self._holdable(stem) if character not in self.not_in_accounts)
        role = f"{plain}_{random_token()}"
        self._roles.append(role)
        for database in [reads.database] if reads else self._living():
            self.rows(f"CREATE ROLE {name(role)}", database)
        if reads is not None:
            self.rows(f"GRANT SELECT ON OBJECT::{at(reads)} TO {name(role)}", reads.database)
        return role

    def drop_role(self, role: str) -> None:
        for database in self._living():
            for kind, member in self._principals(role, database):
                word = "ROLE" if kind == "R" else "USER"
                for joined in self._members(member, database):
                    self.rows(f"ALTER ROLE {name(member)} DROP MEMBER {name(joined)}", database)
                self._withdraw(member, database)
                self.rows(f"DROP {word} {name(member)}", database)
        if self.rows(f"SELECT 1 FROM sys.server_principals WHERE name = {text(role)}"):
            # Not while it is logged in: then it stays, without its users.
            with suppress(mssql_python.Error):
                self.rows(f"DROP LOGIN {name(role)}")

    def lock_out_of(self, database: str) -> None:
        """Nobody may enter a database without a user in it: nothing to take away."""

    @contextmanager
    def without_rights(self) -> Iterator[None]:
        ours = name(self.target.user)
        if LEAST_ACCOUNT in self.lacks:
            take, give = (f"ALTER SERVER ROLE sysadmin {word} MEMBER {ours}" for word in ("DROP", "ADD"))
        else:
            take, give = f"DENY ALTER ANY LOGIN TO {ours}", f"GRANT ALTER ANY LOGIN TO {ours}"
        self.rows(take)
        self._kill(f"original_login_name = {text(self.target.user)}")
        try:
            yield
        finally:
            self.rows(give)
            self._kill(f"original_login_name = {text(self.target.user)}")

    # --- The person

    def log_in(self, principal: str, password: Secret, database: str) -> SQLServerSession:
        return SQLServerSession(self, principal, password, database)

    def plant_residue(self, session: Any, place: Place) -> Sequence[str]:
        """What a person makes belongs to the owner of the schema; what is made over to them is theirs."""
        token = random_token()
        here = name(place.schema)
        session.run(f"CREATE VIEW {here}.[view_{token}] AS SELECT id FROM {at(place)}")
        session.run(f"CREATE PROCEDURE {here}.[procedure_{token}] AS DELETE FROM {at(place)}")
        table = place.sibling(f"table_{token}")
        session.create_table(table)
        if OWNERS in self.lacks:
            return ()
        user = name(str(session.run("SELECT USER_NAME()")[0][0]))
        self.rows(f"CREATE SCHEMA [schema_{token}] AUTHORIZATION {user}", place.database)
        self.rows(f"ALTER AUTHORIZATION ON OBJECT::{at(table)} TO {user}", place.database)
        return (table.name, f"schema_{token}")

    # --- The witness

    def account_exists(self, principal: str) -> bool:
        if self.rows(f"SELECT 1 FROM sys.server_principals WHERE name = {text(principal)}"):
            return True
        return any(kind != "R" for database in self._living() for kind, _ in self._principals(principal, database))

    def role_exists(self, role: str) -> bool:
        return any(self._principals(role, database) for database in self._living())

    def sessions_of(self, principal: str) -> int:
        sql = "SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE session_id IS NOT NULL AND original_login_name = "
        return int(self.rows(sql + text(principal))[0][0])

    def privileges_of(self, principal: str) -> Sequence[str]:
        found = []
        for database in self._living():
            found += [f"user {user} in {database}" for _, user in self._principals(principal, database)]
            sql = (
                "SELECT p.permission_name FROM sys.database_permissions AS p JOIN sys.database_principals AS u"
                f" ON u.principal_id = p.grantee_principal_id WHERE u.name = {text(principal)}"
            )
            found += [f"{permission} in {database}" for (permission,) in self.rows(sql, database)]
        return found

    def table_exists(self, place: Place) -> bool:
        return self.rows(f"SELECT OBJECT_ID({text(at(place))})", place.database) != [(None,)]

    def server_log(self) -> str:
        return ""

    # --- Hands

    def tidy(self) -> None:
        """Drop the databases of the test that is over."""
        # Connections of Lockgate's that wait for their next use would keep them for some seconds.
        self._kill(f"original_login_name = {text(self.target.user)}")
        for database in self._databases:
            self.drop_database(database)
        self._databases.clear()

    def close(self) -> None:
        self.tidy()
        self._kill(f"original_login_name = {text(self.target.user)}")
        for _ in range(50):
            with suppress(mssql_python.Error):
                self.rows(f"DROP LOGIN {name(self.target.user)}")
                break
            time.sleep(0.1)
        for database in list(self._connections):
            self.disconnect(database)

    def _holdable(self, stem: str) -> str:
        for feature, character in ((BRACKETS, "]"), (BACKSLASHES, "\\")):
            if feature in self.lacks:
                stem = stem.replace(character, "")
        return stem

    def _living(self) -> list[str]:
        there = {row[0] for row in self.rows("SELECT name FROM sys.databases")}
        return [database for database in self._databases if database in there]

    def _principals(self, principal: str, database: str) -> list[tuple[str, str]]:
        sql = f"SELECT type, name FROM sys.database_principals WHERE name = {text(principal)}"
        return [(str(kind).strip(), str(found)) for kind, found in self.rows(sql, database)]

    def _members(self, role: str, database: str) -> list[str]:
        sql = (
            "SELECT u.name FROM sys.database_role_members AS m"
            " JOIN sys.database_principals AS r ON r.principal_id = m.role_principal_id"
            " JOIN sys.database_principals AS u ON u.principal_id = m.member_principal_id"
            f" WHERE r.name = {text(role)}"
        )
        return [str(row[0]) for row in self.rows(sql, database)]

    def _withdraw(self, grantee: str, database: str) -> None:
        """A server that does not tell what is granted may want it taken back before it drops anybody."""
        if TELLS_PERMISSIONS not in self.lacks:
            return
        tables = "SELECT s.name, t.name FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id"
        found = self.rows(tables, database)
        places = [f"OBJECT::{name(schema)}.{name(table)}" for schema, table in found]
        schemas = self.rows("SELECT name FROM sys.schemas WHERE name NOT IN (N'sys', N'INFORMATION_SCHEMA')", database)
        places += [f"SCHEMA::{name(schema)}" for (schema,) in schemas if not schema.startswith(("db_", "guest"))]
        # One by one: not every server takes several from the same place in one statement.
        for place in places:
            for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                self.rows(f"REVOKE {privilege} ON {place} FROM {name(grantee)}", database)

    def _kill(self, condition: str) -> None:
        sql = f"SELECT session_id FROM sys.dm_exec_sessions WHERE session_id IS NOT NULL AND {condition}"
        for (number,) in self.rows(sql):
            with suppress(mssql_python.Error):
                self.rows(f"KILL {int(number)}")


def root_of(url: str) -> Target:
    """The administrator that an address names; a certificate of the server's own making will do."""
    parts = urlsplit(url)
    wish = parse_qs(parts.query).get("encrypt", ["yes"])[0]
    return Target(
        "sqlserver",
        parts.hostname or "",
        parts.port or 1433,
        unquote(parts.username or ""),
        Secret(unquote(parts.password or "")),
        tls={"no": Tls.DISABLE, "strict": Tls.VERIFY_FULL}.get(wish, Tls.REQUIRE),
        connect_timeout=timedelta(seconds=10),
    )


def at(place: Place) -> str:
    """A table with its schema."""
    return f"{name(place.schema)}.{name(place.name)}"


def connect(target: Target, user: str, password: Secret, database: str) -> Any:
    """A login through the driver."""
    words = {
        "SERVER": f"{target.host},{target.port}",
        "DATABASE": braced(database),
        "UID": braced(user),
        "PWD": braced(password.reveal()),
        "Encrypt": "no" if target.tls is Tls.DISABLE else "yes",
        "TrustServerCertificate": "no" if target.tls is Tls.VERIFY_FULL else "yes",
    }
    return mssql_python.connect(";".join(f"{word}={value}" for word, value in words.items()), autocommit=True)


def braced(value: str) -> str:
    """A value that may hold anything."""
    return "{" + value.replace("}", "}}") + "}"


def rows(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    """What a statement gives."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def wait_until(condition: Any, seconds: float = 10.0) -> None:
    """Ask until it is so; fails the test when it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} seconds"
        time.sleep(0.02)


def open_lab() -> SQLServerLab:
    """The laboratory on the server that the environment names. Skips the test where it names none."""
    if not os.environ.get(SQLSERVER_URL):
        pytest.skip(NAMES_NONE)
    return SQLServerLab(os.environ["LOCKGATE_TEST_SQLSERVER_URL"])
