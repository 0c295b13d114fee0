"""Sends what the workers' journals hold into the audit log, and finishes the journals of workers that are gone.

    python -m gateway.journal

One process ships a folder; a second one waits until the first is gone. It may be killed at any moment: how far a stream
is in the database is written there together with the entries, and a segment is removed only after that. On a machine that is
full it leaves time to the statements: `gateway.journal.pacing`.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from audit import streams
from audit.errors import StreamBroken
from audit.statement_lines import Line
from audit.statement_rows import Rows
from gateway.journal import folder as folders
from gateway.journal.closing import closing_lines
from gateway.journal.folder import Shipped, StreamFolder
from gateway.journal.journal import Limits
from gateway.journal.pacing import Turn, pause_after
from gateway.journal.reading import Tail, Torn

#: Between two looks at a journal in which there was nothing, in seconds.
PAUSE = 0.5

#: Between two attempts when the console's database does not answer: longer each time, up to the last.
_RETRIES = (0.5, 1, 2, 5, 10)

#: At the end: the supervisor waits for twenty.
_LAST_SECONDS = 15.0

#: Pieces of one stream, before it is another one's turn.
_MOST_PIECES = 16

_log = structlog.get_logger(__name__)


@dataclass
class _Following:
    """What is known of a stream that is being shipped."""

    tail: Tail
    rows: Rows
    noted: Shipped | None = None
    torn: list[Torn] = field(default_factory=list)
    is_drained: bool = False
    """All that was there when it was read last is in the database."""


class Shipper:
    """Ships one journal."""

    def __init__(self, journal: Path, limits: Limits | None = None) -> None:
        """`limits` are those of the workers: the nearer their journals are to them, the less is paused."""
        self._journal = journal
        self._limits = limits or Limits()
        self._following: dict[UUID, _Following] = {}
        self._months_made: date | None = None
        """On which day it was looked whether there are tables for the months to come."""

    def run(self, stopped: threading.Event, *, pause: float = PAUSE) -> None:
        """Until `stopped`: ship, and look again. Waits for the database as long as it takes."""
        from django.db import DatabaseError, InterfaceError, connection

        lock = self._own(stopped, pause)
        failures = 0
        while lock is not None and not stopped.is_set():
            try:
                shipped = self.once(pause=stopped.wait)
            except (DatabaseError, InterfaceError) as error:
                # What the transaction did is not known; the next attempt asks where each stream ends.
                connection.close()
                self._following.clear()
                wait = _RETRIES[min(failures, len(_RETRIES) - 1)]
                failures += 1
                _log.error("statements_not_shipped", error=str(error).partition("\n")[0], next_attempt_in_s=wait)
                stopped.wait(wait)
                continue
            failures = 0
            if not shipped:
                stopped.wait(pause)
        if lock is not None:
            self._ship_the_last()
            os.close(lock)
        connection.close()

    def _ship_the_last(self) -> None:
        """What was written until we were told to stop; what cannot be shipped now is there at the next start."""
        from django.db import DatabaseError, InterfaceError

        until = time.monotonic() + _LAST_SECONDS
        try:
            while self.once() and time.monotonic() < until:
                pass
        except (DatabaseError, InterfaceError) as error:
            _log.error("statements_not_shipped", error=str(error).partition("\n")[0])

    def _own(self, stopped: threading.Event, pause: float) -> int | None:
        """The folder's lock, as soon as nobody else ships it."""
        self._journal.mkdir(mode=0o700, parents=True, exist_ok=True)
        while not stopped.is_set():
            lock = folders.try_lock(self._journal / "shipper.lock")
            if lock is not None:
                return lock
            stopped.wait(pause)
        return None

    def once(self, *, pause: Callable[[float], object] | None = None) -> int:
        """Ship what is there now, or a good piece of it; the number of entries. Raises Django's errors of the database.

        `pause` waits, and is called where a full machine is left to the statements.
        """
        today = datetime.now(UTC).date()
        if today != self._months_made:
            streams.make_partitions(datetime.now(UTC))
            self._months_made = today
        return sum(self._ship(folder, pause) for folder in folders.streams(self._journal))

    def _ship(self, folder: StreamFolder, pause: Callable[[float], object] | None) -> int:
        # Before anything is read: who gets the lock knows that nothing is written any more.
        lock = folder.try_lock()
        try:
            followed = self._follow(folder)
            shipped = self._drain(folder, followed, is_over=lock is not None, pause=pause)
            if lock is not None and followed.is_drained:
                self._finish(folder, followed)
            return shipped
        except StreamBroken as error:
            # Another stream is not the worse for it; this one stays on the disk, and is tried again, and told of again.
            self._following.pop(folder.stream, None)
            _log.critical("stream_broken", stream=str(folder.stream), error=str(error))
            return 0
        except OSError as error:
            self._following.pop(folder.stream, None)
            _log.error("journal_not_read", stream=str(folder.stream), error=str(error))
            return 0
        finally:
            if lock is not None:
                os.close(lock)

    def _follow(self, folder: StreamFolder) -> _Following:
        if folder.stream not in self._following:
            end = streams.introduce(folder.stream, host=socket.gethostname(), sealed_key=folder.sealed_key())
            tail = Tail(folder, seq=end.seq, last_hash=end.hash)
            self._following[folder.stream] = _Following(tail, streams.rows(folder.stream))
        return self._following[folder.stream]

    def _drain(
        self, folder: StreamFolder, followed: _Following, *, is_over: bool, pause: Callable[[float], object] | None
    ) -> int:
        shipped = 0
        for _ in range(_MOST_PIECES):
            began, waited = time.monotonic(), _waited_for_a_processor()
            lines = followed.tail.read(is_over=is_over)
            followed.is_drained = not lines
            if lines:
                streams.append(folder.stream, lines, followed.rows)
                shipped += len(lines)
            # Also when there was nothing to ship: a worker may have left its segment, or there is room again.
            self._remove_what_is_shipped(folder, followed)
            self._note(folder, followed)
            if not lines:
                break
            if pause is not None:
                turn = Turn(
                    took=time.monotonic() - began,
                    waited=_waited_for_a_processor() - waited,
                    backlog=self._backlog(followed.tail),
                )
                pause(pause_after(turn))
        return shipped

    def _backlog(self, tail: Tail) -> float:
        """What of the stream waits, as a share of what may."""
        waiting = tail.waiting()
        entries = waiting * tail.seq / max(1, tail.size)
        return max(waiting / self._limits.unshipped_bytes, entries / self._limits.unshipped_entries)

    def _note(self, folder: StreamFolder, followed: _Following) -> None:
        now = Shipped(followed.tail.seq, followed.tail.size)
        if now == followed.noted:
            return
        try:
            folder.note_shipped(now)
            followed.noted = now
        except OSError as error:
            # The disk is full, and what makes room again is to go on.
            _log.warning("shipped_not_noted", stream=str(folder.stream), error=str(error))

    def _remove_what_is_shipped(self, folder: StreamFolder, followed: _Following) -> None:
        """Segments before the one that is being read. What was torn in them is kept elsewhere."""
        for torn in followed.tail.torn[len(followed.torn) :]:
            self._keep_torn(folder, torn)
            followed.torn.append(torn)
        for number in folder.segments():
            if number < followed.tail.segment:
                folder.segment(number).unlink()

    def _keep_torn(self, folder: StreamFolder, torn: Torn) -> None:
        place = self._journal / "torn"
        _log.warning("journal_torn", stream=str(folder.stream), **torn.as_json())
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            (place / f"{folder.stream}.{torn.segment}").write_bytes(torn.data)
        except OSError as error:
            # On a full disk there are many of these, each a piece of a line; how each begins is in the line above.
            _log.error("torn_not_kept", stream=str(folder.stream), error=str(error))

    def _finish(self, folder: StreamFolder, followed: _Following) -> None:
        """Nobody writes it any more and all of it is shipped: close the chain if its worker did not, and remove it."""
        for torn in followed.tail.torn[len(followed.torn) :]:
            self._keep_torn(folder, torn)
            followed.torn.append(torn)
        end = streams.position(folder.stream)
        if not end.has_ended:
            statements = streams.open_statements(folder.stream)
            torn_now = [torn.as_json() for torn in followed.torn]
            lines: list[Line] = closing_lines(folder.stream, end, statements, torn=torn_now, now=datetime.now(UTC))
            streams.append(folder.stream, lines, followed.rows)
            _log.warning("stream_cut", stream=str(folder.stream), statements_unknown=len(statements))
        self._following.pop(folder.stream, None)
        shutil.rmtree(folder.path)


def _waited_for_a_processor() -> float:
    """Seconds in which this thread could have run and did not; 0 where the kernel does not tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def ship(journal: Path, limits: Limits, *, stopped: threading.Event | None = None) -> None:
    """Ship a folder until SIGTERM or SIGINT: what a process of the gateway does that is started for it."""
    stopped = stopped or threading.Event()

    def stop(number: int, frame: Any) -> None:
        stopped.set()

    handlers: dict[int, Callable[..., Any]] = {signal.SIGTERM: stop, signal.SIGINT: stop}
    for number, handler in handlers.items():
        signal.signal(number, handler)
    # Statements are not to wait for their record to travel.
    os.nice(10)
    # Entries come and go by the thousand and hold no cycles: looking for some costs more than all else.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    Shipper(journal, limits).run(stopped)
