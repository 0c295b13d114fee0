"""What one entry of a statement stream is, as text, and how it is found again. Pure: no framework, clock or I/O.

An entry is one JSON object, kept for ever exactly as its bytes were written, and its hash is the SHA-256 of those bytes.
It holds the hash of the entry before it in the same stream as `prev`. A line of a journal is `<hash> <json>`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from audit.chain import GENESIS

__all__ = ["GENESIS", "VERSION", "BadLine", "Line", "Place", "parsed"]

#: Version of the form of an entry, in every entry as `v`.
VERSION: Final = 1


class BadLine(ValueError):
    """The line is not an entry whose hash fits."""


class Line:
    """One entry: its hash, its exact text, and what the text says."""

    # Thousands a second are made: no property, no dataclass that sets its members one by one.
    __slots__ = ("content", "hash", "kind", "prev", "seq", "text")

    def __init__(self, sealed: str, text: str, content: Mapping[str, Any]) -> None:
        self.hash = sealed
        self.text = text
        self.content = content
        self.seq: int = content["seq"]
        """Its number in the stream, from 1."""
        self.kind: str = content["kind"]
        """What it tells of: `began`, `opened`, `intent`, `refused`, `outcome`, `closed`, `trouble`, `ended`."""
        self.prev: str = content["prev"]
        """The hash of the entry before."""


def parsed(line: bytes) -> Line:
    """One line without its line break; raises `BadLine` when it is torn, changed, or of no version that is known."""
    sealed, _, body = line.partition(b" ")
    found = hashlib.sha256(body).hexdigest()
    if found.encode() != sealed:
        raise BadLine("Its hash does not fit.")
    return read(found, body.decode())


def read(sealed: str, text: str) -> Line:
    """An entry whose hash was looked at already, or is about to be; raises `BadLine` when the text is no entry."""
    try:
        content = orjson.loads(text)
        numbers = type(content["seq"]) is type(content["at"]) is int and content["at"] >= 0
        fits = content["v"] == VERSION and numbers
    except (ValueError, KeyError, TypeError) as error:
        raise BadLine("It is no entry.") from error
    if not (fits and type(content.get("kind")) is type(content.get("stream")) is type(content.get("prev")) is str):
        raise BadLine("It is no entry of a version that is known.")
    return Line(sealed, text, content)


class Place(NamedTuple):
    """Under what an entry is found: whose session it is of, and which statement it is about."""

    person: str = ""
    grant_reference: str = ""
    role: str = ""
    server: str = ""
    fingerprint: str = ""
    verdict: str = ""
    session: int = 0
    statement: int = 0
    """Number of the intent that an outcome belongs to."""
