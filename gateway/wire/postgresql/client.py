"""The client's connection: TLS, who it is, and from then on a relay to a session of its own on the server.

Nothing is asked of the client before it is known to be on this machine or behind TLS: the token is a password.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from connectors.base import Secret
from gateway.admission import Admitted, Attempt
from gateway.errors import (
    GatewayError,
    NotAdmitted,
    NotRecorded,
    ProtocolViolated,
    Refused,
    ReplicationRefused,
    SessionEnded,
    TlsNeeded,
)
from gateway.wire import arrivals
from gateway.wire.arrivals import Arrival
from gateway.wire.postgresql import messages, startup, upstream
from gateway.wire.postgresql.fronts import FromClient, FromServer
from gateway.wire.postgresql.messages import Frames, error_response, message
from gateway.wire.postgresql.relay import Relay
from gateway.wire.postgresql.upstream import WRITE_HIGH, Upstream

if TYPE_CHECKING:
    from gateway.worker import Worker

log = structlog.get_logger(__name__)

_LONGEST_PASSWORD = 16 * 1024
_REFUSAL_SECONDS = 0.5
#: What a client of direct TLS has to ask for in its handshake, as PostgreSQL 17 and later ask.
ALPN = "postgresql"


class Client(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, worker: Worker, arrival: Arrival) -> None:
        self._worker = worker
        self._loop = worker.loop
        self._arrival = arrival
        self._frames = Frames(_LONGEST_PASSWORD)
        self._first = bytearray()
        self._take: Callable[[bytes], None] = self._startup
        self._parameters: dict[str, str] = {}
        self._settings: dict[str, str] = {}
        """What the startup message sets, by names in lower case."""
        self._minor = 0
        """Of the protocol's version 3 that is spoken."""
        self._is_encrypted = arrival.begins_tls
        self._task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport
        self.admitted: Admitted
        self.relay: Relay | None = None
        self.server: Upstream | None = None
        self.key = (0, b"")
        """What cancels: the process on the server, and a secret of ours."""
        self.ends_at: datetime
        self._is_over = False
        self._cancels = 0
        """How many of the gateway's own requests the server has not taken yet."""
        self._deadline = worker.loop.call_later(arrivals.LOGIN_SECONDS, self._too_slow)

    # --- What asyncio says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected, or its connection has become one with TLS."""
        self.transport = transport  # type: ignore[assignment]
        self.transport.set_write_buffer_limits(high=WRITE_HIGH)
        self._worker.clients.add(self)
        self._worker.connections.add(self)
        tls = self.transport.get_extra_info("ssl_object")
        if self._arrival.begins_tls and tls.selected_alpn_protocol() != ALPN:
            self.end(ProtocolViolated(f"TLS without asking first needs ALPN with {ALPN!r}."))

    def data_received(self, data: bytes) -> None:
        """Some more of its stream."""
        try:
            self._take(data)
        except GatewayError as error:
            self.end(error)
        except Exception:
            # A mistake of ours ends this session, and is seen in the log; the others go on.
            log.exception("gateway.session_failed")
            self.end(GatewayError())

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._worker.connections.discard(self)
        self._over("The client closed the connection." if exc is None else "The client's connection broke.")

    def pause_writing(self) -> None:
        """The client does not read: the server waits."""
        if self.server is not None:
            self.server.transport.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self.server is not None and not self.server.transport.is_closing():
            self.server.transport.resume_reading()

    # --- Before it is known

    def _startup(self, data: bytes) -> None:
        self._first += data
        if len(self._first) < 8:
            return
        length, code = struct.unpack_from("!II", self._first)
        if not 8 <= length <= messages.LONGEST_STARTUP:
            raise ProtocolViolated(f"A first message of {length} bytes.")
        if len(self._first) < length:
            return
        content, rest = bytes(self._first[8:length]), bytes(self._first[length:])
        self._first.clear()
        if code in (messages.SSL_REQUEST, messages.GSS_ENCRYPTION_REQUEST):
            if rest:
                # Nobody who is honest speaks before the answer.
                raise ProtocolViolated("Data behind a request for encryption.")
            self._encryption(code)
        elif code == messages.CANCEL_REQUEST:
            self._deadline.cancel()
            self._take = _nothing
            if 4 < len(content) <= 4 + messages.LONGEST_SECRET:
                self._task = self._loop.create_task(self._pass_on(int.from_bytes(content[:4]), content[4:]))
            else:
                self.transport.close()
        else:
            self._begin(code, content)
            if rest:
                self._password(rest)

    def _encryption(self, code: int) -> None:
        if code == messages.SSL_REQUEST and self._worker.tls is not None and not self._is_encrypted:
            self.transport.pause_reading()
            self.transport.write(b"S")
            self._task = self._loop.create_task(self._start_tls(self._worker.tls))
        else:
            self.transport.write(b"N")

    async def _start_tls(self, tls: ssl.SSLContext) -> None:
        try:
            secured = await self._loop.start_tls(self.transport, self, tls, server_side=True)
        except (OSError, ConnectionError) as error:
            log.info("gateway.tls_failed", error=str(error))
            self.transport.abort()
            return
        if secured is not None:
            self._is_encrypted = True
            self.connection_made(secured)

    async def _pass_on(self, pid: int, secret: bytes) -> None:
        """Cancel, and only then close: whoever waits for that end knows that the next statement is not meant."""
        try:
            await self._worker.cancel(pid, secret)
        finally:
            self.transport.close()

    def _begin(self, version: int, content: bytes) -> None:
        if version >> 16 != 3:
            raise ProtocolViolated(f"Version {version >> 16}.{version & 0xFFFF} of the protocol is not spoken here.")
        self._parameters = messages.startup_parameters(content)
        if not self._is_encrypted and not self._is_local():
            raise TlsNeeded
        if self._parameters.get("replication", "false").lower() not in ("false", "off", "no", "0"):
            raise ReplicationRefused
        self._settings = startup.asked_settings(self._parameters)
        unknown = [name for name in self._parameters if name.startswith("_pq_.")]
        self._minor = min(version & 0xFFFF, messages.NEWEST_MINOR)
        if version & 0xFFFF > self._minor or unknown:
            self.transport.write(messages.negotiate_version(self._minor, unknown))
        self.transport.write(message(messages.AUTHENTICATION, struct.pack("!I", messages.ASK_CLEARTEXT)))
        self._take = self._password

    def _is_local(self) -> bool:
        # Behind a balancer both: what it tells, and that it is on this machine itself.
        return all(ipaddress.ip_address(one[0]).is_loopback for one in (self._arrival.address, self._arrival.through))

    def _password(self, data: bytes) -> None:
        self._frames.feed(data)
        for kind, content in self._frames:
            if kind == messages.TERMINATE:
                self.transport.close()
                return
            if kind != messages.PASSWORD or not content.endswith(b"\x00"):
                raise ProtocolViolated("Something else than the password that was asked for.")
            self.transport.pause_reading()
            self._take = self._too_early
            self._task = self._loop.create_task(self._enter(content[:-1]))
            return

    def _too_early(self, data: bytes) -> None:
        self._frames.feed(data)

    # --- The login

    async def _enter(self, password: bytes) -> None:
        try:
            await self._admit(password)
        except GatewayError as error:
            self.end(error)
        except Exception:
            log.exception("gateway.login_failed")
            self.end(GatewayError("The gateway's log has the details."))

    async def _admit(self, password: bytes) -> None:
        attempt = self._attempt(password)
        try:
            self.admitted = await self._worker.identify(attempt)
        except Refused:
            # Whoever guesses waits for each answer.
            await asyncio.sleep(_REFUSAL_SECONDS)
            raise
        self.ends_at = self.admitted.ends_at
        number = self._worker.recorder.opened(
            self.admitted, client_ip=attempt.client_ip, application=attempt.application, settings=self._settings
        )
        try:
            server = self.server = await upstream.log_in(self.admitted.upstream, self._server_parameters())
            startup.refuse_what_reads_otherwise(server.parameters)
            if self._is_over:
                raise SessionEnded("The client closed the connection.")
            self._worker.recorder.write()
        except GatewayError as error:
            if self.server is not None:
                self.server.close()
            self._worker.recorder.closed(number, str(error))
            with suppress(NotRecorded):  # which is what ended it, and what the client is told
                self._worker.recorder.write()
            raise
        self._connect(number, server)

    def _attempt(self, password: bytes) -> Attempt:
        try:
            secret = Secret(password.decode())
        except UnicodeDecodeError:
            raise NotAdmitted from None
        host, port = self._arrival.address
        user = self._parameters.get("user", "")
        return Attempt(
            user=user,
            password=secret,
            wanted=self._parameters.get("database", "") or user,
            client_ip=host,
            client_port=port,
            application=self._parameters.get("application_name", "")[:200],
        )

    def _server_parameters(self) -> dict[str, str]:
        target = self.admitted.upstream
        settings = startup.server_settings(self._settings, self.admitted.rules)
        return {**settings, "user": target.user, "database": target.database}

    def _connect(self, number: int, server: Upstream) -> None:
        self.key = self._worker.enter(self, server.pid, messages.secret_bytes(self._minor))
        self.relay = Relay(
            admitted=self.admitted,
            number=number,
            recorder=self._worker.recorder,
            outbox=self._worker.outbox,
            examiner=self._worker.examiner(self.admitted),
            read=self._worker.elsewhere.understand,
            client=self.transport,
            server=server.transport,
            clock=self._loop.time,
            cancel=self.cancel,
            end=self.end,
        )
        for name, value in server.parameters.items():
            self.relay.names.reports(name, value)
        self.relay.names.default_encoding = self.relay.names.client_encoding
        hello = [message(messages.AUTHENTICATION, struct.pack("!I", messages.AUTHENTICATION_OK))]
        hello += [messages.parameter_status(*pair) for pair in server.parameters.items()]
        hello += [messages.backend_key(*self.key), messages.ready()]
        self.transport.write(b"".join(hello))
        self._deadline.cancel()
        self._take = _nothing
        from_client, from_server = FromClient(self.relay, self, self), FromServer(self.relay, self, server)
        # Compiled classes, so they are protocols by what they have and not by asyncio's base class.
        self.transport.set_protocol(from_client)  # type: ignore[arg-type]
        server.transport.set_protocol(from_server)  # type: ignore[arg-type]
        if said := server.belongs_to(self):
            from_server.data_received(said)
        if early := self._frames.rest():
            from_client.data_received(early)
        if not self._is_over:
            self.transport.resume_reading()

    # --- What the server says

    def server_gone(self, error: Exception | None) -> None:
        """Whatever it said before has been passed on."""
        self._over("The server closed the connection." if error is None else "The server's connection broke.")
        self.transport.close()

    def server_full(self) -> None:
        """The server does not read: the client waits."""
        if self.relay is not None:
            self.relay.pause("server")

    def server_drained(self) -> None:
        """The server reads again."""
        if self.relay is not None:
            self.relay.resume("server")

    # --- The end

    def cancel(self) -> None:
        """Ask the server to stop what this session runs, and read nothing of the client until it has taken that.

        What runs may have come to its end meanwhile, and then it would be the client's next statement that is stopped.
        """
        if self.server is None:
            return
        if self.relay is None or self._is_over:
            self._worker.spawn(self._cancel(self.server))
            return
        self._cancels += 1
        self.relay.pause("cancel")
        self._worker.spawn(self._cancel_and_go_on(self.server, self.relay))

    async def _cancel_and_go_on(self, server: Upstream, relay: Relay) -> None:
        await self._cancel(server)
        self._cancels -= 1
        if not self._cancels and not relay.is_over:
            relay.resume("cancel")

    async def cancel_now(self) -> None:
        """The client asks for it; comes back when the server has taken it."""
        if self.server is not None:
            if self.relay is not None:
                self.relay.answers.client_cancels()
            await self._cancel(self.server)

    async def _cancel(self, server: Upstream) -> None:
        try:
            await upstream.cancel(self.admitted.upstream, server.pid, server.secret)
        except GatewayError as error:
            log.warning("gateway.cancel_failed", error=str(error))

    def end(self, error: GatewayError) -> None:
        """Tell the client why, and close both sides."""
        if self._is_over:
            return
        may_speak = self.relay is None or self.relay.answers.is_between_messages
        self._over(str(error))
        if may_speak:
            self.transport.write(error_response(error, severity="FATAL"))
            self.transport.close()
            # Whoever does not read keeps nothing open.
            self._loop.call_later(5.0, self.transport.abort)
        else:
            self.transport.abort()

    def _too_slow(self) -> None:
        self.end(SessionEnded("The login took too long."))

    def _over(self, why: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._deadline.cancel()
        self._take = _nothing
        self._worker.leave(self)
        if self.relay is not None:
            # While the server still runs something, closing alone would let it run on to its next word.
            if self.relay.answers.running_since:
                self.cancel()
            self._record_end(self.relay, why)
        if self.server is not None:
            self.server.close()
        # The relay knows this session, and so does the server's connection: they let go, so that nothing waits for the
        # collector of cycles, which looks seldom.
        self.relay = self.server = None

    def _record_end(self, relay: Relay, why: str) -> None:
        try:
            relay.over(why)
        except GatewayError:
            # It could not be written; the journal tells so itself, and takes nothing new.
            log.exception("gateway.end_not_recorded")


def _nothing(data: bytes) -> None:
    """Whatever it says now is not read."""
