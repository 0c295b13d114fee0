"""Entries of a statement stream as lines of COPY, with the columns by which they are found. Pure: no framework, clock or I/O.

Thousands of entries a second go through here, all but a few of them the intent and the outcome of a statement: what a session
says of itself is put into its columns once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from audit.statement_lines import Line, Place

#: Looks for an entry that was shipped before, by its `kind` and `session` or by its `seq`; empty when there is none.
Stored = Callable[..., Mapping[str, Any]]

COLUMNS: Final = (
    "stream, seq, at, kind, session, statement, person, grant_reference, role, server, fingerprint, verdict, hash,"
    " content"
)

_MICROSECONDS: Final = 1_000_000


class Who(NamedTuple):
    """Whose session it is."""

    person: str
    grant_reference: str
    role: str
    server: str


_NOBODY = Who("", "", "", "")


class Places:
    """Under what the entries of one stream are found: it knows which sessions and statements are open."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._who: dict[int, Who] = {}
        self._fingerprints: dict[int, str] = {}

    def place(self, line: Line) -> Place:
        """Give it every entry of the stream, in order."""
        content, kind = line.content, line.kind
        session = int(content.get("session", 0))
        if kind == "outcome":
            number = int(content.get("statement", 0))
            found = self._fingerprint(number)
            self._fingerprints.pop(number, None)
            return Place(*self.who(session), found, str(content.get("verdict", "")), session, number)
        fingerprint = str(content.get("fingerprint", ""))
        if kind == "intent":
            self._fingerprints[line.seq] = fingerprint
        elif kind == "opened":
            self._who[session] = _who(content)
        who = self.who(session)
        if kind == "closed":
            self._who.pop(session, None)
        return Place(*who, fingerprint, "refused" if kind == "refused" else "", session, 0)

    def who(self, session: int) -> Who:
        """Whose session this is; nobody's for 0, which none has."""
        if not session:
            return _NOBODY
        found = self._who.get(session)
        if found is None:
            found = self._who[session] = _who(self._stored(kind="opened", session=session))
        return found

    def _fingerprint(self, intent: int) -> str:
        found = self._fingerprints.get(intent)
        if found is None and intent:
            found = str(self._stored(seq=intent).get("fingerprint", ""))
        return found or ""


def _who(opened: Mapping[str, Any]) -> Who:
    return Who(
        person=str(opened.get("person", {}).get("id", "")),
        grant_reference=str(opened.get("grant", {}).get("reference", "")),
        role=str(opened.get("role", {}).get("slug", "")),
        server=str(opened.get("server", "")),
    )


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
