"""The gateway's connection to the server, made as the grant's own principal.

`log_in` does what a driver does until the server is ready for queries; from then on the connection belongs to a session.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import struct
from collections.abc import Mapping
from typing import Protocol

from scramp import ScramClient, ScramException

from connectors.base import Target, Tls
from connectors.login import verifies
from gateway.errors import SettingNotTaken, TooManySessions, UpstreamFailed
from gateway.wire.postgresql import messages
from gateway.wire.postgresql.messages import Frames, fields_of, message, text

#: What waits to be written to a side before the other one is no longer read.
WRITE_HIGH = 256 * 1024
_LONGEST_AT_LOGIN = 1 << 20
_TOO_MANY = "53300"
#: No such setting, no such value, not now, no such name.
_SETTING = frozenset({"42704", "22023", "55P02", "42602"})
_DENIED = "42501"


class Relay(Protocol):
    """Whoever the connection belongs to after the login."""

    def server_gone(self, error: Exception | None) -> None:
        """It closed the connection, or the connection broke."""
        ...

    def server_full(self) -> None:
        """It does not take what was written: write no more."""
        ...

    def server_drained(self) -> None:
        """It takes more again."""
        ...


class Upstream(asyncio.Protocol):
    """One connection to the server."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.pid = 0
        self.secret = 0
        self.parameters: dict[str, str] = {}
        self._relay: Relay | None = None
        self._frames = Frames(_LONGEST_AT_LOGIN)
        self._more = asyncio.Event()
        self._lost: Exception | None = None
        self._is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio's protocol, as the next four."""
        self.transport = transport  # type: ignore[assignment]
        self.transport.set_write_buffer_limits(high=WRITE_HIGH)

    def data_received(self, data: bytes) -> None:
        """To the login."""
        self._frames.feed(data)
        self._more.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._is_lost, self._lost = True, exc
        self._more.set()
        if self._relay is not None:
            self._relay.server_gone(exc)

    def pause_writing(self) -> None:
        """Too much waits."""
        if self._relay is not None:
            self._relay.server_full()

    def resume_writing(self) -> None:
        """It has gone."""
        if self._relay is not None:
            self._relay.server_drained()

    # --- Until it is ready

    async def read_byte(self) -> bytes:
        """The one byte that answers the question for TLS."""
        await self._wait()
        answer = self._frames.rest()
        if len(answer) != 1:
            # More than was asked for, before TLS, is somebody else's words.
            raise UpstreamFailed("It answered the question for TLS with more than one byte.")
        return answer

    async def read(self) -> tuple[int, bytes]:
        """The next message. Raises `UpstreamFailed` at an error or the end."""
        while True:
            for kind, content in self._frames:
                if kind == messages.ERROR:
                    fields = fields_of(content)
                    raise UpstreamRefused(fields.get("C", ""), fields.get("M", ""))
                return kind, content
            await self._wait()

    async def _wait(self) -> None:
        if self._is_lost:
            raise UpstreamFailed("It closed the connection.") from self._lost
        self._more.clear()
        await self._more.wait()

    def belongs_to(self, relay: Relay) -> bytes:
        """From now on `relay` is told of it; gives what the server has said behind the login."""
        self._relay = relay
        if self._is_lost:
            relay.server_gone(self._lost)
        return self._frames.rest()

    def close(self) -> None:
        """End the connection; the server ends the session."""
        self._relay = None
        self.transport.abort()


class UpstreamRefused(UpstreamFailed):
    """The database server does not let the account of this access in."""

    def __init__(self, code: str, said: str) -> None:
        super().__init__(f"It says: {said} [{code}]")
        self.code = code
        self.said = said


async def log_in(target: Target, parameters: Mapping[str, str]) -> Upstream:
    """A session of the server that is ready for queries. Raises `UpstreamFailed` or `TooManySessions`."""
    try:
        async with asyncio.timeout(target.connect_timeout.total_seconds()):
            upstream = await _connect(target)
            try:
                await _prove(upstream, target, parameters)
            except BaseException:
                upstream.close()
                raise
            return upstream
    except UpstreamRefused as error:
        # The server itself counts them. It has the same code for being full; its own account it names in this case alone.
        if error.code == _TOO_MANY and target.user in error.said:
            raise TooManySessions from error
        if error.code in _SETTING or (error.code == _DENIED and any(f'"{name}"' in error.said for name in parameters)):
            raise SettingNotTaken(str(error.detail), sqlstate=error.code) from error
        raise
    except TimeoutError:
        raise UpstreamFailed("It does not answer in time.") from None
    except (OSError, ssl.SSLError) as error:
        raise UpstreamFailed(str(error.strerror if isinstance(error, OSError) and error.strerror else error)) from error


async def cancel(target: Target, pid: int, secret: int) -> None:
    """Cancel what the session is running, if anything. Raises `UpstreamFailed`."""
    try:
        async with asyncio.timeout(target.connect_timeout.total_seconds()):
            upstream = await _connect(target)
            upstream.transport.write(messages.cancel_request(pid, secret))
            # The server closes when it has taken the request.
            try:
                await upstream.read()
            except UpstreamFailed:
                return
            finally:
                upstream.close()
    except (TimeoutError, OSError) as error:
        raise UpstreamFailed("A query could not be cancelled.") from error


async def _connect(target: Target) -> Upstream:
    loop = asyncio.get_running_loop()
    _, upstream = await loop.create_connection(Upstream, target.host, target.port)
    if target.tls is Tls.DISABLE:
        return upstream
    upstream.transport.write(struct.pack("!II", 8, messages.SSL_REQUEST))
    if await upstream.read_byte() != b"S":
        upstream.close()
        raise UpstreamFailed("It has no TLS, and this server's settings ask for it.")
    secured = await loop.start_tls(upstream.transport, upstream, tls_context(target), server_hostname=target.host)
    if secured is None:
        raise UpstreamFailed("It closed the connection.")
    upstream.connection_made(secured)
    return upstream


def tls_context(target: Target) -> ssl.SSLContext:
    """How the server's certificate is checked, in libpq's four degrees."""
    context = ssl.create_default_context(cafile=target.tls_ca_file or None)
    context.check_hostname = target.tls is Tls.VERIFY_FULL
    if target.tls is Tls.REQUIRE:
        context.verify_mode = ssl.CERT_NONE
    return context


async def _prove(upstream: Upstream, target: Target, parameters: Mapping[str, str]) -> None:
    upstream.transport.write(messages.startup(parameters))
    scram: ScramClient | None = None
    while True:
        kind, content = await upstream.read()
        if kind == messages.AUTHENTICATION:
            scram = _answer(upstream, target, content, scram)
        elif kind == messages.PARAMETER_STATUS:
            name, _, value = content.rstrip(b"\x00").partition(b"\x00")
            upstream.parameters[name.decode()] = value.decode()
        elif kind == messages.BACKEND_KEY:
            upstream.pid, upstream.secret = struct.unpack("!II", content)
        elif kind == messages.READY:
            return


def _answer(upstream: Upstream, target: Target, content: bytes, scram: ScramClient | None) -> ScramClient | None:
    (asked,) = struct.unpack_from("!I", content)
    password = target.password.reveal()
    try:
        if asked == messages.ASK_SASL:
            scram = ScramClient(["SCRAM-SHA-256"], target.user, password)
            first = scram.get_client_first().encode()
            reply = text("SCRAM-SHA-256") + struct.pack("!I", len(first)) + first
        elif asked == messages.SASL_CONTINUE and scram is not None:
            scram.set_server_first(content[4:].decode())
            reply = scram.get_client_final().encode()
        elif asked == messages.SASL_FINAL and scram is not None:
            scram.set_server_final(content[4:].decode())
            return scram
        elif asked == messages.ASK_MD5:
            reply = text(_md5(password, target.user, content[4:8]))
        elif asked == messages.ASK_CLEARTEXT and verifies(target):
            reply = text(password)
        elif asked == messages.AUTHENTICATION_OK:
            return scram
        else:
            raise UpstreamFailed(f"It asks for a proof that Lockgate does not give (kind {asked}).")
    except ScramException as error:
        raise UpstreamFailed("It does not prove that it knows the password.") from error
    upstream.transport.write(message(messages.PASSWORD, reply))
    return scram


def _md5(password: str, user: str, salt: bytes) -> str:
    # The protocol's choice, for servers that still keep passwords that way.
    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    return "md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()
