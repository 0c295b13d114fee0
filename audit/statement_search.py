"""Finds statements: filters, and pages that stay quick however many there are.

Every list is a walk along an index that ends in time, newest first, from where the last page ended. A statement stands
where its intent does, or, when it is looked for by what became of it, where its outcome does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

import orjson
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from audit.chain import timestamp
from audit.errors import BadFilter
from audit.models import BEGINS, UNUSUAL, StatementEntry
from audit.search import moment_from
from audit.streams import moment

PAGE_SIZE = 50

VERDICTS = ("done", "failed", "refused", "limited", "skipped", "cut", "unsent", "unknown")

_LONGEST_NUMBER = 18

_RELATED = """
    SELECT e.stream, e.{column}, e.content
      FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (stream, number)
      JOIN audit_statement_entry AS e ON e.stream = wanted.stream AND e.{column} = wanted.number AND {kind}
"""


@dataclass(frozen=True, slots=True)
class StatementFilters:
    """What to look for; empty means everything. All that are given must fit."""

    person: str = ""
    """Id of the person whose statement it was."""
    grant: str = ""
    """Reference of the grant."""
    server: str = ""
    """Name of the server, as it was then."""
    fingerprint: str = ""
    verdict: str = ""
    """One of `VERDICTS`."""
    since: datetime | None = None
    """First moment, included."""
    until: datetime | None = None
    """Last moment, excluded."""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Read the filters from the parameters of an address; raises `BadFilter`."""
        verdict = query.get("verdict", "").strip()
        if verdict and verdict not in VERDICTS:
            raise BadFilter(f"There is no outcome {verdict[:40]!r}.")
        return cls(
            person=query.get("person", "").strip(),
            grant=query.get("grant", "").strip().upper(),
            server=query.get("server", "").strip(),
            fingerprint=query.get("fingerprint", "").strip().lower(),
            verdict=verdict,
            since=moment_from(query.get("from", ""), end=False),
            until=moment_from(query.get("to", ""), end=True),
        )

    def as_query(self) -> dict[str, str]:
        """The filters as parameters of an address; `from_query` reads them back the same."""
        query = {
            **{name: getattr(self, name) for name in ("person", "grant", "server", "fingerprint", "verdict")},
            "from": timestamp(self.since) if self.since else "",
            "to": timestamp(self.until) if self.until else "",
        }
        return {name: value for name, value in query.items() if value}

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: the time, the stream and the number of its last entry."""

    at: datetime
    stream: UUID
    seq: int

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """What `str` wrote; None for anything else."""
        at, _, rest = text.partition(".")
        stream, _, seq = rest.partition(".")
        if not all(number.isascii() and number.isdecimal() and len(number) <= _LONGEST_NUMBER for number in (at, seq)):
            return None
        try:
            return cls(moment(int(at)), UUID(stream), int(seq))
        except (ValueError, OverflowError):
            return None

    def __str__(self) -> str:
        return f"{(self.at - moment(0)) // timedelta(microseconds=1)}.{self.stream}.{self.seq}"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as the record tells of it: its first entry, the one of its session, and its outcome."""

    stream: UUID
    seq: int
    at: datetime
    begun: Mapping[str, Any]
    """Content of the entry that it begins with."""
    opened: Mapping[str, Any]
    outcome: Mapping[str, Any]
    """Empty while it runs."""

    @property
    def verdict(self) -> str:
        """What became of it; `running` when that is not known yet."""
        return "refused" if self.begun.get("kind") == "refused" else str(self.outcome.get("verdict", "running"))

    @property
    def took(self) -> timedelta | None:
        """From the intent to the outcome."""
        return timedelta(microseconds=self.outcome["took"]) if "took" in self.outcome else None

    @property
    def holds_text(self) -> bool:
        """Whether the whole text was kept, sealed."""
        return "sealed" in self.begun


@dataclass(frozen=True, slots=True)
class StatementPage:
    """One page, newest first."""

    statements: tuple[Statement, ...]
    older_than: Place | None
    """Give this to `statements` for the next one; None at the end."""


def page(filters: StatementFilters, *, older_than: Place | None = None, size: int = PAGE_SIZE) -> StatementPage:
    """The newest statements that fit, older than the place if one is given. Takes four queries."""
    rows = _fitting(filters)
    if older_than is not None:
        same_time = Q(at=older_than.at)
        behind = Q(stream__lt=older_than.stream) | Q(stream=older_than.stream, seq__lt=older_than.seq)
        rows = rows.filter(Q(at__lt=older_than.at) | (same_time & behind), at__lte=older_than.at)
    found = list(rows.order_by("-at", "-stream", "-seq")[: size + 1])
    shown = found[:size]
    last = shown[-1] if len(found) > size else None
    return StatementPage(tuple(_told(shown)), Place(last.at, last.stream, last.seq) if last else None)


def statement(stream: UUID, seq: int) -> Statement | None:
    """One statement by its first entry; None when there is none."""
    rows = list(StatementEntry.objects.filter(BEGINS, stream=stream, seq=seq))
    return next(iter(_told(rows)), None)


def _fitting(filters: StatementFilters) -> QuerySet[StatementEntry]:
    rows = StatementEntry.objects.filter(BEGINS)
    if filters.verdict == "done":
        # Most are: among them the walk along the time finds a page at once.
        done = StatementEntry.objects.filter(stream=OuterRef("stream"), statement=OuterRef("seq"), kind="outcome")
        rows = rows.filter(Exists(done.filter(verdict="done")))
    elif filters.verdict:
        rows = StatementEntry.objects.filter(UNUSUAL, verdict=filters.verdict)
    named = {"person": filters.person, "grant_reference": filters.grant, "server": filters.server}
    named["fingerprint"] = filters.fingerprint
    rows = rows.filter(**{name: value for name, value in named.items() if value})
    if filters.since:
        rows = rows.filter(at__gte=filters.since)
    if filters.until:
        rows = rows.filter(at__lt=filters.until)
    return rows


def _told(rows: Sequence[StatementEntry]) -> list[Statement]:
    """The statements that the rows begin or end, in their order."""
    ends = [row for row in rows if row.kind == "outcome"]
    intents = _related("seq", "e.kind = 'intent'", ((row.stream, row.statement) for row in ends))
    begins = [row for row in rows if row.kind == "intent"]
    outcomes = _related("statement", "e.kind = 'outcome'", ((row.stream, row.seq) for row in begins))
    opened = _related("session", "e.kind = 'opened'", ((row.stream, row.session) for row in rows))
    told = []
    for row in rows:
        content, number = orjson.loads(row.content), row.statement or row.seq
        begun = intents.get((row.stream, number), {}) if row.kind == "outcome" else content
        outcome = content if row.kind == "outcome" else outcomes.get((row.stream, number), {})
        at = moment(int(begun.get("at", content["at"])))
        told.append(Statement(row.stream, number, at, begun, opened.get((row.stream, row.session), {}), outcome))
    return told


def _related(column: str, kind: str, wanted: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], dict[str, Any]]:
    pairs = sorted(set(wanted))
    with connection.cursor() as cursor:
        query = _RELATED.format(column=column, kind=kind)
        cursor.execute(query, [[stream for stream, _ in pairs], [number for _, number in pairs]])
        return {(stream, number): orjson.loads(content) for stream, number, content in cursor.fetchall()}
