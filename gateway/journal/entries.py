"""Entries of a stream as they stand in the journal, each one line, and each with the hash of the one before.

An entry is made in two steps. When it is said, everything is known but its number and the hash before it; when it is
chained, those two are put in. Most entries are the intent and the outcome of a statement, thousands a second: their JSON is
put together from pieces, of which all but a few numbers are the same for every run of one text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import orjson

from access.gateway_rules import Keep
from audit.chain import GENESIS
from gateway.recording import Verdict

#: How many texts one session remembers with the JSON of their intents.
_MOST_KNOWN: Final = 100
#: Looked up once: an attribute of a module or of an enumeration is a search each time.
_sha256: Final = hashlib.sha256
_DONE: Final = Verdict.DONE


class Session:
    """A session that has begun in this stream."""

    __slots__ = ("is_void", "keep", "known", "number", "outcome")

    def __init__(self, number: int, keep: Keep) -> None:
        self.number = number
        self.keep = keep
        self.is_void = False
        self.outcome = b',"kind":"outcome","session":%d,"statement":' % number
        """How the content of each of its outcomes begins."""
        self.known: dict[str, bytes] = {}
        """Content of intents, by the SHA-256 of their texts."""

    def remember(self, sha256: str, content: bytes) -> None:
        """What every intent of this text says."""
        if len(self.known) >= _MOST_KNOWN:
            self.known.clear()
        self.known[sha256] = content


class Statement:
    """A statement that is about to run, or runs."""

    __slots__ = ("is_void", "seq", "session", "started")

    def __init__(self, session: Session, started: int) -> None:
        self.session = session
        self.started = started
        self.seq = 0
        """Number of its intent, as soon as that is chained."""
        self.is_void = False


class Said:
    """An entry that is not chained yet."""

    __slots__ = ("at", "begins", "content", "ends", "rest")

    def __init__(
        self,
        at: int,
        content: bytes,
        *,
        rest: bytes = b"",
        begins: Session | Statement | None = None,
        ends: Session | Statement | None = None,
    ) -> None:
        self.at = at
        self.content = content
        """Its members from `kind` on. Of an outcome: up to the number of the intent."""
        self.rest = rest
        """Of an outcome: what comes behind that number, which need not be known before both are chained."""
        self.begins = begins
        self.ends = ends


class Chain:
    """Where a stream ends, and what comes next."""

    def __init__(self, stream: str) -> None:
        self.seq = 0
        self.hash = GENESIS
        self._head = b'{"v":1,"stream":"%b","seq":' % stream.encode()

    def chained(self, said: Sequence[Said]) -> tuple[list[bytes], list[str]]:
        """The lines of these entries, and their hashes; the chain itself does not move before `go_on`."""
        head, seq, prev = self._head, self.seq, self.hash.encode()
        lines, hashes = [], []
        for one in said:
            seq += 1
            content = one.content
            if one.rest:
                ends = one.ends
                content = b"%b%d%b" % (content, ends.seq if type(ends) is Statement else 0, one.rest)
            elif type(one.begins) is Statement:
                one.begins.seq = seq
            body = b'%b%d,"at":%d%b,"prev":"%b"}' % (head, seq, one.at, content, prev)
            sealed = _sha256(body).hexdigest()
            prev = sealed.encode()
            lines.append(b"%b %b\n" % (prev, body))
            hashes.append(sealed)
        return lines, hashes

    def go_on(self, hashes: Sequence[str]) -> None:
        """The entries with these hashes are in the journal."""
        if hashes:
            self.seq += len(hashes)
            self.hash = hashes[-1]


def content_of(kind: str, session: int, members: dict[str, Any]) -> bytes:
    """The content of any entry, in the order in which its members are documented; 0 for an entry of no session."""
    first: dict[str, Any] = {"kind": kind, "session": session} if session else {"kind": kind}
    return b"," + _json({**first, **members})[1:-1]


def outcome_rest(verdict: Verdict, *, code: str, rows: int, size: int, took: int) -> bytes:
    """What an outcome says behind the number of its intent; `took` in microseconds."""
    if verdict is _DONE and not code:
        return b',"verdict":"done","code":"","rows":%d,"bytes":%d,"took":%d' % (rows, size, took)
    members = {"verdict": verdict.value, "code": code, "rows": rows, "bytes": size, "took": took}
    return b"," + _json(members)[1:-1]


def _json(members: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(members)
    except orjson.JSONEncodeError:
        # Half a surrogate pair, from a client that did not send what it said it would.
        return orjson.dumps({name: _whole(value) for name, value in members.items()})


def _whole(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
