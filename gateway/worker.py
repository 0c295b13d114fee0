"""One process of the gateway: its sessions, when they end, and what its neighbours ask of it.

Several workers listen on one port, and the kernel deals the connections out. A cancel request comes on a connection of its
own and may land on any of them. In it are the process on the server and a secret, and nothing that says whose session it is, so
that all of the secret is one: a worker that does not know it asks its neighbours: `gateway.mailbox`.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Callable, Coroutine
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
from gateway.examining import Examiner
from gateway.mailbox import Mailbox
from gateway.outbox import Outbox
from gateway.reading import Elsewhere
from gateway.recording import Recorder
from gateway.wire import arrivals
from gateway.wire.arrivals import Arrival, Arrivals
from gateway.wire.postgresql.client import ALPN, Client
from gateway.wire.postgresql.messages import error_response
from gateway.wire.postgresql.relay import Relay
from gateway.wire.proxying import Network

log = structlog.get_logger(__name__)

#: From the rules of a role and the name of a dialect to what understands statements under them.
ExaminerOf = Callable[[Rules, str], Examiner]

#: Connections that have not shown yet who they are.
MOST_AT_THE_DOOR = 1000
#: How often it is asked whether the sessions may go on.
ASK_SECONDS = 0.4
#: For how long they go on when nobody answers.
LONGEST_SILENCE = 30.0
#: How often it is looked at what takes too long.
_LOOK_SECONDS = 0.1
#: At its end a worker waits so long for what it has said to be read.
_LAST_WORDS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a worker is told."""

    host: str
    port: int
    number: int
    folder: Path
    """Where the workers find each other's sockets."""
    tls: ssl.SSLContext | None = None
    balancers: tuple[Network, ...] = ()
    """From where a PROXY header is taken, and has to come."""


class Worker:
    """Listens, and holds the sessions that it has let in."""

    def __init__(self, settings: Settings, *, identifier: Identifier, recorder: Recorder, examiner: ExaminerOf) -> None:
        self.loop = asyncio.get_running_loop()
        self.tls = settings.tls
        if self.tls is not None:
            self.tls.set_alpn_protocols([ALPN])
        self.recorder = recorder
        self.outbox = Outbox(self.loop, recorder)
        self.elsewhere = Elsewhere(self.loop)
        self.clients: set[Client] = set()
        self.connections: set[Client] = set()
        """Those too whose session is over, until what they are told has gone."""
        self._settings = settings
        self._identifier = identifier
        self._examiner = examiner
        self._inside: dict[tuple[int, bytes], Client] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard_at = self.loop.time()
        self._mailbox = Mailbox(self.loop, settings.folder, settings.number, self._cancel_own)
        self._arrivals = Arrivals(
            self.loop,
            balancers=settings.balancers,
            has_room=lambda: not self.is_crowded,
            hand_over=self._welcome,
            last_words=partial(error_response, severity="FATAL"),
        )

    # --- Starting and stopping

    async def start(self) -> int:
        """Listen; gives the port."""
        port = await self._arrivals.listen(self._settings.host, self._settings.port)
        await self._mailbox.open()
        for work in (self._ask_for_ever, self._look_for_ever):
            self.spawn(work())
        return port

    async def stop(self, reason: str = "The gateway is being stopped.") -> None:
        """Take nobody in any more, and end what there is."""
        await self._arrivals.close()
        for client in list(self.clients):
            client.end(SessionEnded(reason))
        for task in list(self._tasks):
            task.cancel()
        await self.elsewhere.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._mailbox.close()
        await self._last_words()

    async def _last_words(self) -> None:
        """Until the connections are closed; whoever does not read is not waited for."""
        deadline = self.loop.time() + _LAST_WORDS_SECONDS
        while self.connections and self.loop.time() < deadline:
            await asyncio.sleep(0.005)
        for client in list(self.connections):
            client.transport.abort()
        await asyncio.sleep(0)

    async def _welcome(self, arrived: socket.socket, arrival: Arrival) -> None:
        tls = self.tls if arrival.begins_tls else None
        if arrival.begins_tls and tls is None:
            arrived.close()
            return
        patience = {} if tls is None else {"ssl_handshake_timeout": arrivals.LOGIN_SECONDS}
        try:
            await self.loop.connect_accepted_socket(partial(Client, self, arrival), arrived, ssl=tls, **patience)
        except OSError as error:
            log.info("gateway.tls_failed", error=str(error))
            arrived.close()
        except asyncio.CancelledError:
            arrived.close()
            raise

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that runs beside the sessions; the worker waits for it at its end."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- For the clients

    @property
    def is_crowded(self) -> bool:
        """Whether so many stand at the door that nobody else is let near it."""
        return self._arrivals.number + len(self.clients) - len(self._inside) >= MOST_AT_THE_DOOR

    async def identify(self, attempt: Attempt) -> Admitted:
        """Who this is. Raises an error of `gateway.errors.Refused`."""
        return await asyncio.to_thread(self._identifier.identify, attempt)

    def examiner(self, admitted: Admitted) -> Examiner:
        """What understands the statements of a session."""
        return self._examiner(admitted.rules, admitted.parsed_as)

    def enter(self, client: Client, pid: int, secret_bytes: int) -> tuple[int, bytes]:
        """A session begins; what it shows to cancel, with a secret of so many bytes."""
        while (key := (pid, secrets.token_bytes(secret_bytes))) in self._inside:
            pass
        self._inside[key] = client
        return key

    def leave(self, client: Client) -> None:
        """A connection is over."""
        self.clients.discard(client)
        self._inside.pop(client.key, None)

    # --- Cancelling

    async def cancel(self, pid: int, secret: bytes) -> None:
        """Cancel what one session runs, here or at a neighbour's; comes back when its server has taken it.

        Whoever knows no secret changes nothing.
        """
        if not await self._cancel_own(pid, secret):
            await self._mailbox.ask_neighbours(pid, secret)

    async def _cancel_own(self, pid: int, secret: bytes) -> bool:
        client = self._inside.get((pid, secret))
        if client is None:
            return False
        await client.cancel_now()
        return True

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
            self._look_at_all()

    def _look_at_all(self) -> None:
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
        elif rules.longest_idle is not None and at - _idle_since(relay) > rules.longest_idle.total_seconds():
            client.end(SessionEnded(f"Nothing was sent for {_words(rules.longest_idle)}."))


def _idle_since(relay: Relay) -> float:
    """Idling begins with the answer, however long the question took."""
    return max(relay.last_active, relay.answers.idle_since)


def _words(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds // 60} minutes" if seconds >= 120 else f"{seconds} seconds"
