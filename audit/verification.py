"""Checks the whole log against its chain, and keeps what was found for the console's badge and for the next check."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice

from django.db import DataError
from django.db.models import QuerySet, Subquery

from audit.chain import GENESIS
from audit.checkpoint_verification import checkpoint_faults
from audit.models import Entry, Head, Mention, Verification
from audit.statement_verification import Tally, stream_faults
from audit.walk import Fault, FaultKind, Link, Walk

_BATCH = 2000

#: After this many the picture is clear, and a report of ten million lines helps nobody.
MOST_FAULTS = 100

#: What reading raises for a time at infinity, a number of thousands of digits, lists in lists without end.
_UNREADABLE = (DataError, ValueError, RecursionError)

#: How many earlier checks a new one is held against.
_ANCHORS = 1000


@dataclass(frozen=True, slots=True)
class Report:
    """What one check found."""

    from_seq: int
    upto_seq: int
    head_hash: str
    checked: int
    faults: tuple[Fault, ...]
    statements: Tally = field(default_factory=Tally)

    @property
    def ok(self) -> bool:
        """Nothing is wrong with what was checked."""
        return not self.faults


def verify(
    *, now: datetime, from_seq: int = 1, anchors: Mapping[int, str] | None = None, whole: bool = False
) -> Report:
    """Check the log from an entry on to its end, the streams of statements and the checkpoints; keep and return the result.

    Streams and checkpoints are checked from where the last check found nothing wrong, or, if `whole`, all of them.

    `anchors` are hashes that somebody noted elsewhere, by number; those of earlier checks are always among them. The
    entry before `from_seq` is trusted as it stands. Entries that are recorded meanwhile are left for the next check.
    """
    check = _Check(from_seq, {**_earlier(from_seq), **(anchors or {})})
    tally = Tally()
    found = chain(check.faults(), stream_faults(tally, whole=whole), checkpoint_faults(whole=whole))
    faults = tuple(islice(found, MOST_FAULTS))
    report = Report(from_seq, check.walk.seq, check.walk.hash, check.checked, faults, tally)
    Verification.objects.create(
        at=now,
        from_seq=report.from_seq,
        upto_seq=report.upto_seq,
        head_hash=report.head_hash,
        checked=report.checked,
        ok=report.ok,
        faults=[fault.to_json() for fault in report.faults],
    )
    return report


def last_verification() -> Verification | None:
    """The latest check, for the badge; None before the first."""
    return Verification.objects.order_by("-id").first()


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """An entry with a value that no program of ours ever wrote, such as a time at infinity."""

    seq: int
    event: str
    prev_hash: str
    hash: str


class _Check:
    """One pass over the table, in batches by number, so that neither memory nor a transaction grows with the log."""

    def __init__(self, from_seq: int, anchors: Mapping[int, str]) -> None:
        before = (
            GENESIS if from_seq == 1 else Entry.objects.filter(seq=from_seq - 1).values_list("hash", flat=True).first()
        )
        self.checked = 0
        self._first = from_seq
        self._start_is_gone = before is None
        self.walk = Walk(seq=from_seq - 1, last_hash=before or GENESIS, anchors=anchors)

    def faults(self) -> Iterator[Fault]:
        """Everything that is wrong, in the order of the log."""
        if self._start_is_gone:
            yield Fault(FaultKind.REMOVED, self._first - 1, "", "The entry to begin behind is not there.")
            return
        last = Entry.objects.order_by("-seq").values("seq")[:1]
        # One statement, hence one snapshot: an entry recorded right now is in both numbers or in neither.
        end = Head.objects.annotate(last=Subquery(last)).values_list("seq", "hash", "last").first()
        if end is None:
            yield Fault(FaultKind.REMOVED, 0, "", "The end of the chain is gone (the row of audit_head).")
            yield from self._entries(Entry.objects.all())
            return
        upto, head_hash, last_seq = end
        yield from self._entries(Entry.objects.filter(seq__lte=upto))
        yield from self.walk.finish(seq=upto, last_hash=head_hash)
        if last_seq is not None and last_seq > upto:
            yield from _beyond(upto, last_seq)

    def _entries(self, entries: QuerySet[Entry]) -> Iterator[Fault]:
        # From the very beginning also what stands before number one, where nothing can stand.
        rest = entries if self._first == 1 else entries.filter(seq__gte=self._first)
        while batch := _read(rest.order_by("seq")[:_BATCH]):
            intact = []
            for row in batch:
                faults = list(self._step(row))
                yield from faults
                if not faults and isinstance(row, Entry):
                    intact.append(row)
            yield from _hidden(intact)
            rest = entries.filter(seq__gt=batch[-1].seq)

    def _step(self, row: Entry | _Unreadable) -> Iterator[Fault]:
        self.checked += 1
        if isinstance(row, Entry):
            yield from self.walk.step(Link(row.content(), row.hash))
        else:
            yield from self.walk.step(Link({"seq": row.seq, "event": row.event, "prev_hash": row.prev_hash}, row.hash))


def _read(entries: QuerySet[Entry]) -> Sequence[Entry | _Unreadable]:
    try:
        return list(entries)
    except _UNREADABLE:
        plain = entries.values_list("seq", "event", "prev_hash", "hash")
        return [_read_one(_Unreadable(*row)) for row in plain]


def _read_one(row: _Unreadable) -> Entry | _Unreadable:
    try:
        return Entry.objects.get(seq=row.seq)
    except _UNREADABLE:
        return row


def _hidden(entries: Sequence[Entry]) -> Iterator[Fault]:
    """Entries that searches by what they are about would miss, or find where they do not belong."""
    if not entries:
        return
    found = defaultdict(set)
    mentions = Mention.objects.filter(entry__gte=entries[0].seq, entry__lte=entries[-1].seq)
    for kind, ident, seq in mentions.values_list("kind", "ident", "entry_id"):
        found[seq].add((kind, ident))
    for entry in entries:
        expected = _mentions(entry)
        if expected != found[entry.seq]:
            yield Fault(
                FaultKind.HIDDEN,
                entry.seq,
                entry.event,
                "Searches do not find it where they should.",
                _named(expected),
                _named(found[entry.seq]),
            )


def _mentions(entry: Entry) -> set[tuple[str, str]]:
    others = entry.related if isinstance(entry.related, list) else []
    return {
        (entry.actor_kind, entry.actor_id),
        (entry.subject_kind, entry.subject_id),
        *((other["kind"], other["id"]) for other in others),
    }


def _named(mentions: set[tuple[str, str]]) -> str:
    return ", ".join(f"{kind} {ident}" for kind, ident in sorted(mentions)) or "nothing"


def _beyond(upto: int, last: int) -> Iterator[Fault]:
    for seq, event in Entry.objects.filter(seq__gt=upto, seq__lte=last).order_by("seq").values_list("seq", "event"):
        yield Fault(FaultKind.INSERTED, seq, event, f"It stands behind the end of the chain, which is {upto}.")


def _earlier(from_seq: int) -> dict[int, str]:
    """What earlier checks that found nothing wrong say about the hashes of entries."""
    rows = Verification.objects.filter(ok=True, upto_seq__gte=from_seq).order_by("-id")
    return dict(reversed(rows.values_list("upto_seq", "head_hash")[:_ANCHORS]))
