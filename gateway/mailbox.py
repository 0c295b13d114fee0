"""Between the workers of one machine: a cancel request that came to another worker than its session's.

Each worker has a socket beside the journal. Who is asked says when it is done, so that the request's own connection can stay
open until the server has taken it: a client that waits for its end may send the next statement at once.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

#: Longer than a login at a server may take; nobody is waited for for ever.
PATIENCE_SECONDS = 6.0
_ASK: Final = struct.Struct("!cI8sI")
_DONE: Final = struct.Struct("!c8s")

Cancel = Callable[[int, bytes], Awaitable[bool]]


class Mailbox:
    """One worker's. All calls come from the event loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, folder: Path, number: int, cancel: Cancel) -> None:
        self._loop, self._folder, self._number, self._cancel = loop, folder, number, cancel
        self._transport: asyncio.DatagramTransport | None = None
        self._asked: dict[bytes, tuple[asyncio.Future[None], int]] = {}
        """By the number of the question: who waits for it, and for how many answers."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Take letters."""
        address = self._address(self._number)
        address.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        address.unlink(missing_ok=True)
        post = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        post.bind(str(address))
        address.chmod(0o600)
        self._transport, _ = await self._loop.create_datagram_endpoint(partial(_Letters, self), sock=post)

    def close(self) -> None:
        """Take none any more."""
        for task in self._tasks:
            task.cancel()
        if self._transport is not None:
            self._transport.close()
            self._address(self._number).unlink(missing_ok=True)

    async def ask_neighbours(self, pid: int, secret: bytes) -> None:
        """Ask all of them; comes back when each has said that it has done what was its own to do."""
        own = self._address(self._number)
        number = secrets.token_bytes(8)
        letter = _ASK.pack(b"?", self._number, number, pid) + secret
        asked = sum(self._send(letter, path) for path in self._folder.glob("worker-*.sock") if path != own)
        if asked:
            waiting = self._loop.create_future()
            self._asked[number] = (waiting, asked)
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        await waiting
            finally:
                del self._asked[number]

    def take(self, letter: bytes) -> None:
        """A neighbour's question, or the answer to one of ours."""
        if letter[:1] == b"?" and len(letter) > _ASK.size:
            _, neighbour, number, pid = _ASK.unpack_from(letter)
            task = self._loop.create_task(self._answer(neighbour, number, pid, letter[_ASK.size :]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif len(letter) == _DONE.size and (number := letter[1:]) in self._asked:
            waiting, left = self._asked[number]
            self._asked[number] = (waiting, left - 1)
            if left == 1 and not waiting.done():
                waiting.set_result(None)

    async def _answer(self, neighbour: int, number: bytes, pid: int, secret: bytes) -> None:
        try:
            await self._cancel(pid, secret)
        finally:
            self._send(_DONE.pack(b"!", number), self._address(neighbour))

    def _send(self, letter: bytes, path: Path) -> bool:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as post:
                post.sendto(letter, str(path))
        except OSError:
            # Nobody lives there any more, or it has too much to do.
            return False
        return True

    def _address(self, number: int) -> Path:
        return self._folder / f"worker-{number}.sock"


class _Letters(asyncio.DatagramProtocol):
    """As asyncio brings them."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def datagram_received(self, data: bytes, addr: object) -> None:
        """One letter."""
        self._mailbox.take(data)
