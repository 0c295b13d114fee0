"""The PostgreSQL laboratory: a customer's server on which Lockgate works with the least account that `setup_sql` makes.

The customer's databases belong to a role that is no superuser, as they should; `make_database` also runs the database
part of the setup script there, exactly as the script tells an administrator to.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg.pq import TransactionStatus

from connectors.base import Remedy, Secret, Target, Tls
from connectors.postgresql.connector import PostgreSQLConnector
from connectors.quoting import postgresql_name as name
from connectors.quoting import postgresql_text as text
from tests.connectors.labs.base import (
    LoginRefused,
    NotPermitted,
    Place,
    SessionEnded,
    Stopped,
    random_token,
)

#: insufficient_privilege, read_only_sql_transaction
_NOT_PERMITTED = {"42501", "25006"}
#: admin_shutdown, idle_in_transaction_session_timeout
_ENDED = {"57P01", "25P03"}
_STOPPED = {"57014"}


class PostgreSQLSession:
    """A principal's psycopg connection."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            cursor = self.connection.execute(sql)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise _told(error, self.connection) from error

    def begin(self) -> None:
        self.run("BEGIN")

    def commit(self) -> None:
        self.run("COMMIT")

    def count(self, place: Place) -> int:
        counted: int = self.run(f"SELECT count(*) FROM {_table(place)}")[0][0]
        return counted

    def insert(self, place: Place) -> None:
        self.run(f"INSERT INTO {_table(place)} (note) VALUES ('by a person')")

    def create_table(self, place: Place) -> None:
        self.run(f"CREATE TABLE {_table(place)} (id serial PRIMARY KEY, note text)")

    def sleep(self, seconds: float) -> None:
        self.run(f"SELECT pg_sleep({seconds})")

    def sleep_in_thread(self, seconds: float) -> Future[None]:
        pool = ThreadPoolExecutor(1)
        future = pool.submit(self.sleep, seconds)
        pool.shutdown(wait=False)
        while self.connection.info.transaction_status != TransactionStatus.ACTIVE:
            time.sleep(0.01)
        return future

    def is_alive(self) -> bool:
        try:
            self.run("SELECT 1")
        except (SessionEnded, psycopg.Error):
            return False
        return True

    def close(self) -> None:
        self.connection.close()


class PostgreSQLLab:
    """One worker's part of a PostgreSQL server."""

    engine = "postgresql"
    has_schemas = True
    longest_principal = 63

    def __init__(self, url: str) -> None:
        """`url` is that of a superuser."""
        parts = urlsplit(url)
        token = random_token()
        self.owner = f"shop_{token}"
        """Owns the customer's databases, schemas and tables."""
        self.superuser = Target(
            "postgresql",
            parts.hostname or "",
            parts.port or 5432,
            unquote(parts.username or ""),
            Secret(unquote(parts.password or "")),
            tls=Tls.DISABLE,
        )
        self.target = replace(self.superuser, user=f"lockgate_{token}", password=Secret(f"admin-{random_token()}"))
        self.version = int(self.run("SHOW server_version_num")[0][0])
        """As the server counts: 150018 for 15.18."""
        self._databases: list[str] = []
        self._roles: list[str] = [self.target.user, self.owner]
        self.set_up("postgres")
        self.run(f"ALTER ROLE {name(self.target.user)} PASSWORD {text(self.target.password.reveal())}")
        self._log = self._find_log()
        self._log_begins = self._log.stat().st_size
        self.run(f"ALTER ROLE {name(self.target.user)} SET log_statement = 'all'")
        self.run(f"CREATE ROLE {name(self.owner)} NOLOGIN")

    def run(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """As the superuser, each statement for itself; gives what the last one gave."""
        with self.as_superuser(database) as connection:
            cursor = None
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor and cursor.description else []

    # --- The connector under test

    def connector(self) -> PostgreSQLConnector:
        return PostgreSQLConnector(self.target)

    def unreachable(self) -> Target:
        return replace(self.target, port=1)

    def wrong_password(self) -> Target:
        return replace(self.target, password=Secret("not-the-password"))

    # --- The administrator

    def make_database(self, stem: str = "db") -> str:
        database = f"{stem}_{random_token()}"
        self.run(f"CREATE DATABASE {name(database)} OWNER {name(self.owner)}")
        self._databases.append(database)
        self.set_up(database)
        return database

    def set_up(self, database: str) -> None:
        """Run the setup script in a database, as it tells an administrator to."""
        self._run_script(self.connector().setup_sql(), database)

    def is_of_others(self, remedy: Remedy) -> bool:
        """Whether it is about roles of other labs on this server, which from version 16 on are not for us to administer.

        Those of this lab's making are: whoever takes that away asks the report itself.
        """
        roles = re.findall(r'"([^"]+)"', remedy.what_to_do.partition(" TO ")[0])
        return "to administer" in remedy.problem and not set(roles) & set(self._roles)

    def paste(self, script: str, database: str = "postgres") -> None:
        """Into psql, as the superuser."""
        self._run_script(script, database)

    def drop_database(self, database: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {name(database)} WITH (FORCE)")

    def make_schema(self, database: str, stem: str = "app") -> str:
        schema = f"{stem}_{random_token()}"
        self.run(f"CREATE SCHEMA {name(schema)} AUTHORIZATION {name(self.owner)}", database=database)
        return schema

    def make_table(self, database: str, schema: str, stem: str = "orders", rows: int = 3) -> Place:
        place = Place(database, schema, f"{stem}_{random_token()}")
        self.run(
            f"SET ROLE {name(self.owner)}",
            f"CREATE TABLE {_table(place)} (id serial PRIMARY KEY, note text)",
            f"INSERT INTO {_table(place)} (note) SELECT 'row' FROM generate_series(1, {rows})",
            database=database,
        )
        return place

    def make_role(self, stem: str, reads: Place | None = None, *, is_joined: bool = True) -> str:
        role = f"{stem}_{random_token()}"
        self.run(f"CREATE ROLE {name(role)} NOLOGIN")
        self._roles.append(role)
        if is_joined and self.version >= 160000:  # As the setup script says of roles that access roles may join.
            self.run(f"GRANT {name(role)} TO {name(self.target.user)} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE")
        if reads is not None:
            self.run(
                f"GRANT USAGE ON SCHEMA {name(reads.schema)} TO {name(role)}",
                f"GRANT SELECT ON {_table(reads)} TO {name(role)}",
                database=reads.database,
            )
        return role

    def join_ourselves(self, role: str) -> None:
        """Make Lockgate's own account a member that has what the role has."""
        options = " WITH INHERIT TRUE, SET TRUE" if self.version >= 160000 else ""
        self.run(f"GRANT {name(role)} TO {name(self.target.user)}{options}")

    def drop_role(self, role: str) -> None:
        for (database,) in self.run(
            "SELECT DISTINCT d.datname FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid"
            f" JOIN pg_database d ON d.oid = s.dbid WHERE r.rolname = {text(role)}"
        ):
            with suppress(psycopg.OperationalError):  # Another test has dropped it meanwhile.
                self.run(f"DROP OWNED BY {name(role)} CASCADE", database=database)
        if self.role_exists(role):
            self.run(f"DROP OWNED BY {name(role)}", f"DROP ROLE {name(role)}")

    def lock_out_of(self, database: str) -> None:
        self.run(f"REVOKE CONNECT, TEMPORARY ON DATABASE {name(database)} FROM PUBLIC")

    @contextmanager
    def without_rights(self) -> Iterator[None]:
        self.run(f"ALTER ROLE {name(self.target.user)} NOCREATEROLE")
        try:
            yield
        finally:
            self.run(f"ALTER ROLE {name(self.target.user)} CREATEROLE")

    # --- The person

    def log_in(self, principal: str, password: Secret, database: str, **options: str) -> PostgreSQLSession:
        try:
            connection = psycopg.connect(
                host=self.target.host,
                port=self.target.port,
                user=principal,
                password=password.reveal(),
                dbname=database,
                sslmode="disable",
                connect_timeout=10,
                autocommit=True,
                **options,  # type: ignore[arg-type]
            )
        except psycopg.OperationalError as error:
            raise LoginRefused(str(error)) from error
        return PostgreSQLSession(connection)

    def plant_residue(self, session: PostgreSQLSession, place: Place) -> Sequence[str]:
        schema = name(place.schema)
        table = place.sibling(f"planted_{random_token()}")
        session.create_table(table)
        for statement in (
            f"CREATE SEQUENCE {schema}.planted_sequence",
            f"CREATE FUNCTION {schema}.planted_function() RETURNS bigint LANGUAGE sql SECURITY DEFINER"
            f" AS {text(f'SELECT count(*) FROM {_table(place)}')}",
            f"CREATE VIEW {schema}.planted_view AS SELECT * FROM {_table(place)}",
            f"CREATE TYPE {schema}.planted_type AS ENUM ('a')",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO PUBLIC",
            f"GRANT ALL ON {_table(table)} TO PUBLIC",
            "SELECT lo_create(0)",
        ):
            session.run(statement)
        planted = (table.name, "planted_sequence", "planted_function", "planted_view", "planted_type")
        return (*planted, "large object")

    # --- The witness

    def account_exists(self, principal: str) -> bool:
        return self.role_exists(principal)

    def role_exists(self, role: str) -> bool:
        return bool(self.run(f"SELECT 1 FROM pg_roles WHERE rolname = {text(role)}"))

    def sessions_of(self, principal: str) -> int:
        counted: int = self.run(f"SELECT count(*) FROM pg_stat_activity WHERE usename = {text(principal)}")[0][0]
        return counted

    def privileges_of(self, principal: str) -> Sequence[str]:
        return [
            row[0]
            for row in self.run(
                "SELECT format('%s %s %s', s.deptype, s.classid::regclass, s.objid) FROM pg_shdepend s"
                f" JOIN pg_roles r ON r.oid = s.refobjid WHERE r.rolname = {text(principal)}"
                " UNION ALL SELECT format('member of %s', g.rolname) FROM pg_auth_members m"
                " JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid"
                f" WHERE r.rolname = {text(principal)}"
            )
        ]

    def table_exists(self, place: Place) -> bool:
        return bool(self.run(f"SELECT 1 WHERE to_regclass({text(_table(place))}) IS NOT NULL", database=place.database))

    def owner_of(self, place: Place) -> str:
        """The role that owns a table."""
        sql = f"SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = {text(_table(place))}::regclass"
        owner: str = self.run(sql, database=place.database)[0][0]
        return owner

    def server_log(self) -> str:
        with self._log.open("rb") as log:
            log.seek(self._log_begins)
            return log.read().decode(errors="replace")

    # --- Hands

    def tidy(self) -> None:
        """Drop the databases of the test that is over."""
        while self._databases:
            self.drop_database(self._databases.pop())

    def close(self) -> None:
        self.tidy()
        for role in reversed(self._roles):
            self.drop_role(role)

    def as_superuser(self, database: str) -> psycopg.Connection[Any]:
        """A connection of the administrator's; use it in a `with`."""
        return psycopg.connect(
            host=self.superuser.host,
            port=self.superuser.port,
            user=self.superuser.user,
            password=self.superuser.password.reveal(),
            dbname=database,
            sslmode="disable",
            autocommit=True,
        )

    def _run_script(self, script: str, database: str) -> None:
        """The whole of it through psql, which has nothing to say about it."""
        environment = {
            **os.environ,
            "PGHOST": self.superuser.host,
            "PGPORT": str(self.superuser.port),
            "PGUSER": self.superuser.user,
            "PGPASSWORD": self.superuser.password.reveal(),
            "PGDATABASE": database,
            "PGSSLMODE": "disable",
        }
        done = subprocess.run(
            ["psql", "-X", "-q", "-v", "VERBOSITY=sqlstate"],
            input=script,
            text=True,
            env=environment,
            capture_output=True,
        )
        refused = {line.split()[-1] for line in done.stderr.splitlines() if "ERROR" in line}
        if refused & {"XX000", "42710", "23505"}:
            # Another process did the same at the same moment ("tuple concurrently updated", "exists already").
            self._run_script(script, database)
            return
        assert not done.stderr, done.stderr

    def _find_log(self) -> Path:
        """Where the server's log goes: the standard error of its first process."""
        pid = self.run("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)")[0][0]
        return Path(os.readlink(f"/proc/{pid}/fd/2"))


def open_lab() -> PostgreSQLLab:
    """The lab on the server that the test run provides."""
    return PostgreSQLLab(os.environ["LOCKGATE_TEST_POSTGRESQL_URL"])


def _table(place: Place) -> str:
    return f"{name(place.schema)}.{name(place.name)}"


def _told(error: psycopg.Error, connection: psycopg.Connection[Any]) -> Exception:
    if error.sqlstate in _NOT_PERMITTED:
        return NotPermitted(str(error))
    if error.sqlstate in _STOPPED:
        return Stopped(str(error))
    if error.sqlstate in _ENDED or connection.closed:
        return SessionEnded(str(error))
    return error
