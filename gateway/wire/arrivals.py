"""Where connections arrive, before a byte of the database's protocol is read: whose they are, and whether they begin with TLS.

A balancer's header stands in front of everything, TLS too, and TLS without asking first can be told by its first byte alone. So
both are looked at on the bare socket, which then goes on as a connection of asyncio's as if nobody had.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.errors import GatewayError, ProtocolViolated, SessionEnded
from gateway.wire import proxying
from gateway.wire.proxying import Address, Network

log = structlog.get_logger(__name__)

#: From the first byte to the end of the login, counted twice: up to here, and from here on.
LOGIN_SECONDS = 15.0
_BACKLOG = 1024
#: How many are taken from the kernel in one turn of the loop.
_MOST_AT_ONCE = 64
#: After the machine had no room for one more.
_PAUSE_SECONDS = 1.0
#: The first byte of a TLS record that opens a connection. No startup message begins with it: it would be 300 MB long.
_TLS_HANDSHAKE: Final = b"\x16"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A connection that somebody made."""

    address: Address
    """Whose it is."""
    through: Address
    """Whose the socket is: the same, or a balancer's."""
    begins_tls: bool = False
    """It begins with TLS, without asking first."""


class Arrivals:
    """The listening sockets of one worker."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        balancers: Sequence[Network],
        has_room: Callable[[], bool],
        hand_over: Callable[[socket.socket, Arrival], Awaitable[None]],
        last_words: Callable[[GatewayError], bytes],
    ) -> None:
        self._loop, self._balancers = loop, balancers
        self._has_room, self._hand_over, self._last_words = has_room, hand_over, last_words
        self._listening: list[socket.socket] = []
        self._meeting: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> int:
        """From now on; gives the port."""
        found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listening = socket.socket(family, kind, protocol)
            self._listening.append(listening)
            listening.setblocking(False)  # noqa: FBT003 - as it is called
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
            self._loop.add_reader(listening, self._accept, listening)
        return int(self._listening[0].getsockname()[1])

    async def close(self) -> None:
        """Take nobody any more, and let go whoever has not begun yet."""
        for listening in self._listening:
            self._loop.remove_reader(listening)
            listening.close()
        self._listening.clear()
        for task in self._meeting:
            task.cancel()
        await asyncio.gather(*self._meeting, return_exceptions=True)

    @property
    def number(self) -> int:
        """How many have arrived and are not handed over yet."""
        return len(self._meeting)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_MOST_AT_ONCE):
            try:
                arrived, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("gateway.cannot_accept", error=error.strerror)  # noqa: TRY400 - the sentence says it all
                self._loop.remove_reader(listening)
                self._loop.call_later(_PAUSE_SECONDS, self._go_on, listening)
                return
            if not self._has_room():
                arrived.close()
                continue
            arrived.setblocking(False)  # noqa: FBT003 - as it is called
            arrived.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._meet(arrived, (proxying.plain(address[0]), address[1])))
            self._meeting.add(task)
            task.add_done_callback(self._meeting.discard)

    def _go_on(self, listening: socket.socket) -> None:
        if listening in self._listening:
            self._loop.add_reader(listening, self._accept, listening)

    async def _meet(self, arrived: socket.socket, through: Address) -> None:
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                arrival = await self._arrival(arrived, through)
        except TimeoutError:
            self._turn_away(arrived, SessionEnded("The login took too long."))
        except GatewayError as error:
            log.warning("gateway.turned_away", address=through[0], error=str(error))
            self._turn_away(arrived, error)
        except (OSError, asyncio.CancelledError):
            arrived.close()
        else:
            if arrival is None:
                arrived.close()
            else:
                await self._hand_over(arrived, arrival)

    async def _arrival(self, arrived: socket.socket, through: Address) -> Arrival | None:
        """What is known of it; None when it has gone without a word."""
        address = through
        if self._balancers and proxying.is_of(through[0], self._balancers):
            address = await self._header(arrived) or through
        await self._readable(arrived)
        first = arrived.recv(1, socket.MSG_PEEK)
        return Arrival(address, through, begins_tls=first == _TLS_HANDSHAKE) if first else None

    async def _header(self, arrived: socket.socket) -> Address | None:
        """Read a balancer's header, and not a byte of what is behind it."""
        said = b""
        while len(said) < len(proxying.BEGINNING_2):
            said += await self._exactly(arrived, 1)
            if not proxying.may_begin(said):
                raise ProtocolViolated(
                    "A PROXY header has to come first from this address: LOCKGATE_GATEWAY_PROXIES names it."
                )
        if said == proxying.BEGINNING_2:
            fixed = await self._exactly(arrived, proxying.FIXED_2)
            return proxying.told_in_2(fixed, await self._exactly(arrived, proxying.length_of_2(fixed)))
        while not said.endswith(b"\r\n") and len(said) < proxying.LONGEST_1:
            said += await self._exactly(arrived, 1)
        return proxying.told_in_1(said)

    async def _exactly(self, arrived: socket.socket, size: int) -> bytes:
        said = b""
        while len(said) < size:
            try:
                more = arrived.recv(size - len(said))
            except (BlockingIOError, InterruptedError):
                await self._readable(arrived)
                continue
            if not more:
                raise ConnectionResetError
            said += more
        return said

    async def _readable(self, arrived: socket.socket) -> None:
        ready = self._loop.create_future()

        def told() -> None:
            if not ready.done():
                ready.set_result(None)

        self._loop.add_reader(arrived, told)
        try:
            await ready
        finally:
            self._loop.remove_reader(arrived)

    def _turn_away(self, arrived: socket.socket, error: GatewayError) -> None:
        with suppress(OSError), arrived:
            arrived.send(self._last_words(error))
