"""Checks the record of statements: each stream's chain, its end, and that searches find its entries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Subquery

from audit.chain import GENESIS
from audit.models import StatementEntry, Stream
from audit.statement_lines import BadLine, Line, read
from audit.streams import moment, places
from audit.walk import Fault, FaultKind

_BATCH = 2000

#: So many entries a check of what is new looks at; the rest is for the next one, which goes on from there.
MOST_NEW = 1_000_000

_COLUMNS = ("person", "grant_reference", "role", "server", "fingerprint", "verdict", "session", "statement")


@dataclass(slots=True)
class Tally:
    """How much was looked at."""

    streams: int = 0
    entries: int = 0


def stream_faults(tally: Tally, *, whole: bool) -> Iterator[Fault]:
    """Everything that is wrong with the streams. Unless `whole`, from where the last check of each found nothing wrong."""
    last = StatementEntry.objects.filter(stream=OuterRef("pk")).order_by("-seq").values("seq")[:1]
    # One statement a stream, hence one snapshot: an entry shipped right now is in both numbers or in neither.
    for pk in Stream.objects.order_by("seen_at", "id").values_list("pk", flat=True):
        stream = Stream.objects.annotate(last=Subquery(last)).get(pk=pk)
        left = stream.seq if whole else MOST_NEW - tally.entries
        if left > 0 and (whole or stream.seq != stream.verified_seq or stream.hash != stream.verified_hash):
            tally.streams += 1
            yield from _check(stream, stream.last or 0, tally, left=left, whole=whole)
    if whole:
        yield from _strays()


def _check(stream: Stream, last: int, tally: Tally, *, left: int, whole: bool) -> Iterator[Fault]:
    walk = _Walk(stream.pk, *((0, GENESIS) if whole else (stream.verified_seq, stream.verified_hash)))
    upto = min(stream.seq, walk.seq + left)
    clean = True
    for fault in chain(walk.faults(upto=upto), _end_faults(stream, walk, upto, last)):
        clean = False
        yield fault
    tally.entries += walk.checked
    if clean:
        Stream.objects.filter(pk=stream.pk).update(verified_seq=walk.seq, verified_hash=walk.hash)


def _end_faults(stream: Stream, walk: _Walk, upto: int, last: int) -> Iterator[Fault]:
    where = f"stream {stream.pk}"
    if walk.seq < upto:
        problem = f"The entries {walk.seq + 1} to {upto} are gone."
        yield Fault(FaultKind.REMOVED, walk.seq + 1, "", problem, where=where)
    elif upto == stream.seq and walk.hash != stream.hash:
        problem = "It is not the entry that the stream ends with."
        yield Fault(FaultKind.CHANGED, stream.seq, "", problem, stream.hash, walk.hash, where)
    if last > stream.seq:
        problem = f"It stands behind the end of the stream, which is {stream.seq}."
        yield Fault(FaultKind.INSERTED, last, "", problem, where=where)


def _strays() -> Iterator[Fault]:
    """Entries of streams that nothing is known of."""
    known = Stream.objects.values("pk")
    for stream in (
        StatementEntry.objects.exclude(stream__in=known).order_by().values_list("stream", flat=True).distinct()
    ):
        problem = "Nothing is known of the stream that it is of."
        yield Fault(FaultKind.INSERTED, 0, "", problem, where=f"stream {stream}")


class _Walk:
    """Along one stream, from the entry behind `seq`."""

    def __init__(self, stream: UUID, seq: int, last_hash: str) -> None:
        self._stream = stream
        self._where = f"stream {stream}"
        self._places = places(stream)
        self.seq, self.hash = seq, last_hash
        self.checked = 0

    def faults(self, *, upto: int) -> Iterator[Fault]:
        """In batches, so that neither memory nor a transaction grows with the stream."""
        if self.seq > 0:
            yield from self._start_faults()
        rows = StatementEntry.objects.filter(stream=self._stream, seq__lte=upto).order_by("seq", "at")
        while batch := list(rows.filter(seq__gt=self.seq)[:_BATCH]):
            for row in batch:
                self.checked += 1
                yield from self._step(row)

    def _start_faults(self) -> Iterator[Fault]:
        found = StatementEntry.objects.filter(stream=self._stream, seq=self.seq).values_list("hash", flat=True).first()
        if found != self.hash:
            problem = "When it was verified before, it had another hash."
            yield self._fault(FaultKind.REWRITTEN, self.seq, "", problem, self.hash, found or "nothing")

    def _step(self, row: StatementEntry) -> Iterator[Fault]:
        if row.seq != self.seq + 1:
            problem = f"The entries {self.seq + 1} to {row.seq - 1} are gone."
            if row.seq <= self.seq:
                problem = "It is there twice."
            kind = FaultKind.INSERTED if row.seq <= self.seq else FaultKind.REMOVED
            yield self._fault(kind, min(row.seq, self.seq + 1), row.kind, problem)
        follows = row.seq == self.seq + 1
        before, self.seq, self.hash = self.hash, row.seq, row.hash
        actual = hashlib.sha256(row.content.encode()).hexdigest()
        if actual != row.hash:
            yield self._fault(
                FaultKind.CHANGED, row.seq, row.kind, "Its content is not what was sealed.", row.hash, actual
            )
            return
        try:
            line = read(row.hash, row.content)
        except BadLine as error:
            yield self._fault(FaultKind.CHANGED, row.seq, row.kind, f"It was sealed anew. {error}")
            return
        if follows and line.prev != before:
            problem = "The entry before it was replaced, or it was itself: it was sealed onto another one."
            yield self._fault(FaultKind.CHANGED, row.seq, row.kind, problem, line.prev, before)
        yield from self._hidden(row, line)

    def _hidden(self, row: StatementEntry, line: Line) -> Iterator[Fault]:
        said = {
            "stream": line.content["stream"],
            "seq": line.seq,
            "at": moment(int(line.content["at"])),
            "kind": line.kind,
        }
        stands: dict[str, Any] = {"stream": str(row.stream), "seq": row.seq, "at": row.at, "kind": row.kind}
        place = self._places.place(line)
        for name in _COLUMNS:
            said[name], stands[name] = getattr(place, name), getattr(row, name)
        if said != stands:
            wrong = [name for name in said if said[name] != stands[name]]
            yield self._fault(
                FaultKind.HIDDEN,
                row.seq,
                row.kind,
                "Searches do not find it where they should.",
                _named(said, wrong),
                _named(stands, wrong),
            )

    def _fault(self, kind: FaultKind, seq: int, event: str, problem: str, expected: str = "", found: str = "") -> Fault:
        return Fault(kind, seq, event, problem, expected, found, self._where)


def _named(values: Mapping[str, Any], names: list[str]) -> str:
    return ", ".join(f"{name} {values[name]}" for name in names)
