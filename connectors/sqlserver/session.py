"""Lockgate's own sessions on a SQL Server, one to each database, and logins as an account to prove it.

Our sessions are opened through mssql-django on Microsoft's own driver for Python, and kept for re-use. They never change
their database: what is to be done in another one is done on a connection to it, as Azure SQL would have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import mssql_python
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import Error
from mssql.base import DatabaseWrapper
from mssql.base import encode_connection_string as connection_string

from connectors.base import Authentication, Journal, JournalEntry, Secret, Target, Tls
from connectors.errors import (
    AdminLoginRefused,
    ConnectorError,
    PrincipalCannotLogIn,
    ServerRefused,
    ServerUnreachable,
    TriggerInTheWay,
)
from connectors.login import checked_for_tokens, require_tls_for_passwords
from connectors.redaction import digest_of, scrub
from connectors.session import OutsideDatabases, SessionCache, backend_settings, close_quietly, open_backend
from connectors.sqlserver.failures import is_broken, likely_cause, refused_login, translate
from connectors.sqlserver.statements import Command

# The driver's own pool would keep a session alive after it was closed: a login that is to be dropped is still logged in.
mssql_python.pooling(enabled=False)

DEFAULT_DATABASE = "master"

#: What a session of ours works under, whatever the server's `user options` and the login's defaults say.
OWN_SETTINGS = "; ".join(
    (
        "SET IMPLICIT_TRANSACTIONS OFF",
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET ANSI_NULLS ON",
        "SET ANSI_PADDING ON",
        "SET ANSI_WARNINGS ON",
        "SET ARITHABORT ON",
        "SET CONCAT_NULL_YIELDS_NULL ON",
        "SET NUMERIC_ROUNDABORT OFF",
        "SET CURSOR_CLOSE_ON_COMMIT OFF",
        "SET ROWCOUNT 0",
        "SET QUERY_GOVERNOR_COST_LIMIT 0",
        "SET LANGUAGE us_english",
        "SET DATEFORMAT mdy",
    )
)

#: What is wrong with our own connection, not with a step: nothing more can be done, and nothing is known.
LOST = (ServerUnreachable, AdminLoginRefused)

#: What can be bound to a `%s`.
Value = str | int | bytes


class _Backend(OutsideDatabases, DatabaseWrapper):  # type: ignore[misc]
    """The connection of mssql-django, outside the project's databases."""

    def init_connection_state(self) -> None:
        """What a session needs, in one statement; mssql-django would ask the server four more things."""
        self._is_microsoft_driver = True
        self.driver_charset = None
        self.supports_mars = False
        self.features.can_use_chunked_reads = False
        milliseconds = self.settings_dict["OPTIONS"]["query_timeout"] * 1000
        with self.connection.cursor() as cursor:
            cursor.execute(f"SET LOCK_TIMEOUT {milliseconds}; SET QUOTED_IDENTIFIER ON; SET XACT_ABORT OFF")
            try:
                cursor.execute(OWN_SETTINGS)
            except mssql_python.Error as error:
                # A compatible server may not know all of them. SQL Server does, and lets everybody set them.
                if is_broken(error):
                    raise


def _encryption(target: Target) -> dict[str, str]:
    """The target's TLS setting in the driver's words. The driver checks the name whenever it checks the certificate."""
    if target.tls is Tls.DISABLE:
        return {"Encrypt": "no", "TrustServerCertificate": "no"}
    return {"Encrypt": "yes", "TrustServerCertificate": "yes" if target.tls is Tls.REQUIRE else "no"}


def _seconds(target: Target) -> tuple[int, int]:
    """How long a login, and a statement, may take."""
    return (
        max(1, round(target.connect_timeout.total_seconds())),
        max(1, round(target.statement_timeout.total_seconds())),
    )


def _open(target: Target, database: str) -> BaseDatabaseWrapper:
    target = checked_for_tokens(target)
    require_tls_for_passwords(target)
    login, statement = _seconds(target)
    options: dict[str, Any] = {
        "python_driver": "mssql_python",
        "connection_timeout": login,
        "query_timeout": statement,
        "connection_retries": 0,
        "extra_params": connection_string(_encryption(target)),
    }
    settings = backend_settings(target, database, options)
    if target.authentication is Authentication.ACCESS_TOKEN:
        settings |= {"TOKEN": settings["PASSWORD"], "USER": "", "PASSWORD": ""}
    try:
        return open_backend(_Backend, settings)
    except (Error, mssql_python.Error) as error:
        ours = refused_login(error, [target.password])
        ours.likely = likely_cause(ours, target.authentication)
        raise ours from ours.__cause__


_CACHE = SessionCache(_open)


def home_database(target: Target) -> str:
    """Where work on the server as a whole is done."""
    return target.database or DEFAULT_DATABASE


def prove_own_login(target: Target) -> None:
    """A login of our own that none of the connections that wait could stand in for. Raises `AdminLoginRefused`."""
    close_quietly(_open(target, home_database(target)))


class Session:
    """One connection of ours to one database. Every statement commits by itself unless `transaction` is on."""

    def __init__(self, target: Target, database: str) -> None:
        self.database = database
        self._target = target
        self._backend = _CACHE.lease(target, database)
        self._is_sound = True
        self._is_lost = False

    def rows(self, sql: str, *values: Value) -> list[tuple[Any, ...]]:
        """What a query gives; each `%s` in it is bound to a value. Raises `ConnectorError`."""
        with self._translated(), self._backend.cursor() as cursor:
            # Without values the text is sent as it is, percent signs and all.
            cursor.execute(sql, values or None)
            # What the server only remarks comes as a result of its own, without columns, before the one that was asked for.
            while cursor.description is None and cursor.nextset():
                pass
            return [] if cursor.description is None else [tuple(row) for row in cursor.fetchall()]

    def texts(self, sql: str, *values: Value) -> list[str]:
        """The first column of a query, as texts. Raises `ConnectorError`."""
        return [str(row[0]) for row in self.rows(sql, *values)]

    def run(self, command: Command, journal: Journal) -> None:
        """Run one statement that changes the server, and journal how it went. Raises `ConnectorError`."""
        digest = digest_of(command.text)
        try:
            self.rows(command.text)
        except ConnectorError as error:
            journal(JournalEntry(command.shown, datetime.now(UTC), f"{error.detail} [{error.code}]", digest))
            raise
        journal(JournalEntry(command.shown, datetime.now(UTC), digest=digest))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. The session is not used again when it ends in an error."""
        self.rows("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            self.spoil()
            if not self.is_broken:
                self.rows("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION")
            raise
        self.rows("COMMIT TRANSACTION")

    @property
    def patience(self) -> timedelta:
        """How long to wait for others, so that the server says that it was too long before the driver gives up."""
        return self._target.statement_timeout * 2 / 3

    @cached_property
    def has_catalogue_of_permissions(self) -> bool:
        """Whether `sys.database_permissions` tells what was granted: no database is without any, and so no empty one tells."""
        return bool(self.rows("SELECT COUNT(*) FROM sys.database_permissions")[0][0])

    @cached_property
    def has_catalogue_of_logins(self) -> bool:
        """Whether logins are kept as SQL Server keeps them: with a hash and a SID that we may choose."""
        return self.rows("SELECT OBJECT_ID(N'sys.sql_logins')")[0][0] is not None

    @property
    def is_broken(self) -> bool:
        """Whether the connection is known to be lost."""
        return self._is_lost or self._backend.connection is None

    def spoil(self) -> None:
        """Say that the session is left in a state of its own, so that nobody gets it after us."""
        self._is_sound = False

    def close(self) -> None:
        """Leave the connection to the next one who needs it, if it is in order."""
        if self._is_sound and not self.is_broken:
            _CACHE.give_back(self._target, self.database, self._backend)
        else:
            close_quietly(self._backend)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (Error, mssql_python.Error) as error:
            ours = translate(error, 0 if is_broken(error) else self._number(), [self._target.password])
            if isinstance(ours, ServerUnreachable):
                self._is_lost = True
            raise ours from ours.__cause__

    def _number(self) -> int:
        """The server's own number of the last error."""
        try:
            with self._backend.connection.cursor() as cursor:
                cursor.execute("SELECT @@ERROR")
                return int(cursor.fetchone()[0])
        except mssql_python.Error:
            self._is_lost = True
            return 0


class Sessions:
    """The sessions that one connector holds: at most one to each database."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._open: dict[str, Session] = {}

    @property
    def home(self) -> Session:
        """The session for work on the server as a whole."""
        return self.on(home_database(self._target))

    def on(self, database: str) -> Session:
        """The session on one database. Raises `ConnectorError`."""
        session = self._open.get(database)
        if session is not None and session.is_broken:
            self._open.pop(database).close()
            session = None
        if session is None:
            session = self._open[database] = Session(self._target, database)
        return session

    @contextmanager
    def visit(self, database: str) -> Iterator[Session]:
        """A session on a database for one look, closed at once: for going through all databases of a server."""
        if database in self._open:
            yield self.on(database)
            return
        session = Session(self._target, database)
        session.spoil()
        try:
            yield session
        finally:
            session.close()

    def close(self) -> None:
        """Let go of every session."""
        while self._open:
            self._open.popitem()[1].close()


def prove_login(target: Target, principal: str, password: Secret, database: str) -> None:
    """Log in as the account, into the database, and run one harmless statement. Raises `PrincipalCannotLogIn`."""
    as_principal = replace(
        target, user=principal, password=password, authentication=Authentication.PASSWORD, source=None
    )
    secrets = (password, target.password)
    try:
        backend = _open(as_principal, database or home_database(target))
    except (AdminLoginRefused, ServerRefused, TriggerInTheWay) as error:
        # Nobody there is one thing, being turned away another.
        refused = PrincipalCannotLogIn(scrub(error.detail, secrets), code=error.code)
        refused.likely = error.likely if isinstance(error, TriggerInTheWay) else ""
        raise refused from error.__cause__
    try:
        with backend.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (Error, mssql_python.Error) as error:
        raise PrincipalCannotLogIn(scrub(str(error), secrets)) from error.with_traceback(None)
    finally:
        close_quietly(backend)
