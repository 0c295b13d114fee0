"""Lockgate's own connections to the servers under management: opened through Django's database backends, yet outside
the project's `DATABASES`, and kept for a short while so that a burst of revocations does not log in a thousand times.

An engine gives a `DatabaseWrapper` made of `OutsideDatabases` and Django's own, and a function that opens one; the
rest, which is leasing, idling out, threads and forks, is here.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

from django.db.backends.base.base import NO_DB_ALIAS, BaseDatabaseWrapper
from django.db.utils import Error, InterfaceError

from connectors.base import Target
from connectors.login import log_in

#: How long a connection waits for its next use. Short, since it keeps its database from being dropped or renamed.
IDLE_SECONDS = 10.0
#: How many connections to one database of one server wait at the same time, in one process.
IDLE_AT_MOST = 4
#: How many wait in all, in one process: servers have hundreds of databases, and a limited number of connections.
IDLE_IN_ALL = 24
#: How long the one connection waits that an engine keeps for a server which has no room for another, and how many of these
#: there are in one process. Every server is checked each minute, by whichever process is free.
KEPT_SECONDS = 900.0
KEPT_IN_ALL = 200


class OutsideDatabases:
    """What a connection of ours does differently from one of the project's own. Mix in before Django's wrapper."""

    connection: Any

    #: Never: the log would hold the password verifiers. Django asks `settings.DEBUG` here.
    queries_logged = False
    #: Times come and go in UTC, whatever the project's settings say.
    timezone: tzinfo = UTC
    timezone_name = "UTC"

    def ensure_connection(self) -> None:
        """Refuse to connect anew behind the caller's back: locks, settings and transaction would be gone."""
        if self.connection is None:
            raise InterfaceError("The connection to the server is closed.")

    def check_database_version_supported(self) -> None:
        """Which versions are good enough is the connector's to say, not that of Django's ORM."""


def backend_settings(target: Target, database: str, options: dict[str, Any]) -> dict[str, Any]:
    """The target in the words of a Django database setting."""
    return {
        "NAME": database,
        "USER": target.user,
        "PASSWORD": target.password.reveal(),
        "HOST": target.host,
        "PORT": target.port,
        "OPTIONS": options,
        "AUTOCOMMIT": True,
        "ATOMIC_REQUESTS": False,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": False,
        "TIME_ZONE": None,
    }


def open_backend(wrapper: type[BaseDatabaseWrapper], settings: dict[str, Any]) -> BaseDatabaseWrapper:
    """A live connection that any one thread at a time may use. Raises `django.db.utils.Error`."""
    # The alias says that this is none of the configured databases, so that signal receivers leave it alone.
    backend = wrapper(settings, alias=NO_DB_ALIAS)
    backend.inc_thread_sharing()
    with backend.wrap_database_errors:
        backend.connect()
    return backend


def is_alive(backend: BaseDatabaseWrapper) -> bool:
    """Whether the server still answers on this connection."""
    return backend.connection is not None and backend.is_usable()


#: Opens a connection to one database of a target.
Opener = Callable[[Target, str], BaseDatabaseWrapper]


@dataclass(frozen=True, slots=True)
class _Idle:
    target: Target
    database: str
    backend: BaseDatabaseWrapper
    since: float


class SessionCache:
    """Connections of one engine that wait for their next use, in this process.

    A connection is leased to one user at a time. Only one that is known to be in order comes back.
    """

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._held: dict[tuple[Target, str], None] = {}
        """Of which one connection is kept; the one that was asked for first comes first."""
        self._kept: dict[tuple[Target, str], _Idle] = {}
        self._idle: list[_Idle] = []
        """The one that waits longest comes first."""
        self._inherited: list[object] = []
        self._lock = threading.Lock()
        self._sweeper: threading.Timer | None = None
        self._sweeps_at = 0.0
        os.register_at_fork(after_in_child=self._forget_inherited)
        atexit.register(self.close_all)

    def lease(self, target: Target, database: str) -> BaseDatabaseWrapper:
        """A connection that answers; a new one where none waits. Raises what the opener raises.

        What waits is found by the target, its secret included: after a token was renewed, connections of the one before
        are not taken any more and idle out.
        """
        while waiting := self._take(target, database):
            if is_alive(waiting):
                return waiting
            close_quietly(waiting)
        return log_in(target, lambda ready: self._opener(ready, database))

    def give_back(self, target: Target, database: str, backend: BaseDatabaseWrapper) -> None:
        """Keep a connection for the next one. Give back only one with no transaction and no changed setting."""
        entry = _Idle(target, database, backend, time.monotonic())
        with self._lock:
            if self._keep(entry):
                self._arm()
                return
            self._idle.append(entry)
            same = [idle for idle in self._idle if (idle.target, idle.database) == (target, database)]
            surplus = same[:-IDLE_AT_MOST] or self._idle[:-IDLE_IN_ALL]
            self._idle = [idle for idle in self._idle if idle not in surplus]
            self._arm()
        for idle in surplus:
            close_quietly(idle.backend)

    def hold(self, target: Target, database: str) -> None:
        """From now on keep one connection for long: whoever fills a server must not keep Lockgate from ending that."""
        with self._lock:
            self._held[target, database] = None
            while len(self._held) > KEPT_IN_ALL:
                del self._held[next(iter(self._held))]

    def close_all(self) -> None:
        """Close everything that waits."""
        with self._lock:
            waiting, self._idle = [*self._idle, *self._kept.values()], []
            self._kept.clear()
        for idle in waiting:
            close_quietly(idle.backend)

    def _take(self, target: Target, database: str) -> BaseDatabaseWrapper | None:
        with self._lock:
            for number in reversed(range(len(self._idle))):
                if (self._idle[number].target, self._idle[number].database) == (target, database):
                    return self._idle.pop(number).backend
            kept = self._kept.pop((target, database), None)
        return kept.backend if kept else None

    def _keep(self, entry: _Idle) -> bool:
        """Whether this is the one connection to keep. Called with the lock held."""
        place = (entry.target, entry.database)
        if place in self._kept or len(self._kept) >= KEPT_IN_ALL or place not in self._held:
            return False
        self._kept[place] = entry
        return True

    def _arm(self) -> None:
        """Have what waits looked at when the oldest has waited long enough. Called with the lock held."""
        ends = [self._idle[0].since + IDLE_SECONDS] if self._idle else []
        ends += [kept.since + KEPT_SECONDS for kept in self._kept.values()]
        if ends and (self._sweeper is None or min(ends) < self._sweeps_at):
            if self._sweeper is not None:
                self._sweeper.cancel()
            self._sweeps_at = min(ends)
            pause = max(0.0, self._sweeps_at - time.monotonic())
            self._sweeper = threading.Timer(pause, self._close_stale)
            self._sweeper.daemon = True
            self._sweeper.start()

    def _close_stale(self) -> None:
        now = time.monotonic()
        with self._lock:
            self._sweeper = None
            stale = [idle for idle in self._idle if idle.since + IDLE_SECONDS <= now]
            self._idle = [idle for idle in self._idle if idle not in stale]
            stale += [kept for kept in self._kept.values() if kept.since + KEPT_SECONDS <= now]
            self._kept = {place: kept for place, kept in self._kept.items() if kept not in stale}
            self._arm()
        for idle in stale:
            close_quietly(idle.backend)

    def _forget_inherited(self) -> None:
        """After a fork the sockets are the parent's: keep them, untouched, for as long as the child lives.

        Closing one here would say goodbye in the parent's name, and so may letting it be collected.
        """
        self._inherited += [self._idle, self._kept]
        self._idle, self._kept = [], {}
        self._lock = threading.Lock()
        self._sweeper = None


def close_quietly(backend: BaseDatabaseWrapper) -> None:
    """Close a connection that may be broken already."""
    try:
        backend.close()
    except Error:
        # The server or the network ended it first. It is closed all the same, which is what was asked.
        backend.connection = None
