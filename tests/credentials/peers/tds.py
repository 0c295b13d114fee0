"""The beginning of a conversation with a SQL Server that takes tokens of Entra ID, as Azure SQL does.

It speaks the documented protocol up to the login and answers nought to whatever is asked after it, writes down every byte that
came in the clear, and each login that came inside TLS.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from pathlib import Path

_PRELOGIN, _LOGIN, _BATCH, _TRANSACTION, _RESPONSE, _END_OF_MESSAGE = 0x12, 0x10, 0x01, 0x0E, 0x04, 0x01
_HEADER = struct.Struct(">BBHHBB")
#: Options of the first message of both sides.
_VERSION, _ENCRYPTION, _FEDERATED, _END_OF_OPTIONS = 0x00, 0x01, 0x06, 0xFF
_ENCRYPT_ON, _NO_ENCRYPTION = 0x01, 0x02
#: What an answer is made of.
_ERROR, _LOGIN_ACK, _FEATURES_ACK, _CHANGED, _COLUMNS, _ROW, _DONE = 0xAA, 0xAD, 0xAE, 0xE3, 0x81, 0xD1, 0xFD
_INTEGER = 0x38
_LOGIN_FAILED = 18456
#: What may be wanted of a transaction, and the change that the answer tells of.
_BEGIN, _COMMIT, _ROLL_BACK = 5, 7, 8
_CHANGES = {_BEGIN: 8, _COMMIT: 9, _ROLL_BACK: 10}


class TokenLoginServer:
    """Lets in whoever comes with the token."""

    def __init__(self, token: str, certificate: Path | None) -> None:
        self.in_the_clear = b""
        self.inside_tls: list[bytes] = []
        """Each login message, as it came."""
        self.logins = 0
        self._token = token.encode("utf-16-le")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if self._context is not None and certificate is not None:
            self._context.load_cert_chain(certificate)
            # In TLS 1.3 the server speaks again after the handshake, when it is not wrapped any more.
            self._context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        # Closing it does not wake who waits in accept(); ending it does.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            try:
                self._converse(_Wire(plain))
            except (OSError, EOFError):
                pass  # The client has gone, which is what some tests want to see.
            finally:
                plain.close()

    def _converse(self, wire: _Wire) -> None:
        _, hello = wire.receive()
        self.in_the_clear += hello
        wire.send(
            _RESPONSE,
            _hello(_ENCRYPT_ON if self._context else _NO_ENCRYPTION, federated=_FEDERATED in hello[: 5 * 8 : 5]),
        )
        if self._context is None:
            while True:
                self.in_the_clear += wire.receive()[1]
        wire.shake_hands(self._context)
        kind, login = wire.receive()
        assert kind == _LOGIN
        self.inside_tls.append(login)
        if self._token not in login:
            wire.send(_RESPONSE, _refusal() + _done(error=True))
            return
        self.logins += 1
        wire.send(_RESPONSE, _welcome() + _done())
        while True:
            wire.send(_RESPONSE, _answer(*wire.receive()))


class _Wire:
    """Messages over a socket; the bytes of TLS travel in messages until both have shaken hands."""

    def __init__(self, plain: socket.socket) -> None:
        self._plain = plain
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._read = b""

    def receive(self) -> tuple[int, bytes]:
        """One message: its kind, and what is in it."""
        whole = b""
        while True:
            kind, status, length, *_ = _HEADER.unpack(self._take(_HEADER.size))
            whole += self._take(length - _HEADER.size)
            if status & _END_OF_MESSAGE:
                return int(kind), whole

    def send(self, kind: int, content: bytes) -> None:
        self._give(_HEADER.pack(kind, _END_OF_MESSAGE, len(content) + _HEADER.size, 0, 1, 0) + content)

    def shake_hands(self, context: ssl.SSLContext) -> None:
        tls = context.wrap_bio(self._coming, self._going, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._send_handshake()
                self._coming.write(self.receive()[1])
        self._send_handshake()
        self._tls = tls

    def _send_handshake(self) -> None:
        if ready := self._going.read():
            self.send(_PRELOGIN, ready)

    def _take(self, count: int) -> bytes:
        while len(self._read) < count:
            came = self._plain.recv(65536)
            if not came:
                raise EOFError
            self._read += self._opened(came) if self._tls else came
        taken, self._read = self._read[:count], self._read[count:]
        return taken

    def _opened(self, came: bytes) -> bytes:
        assert self._tls is not None
        self._coming.write(came)
        opened = b""
        while True:
            try:
                piece = self._tls.read(65536)
            except ssl.SSLWantReadError:
                return opened
            if not piece:
                raise EOFError
            opened += piece

    def _give(self, whole: bytes) -> None:
        if self._tls:
            self._tls.write(whole)
            whole = self._going.read()
        self._plain.sendall(whole)


def _hello(encryption: int, *, federated: bool) -> bytes:
    options = [(_VERSION, bytes([12, 0, 0, 0, 0, 0])), (_ENCRYPTION, bytes([encryption]))]
    if federated:
        options.append((_FEDERATED, b"\x01"))
    place = len(options) * 5 + 1
    index, values = b"", b""
    for kind, value in options:
        index += struct.pack(">BHH", kind, place + len(values), len(value))
        values += value
    return index + bytes([_END_OF_OPTIONS]) + values


def _answer(kind: int, asked: bytes) -> bytes:
    if kind == _TRANSACTION:
        # Behind the headers stands what is wanted: to begin, to commit, or to roll back.
        wish = struct.unpack_from("<H", asked, struct.unpack_from("<I", asked)[0])[0]
        begun, ended = (b"\x08" + bytes(range(8)), b"\0") if wish == _BEGIN else (b"\0", b"\x08" + bytes(range(8)))
        change = bytes([_CHANGES[wish]]) + begun + ended
        return bytes([_CHANGED]) + struct.pack("<H", len(change)) + change + _done()
    if kind == _BATCH:
        columns = bytes([_COLUMNS]) + struct.pack("<HIHBB", 1, 0, 0, _INTEGER, 0)
        return columns + bytes([_ROW]) + struct.pack("<i", 0) + _done()
    return _done()


def _text(words: str, count: str) -> bytes:
    return struct.pack(count, len(words)) + words.encode("utf-16-le")


def _welcome() -> bytes:
    acknowledged = b"\x01" + bytes.fromhex("74000004") + _text("Microsoft SQL Server", "<B") + bytes([12, 0, 0, 0])
    # Federated authentication, with nothing to say about it; no other feature.
    features = bytes([_FEATURES_ACK, 0x02]) + struct.pack("<I", 0) + b"\xff"
    return bytes([_LOGIN_ACK]) + struct.pack("<H", len(acknowledged)) + acknowledged + features


def _refusal() -> bytes:
    words = _text("Login failed for user '<token-identified principal>'.", "<H")
    said = struct.pack("<IBB", _LOGIN_FAILED, 1, 14) + words + _text("", "<B") + _text("", "<B") + struct.pack("<I", 1)
    return bytes([_ERROR]) + struct.pack("<H", len(said)) + said


def _done(*, error: bool = False) -> bytes:
    return bytes([_DONE]) + struct.pack("<HHQ", 0x0002 if error else 0, 0, 0)
