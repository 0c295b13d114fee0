"""The one way into the record of statements: whole entries, in the order of their stream, each exactly once.

The gateway's shipper reads a journal and gives what it finds to `append`. Where a stream ends here is moved by the
database in the same transaction, so whoever ships after a crash asks `position` and goes on from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction

from audit.errors import StreamBroken
from audit.models import StatementEntry, Stream
from audit.statement_lines import Line, Place, place_of

#: Months for which there is a table before they begin.
AHEAD = 2

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_COPY = """
    COPY audit_statement_entry (
        stream, seq, at, kind, session, statement, person, grant_reference, role, server, fingerprint, verdict, hash, content
    ) FROM STDIN
"""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a stream ends here."""

    seq: int
    hash: str
    at: datetime | None
    has_ended: bool


def introduce(stream: UUID, *, host: str, sealed_key: str) -> Position:
    """Know a stream, if it is not known yet; where it ends here."""
    Stream.objects.bulk_create([Stream(id=stream, host=host[:255], sealed_key=sealed_key)], ignore_conflicts=True)
    return position(stream)


def position(stream: UUID) -> Position:
    """Where a stream that is known ends here."""
    return _as_position(Stream.objects.get(pk=stream))


class Places:
    """Under what the entries of one stream are found: it knows which sessions and statements are open."""

    def __init__(self, stream: UUID) -> None:
        self._stream = stream
        self._opened: dict[int, Mapping[str, Any]] = {}
        self._intents: dict[int, Mapping[str, Any]] = {}

    def place(self, line: Line) -> Place:
        """Give it every entry of the stream, in order."""
        content, kind = line.content, line.kind
        session, statement = int(content.get("session", 0)), int(content.get("statement", 0))
        if kind == "opened":
            self._opened[session] = content
        elif kind == "intent":
            self._intents[line.seq] = content
        opened = self._session(session) if session else None
        place = place_of(content, opened, self._intent(statement) if statement else None)
        if kind == "outcome":
            self._intents.pop(statement, None)
        elif kind == "closed":
            self._opened.pop(session, None)
        return place

    def _session(self, number: int) -> Mapping[str, Any]:
        if number not in self._opened:
            self._opened[number] = self._stored(kind="opened", session=number)
        return self._opened[number]

    def _intent(self, number: int) -> Mapping[str, Any]:
        if number not in self._intents:
            self._intents[number] = self._stored(seq=number)
        return self._intents[number]

    def _stored(self, **where: Any) -> Mapping[str, Any]:
        """What was shipped before this shipper began. What it does not find is shown as nobody's."""
        text = StatementEntry.objects.filter(stream=self._stream, **where).values_list("content", flat=True).first()
        found: Mapping[str, Any] = orjson.loads(text) if text is not None else {}
        return found


def append(stream: UUID, lines: Sequence[Line], places: Places) -> Position:
    """Add what is not here yet; where the stream ends then. Raises `StreamBroken` when the entries do not follow."""
    with transaction.atomic():
        end = _as_position(Stream.objects.select_for_update(no_key=True).get(pk=stream))
        fresh = [line for line in lines if line.seq > end.seq]
        if not fresh:
            return end
        _check_that_it_follows(stream, end, fresh[0])
        # Before COPY begins: to find a place may take a query.
        rows = b"".join([_row(stream, line, places) for line in fresh])
        with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(_COPY) as copy:
            copy.write(rows)
        return position(stream)


def make_partitions(now: datetime) -> None:
    """The tables of this month and the next ones. Costs next to nothing when they are there."""
    month = now.astimezone(UTC).date().replace(day=1)
    with connection.cursor() as cursor:
        for _ in range(AHEAD + 1):
            cursor.execute("SELECT audit_make_statement_partition(%s)", [month])
            month = _next_month(month)


def open_statements(stream: UUID) -> list[tuple[int, int]]:
    """Number and session of each intent of which no outcome is here, in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.seq, i.session FROM audit_statement_entry AS i WHERE i.stream = %s AND i.kind = 'intent'"
            " AND NOT EXISTS (SELECT FROM audit_statement_entry AS o WHERE o.stream = i.stream AND o.kind = 'outcome'"
            " AND o.statement = i.seq) ORDER BY i.seq",
            [stream],
        )
        return [(int(seq), int(session)) for seq, session in cursor.fetchall()]


def moment(microseconds: int) -> datetime:
    """The time that an entry holds."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _as_position(stream: Stream) -> Position:
    return Position(stream.seq, stream.hash, stream.at, stream.ended_at is not None)


def _check_that_it_follows(stream: UUID, end: Position, first: Line) -> None:
    # The database refuses it as well; here there is a sentence for whoever has to look into it.
    if end.has_ended:
        raise StreamBroken(f"{stream} has ended at {end.seq}, but the journal holds entry {first.seq}.")
    if first.seq != end.seq + 1 or first.prev != end.hash:
        raise StreamBroken(f"{stream} ends at {end.seq} in the database; the journal goes on with entry {first.seq}.")


def _row(stream: UUID, line: Line, places: Places) -> bytes:
    place = places.place(line)
    found = "\t".join(map(_escaped, place[:6]))
    columns = f"{line.kind}\t{place.session}\t{place.statement}\t{found}".encode()
    at = moment(int(line.content["at"])).isoformat()
    text = line.text.encode().replace(b"\\", b"\\\\")
    return b"%b\t%d\t%b\t%b\t%b\t%b\n" % (
        str(stream).encode(),
        line.seq,
        at.encode(),
        columns,
        line.hash.encode(),
        text,
    )


@lru_cache(maxsize=10_000)
def _escaped(text: str) -> str:
    """As COPY reads it. The names come from the catalogue, where people chose them."""
    text = text.replace("\x00", "\ufffd").replace("\\", "\\\\")
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _next_month(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)
