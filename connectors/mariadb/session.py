"""Lockgate's own sessions on a MariaDB server, and logins as an account to prove or to count.

Our sessions are opened through Django's backend, kept for re-use, and pinned: UTC, one known `sql_mode` (the quoting of
`connectors.quoting` depends on it), and no statement or lock that lasts longer than the target allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import MySQLdb
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.mysql.base import DatabaseWrapper
from django.db.utils import Error

from connectors.base import Journal, JournalEntry, Secret, Target
from connectors.errors import AdminLoginRefused, ConnectorError, PrincipalCannotLogIn, ServerRefused, ServerUnreachable
from connectors.login import checked_for_tokens
from connectors.mariadb import encryption
from connectors.mariadb.failures import code_of, refused_login, translate
from connectors.mariadb.login import NAMES, NOT_HELD_BACK, address_of, driver_options, logged_in, refused_ourselves
from connectors.mariadb.statements import Command
from connectors.mariadb.versions import problem_with
from connectors.redaction import digest_of, scrub
from connectors.session import OutsideDatabases, SessionCache, backend_settings, close_quietly, open_backend

#: How our sessions read and write SQL, whatever the server's default.
SQL_MODE = "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION"
#: What can be bound to a `%s`; a tuple becomes the list of an IN.
Value = str | int | tuple[str, ...]


class _Backend(OutsideDatabases, DatabaseWrapper):
    """Django's MySQL connection, outside the project's databases."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Django's would go past our own way into the driver."""
        return encryption.driver_connect(**conn_params)

    def init_connection_state(self) -> None:
        """Nothing: what a session needs is in its `init_command`, and Django would ask the server four things more."""


def _open(target: Target, database: str) -> BaseDatabaseWrapper:
    # A server that wants a token asks for it as it is, by the plugin mysql_clear_password, and the client library answers.
    target = checked_for_tokens(target)
    seconds = target.statement_timeout.total_seconds()
    options = driver_options(target) | {
        "isolation_level": None,
        # The last part is a comment to MySQL, which is to be told apart by its version, not to be stumbled over.
        "init_command": (
            f"SET {NAMES}, SESSION time_zone = '+00:00', sql_mode = '{SQL_MODE}', sql_quote_show_create = 1,"
            f" lock_wait_timeout = {max(1, round(seconds))} /*M!100100 , max_statement_time = {seconds:.3f} */ {NOT_HELD_BACK}"
        ),
    }
    try:
        return encryption.connected(target, lambda tls: _connected(target, database, options | tls))
    except (Error, MySQLdb.Error) as error:
        ours = refused_ourselves(target, error)
        raise ours from ours.__cause__


def _connected(target: Target, database: str, options: dict[str, Any]) -> BaseDatabaseWrapper:
    backend = open_backend(_Backend, backend_settings(replace(target, host=address_of(target)), "", options))
    if database:
        # Not in the first words, whose character set is the server's to choose.
        backend.connection.select_db(database)
    return backend


_CACHE = SessionCache(_open)


def prove_own_login(target: Target) -> None:
    """A login of our own that none of the connections that wait could stand in for. Raises `AdminLoginRefused`."""
    close_quietly(_open(target, target.database))


class Session:
    """One connection of ours. Every statement commits by itself, as account statements do in MariaDB anyway."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._backend = _CACHE.lease(target, target.database)
        self._is_spoilt = False
        self._is_lost = False

    def rows(self, sql: str, *values: Value) -> list[tuple[Any, ...]]:
        """What a query gives; each `%s` in it is bound to a value. Raises `ConnectorError`."""
        with self._translated(), self._backend.cursor() as cursor:
            # Without values the text is sent as it is, percent signs and all.
            cursor.execute(sql, values or None)
            return [] if cursor.description is None else list(cursor.fetchall())

    def named_rows(self, sql: str, *values: Value) -> list[dict[str, Any]]:
        """The same, with the names of the columns. Raises `ConnectorError`."""
        with self._translated(), self._backend.cursor() as cursor:
            cursor.execute(sql, values or None)
            columns = [column[0] for column in cursor.description or ()]
            return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

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

    @property
    def is_broken(self) -> bool:
        """Whether the connection is known to be lost."""
        return self._is_lost or self._backend.connection is None

    def spoil(self) -> None:
        """Say that the session is left in a state of its own, so that nobody gets it after us."""
        self._is_spoilt = True

    def close(self) -> None:
        """Leave the connection to the next one who needs it, if it is in order."""
        if self.is_broken or self._is_spoilt:
            close_quietly(self._backend)
        else:
            _CACHE.give_back(self._target, self._target.database, self._backend)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (Error, MySQLdb.Error) as error:
            ours = translate(error, [self._target.password])
            if isinstance(ours, ServerUnreachable):
                self._is_lost = True
            raise ours from ours.__cause__


def require_mariadb(session: Session) -> str:
    """The server's version. Raises `ServerRefused` on MySQL, whose accounts work differently, and on older servers."""
    version = session.texts("SELECT VERSION()")[0]
    if problem := problem_with(version):
        raise ServerRefused(problem)
    return version


class PrincipalLogin:
    """A login as an account, through the driver that people use. Raises `PrincipalCannotLogIn`, `ServerUnreachable`."""

    def __init__(self, target: Target, principal: str, password: Secret) -> None:
        self._secrets = (password, target.password)
        whoever = replace(target, user=principal, password=password)
        with self._translated():
            self._connection: Any = encryption.connected(target, lambda tls: logged_in(whoever, tls))

    @property
    def connection_id(self) -> int:
        """What the process list knows this login by."""
        return int(self._connection.thread_id())

    def __enter__(self) -> PrincipalLogin:
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    def value(self, sql: str) -> Any:
        """The first value of a query, or `None`."""
        with self._translated():
            cursor = self._connection.cursor()
            cursor.execute(sql)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    def enter(self, database: str) -> None:
        """Make this the session's database, which takes a privilege in it."""
        with self._translated():
            self._connection.select_db(database)

    def run(self, command: Command, journal: Journal) -> None:
        """Run one statement as the account, and journal how it went."""
        try:
            self.value(command.text)
        except ConnectorError as error:
            journal(JournalEntry(command.shown, datetime.now(UTC), f"{error.detail} [{error.code}]"))
            raise
        journal(JournalEntry(command.shown, datetime.now(UTC)))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except MySQLdb.Error as error:
            # Nobody there is one thing, being turned away another.
            ours = refused_login(error, self._secrets)
            if not isinstance(ours, ServerUnreachable):
                words = scrub(str(error.args[-1]), self._secrets)
                ours = PrincipalCannotLogIn(words, code=str(code_of(error)))
            raise ours from error.with_traceback(None)


#: What is wrong with our own connection, not with a step: nothing more can be done, and nothing is known.
LOST = (ServerUnreachable, AdminLoginRefused)
