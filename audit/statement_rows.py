"""Entries of a statement stream as lines of COPY, with the columns by which they are found. Pure: no framework, clock or I/O.

Thousands of entries a second go through here, all but a few of them the intent and the outcome of a statement: what a session
says of itself is put into its columns once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from audit.statement_lines import Line, Place, place_of

#: Looks for an entry that was shipped before, by its `kind` and `session` or by its `seq`; empty when there is none.
Stored = Callable[..., Mapping[str, Any]]

COLUMNS: Final = (
    "stream, seq, at, kind, session, statement, person, grant_reference, role, server, fingerprint, verdict, hash,"
    " content"
)

_MICROSECONDS: Final = 1_000_000


class Places:
    """Under what the entries of one stream are found: it knows which sessions and statements are open."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._opened: dict[int, Mapping[str, Any]] = {}
        self._intents: dict[int, Mapping[str, Any]] = {}

    def place(self, line: Line) -> Place:
        """Give it every entry of the stream, in order."""
        content = line.content
        session = int(content.get("session", 0))
        statement = int(content.get("statement", 0))
        self._learn(line, session)
        opened = self.opened(session) if session else None
        place = place_of(content, opened, self.intent(statement) if statement else None)
        self._forget(line, session, statement)
        return place

    def _learn(self, line: Line, session: int) -> None:
        if line.kind == "intent":
            self._intents[line.seq] = line.content
        elif line.kind == "opened":
            self._opened[session] = line.content

    def _forget(self, line: Line, session: int, statement: int) -> None:
        if line.kind == "outcome":
            self._intents.pop(statement, None)
        elif line.kind == "closed":
            self._opened.pop(session, None)

    def opened(self, number: int) -> Mapping[str, Any]:
        """The entry that began a session."""
        if number not in self._opened:
            self._opened[number] = self._stored(kind="opened", session=number)
        return self._opened[number]

    def intent(self, number: int) -> Mapping[str, Any]:
        """The entry that a statement began with."""
        if number not in self._intents:
            self._intents[number] = self._stored(seq=number)
        return self._intents[number]


class Rows:
    """The lines of COPY of one stream, their columns in the order of `COLUMNS`."""

    def __init__(self, stream: str, places: Places) -> None:
        self._stream = stream
        self._places = places
        self._who: dict[int, str] = {}
        """Of each open session: the columns from `person` to `server`."""
        self._second = -1
        self._second_text = ""

    def row(self, line: Line) -> bytes:
        """Give it every entry of the stream, in order."""
        place = self._places.place(line)
        who = self._who.get(place.session)
        if who is None or line.kind == "opened":
            who = "\t".join(map(_escaped, (place.person, place.grant_reference, place.role, place.server)))
            self._who[place.session] = who
        if line.kind == "closed":
            self._who.pop(place.session, None)
        columns = (
            f"{self._stream}\t{line.seq}\t{self._moment(line.content['at'])}\t{line.kind}\t{place.session}\t{place.statement}"
            f"\t{who}\t{_escaped(place.fingerprint)}\t{_escaped(place.verdict)}\t{line.hash}\t"
        )
        return columns.encode() + line.text.encode().replace(b"\\", b"\\\\") + b"\n"

    def _moment(self, at: int) -> str:
        """As PostgreSQL reads a `timestamptz`; `at` in microseconds since 1970."""
        second, rest = divmod(at, _MICROSECONDS)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
        return f"{self._second_text}.{rest:06}+00"


def _escaped(text: str) -> str:
    """As COPY reads it. The names come from the catalogue, where people chose them."""
    if text.isalnum():
        return text
    text = text.replace("\x00", "\ufffd").replace("\\", "\\\\")
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
