"""What goes to the servers once it is recorded: one write to the journal for all sessions that have something to send.

Everything that the clients said in one turn of the event loop is written to the file at once, and then sent. The more of them
there are, the longer a turn is, and the more goes with one write; nobody waits for that.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from mypy_extensions import mypyc_attr

from gateway.errors import NotRecorded
from gateway.recording import Recorder


@mypyc_attr(allow_interpreted_subclasses=True)
class Sender:
    """A session that has something to send."""

    def recorded(self, data: bytes) -> bool:
        """What it intends is in the file: send it, or say yes to wait until `durable`."""
        raise NotImplementedError

    def durable(self, error: Exception | None) -> None:
        """What it waited with longest is on the disk, or what went wrong. Called once for each yes."""
        raise NotImplementedError

    def not_recorded(self, error: NotRecorded) -> None:
        """It could not be written."""
        raise NotImplementedError


class Outbox:
    """One worker's. All calls come from the event loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, recorder: Recorder) -> None:
        self._loop = loop
        self._recorder = recorder
        self._waiting: list[tuple[Sender, bytes]] = []

    def send(self, sender: Sender, data: bytes) -> None:
        """Send `data` at the end of this turn, once all that was intended by then is recorded."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append((sender, data))

    def write_what_is_left(self) -> None:
        """Outcomes that no statement came after. Where they cannot be written the record keeps them, and says so itself."""
        # What waits is written in a moment, and whether it may be sent is asked then.
        if not self._waiting:
            with suppress(NotRecorded):
                self._recorder.write()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
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
