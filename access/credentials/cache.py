"""What was fetched, kept until shortly before it runs out, and fetched once however many ask at the same time.

A token is renewed while it is still good, by one thread; the others go on with the one there is. Nothing is given out past
its end. A password from a store is read again every minute; while the store does not answer, the last one known is good for
an hour, since accounts have to be taken away then too.

In memory only, in each process its own, and in order after a fork.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from access import clock as database_clock
from access.credentials.base import Credential
from access.credentials.errors import StoreUnreachable
from access.errors import SecretUnavailable
from connectors.base import Secret

log = structlog.get_logger(__name__)

#: Seconds before a token's end at which it is renewed, or this part of its life where that is shorter.
RENEW_BEFORE, RENEW_PART = 300.0, 0.2
#: Seconds before its end from which a token is not used: a login takes a moment, and clocks differ.
UNUSED_BEFORE, UNUSED_PART = 10.0, 0.05
#: Seconds after which a password is read again, and after which it is forgotten while the store is silent.
READ_AGAIN_AFTER, FORGOTTEN_AFTER = 60.0, 3600.0
#: Seconds until the next try after a renewal failed, while there is something to go on with.
PAUSE = 10.0
#: Seconds during which a refused secret is dropped once: whoever is refused for good must not drop each new token.
DROPPED_ONCE_IN = 60.0
#: Seconds that a thread waits for another one's fetching.
PATIENCE = 60.0


@dataclass(slots=True)
class _Kept:
    credential: Credential
    renew_at: float
    ends_at: float


@dataclass(slots=True)
class _Flight:
    """One fetching, and those who wait for it."""

    landed: threading.Event = field(default_factory=threading.Event)
    credential: Credential | None = None
    error: SecretUnavailable | None = None


class CredentialCache:
    """One process has one; tests have their own, with clocks that they turn."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = database_clock.last_known,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._kept: dict[Hashable, _Kept] = {}
        self._flights: dict[Hashable, _Flight] = {}
        self._dropped: dict[Hashable, float] = {}
        os.register_at_fork(after_in_child=self._after_fork)

    def get(self, key: Hashable, fetch: Callable[[], Credential]) -> Credential:
        """What is kept under the key while it is good, else what `fetch` gives. Raises a `SecretUnavailable`."""
        with self._lock:
            kept = self._usable(key)
            if kept is not None and self._clock() < kept.renew_at:
                return kept.credential
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
        if leads:
            return self._fetch(key, fetch, flight)
        if kept is not None:
            return kept.credential
        return self._landing(flight)

    def drop(self, key: Hashable, refused: Secret) -> bool:
        """Forget what a server refused. False when that has just been done, and would change nothing again."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.credential.secret != refused:
                return True  # Somebody else saved first: what is fetched next is another one.
            now = self._clock()
            if now - self._dropped.get(key, float("-inf")) < DROPPED_ONCE_IN:
                return False
            self._dropped[key] = now
            del self._kept[key]
            return True

    def forget(self, key: Hashable) -> None:
        """The secret was changed: the next one who asks gets the new one."""
        with self._lock:
            self._kept.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._dropped.clear()

    def _usable(self, key: Hashable) -> _Kept | None:
        """What is kept, if it is still good by both clocks: the one that is set, and the one that only runs."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        expires_at = kept.credential.expires_at
        if self._clock() >= kept.ends_at or (expires_at is not None and self._wall_clock() >= expires_at):
            del self._kept[key]
            return None
        return kept

    def _fetch(self, key: Hashable, fetch: Callable[[], Credential], flight: _Flight) -> Credential:
        asked_at = self._clock()
        try:
            credential = fetch()
        except SecretUnavailable as error:
            flight.error = error
            return self._last_known(key, error)
        except BaseException:
            # A mistake of ours, or the end of this thread: those who wait are told something, and this one the truth.
            flight.error = StoreUnreachable("Asking it was interrupted.")
            raise
        else:
            flight.credential = credential
            kept = _keeping(credential, asked_at, self._wall_clock())
            if kept is not None:
                with self._lock:
                    self._kept[key] = kept
            return credential
        finally:
            with self._lock:
                if self._flights.get(key) is flight:
                    del self._flights[key]
            flight.landed.set()

    def _last_known(self, key: Hashable, error: SecretUnavailable) -> Credential:
        """What there is, while it is good: a token whatever went wrong, a password while the store is silent."""
        with self._lock:
            kept = self._usable(key)
            if kept is None or (kept.credential.expires_at is None and not isinstance(error, StoreUnreachable)):
                raise error
            kept.renew_at = self._clock() + PAUSE
        log.warning("credential.renewal_failed", error=str(error), good_for=round(kept.ends_at - self._clock()))
        return kept.credential

    def _landing(self, flight: _Flight) -> Credential:
        if not flight.landed.wait(PATIENCE):
            raise StoreUnreachable("It has been asked, and has not answered yet.")
        if flight.credential is None:
            error = flight.error or StoreUnreachable()
            # One exception belongs to one thread.
            raise type(error)(error.detail) from error
        return flight.credential

    def _after_fork(self) -> None:
        """The threads that held the lock or were fetching are the parent's; what is kept is good here too."""
        self._lock = threading.Lock()
        self._flights = {}


def _keeping(credential: Credential, asked_at: float, now: datetime) -> _Kept | None:
    """How long it is kept; nothing for a token that has run out by our clock although it was made just now.

    Then a clock is wrong, ours or the provider's. Access has to be taken away all the same: it is used, and fetched anew.
    """
    if credential.expires_at is None:
        return _Kept(credential, asked_at + READ_AGAIN_AFTER, asked_at + FORGOTTEN_AFTER)
    life = (credential.expires_at - now).total_seconds()
    if life <= 0:
        log.warning("credential.clocks_differ", seconds=round(-life))
        return None
    return _Kept(
        credential,
        renew_at=asked_at + life - min(RENEW_BEFORE, life * RENEW_PART),
        ends_at=asked_at + life - min(UNUSED_BEFORE, life * UNUSED_PART),
    )


#: The one of this process.
CACHE = CredentialCache()
