"""The messages of PostgreSQL's protocol 3 as bytes. Pure.

A message is one byte that says its kind, four for its length (which counts themselves), and its content; only the first
message of a client has no kind. Source: the chapter "Frontend/Backend Protocol" of PostgreSQL's documentation.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final

from mypy_extensions import i64

from gateway.errors import GatewayError, ProtocolViolated

#: Of a message: its kind and its length, which the length itself does not count all of.
HEADER: Final = 5
_ZERO: Final = 0x30
_SPACE: Final = 0x20
_header_at = struct.Struct("!BI").unpack_from

PROTOCOL_3_0 = 196608
#: 3.2 is PostgreSQL 18's; there is no 3.1. All that it changes is how long the secret of a cancel request may be.
NEWEST_MINOR: Final = 2
LONGEST_SECRET: Final = 256
SSL_REQUEST = 80877103
GSS_ENCRYPTION_REQUEST = 80877104
CANCEL_REQUEST = 80877102

# The kinds are written as numbers, each beside its letter: only so are they constants when this is compiled.

#: What a client sends.
QUERY: Final = 0x51  # Q
PARSE: Final = 0x50  # P
BIND: Final = 0x42  # B
EXECUTE: Final = 0x45  # E
DESCRIBE: Final = 0x44  # D
CLOSE: Final = 0x43  # C
SYNC: Final = 0x53  # S
FLUSH: Final = 0x48  # H
TERMINATE: Final = 0x58  # X
FUNCTION_CALL: Final = 0x46  # F
COPY_DATA: Final = 0x64  # d
COPY_DONE: Final = 0x63  # c
COPY_FAIL: Final = 0x66  # f
PASSWORD: Final = 0x70  # p
#: What a server sends.
AUTHENTICATION: Final = 0x52  # R
BACKEND_KEY: Final = 0x4B  # K
READY: Final = 0x5A  # Z
ERROR: Final = 0x45  # E
NOTICE: Final = 0x4E  # N
NOTIFICATION: Final = 0x41  # A
PARAMETER_STATUS: Final = 0x53  # S
PARSE_DONE: Final = 0x31  # 1
BIND_DONE: Final = 0x32  # 2
CLOSE_DONE: Final = 0x33  # 3
DATA_ROW: Final = 0x44  # D
COMMAND_COMPLETE: Final = 0x43  # C
EMPTY_QUERY: Final = 0x49  # I
PORTAL_SUSPENDED: Final = 0x73  # s
COPY_IN: Final = 0x47  # G
COPY_OUT: Final = 0x48  # H
COPY_BOTH: Final = 0x57  # W
NEGOTIATE_VERSION: Final = 0x76  # v

AUTHENTICATION_OK, ASK_CLEARTEXT, ASK_MD5, ASK_SASL, SASL_CONTINUE, SASL_FINAL = 0, 3, 5, 10, 11, 12

#: The server's own bound for the first message, and ours for a password.
LONGEST_STARTUP = 10_000


def message(kind: int, content: bytes = b"") -> bytes:
    """One whole message."""
    return struct.pack("!BI", kind, len(content) + 4) + content


def text(value: str) -> bytes:
    """A string as the protocol carries it."""
    return value.encode() + b"\x00"


def startup(parameters: Mapping[str, str]) -> bytes:
    """The first message to a server."""
    pairs = b"".join(text(name) + text(value) for name, value in parameters.items())
    content = struct.pack("!I", PROTOCOL_3_0) + pairs + b"\x00"
    return struct.pack("!I", len(content) + 4) + content


def cancel_request(pid: int, secret: int) -> bytes:
    """What cancels the running query of a session of protocol 3.0, sent on a connection of its own."""
    return struct.pack("!IIII", 16, CANCEL_REQUEST, pid, secret)


def startup_parameters(content: bytes) -> dict[str, str]:
    """What a client says of itself, from the bytes behind the version. Raises `ProtocolViolated`."""
    pieces = content.split(b"\x00")
    if len(pieces) < 2 or pieces[-1] or pieces[-2] or len(pieces) % 2:
        raise ProtocolViolated("The startup message ends in the middle of a parameter.")
    try:
        words = [piece.decode() for piece in pieces[:-2]]
    except UnicodeDecodeError:
        raise ProtocolViolated("The startup message is not UTF-8.") from None
    return dict(zip(words[::2], words[1::2], strict=True))


def fields_of(content: bytes | memoryview) -> dict[str, str]:
    """The fields of an ErrorResponse or a NoticeResponse by their letters: `C` SQLSTATE, `M` message, `S` severity."""
    found = {}
    for piece in bytes(content).split(b"\x00"):
        if piece:
            found[chr(piece[0])] = piece[1:].decode(errors="replace")
    return found


def sqlstate_of(content: bytes) -> str:
    """The five characters of an ErrorResponse's code; empty when it has none."""
    # The fields before it are the two severities, which hold no NUL and begin with other letters.
    at = content.find(b"\x00C")
    return content[at + 2 : at + 7].decode(errors="replace") if at >= 0 else ""


def error_response(error: GatewayError, *, severity: str = "ERROR", said: str = "", hint: str | None = None) -> bytes:
    """An error of ours as the client's driver will raise it."""
    fields = {"S": severity, "V": severity, "C": error.sqlstate, "M": said or str(error)}
    hint = error.hint if hint is None else hint
    if hint:
        fields["H"] = hint
    if error.position:
        fields["P"] = str(error.position)
    content = b"".join(letter.encode() + text(value.replace("\x00", "")) for letter, value in fields.items())
    return message(ERROR, content + b"\x00")


def parameter_status(name: str, value: str) -> bytes:
    """One setting that the server reports."""
    return message(PARAMETER_STATUS, text(name) + text(value))


def parameter_of(content: bytes) -> tuple[str, str]:
    """The name and the value of a ParameterStatus."""
    name, value, *_ = content.decode("utf-8", "replace").split("\x00")
    return name, value


def ready(status: bytes = b"I") -> bytes:
    """The server waits for the next query; the status of its transaction is `I`, `T` or `E`."""
    return message(READY, status)


def secret_bytes(minor: int) -> int:
    """How long the secret is that cancels, in this minor version of the protocol."""
    return 32 if minor >= NEWEST_MINOR else 4


def backend_key(pid: int, secret: bytes) -> bytes:
    """What the client shows to cancel."""
    return message(BACKEND_KEY, struct.pack("!I", pid) + secret)


def negotiate_version(minor: int, unknown: list[str]) -> bytes:
    """We speak 3 with this minor version, and know none of these options."""
    names = b"".join(text(name) for name in unknown)
    return message(NEGOTIATE_VERSION, struct.pack("!II", PROTOCOL_3_0 + minor, len(unknown)) + names)


def query(sql: bytes) -> bytes:
    """A query of the simple protocol."""
    return message(QUERY, sql + b"\x00")


def rows_of(tag: bytes) -> int:
    """The number of rows in the tag of a CommandComplete, `INSERT 0 3` → 3; 0 where there is none."""
    at: i64 = len(tag)
    rows: i64 = 0
    place: i64 = 1
    while at > 0:
        digit: i64 = tag[at - 1] - _ZERO
        if digit < 0 or digit > 9:
            return rows if tag[at - 1] == _SPACE else 0
        rows += digit * place
        place *= 10
        at -= 1
    return rows


def end_of(data: bytes, at: i64, stop: i64) -> i64:
    """Where the short string that begins there ends. Raises `ValueError` when it does not end before `stop`."""
    while at < stop:
        if data[at] == 0:
            return at
        at += 1
    raise ValueError("A string without an end.")


class Frames:
    """Takes a stream in pieces of any size and gives whole messages; keeps what is not whole yet.

    For what is not hot: the relay has a loop of its own. Raises `ProtocolViolated` for a message longer than `longest`.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = bytearray()

    def feed(self, data: bytes) -> None:
        """Some more of the stream."""
        self._rest += data

    def rest(self) -> bytes:
        """What is left of the stream, which is forgotten here."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Kind and content of each whole message."""
        while len(self._rest) >= HEADER:
            kind, length = _header_at(self._rest)
            if not 4 <= length <= self._longest:
                raise ProtocolViolated(f"A message of {length} bytes.")
            if len(self._rest) <= length:
                return
            content = bytes(self._rest[HEADER : length + 1])
            del self._rest[: length + 1]
            yield kind, content
