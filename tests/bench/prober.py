"""Looks at access from where its holder is: logs in with the engine's own driver, holds a session, and notices its end.

A session that the server ends hears from the server without having asked, and only then is it tried: two hundred held
sessions cost no load.
"""

from __future__ import annotations

import select
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote

import MySQLdb
import psycopg

from tests.bench.console import Credentials

#: What a refused login, and a statement in a session that was ended, raise.
FAILED = (psycopg.OperationalError, MySQLdb.OperationalError, MySQLdb.InterfaceError)
#: A server that is too busy also fails a login, which must not count as refused. MariaDB's numbers: access denied, with
#: or without a password, and account locked.
_DENIED_NUMBERS = {1045, 1698, 4151}
#: libpq keeps the code of a refused login to itself. The servers of the bench speak English, whatever the machine speaks.
_DENIED_WORDS = ("password authentication failed for user", "is not permitted to log in")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an account is of use."""

    engine: str
    url: SplitResult
    database: str

    def log_in(self, user: str, password: str) -> Any:
        """A session; raises one of `REFUSED`."""
        host, port = self.url.hostname or "", self.url.port or 0
        if self.engine == "postgresql":
            return psycopg.connect(
                host=host, port=port, user=user, password=password, dbname=self.database, autocommit=True
            )
        return MySQLdb.connect(
            host=host, port=port, user=user, password=password, database=self.database, autocommit=True
        )

    def as_root(self) -> Any:
        """A session of the server's own administrator."""
        return self.log_in(self.url.username or "", unquote(self.url.password or ""))

    def refuses(self, user: str, password: str) -> bool:
        """Whether the server denies this login. A login that fails for any other reason proves nothing."""
        try:
            self.log_in(user, password).close()
        except psycopg.OperationalError as error:
            return any(words in str(error) for words in _DENIED_WORDS)
        except MySQLdb.OperationalError as error:
            return error.args[0] in _DENIED_NUMBERS
        return False


@dataclass(slots=True)
class Held:
    """Access in use: an account, its password, and a session that stays open."""

    place: Place
    credentials: Credentials
    session: Any
    session_gone_at: float = 0.0
    login_refused_at: float = 0.0

    @property
    def is_gone(self) -> bool:
        """Neither the session nor a login works any more."""
        return bool(self.session_gone_at and self.login_refused_at)

    @property
    def gone_at(self) -> float:
        """When the later of the two was seen, in seconds since the epoch."""
        return max(self.session_gone_at, self.login_refused_at)

    def works(self) -> bool:
        """Whether the session still runs statements."""
        try:
            run(self.session, "SELECT 1")
        except FAILED:
            return False
        return True

    def look(self) -> None:
        """Notice what has happened since the last look. A login is tried only when the session is gone, to save load:
        what counts is the later of the two.
        """
        if not self.session_gone_at:
            # psycopg and mysqlclient both give the descriptor of their socket.
            heard, _, _ = select.select([self.session.fileno()], [], [], 0)
            if not heard or self.works():
                return
            self.session_gone_at = time.time()
        if self.place.refuses(self.credentials.principal, self.credentials.password):
            self.login_refused_at = time.time()


def run(session: Any, statement: str) -> Any:
    """The rows that a statement gives."""
    cursor = session.cursor()
    cursor.execute(statement)
    rows = cursor.fetchall()
    cursor.close()
    return rows


def hold(place: Place, credentials: Credentials) -> Held:
    """Log in, run something, and stay."""
    session = place.log_in(credentials.principal, credentials.password)
    run(session, "SELECT 1")
    return Held(place, credentials, session)
