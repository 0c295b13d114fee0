"""The client's connection: TLS, who it is, and from then on a relay to a session of its own on the server.

Nothing is asked of the client before it is known to be on this machine or behind TLS: the token is a password.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import struct
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
from gateway.wire.postgresql import messages, upstream
from gateway.wire.postgresql.messages import Frames, error_response, message
from gateway.wire.postgresql.relay import FromClient, FromServer, Relay
from gateway.wire.postgresql.upstream import WRITE_HIGH, Upstream

if TYPE_CHECKING:
    from gateway.worker import Worker

log = structlog.get_logger(__name__)

#: From the first byte to the end of the login.
LOGIN_SECONDS = 15.0
_LONGEST_PASSWORD = 16 * 1024
_REFUSAL_SECONDS = 0.5
#: What a client may set when it connects; the rest is the gateway's to say.
_PASSED_ON = (
    "client_encoding",
    "application_name",
    "DateStyle",
    "TimeZone",
    "IntervalStyle",
    "extra_float_digits",
    "options",
)


class Client(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._loop = worker.loop
        self._frames = Frames(_LONGEST_PASSWORD)
        self._first = bytearray()
        self._take = self._startup
        self._parameters: dict[str, str] = {}
        self._is_encrypted = False
        self._task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport
        self.admitted: Admitted
        self.relay: Relay | None = None
        self.server: Upstream | None = None
        self.key = (0, 0)
        self.ends_at: datetime
        self._is_over = False
        self._deadline = worker.loop.call_later(LOGIN_SECONDS, self._too_slow)

    # --- What asyncio says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected, or its connection has become one with TLS."""
        self.transport = transport  # type: ignore[assignment]
        self.transport.set_write_buffer_limits(high=WRITE_HIGH)
        if self._worker.is_crowded:
            self.transport.abort()
        else:
            self._worker.clients.add(self)

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
            if len(content) == 8:
                self._worker.cancel(*struct.unpack("!II", content))
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

    def _begin(self, version: int, content: bytes) -> None:
        if version >> 16 != 3:
            raise ProtocolViolated(f"Version {version >> 16}.{version & 0xFFFF} of the protocol is not spoken here.")
        self._parameters = messages.startup_parameters(content)
        if not self._is_encrypted and not self._is_local():
            raise TlsNeeded
        if self._parameters.get("replication", "false").lower() not in ("false", "off", "no", "0"):
            raise ReplicationRefused
        unknown = [name for name in self._parameters if name.startswith("_pq_.")]
        if version & 0xFFFF or unknown:
            self.transport.write(messages.negotiate_version(unknown))
        self.transport.write(message(messages.AUTHENTICATION, struct.pack("!I", messages.ASK_CLEARTEXT)))
        self._take = self._password

    def _is_local(self) -> bool:
        return ipaddress.ip_address(self._peer()[0]).is_loopback

    def _peer(self) -> tuple[str, int]:
        peer = self.transport.get_extra_info("peername")
        return (peer[0], peer[1]) if peer else ("127.0.0.1", 0)

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
            self.admitted, client_ip=attempt.client_ip, application=attempt.application
        )
        try:
            server = self.server = await upstream.log_in(self.admitted.upstream, self._server_parameters())
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
        host, port = self._peer()
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
        rules, target = self.admitted.rules, self.admitted.upstream
        said = {name: value for name, value in self._parameters.items() if name in _PASSED_ON}
        if rules.read_only:
            said["default_transaction_read_only"] = "on"
        if rules.longest_statement is not None:
            said["statement_timeout"] = str(int(rules.longest_statement.total_seconds() * 1000))
        return {"user": target.user, "database": target.database, **said}

    def _connect(self, number: int, server: Upstream) -> None:
        self.key = self._worker.enter(self)
        self.relay = Relay(
            admitted=self.admitted,
            number=number,
            recorder=self._worker.recorder,
            outbox=self._worker.outbox,
            examine=self._worker.examiner(self.admitted),
            client=self.transport,
            server=server.transport,
            clock=self._loop.time,
            cancel=self.cancel,
            end=self.end,
        )
        hello = [message(messages.AUTHENTICATION, struct.pack("!I", messages.AUTHENTICATION_OK))]
        hello += [messages.parameter_status(*pair) for pair in server.parameters.items()]
        hello += [messages.backend_key(*self.key), messages.ready()]
        self.transport.write(b"".join(hello))
        self._deadline.cancel()
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
        """Ask the server to stop what this session runs."""
        if self.server is not None and not self._is_over:
            self._worker.spawn(self._cancel(self.server))

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
        self._worker.leave(self)
        if self.relay is not None:
            # While the server still runs something, closing alone would let it run on to its next word.
            if self.relay.answers.running_since:
                self._is_over = False
                self.cancel()
                self._is_over = True
            self._record_end(self.relay, why)
        if self.server is not None:
            self.server.close()

    def _record_end(self, relay: Relay, why: str) -> None:
        try:
            relay.over(why)
        except GatewayError:
            # It could not be written; the journal tells so itself, and takes nothing new.
            log.exception("gateway.end_not_recorded")
