"""One process of the gateway: its sessions, when they end, and what its neighbours hand to it.

Several workers listen on one port, and the kernel deals the connections out. A cancel request comes on a connection of its
own and may land on any of them: the number in it says whose it is, and a socket beside the journal takes it there.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from access import clock
from access.gateway_rules import Rules
from gateway.admission import Admitted, Attempt, Ended, Identifier
from gateway.errors import SessionEnded
from gateway.outbox import Outbox
from gateway.recording import Examined, Recorder
from gateway.wire.postgresql.client import Client

log = structlog.get_logger(__name__)

#: From the rules of a role and the name of a dialect to what understands statements under them.
ExaminerOf = Callable[[Rules, str], Callable[[str], Examined]]

#: Connections that have not shown yet who they are.
MOST_AT_THE_DOOR = 1000
#: How often it is asked whether the sessions may go on.
ASK_SECONDS = 0.4
#: For how long they go on when nobody answers.
LONGEST_SILENCE = 30.0
#: How often it is looked at what takes too long.
_LOOK_SECONDS = 0.1
#: The number of a worker is in the upper bits of the numbers that it gives to sessions.
_WORKER_SHIFT = 22
_MOST_SERIALS = 1 << _WORKER_SHIFT
_CANCEL = struct.Struct("!II")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a worker is told."""

    host: str
    port: int
    number: int
    folder: Path
    """Where the workers find each other's sockets."""
    tls: ssl.SSLContext | None = None


class Worker:
    """Listens, and holds the sessions that it has let in."""

    def __init__(self, settings: Settings, *, identifier: Identifier, recorder: Recorder, examiner: ExaminerOf) -> None:
        self.loop = asyncio.get_running_loop()
        self.tls = settings.tls
        self.recorder = recorder
        self.outbox = Outbox(self.loop, recorder)
        self.clients: set[Client] = set()
        self._settings = settings
        self._identifier = identifier
        self._examiner = examiner
        self._inside: dict[tuple[int, int], Client] = {}
        self._serial = secrets.randbelow(_MOST_SERIALS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard_at = self.loop.time()
        self._servers: list[asyncio.Server] = []
        self._mailbox: asyncio.DatagramTransport | None = None

    # --- Starting and stopping

    async def start(self) -> int:
        """Listen; gives the port."""
        listening = await self.loop.create_server(
            partial(Client, self), self._settings.host, self._settings.port, reuse_port=True, backlog=1024
        )
        self._servers.append(listening)
        await self._open_mailbox()
        for work in (self._ask_for_ever, self._look_for_ever):
            self.spawn(work())
        return int(listening.sockets[0].getsockname()[1])

    async def stop(self, reason: str = "The gateway is being stopped.") -> None:
        """Take nobody in any more, and end what there is."""
        for server in self._servers:
            server.close()
        for client in list(self.clients):
            client.end(SessionEnded(reason))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._mailbox is not None:
            self._mailbox.close()
            self._address(self._settings.number).unlink(missing_ok=True)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that runs beside the sessions; the worker waits for it at its end."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- For the clients

    @property
    def is_crowded(self) -> bool:
        """Whether so many stand at the door that nobody else is let near it."""
        return len(self.clients) - len(self._inside) >= MOST_AT_THE_DOOR

    async def identify(self, attempt: Attempt) -> Admitted:
        """Who this is. Raises an error of `gateway.errors.Refused`."""
        return await asyncio.to_thread(self._identifier.identify, attempt)

    def examiner(self, admitted: Admitted) -> Callable[[str], Examined]:
        """What understands the statements of a session."""
        return self._examiner(admitted.rules, admitted.parsed_as)

    def enter(self, client: Client) -> tuple[int, int]:
        """A session begins; what it shows to cancel."""
        self._serial = (self._serial + 1) % _MOST_SERIALS
        key = (self._settings.number << _WORKER_SHIFT | self._serial, secrets.randbits(32))
        self._inside[key] = client
        return key

    def leave(self, client: Client) -> None:
        """A connection is over."""
        self.clients.discard(client)
        self._inside.pop(client.key, None)

    # --- Cancelling

    def cancel(self, pid: int, secret: int) -> None:
        """Cancel what one session runs, here or at a neighbour's. Whoever knows no secret changes nothing."""
        number = pid >> _WORKER_SHIFT
        if number != self._settings.number:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as post:
                post.sendto(_CANCEL.pack(pid, secret), str(self._address(number)))
        elif (client := self._inside.get((pid, secret))) is not None:
            client.cancel()

    async def _open_mailbox(self) -> None:
        address = self._address(self._settings.number)
        address.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        address.unlink(missing_ok=True)
        post = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        post.bind(str(address))
        address.chmod(0o600)
        self._mailbox, _ = await self.loop.create_datagram_endpoint(partial(_Mailbox, self), sock=post)

    def _address(self, number: int) -> Path:
        return self._settings.folder / f"worker-{number}.sock"

    # --- Ending

    async def _ask_for_ever(self) -> None:
        while True:
            await asyncio.sleep(ASK_SECONDS)
            try:
                await self._ask()
            except Exception:
                # Whatever it is, the sessions may go on for a while only.
                log.exception("gateway.cannot_ask")
                if self.loop.time() - self._heard_at > LONGEST_SILENCE:
                    self._end_all("Lockgate cannot be asked any more whether it may go on.")

    async def _ask(self) -> None:
        inside = list(self._inside.values())
        if inside:
            # Not by `wait_for`: until Python 3.12 it forgets a cancellation that comes with the answer, and then the worker
            # would wait at its end for a task that goes on for ever.
            async with asyncio.timeout(LONGEST_SILENCE):
                answers = await asyncio.to_thread(self._identifier.ended, [client.admitted for client in inside])
            for client in inside:
                key = (client.admitted.credential_id, client.admitted.grant_id)
                self._heard(
                    client, *answers.get(key, (client.admitted.ends_at, Ended("Its access is not there any more.")))
                )
        self._heard_at = self.loop.time()

    def _heard(self, client: Client, ends_at: datetime, ended: Ended | None) -> None:
        client.ends_at = ends_at
        if ended is not None:
            client.end(SessionEnded(ended.reason))

    def _end_all(self, reason: str) -> None:
        for client in list(self._inside.values()):
            client.end(SessionEnded(reason))

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.outbox.write_what_is_left()
            now, at = clock.last_known(), self.loop.time()
            for client in list(self._inside.values()):
                self._look(client, now, at)

    def _look(self, client: Client, now: datetime, at: float) -> None:
        """Whether the window, the statement or the silence has lasted too long."""
        relay, rules = client.relay, client.admitted.rules
        if relay is None:
            return
        running = relay.answers.running_since
        if client.ends_at <= now:
            client.end(SessionEnded(f"The window of the access ended at {client.ends_at:%Y-%m-%d %H:%M:%S} UTC."))
        elif running:
            longest = rules.longest_statement
            if longest is not None and at - running > longest.total_seconds():
                relay.answers.stop_for_time(longest.total_seconds())
        elif rules.longest_idle is not None and at - relay.last_active > rules.longest_idle.total_seconds():
            client.end(SessionEnded(f"Nothing was sent for {_words(rules.longest_idle)}."))


class _Mailbox(asyncio.DatagramProtocol):
    """What the neighbours send."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def datagram_received(self, data: bytes, addr: object) -> None:
        """A cancel request that landed elsewhere."""
        if len(data) == _CANCEL.size:
            self._worker.cancel(*_CANCEL.unpack(data))


def _words(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds // 60} minutes" if seconds >= 120 else f"{seconds} seconds"
