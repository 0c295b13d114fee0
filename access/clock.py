"""What time it is, by the clock of the console's database: the one clock by which windows begin and end.

Web, workers and gateways run on machines of their own, and their clocks differ. So nobody's own clock decides about access:
a process asks the database once in a while, and counts from there with a counter that nothing sets (it runs on while the
machine sleeps). Setting the machine's clock forward or back changes nothing here.

Services and tasks go on taking `now` as an argument; this is where those who call them get it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import Error, connection

#: How long one reading is counted on from: the database's own clock may be set as well.
GOOD_FOR = timedelta(seconds=2)

#: A reading that took longer says too little; the best of a few is kept.
_QUICK = timedelta(milliseconds=50)
_TRIES = 3

_NANOSECONDS = 1_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What the database's clock showed when this machine's counter stood at `counter`."""

    counter: int
    """Nanoseconds since the machine was started."""
    shown: datetime
    skew: timedelta
    """How far this machine's own clock is ahead of the database's; nothing where the difference is too small to be told."""
    took: timedelta = timedelta(0)

    def at(self, counter: int) -> datetime:
        """What it shows when the counter stands there."""
        return self.shown + timedelta(microseconds=(counter - self.counter) // _NANOSECONDS)


_last: Reading | None = None


def now() -> datetime:
    """The time, aware UTC. Asks the database when the last reading is some seconds old; raises if it never answered."""
    return _recent().at(_counter())


def skew() -> timedelta:
    """How far this machine's clock is ahead of the database's; negative when it is behind."""
    return _recent().skew


def last_known() -> datetime:
    """As `now`, but never asks: for an event loop, beside which somebody calls `now` often enough."""
    return _last.at(_counter()) if _last is not None else datetime.now(UTC)


def measure() -> Reading:
    """Ask the database now, whatever was known. Raises `django.db.Error`."""
    global _last
    readings = []
    for _ in range(_TRIES):
        readings.append(_read())
        if readings[-1].took <= _QUICK:
            break
    _last = min(readings, key=lambda reading: reading.took)
    return _last


def _recent() -> Reading:
    known = _last
    if known is not None and known.at(_counter()) - known.shown < GOOD_FOR:
        return known
    try:
        return measure()
    except Error:
        # Its clock is not asked while it is away or the transaction has failed; whoever wants to write learns of that anyway.
        if known is None:
            raise
        return known


def _read() -> Reading:
    connection.ensure_connection()
    began, own = _counter(), datetime.now(UTC)
    # Past Django's cursor: it is no query of any page, and `now()` inside the SQL would be the transaction's.
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        shown = cursor.execute("SELECT clock_timestamp()").fetchone()[0].astimezone(UTC)
    took = timedelta(microseconds=(_counter() - began) // _NANOSECONDS)
    # When we began, the database's clock showed something between `shown - took` and `shown`.
    if shown - took <= own <= shown:
        return Reading(began, own, timedelta(0), took)
    began_at = shown - took / 2
    return Reading(began, began_at, own - began_at, took)


def _counter() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
