"""Lockgate's own sessions on a PostgreSQL server: opened through Django's backend, kept for re-use, read and written.

A session's `search_path` is pinned to the system catalog, so that no function or operator that somebody put into a
schema can be run with Lockgate's rights.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import Error
from psycopg.pq import TransactionStatus

from connectors.base import Journal, JournalEntry, Secret, Statement, Target, Tls
from connectors.errors import ConnectorError, TriggerInTheWay
from connectors.login import checked_for_tokens, verifies
from connectors.postgresql.event_triggers import blamed
from connectors.postgresql.failures import is_collision, likely_cause, refused_login, translate
from connectors.postgresql.statements import Command, act_for, version_told
from connectors.quoting import postgresql_name
from connectors.redaction import digest_of
from connectors.session import (
    OutsideDatabases,
    SessionCache,
    backend_settings,
    close_quietly,
    open_backend,
)

DEFAULT_DATABASE = "postgres"

#: Names our connections in `pg_stat_activity`.
APPLICATION_NAME = "lockgate"

#: How long a statement of ours waits for somebody else's lock before it gives way and tries again.
_LOCK_TIMEOUT_MS = 2000
#: How often a step is tried when it collides with somebody else's, and the longest pause between two tries.
_TRIES = 5
_LONGEST_PAUSE = 0.25

#: Where it is not known who is at the other end, a server that asks for the password itself is not given it.
_WITHOUT_THE_PASSWORD = {"require_auth": "!password"}

#: How many warnings of one statement its journal entry tells.
_WARNINGS_SHOWN = 5

Result = TypeVar("Result")


class _Backend(OutsideDatabases, DatabaseWrapper):
    """Django's PostgreSQL connection, outside the project's databases."""


def tls_parameters(target: Target) -> dict[str, str]:
    """The target's TLS setting as libpq parameters."""
    if target.tls_ca_file:
        return {"sslmode": target.tls.value, "sslrootcert": target.tls_ca_file}
    if target.tls is Tls.VERIFY_FULL:
        return {"sslmode": target.tls.value, "sslrootcert": "system"}
    return {"sslmode": target.tls.value}


def login_parameters(target: Target, user: str, password: Secret, database: str) -> dict[str, str]:
    """A login on the target as libpq parameters."""
    return {
        "host": target.host,
        "port": str(target.port),
        "user": user,
        "password": password.reveal(),
        "dbname": database,
        "connect_timeout": str(max(2, round(target.connect_timeout.total_seconds()))),
        "application_name": APPLICATION_NAME,
        "gssencmode": "disable",
        **({} if verifies(target) else _WITHOUT_THE_PASSWORD),
        **tls_parameters(target),
    }


def _settings_of_session(target: Target) -> dict[str, str]:
    """What a session of ours has, whatever the server, the database or the account says."""
    return {
        "search_path": "pg_catalog,pg_temp",
        "statement_timeout": str(round(target.statement_timeout.total_seconds() * 1000)),
        "lock_timeout": str(_LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": "15000",
        "default_transaction_read_only": "off",
        # Each question of a transaction sees what was committed before it, also by whoever had the turn before us.
        "default_transaction_isolation": "read\\ committed",
        # What the server warns of is read.
        "client_min_messages": "warning",
        # A receipt tells what is so, also after a crash, and standbys hear of it at once.
        "synchronous_commit": "on",
    }


#: Settings that only some versions know (14 and 17 brought them), so that they cannot be asked for at the login. Handing
#: over takes its time in one transaction, and a connection that waits for its next use is idle.
_SETTLE = """
SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings
WHERE name IN ('idle_session_timeout', 'transaction_timeout') AND setting <> '0'
"""


def _open(target: Target, database: str) -> BaseDatabaseWrapper:
    """A connection with our own settings. Raises `ConnectorError`.

    Where an event trigger on login fails under our `search_path`, it gets the one that it was written for, as at anybody
    else's login, and ours is set as soon as we are in.
    """
    settings = _settings_of_session(target)
    try:
        backend = _log_in(target, database, settings)
    except TriggerInTheWay:
        backend = _log_in(target, database, {**settings, "search_path": ""})
        # Before anything that a name could be looked up for.
        _set(target, backend, f"SET search_path = {settings['search_path']}")
    _set(target, backend, _SETTLE)
    return backend


def _set(target: Target, backend: BaseDatabaseWrapper, statement: str) -> None:
    try:
        with backend.cursor() as cursor:
            cursor.execute(statement)
    except (Error, psycopg.Error) as error:
        close_quietly(backend)
        raise translate(error, [target.password]) from error.__cause__


def _log_in(target: Target, database: str, settings: Mapping[str, str]) -> BaseDatabaseWrapper:
    target = checked_for_tokens(target)
    parameters = login_parameters(target, target.user, target.password, database)
    kept_apart = {"host", "port", "user", "password", "dbname"}
    options: dict[str, Any] = {name: value for name, value in parameters.items() if name not in kept_apart}
    options["options"] = " ".join(f"-c {name}={value}" for name, value in settings.items() if value)
    try:
        return open_backend(_Backend, backend_settings(target, database, options))
    except (Error, psycopg.Error) as error:
        patience = target.connect_timeout.total_seconds()
        refusal = refused_login(error, {**parameters, "options": options["options"]}, patience, [target.password])
        if not isinstance(refusal, TriggerInTheWay):
            refusal.likely = likely_cause(refusal.code, target.authentication)
        raise refusal from error.__cause__


_CACHE = SessionCache(_open)


def prove_own_login(target: Target) -> None:
    """A login of our own that none of the connections that wait could stand in for. Raises `AdminLoginRefused`."""
    close_quietly(_open(target, home_database(target)))


class Session:
    """One connection of ours to one database. Every statement is its own transaction unless `transaction` is on."""

    def __init__(self, target: Target, database: str) -> None:
        self.database = database
        self._target = target
        self._backend = _CACHE.lease(target, database)
        self._is_sound = True

    def rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """What a query gives. Raises `ConnectorError`."""
        with self._translated(), self._backend.cursor() as cursor:
            # Without parameters the text is sent as it is, percent signs and all.
            cursor.execute(sql, parameters or None)
            return [] if cursor.description is None else cursor.fetchall()

    def run(self, command: Command, journal: Journal) -> list[tuple[Any, ...]]:
        """Run one statement that changes the server, and journal how it went. Raises `ConnectorError`.

        What the server warns of ("no privileges could be revoked") goes into the note of the entry.
        """
        warnings: list[str] = []
        try:
            with self._listening(warnings):
                rows = self.rows(command.text)
        except ConnectorError as error:
            _write(journal, command.shown, error, digest=digest_of(command.text))
            raise
        _write(journal, _with_warnings(command, warnings), digest=digest_of(command.text))
        return rows

    @contextmanager
    def _listening(self, warnings: list[str]) -> Iterator[None]:
        """Inside: the server's warnings, and no mere notices, are kept."""
        connection: psycopg.Connection[Any] | None = self._backend.connection

        def keep(told: psycopg.errors.Diagnostic) -> None:
            if told.severity_nonlocalized == "WARNING":
                warnings.append(f"{told.message_primary} [{told.sqlstate}]")

        if connection is not None:
            connection.add_notice_handler(keep)
        try:
            yield
        finally:
            if connection is not None:
                connection.remove_notice_handler(keep)

    @property
    def version(self) -> int:
        """The server's version as a number: 150018 for 15.18."""
        connection: psycopg.Connection[Any] = self._backend.connection
        return connection.info.server_version

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        connection: psycopg.Connection[Any] = self._backend.connection
        with self._translated(), connection.transaction():
            yield

    @contextmanager
    def acting_as(self, role: str) -> Iterator[None]:
        """Inside: the rights of `role` and no others. Afterwards everything is as before, whatever was changed."""
        connection: psycopg.Connection[Any] = self._backend.connection
        with self._translated(), connection.transaction(force_rollback=True):
            self.rows(act_for(role, self.database, self.version).text)
            self.rows(f"SET LOCAL ROLE {postgresql_name(role)}")
            yield

    def run_together(self, commands: Callable[[], Iterable[Command]], journal: Journal) -> None:
        """Run statements in one transaction, and again from the start when another session got in the way.

        `commands` is asked anew for each try, inside the transaction: what it collided with may have done the work. It may
        look at the server between two statements, and undo all of them by raising a `ConnectorError`.
        """
        self.insist(lambda: self._once_together(commands, journal))

    def insist(self, step: Callable[[], Result]) -> Result:
        """The result of a step that is tried again when it collides with another session's."""
        for tried in range(1, _TRIES + 1):
            try:
                return step()
            except ConnectorError as error:
                if not is_collision(error) or tried == _TRIES:
                    raise self._explained(error) from error.__cause__
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.01 * 2**tried)))  # noqa: S311 - no secret hangs on it
        raise AssertionError("The last try either returns or raises.")

    def _explained(self, error: ConnectorError) -> ConnectorError:
        """The error, naming the event trigger that caused it, where one did and the session can still be asked."""
        connection = self._backend.connection
        if not error.context or connection is None or connection.info.transaction_status != TransactionStatus.IDLE:
            return error
        try:
            return blamed(self.rows, self.database, error)
        except ConnectorError:
            return error

    @property
    def is_broken(self) -> bool:
        """Whether the connection is known to be lost."""
        return self._backend.connection is None or bool(self._backend.connection.closed)

    def spoil(self) -> None:
        """Say that the session was left in a state of its own, so that nobody gets it after us."""
        self._is_sound = False

    def close(self) -> None:
        """Leave the connection to the next one who needs it, if it is in order."""
        connection = self._backend.connection
        idle = connection is not None and connection.info.transaction_status == TransactionStatus.IDLE
        if self._is_sound and idle:
            _CACHE.give_back(self._target, self.database, self._backend)
        else:
            close_quietly(self._backend)

    def encrypt_password(self, principal: str, password: Secret) -> str:
        """The SCRAM verifier of a password: what the server stores, and all that it needs to be sent."""
        connection: psycopg.Connection[Any] = self._backend.connection
        with self._translated(password):
            made = connection.pgconn.encrypt_password(password.reveal().encode(), principal.encode(), b"scram-sha-256")
        return made.decode()

    def _once_together(self, commands: Callable[[], Iterable[Command]], journal: Journal) -> None:
        written = False
        try:
            with self.transaction():
                for command in commands():
                    written = True
                    self.run(command, journal)
        except ConnectorError:
            if written:
                _write(
                    journal,
                    Statement(
                        "ROLLBACK",
                        self.database,
                        "What ran since the last commit is undone.",
                    ),
                )
            raise

    @contextmanager
    def _translated(self, *secrets: Secret) -> Iterator[None]:
        try:
            yield
        except (Error, psycopg.Error) as error:
            ours = translate(error, [self._target.password, *secrets])
            raise ours from ours.__cause__


class Sessions:
    """The sessions that one connector holds: at most one to each database."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._open: dict[str, Session] = {}

    @property
    def home(self) -> Session:
        """The session for work on the server as a whole."""
        return self.on(home_database(self.target))

    @property
    def planned_version(self) -> int | None:
        """The server's version, where a plan knew it: where no check has told it yet, the statements find it out."""
        return self.home.version if version_told(self.target.version) else None

    def on(self, database: str) -> Session:
        """The session on one database. Raises `ConnectorError`."""
        session = self._open.get(database)
        if session is not None and session.is_broken:
            self._open.pop(database).close()
            session = None
        if session is None:
            session = self._open[database] = Session(self.target, database)
        return session

    @contextmanager
    def visit(self, database: str) -> Iterator[Session]:
        """A session on a database for one look, closed at once: for going through all databases of a server."""
        if database in self._open:
            yield self._open[database]
            return
        session = Session(self.target, database)
        session.spoil()
        try:
            yield session
        finally:
            session.close()

    def hold(self) -> None:
        """Keep one connection to the server for long, for the day on which it has none left to give."""
        _CACHE.hold(self.target, home_database(self.target))

    def close(self) -> None:
        """Let go of every session."""
        while self._open:
            self._open.popitem()[1].close()


def home_database(target: Target) -> str:
    """Where work on the server as a whole is done."""
    return target.database or DEFAULT_DATABASE


def _with_warnings(command: Command, warnings: Sequence[str]) -> Statement:
    """The statement as it is shown, with what the server warned of; not where its text holds a secret."""
    if not warnings or command.secret_text:
        return command.shown
    told = "; ".join(dict.fromkeys(warnings[:_WARNINGS_SHOWN]))
    return replace(command.shown, note=f"{command.shown.note} The server warned: {told}.".strip())


def _write(journal: Journal, statement: Statement, error: ConnectorError | None = None, *, digest: str = "") -> None:
    words = f"{error.detail} [{error.code}]" if error else ""
    journal(JournalEntry(statement, datetime.now(UTC), words, digest))
