"""Looks at access from where its holder is: logs in with the engine's own driver, holds a session, and notices its end.

A session that the server ends closes its connection, which is noticed without asking the server anything: two hundred
held sessions cost no load.
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

REFUSED = (psycopg.OperationalError, MySQLdb.OperationalError)


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
        """The server's own administrator."""
        return self.log_in(self.url.username or "", unquote(self.url.password or ""))


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

    def look(self) -> None:
        """Notice what has happened since the last look."""
        if not self.session_gone_at and self._connection_is_closed():
            self.session_gone_at = time.time()
        if not self.login_refused_at and self._login_is_refused():
            self.login_refused_at = time.time()

    def look_cheaply(self) -> None:
        """The same, but try a login only when the session is gone already."""
        if not self.session_gone_at and not self._connection_is_closed():
            return
        self.look()

    def _connection_is_closed(self) -> bool:
        # psycopg and mysqlclient both give the descriptor of their socket.
        readable, _, _ = select.select([self.session.fileno()], [], [], 0)
        return bool(readable)

    def _login_is_refused(self) -> bool:
        try:
            self.place.log_in(self.credentials.principal, self.credentials.password).close()
        except REFUSED:
            return True
        return False


def hold(place: Place, credentials: Credentials) -> Held:
    """Log in, run something, and stay."""
    session = place.log_in(credentials.principal, credentials.password)
    cursor = session.cursor()
    cursor.execute("SELECT 1")
    cursor.fetchall()
    cursor.close()
    return Held(place, credentials, session)
