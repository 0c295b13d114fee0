"""A client made by hand, for what no driver would send."""

from __future__ import annotations

import socket
import struct
import time
from types import TracebackType

from tests.gateway.wire.gateways import TOKEN, Gateway, packed, startup

_HEADER = struct.Struct("!cI")


class Wire:
    """One session over a socket."""

    def __init__(self, gateway: Gateway, *, logs_in: bool = True, version: int = 196608, **parameters: str) -> None:
        self.socket = socket.create_connection((gateway.host, gateway.port), timeout=10)
        self._rest, self._at = bytearray(), 0
        """What has come, and how far it is read: cutting off each message would copy all the others every time."""
        self.key = (0, b"")
        """What cancels: the process on the server, and a secret."""
        if logs_in:
            self.send(startup(version=version, **parameters))
            self.until(b"R")
            self.send(packed(b"p", TOKEN.encode() + b"\0"))
            for kind, content in self.until(b"Z"):
                if kind == b"K":
                    self.key = (int.from_bytes(content[:4], "big"), content[4:])

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()

    def send(self, *messages: bytes) -> None:
        """All of it in one packet, as far as that is ours to say."""
        self.socket.sendall(b"".join(messages))

    def read(self) -> tuple[bytes, bytes] | None:
        """The next message; None at the end."""
        while True:
            if len(self._rest) - self._at >= 5:
                kind, length = _HEADER.unpack_from(self._rest, self._at)
                begin, end = self._at + 5, self._at + 1 + length
                if len(self._rest) >= end:
                    self._at = end
                    return kind, bytes(self._rest[begin:end])
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            del self._rest[: self._at]
            self._at = 0
            self._rest += more

    def until(self, kind: bytes, times: int = 1) -> list[tuple[bytes, bytes]]:
        """Every message up to the last of `times` of a kind; fails at the end of the stream."""
        found: list[tuple[bytes, bytes]] = []
        while times:
            read = self.read()
            assert read is not None, f"The stream has ended: {found}"
            found.append(read)
            times -= read[0] == kind
        return found

    def rest(self, seconds: float = 5.0) -> list[tuple[bytes, bytes]]:
        """Everything up to the end of the stream, which has to come in time."""
        self.socket.settimeout(seconds)
        found, deadline = [], time.monotonic() + seconds
        while (read := self.read()) is not None:
            found.append(read)
            assert time.monotonic() < deadline
        return found

    def cancel(self, gateway: Gateway) -> None:
        """Ask a gateway to stop what this session runs; comes back when it has closed."""
        cancel(gateway, *self.key)

    def query(self, sql: str) -> list[tuple[bytes, bytes]]:
        self.send(query(sql))
        return self.until(b"Z")


def cancel(gateway: Gateway, pid: int, secret: bytes) -> None:
    with Wire(gateway, logs_in=False) as post:
        post.send(struct.pack("!III", 12 + len(secret), 80877102, pid) + secret)
        assert post.rest() == []


def query(sql: str) -> bytes:
    return packed(b"Q", sql.encode() + b"\0")


def parse(name: str, sql: str) -> bytes:
    return packed(b"P", f"{name}\0{sql}\0".encode() + b"\0\0")


def bind(portal: str, statement: str) -> bytes:
    return packed(b"B", f"{portal}\0{statement}\0".encode() + b"\0\0\0\0\0\0")


def execute(portal: str = "", rows: int = 0) -> bytes:
    return packed(b"E", portal.encode() + b"\0" + struct.pack("!I", rows))


def close(kind: str, name: str) -> bytes:
    return packed(b"C", f"{kind}{name}\0".encode())


SYNC = packed(b"S")


def field(content: bytes, letter: str) -> str:
    """One field of an error."""
    pieces = {piece[:1]: piece[1:].decode() for piece in content.split(b"\0") if piece}
    return pieces.get(letter.encode(), "")


def values(messages: list[tuple[bytes, bytes]]) -> list[str]:
    """The first column of every row, as text."""
    found = []
    for kind, content in messages:
        if kind == b"D":
            (length,) = struct.unpack_from("!i", content, 2)
            found.append(content[6 : 6 + length].decode() if length >= 0 else "")
    return found


def errors(messages: list[tuple[bytes, bytes]]) -> list[str]:
    """The SQLSTATEs of the errors."""
    return [field(content, "C") for kind, content in messages if kind == b"E"]
