"""The one way into the record of statements: whole entries, in the order of their stream, each exactly once.

The gateway's shipper reads a journal and gives what it finds to `append`. Where a stream ends here is moved by the
database in the same transaction, so whoever ships after a crash asks `position` and goes on from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction

from audit.errors import StreamBroken
from audit.models import StatementEntry, Stream
from audit.statement_lines import Line
from audit.statement_rows import COLUMNS, Places, Rows

#: Months for which there is a table before they begin.
AHEAD = 2

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_COPY = f"COPY audit_statement_entry ({COLUMNS}) FROM STDIN"


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


def places(stream: UUID) -> Places:
    """What knows the sessions and statements of a stream, wherever in it one begins."""

    def stored(**where: Any) -> Mapping[str, Any]:
        """What was shipped before this shipper began. What it does not find is shown as nobody's."""
        text = StatementEntry.objects.filter(stream=stream, **where).values_list("content", flat=True).first()
        found: Mapping[str, Any] = orjson.loads(text) if text is not None else {}
        return found

    return Places(stored)


def rows(stream: UUID) -> Rows:
    """What makes the lines that `append` sends."""
    return Rows(str(stream), places(stream))


def append(stream: UUID, lines: Sequence[Line], rows: Rows) -> Position:
    """Add what is not here yet; where the stream ends then. Raises `StreamBroken` when the entries do not follow."""
    with transaction.atomic():
        end = _as_position(Stream.objects.select_for_update(no_key=True).get(pk=stream))
        fresh = [line for line in lines if line.seq > end.seq]
        if not fresh:
            return end
        _check_that_it_follows(stream, end, fresh[0])
        # Before COPY begins: to find a place may take a query.
        data = b"".join([rows.row(line) for line in fresh])
        with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(_COPY) as copy:
            copy.write(data)
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


def _next_month(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)
