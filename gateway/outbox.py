"""What goes to the servers once it is recorded: one write to the journal for all sessions that have something to send.

Everything that the clients said in one turn of the event loop is written to the file at once, and then sent. Where many
statements are under way, the next ones wait for each other, as commits do with PostgreSQL's `commit_delay`: the file is
written seldomer, and the servers work through what they get without being interrupted for each. Where there are
few, none waits.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

from gateway.errors import NotRecorded
from gateway.recording import Recorder

#: While no more statements than this are under way, none waits for another: their clients have nothing else to do.
_FEW: Final = 16
#: With more, what waits is written once it is this part of all that are under way.
_SHARE: Final = 4
#: Or after this time, in seconds. Those that run meanwhile are running, so it costs nobody's throughput.
_LONGEST: Final = 0.001


class Sender(Protocol):
    """A session that has something to send."""

    def recorded(self, data: bytes) -> bool:
        """What it intends is in the file: send it, or say yes to wait until `durable`."""
        ...

    def durable(self, error: Exception | None) -> None:
        """What it waited with longest is on the disk, or what went wrong. Called once for each yes."""
        ...

    def not_recorded(self, error: NotRecorded) -> None:
        """It could not be written."""
        ...


class Outbox:
    """One worker's. All calls come from the event loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, recorder: Recorder) -> None:
        self._loop = loop
        self._recorder = recorder
        self._waiting: list[tuple[Sender, bytes]] = []
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None

    def send(self, sender: Sender, data: bytes) -> None:
        """Send `data` once all that was intended by then is recorded: at the end of this turn, or soon after."""
        self._waiting.append((sender, data))
        if self._is_due:
            return
        under_way = self._recorder.under_way
        if under_way <= _FEW or len(self._waiting) * _SHARE >= under_way:
            self._is_due = True
            self._loop.call_soon(self._flush)
        elif self._timer is None:
            self._timer = self._loop.call_later(_LONGEST, self._flush)

    def write_what_is_left(self) -> None:
        """Outcomes that no statement came after. Where they cannot be written the record keeps them, and says so itself."""
        # What waits is written in a moment, and whether it may be sent is asked then.
        if not self._waiting:
            with suppress(NotRecorded):
                self._recorder.write()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not waiting:
            return
        try:
            self._recorder.write()
        except NotRecorded as error:
            for sender, _ in waiting:
                sender.not_recorded(error)
            return
        held = [sender for sender, data in waiting if sender.recorded(data)]
        if held:
            self._recorder.when_durable(partial(_durable, held))


def _durable(held: list[Sender], error: Exception | None) -> None:
    for sender in held:
        sender.durable(error)
