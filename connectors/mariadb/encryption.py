"""Proof that a login to MariaDB is encrypted, and says nothing secret in the clear, before anything secret leaves.

The client library's `ssl_mode=REQUIRED` is no proof: mysqlclient 2.3 on MariaDB Connector/C 3.3 goes on without TLS where the
server offers none, and gives the password as it is to whoever asks for it by `mysql_clear_password` or `dialog`. What the
library does hold to is a certificate's fingerprint. So Lockgate shakes hands with the server by itself first, checks of its
certificate what the setting says, and has the library accept that one certificate alone. That also tells chain from name,
for which the library has one switch.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import MySQLdb
from MySQLdb import _mysql

from connectors.base import Target, Tls
from connectors.errors import AdminLoginRefused, ConnectorError, NotEncrypted, ServerUnreachable
from connectors.login import verifies

Opened = TypeVar("Opened")

#: What the library calls an error of TLS, a fingerprint that is another one's among them.
TLS_FAILED = 2026
#: The server wants to be logged in to by what is not allowed here.
WANTS_THE_PASSWORD = 5010
#: How often a server is asked for its certificate when it shows another one each time, as several behind one address do.
_TRIES = 4
#: How long a certificate that was checked is taken for the server's without another handshake of our own, in seconds.
_KEPT_SECONDS = 300.0
#: Ways to log in that never show the password. The others are used inside TLS with a verified certificate alone.
_WITHOUT_THE_PASSWORD = "mysql_native_password,client_ed25519"  # noqa: S105 - names of plugins
_GROUP = "lockgate"

_CLIENT_SSL = 0x800
#: Protocol 4.1, secure authentication, TLS, plugins: all that a client has to say of itself before it shakes hands.
_OURS = 0x200 | 0x8000 | _CLIENT_SSL | 0x80000
_UTF8MB4 = 45
_LARGEST_PACKET = 1 << 24
_ERROR, _PROTOCOL = 0xFF, 10


@dataclass(frozen=True, slots=True)
class Greeting:
    """The first thing a server says, to anybody."""

    version: str
    offers_tls: bool


@dataclass(frozen=True, slots=True)
class _Kept:
    fingerprint: str
    until: float


_CERTIFICATES: dict[tuple[str, int, Tls, str], _Kept] = {}


def connected(target: Target, connect: Callable[[dict[str, Any]], Opened]) -> Opened:
    """What `connect` gives when it is called with mysqlclient's options for the target's TLS setting.

    Raises `NotEncrypted` or `ServerUnreachable` before anything secret is sent, and whatever `connect` raises.
    """
    if target.tls is Tls.DISABLE:
        with _option_file("") as options:
            return connect({"ssl_mode": "DISABLED", **options})
    if target.tls is Tls.VERIFY_FULL:
        # Here the library does what it says: it checks chain and name, and gives up where there is no TLS.
        authority = {"ssl": {"ca": target.tls_ca_file}} if target.tls_ca_file else {}
        return connect({"ssl_mode": "VERIFY_IDENTITY", **authority})
    for tries_left in reversed(range(_TRIES)):
        with _option_file(_fingerprint(target), restricted=not verifies(target)) as options:
            try:
                return connect({"ssl_mode": "REQUIRED", **options})
            except Exception as error:
                _CERTIFICATES.pop(_key(target), None)
                if not tries_left or not _is_of_tls(error):
                    raise
    raise AssertionError("The last try either returns or raises.")


def driver_connect(**parameters: Any) -> Any:
    """`MySQLdb.connect`. Every connection is opened by this, whoever asks. Raises `MySQLdb.Error`."""
    try:
        return MySQLdb.connect(**parameters)
    except MySQLdb.Error as error:
        # Connector/C 3.3 takes the words of this error from memory that it has given back. mysqlclient leaves a hole in the
        # tuple where they are no text, and whoever looks at them dies: so nobody does.
        if error.args[0] == WANTS_THE_PASSWORD:
            error.args = (WANTS_THE_PASSWORD, "The server asks for the password itself, which is not given here.")
        raise


def greeting_of(target: Target) -> Greeting:
    """What the server says first. Raises `ServerUnreachable`, and `AdminLoginRefused` where it wants nobody from here."""
    with _knocking(target) as (_, greeting):
        return greeting


def _fingerprint(target: Target) -> str:
    """Of the certificate of the server, checked as the setting says, in the hash that the library compares."""
    kept = _CERTIFICATES.get(_key(target))
    if kept is None or kept.until < time.monotonic():
        certificate = _certificate(target)
        kept = _CERTIFICATES[_key(target)] = _Kept(_hashed(certificate), time.monotonic() + _KEPT_SECONDS)
    return kept.fingerprint


def _hashed(certificate: bytes) -> str:
    """Connector/C knows SHA-1 alone up to 3.3; to pass for another certificate one would need its second preimage."""
    version = str(_mysql.get_client_info())  # type: ignore[no-untyped-call]
    is_old = tuple(int(part) for part in version.split(".")[:2]) < (3, 4)
    digest = hashlib.sha1(certificate, usedforsecurity=False) if is_old else hashlib.sha256(certificate)
    return digest.hexdigest()


def _certificate(target: Target) -> bytes:
    """The server's certificate, in DER, after it has proved that it has the key to it."""
    with _knocking(target) as (plain, greeting):
        if not greeting.offers_tls:
            raise NotEncrypted
        plain.sendall(b"\x20\x00\x00\x01" + struct.pack("<IIB23x", _OURS, _LARGEST_PACKET, _UTF8MB4))
        try:
            with _context(target).wrap_socket(plain, server_hostname=target.host) as secure:
                return secure.getpeercert(binary_form=True) or b""
        except ssl.SSLCertVerificationError as error:
            raise NotEncrypted(error.verify_message, code=str(TLS_FAILED)) from error
        except ssl.SSLError as error:
            raise NotEncrypted(str(error.reason or error), code=str(TLS_FAILED)) from error
        except OSError as error:
            raise ServerUnreachable(str(error)) from error


def _context(target: Target) -> ssl.SSLContext:
    """Encrypted in any case; the chain is checked or not. The name is checked by the library, where it is at all."""
    try:
        context = ssl.create_default_context(cafile=target.tls_ca_file or None)
    except OSError as error:
        raise NotEncrypted(f"{target.tls_ca_file}: {error}", code=str(TLS_FAILED)) from error
    context.check_hostname = False
    if not verifies(target) and not target.tls_ca_file:
        context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def _knocking(target: Target) -> Iterator[tuple[socket.socket, Greeting]]:
    """A connection of which nothing but the greeting has been read."""
    patience = target.connect_timeout.total_seconds()
    try:
        plain = socket.create_connection((target.host, target.port), timeout=patience)
    except OSError as error:
        raise ServerUnreachable(str(error), code="2003") from error
    with plain:
        try:
            said = _packet(plain)
        except OSError as error:
            raise ServerUnreachable(str(error), code="2013") from error
        yield plain, _read(said)


def _packet(plain: socket.socket) -> bytes:
    head = _exactly(plain, 4)
    return _exactly(plain, int.from_bytes(head[:3], "little"))


def _exactly(plain: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = plain.recv(size - len(data))
        if not more:
            raise ConnectionResetError("The server closed the connection.")
        data += more
    return data


def _read(said: bytes) -> Greeting:
    """The greeting, as far as it matters here. Raises what the server said instead of one."""
    if said[:1] == bytes([_ERROR]):
        raise _refusal(said)
    version, _, rest = said[1:].partition(b"\0")
    # Behind the version: the connection's number, eight bytes to mix in and a zero, then what the server can do.
    if said[:1] != bytes([_PROTOCOL]) or len(rest) < 15:
        raise ServerUnreachable("What answers there is no MariaDB server.")
    (capabilities,) = struct.unpack_from("<H", rest, 13)
    return Greeting(version.decode(errors="replace").removeprefix("5.5.5-"), bool(capabilities & _CLIENT_SSL))


def _refusal(said: bytes) -> ConnectorError:
    (code,) = struct.unpack_from("<H", said, 1)
    words = said[3:].decode(errors="replace")
    # Too many connections, and a server that is going down, pass; who may not come from here is told so.
    kind = ServerUnreachable if code in (1040, 1053, 1203) else AdminLoginRefused
    return kind(words, code=str(code))


def _key(target: Target) -> tuple[str, int, Tls, str]:
    return (target.host, target.port, target.tls, target.tls_ca_file)


def _is_of_tls(error: BaseException) -> bool:
    cause = error.__cause__ if isinstance(error.__cause__, MySQLdb.Error) else error
    return bool(cause.args) and cause.args[0] == TLS_FAILED


@contextmanager
def _option_file(fingerprint: str, *, restricted: bool = True) -> Iterator[dict[str, str]]:
    """What mysqlclient has no argument for, in the file that the library reads; nothing in it is secret."""
    lines = [f"[{_GROUP}]"]
    if restricted:
        lines.append(f"restricted-auth={_WITHOUT_THE_PASSWORD}")
    if fingerprint:
        lines.append(f"ssl-fp={fingerprint}")
    with tempfile.NamedTemporaryFile("w", prefix="lockgate-", suffix=".cnf") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        yield {"read_default_file": file.name, "read_default_group": _GROUP}
