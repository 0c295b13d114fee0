"""Walks along the chain and names what is wrong with it. Pure: links go in, faults come out.

A single changed byte breaks a hash, but a broken hash alone does not tell what somebody did. The walk therefore asks
of each link: is its content what was sealed, under which number was it sealed, and onto which entry?
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from audit.chain import GENESIS, digest
from audit.errors import NotRecordable

#: How far the walk looks for the place that a displaced entry, or one behind an insertion, comes from.
_REACH = 1000


class FaultKind(StrEnum):
    """What was done to the log."""

    CHANGED = "changed"
    REMOVED = "removed"
    INSERTED = "inserted"
    REORDERED = "reordered"
    REWRITTEN = "rewritten"
    """It fits its neighbours, but not what was verified before: the chain from here on was computed anew."""
    HIDDEN = "hidden"
    """The entry is intact, but searches do not find it where they should."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, with the number and the event of the entry where it shows."""

    kind: FaultKind
    seq: int
    event: str
    problem: str
    expected: str = ""
    found: str = ""
    where: str = ""
    """Empty for the log itself; else `stream <id>` or `checkpoints`, whose entries `seq` then counts."""

    def __str__(self) -> str:
        event = f" ({self.event})" if self.event else ""
        detail = f" Expected {self.expected}, found {self.found}." if self.expected or self.found else ""
        where = f" of {self.where}" if self.where else ""
        return f"Entry {self.seq}{where}{event} {self.kind}: {self.problem}{detail}"

    def to_json(self) -> dict[str, Any]:
        """The fault as plain values."""
        return {
            "kind": self.kind.value,
            "seq": self.seq,
            "event": self.event,
            "problem": self.problem,
            "expected": self.expected,
            "found": self.found,
            "where": self.where,
        }


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as it stands in the table: where it stands, what it says, and the hash beside it."""

    content: Mapping[str, Any]
    hash: str

    @property
    def seq(self) -> int:
        """The number under which the entry stands."""
        return int(self.content["seq"])

    @property
    def event(self) -> str:
        """What the entry tells of."""
        return str(self.content["event"])

    @property
    def prev_hash(self) -> str:
        """The hash of the entry that this one says it follows."""
        return str(self.content["prev_hash"])


class Walk:
    """The state of one walk: feed it links by ascending number with `step`, then the end of the chain with `finish`."""

    def __init__(self, *, seq: int = 0, last_hash: str = GENESIS, anchors: Mapping[int, str] | None = None) -> None:
        """Begins behind entry `seq`. `anchors` are hashes that entries are known to have had."""
        self.seq = seq
        self.hash = last_hash
        self.event = ""
        self._anchors = dict(anchors or {})
        self._recent: OrderedDict[str, int] = OrderedDict([(last_hash, seq)])
        self._suspects: set[int] = set()
        self._shift = 0
        self._displaced: dict[int, Fault] = {}

    def step(self, link: Link) -> Iterator[Fault]:
        """Go on to the next link and yield what is wrong with it, or what it shows to be wrong before it."""
        if link.seq <= self.seq:
            yield Fault(FaultKind.INSERTED, link.seq, link.event, "It stands where no entry can stand.")
            return
        gap = link.seq > self.seq + 1
        if gap:
            yield self._gone(self.seq + 1, link.seq - 1)
        sealed_as = self._sealed_as(link)
        if sealed_as is None:
            self._suspects.add(link.seq)
            yield _changed(link)
        elif sealed_as != link.seq:
            yield from self._out_of_place(link, sealed_as)
        elif link.prev_hash != self.hash and not gap:
            yield from self._does_not_follow(link)
        yield from self._against_anchor(link)
        self._go_to(link)

    def finish(self, *, seq: int, last_hash: str) -> Iterator[Fault]:
        """Compare where the walk ended with where the chain is known to end."""
        yield from (self._settled(number, fault) for number, fault in self._displaced.items())
        if self.seq < seq:
            yield self._gone(self.seq + 1, seq)
        elif self.hash != last_hash and self.seq not in self._suspects:
            yield self._sealed_again(last_hash, "the end of the chain")
        for number in sorted(number for number in self._anchors if number > max(self.seq, seq)):
            yield Fault(
                FaultKind.REMOVED,
                number,
                "",
                f"It was verified before, but the log ends at {self.seq}.",
                self._anchors[number],
                "nothing",
            )

    def _go_to(self, link: Link) -> None:
        self.seq, self.hash, self.event = link.seq, link.hash, link.event
        self._recent[link.hash] = link.seq
        if len(self._recent) > _REACH:
            self._recent.popitem(last=False)

    def _sealed_as(self, link: Link) -> int | None:
        """The number under which this very content was sealed, or None when its content is not what was sealed."""
        if _digest_now(link.content) == link.hash:
            return link.seq
        likely = [link.seq + self._shift, self._recent.get(link.prev_hash, link.seq) + 1]
        near = (link.seq + side * step for step in range(1, _REACH) for side in (-1, 1))
        for number in (*likely, *near):
            if number > 0 and _digest_now({**link.content, "seq": number}) == link.hash:
                return number
        return None

    def _out_of_place(self, link: Link, sealed_as: int) -> Iterator[Fault]:
        shift, self._shift = self._shift, sealed_as - link.seq
        if self._shift == shift:
            return  # It moved along with the one before it, which was reported.
        before = self._recent.get(link.prev_hash)
        strangers = range(sealed_as, link.seq)
        if before == sealed_as - 1 and strangers and not self._suspects.intersection(strangers):
            yield self._pushed_in(before + 1, link)
            return
        self._suspects.add(link.seq)
        self._displaced[sealed_as] = Fault(
            FaultKind.REORDERED,
            link.seq,
            link.event,
            "It does not stand where it was sealed.",
            f"number {sealed_as}",
            f"number {link.seq}",
        )

    def _settled(self, sealed_as: int, fault: Fault) -> Fault:
        """Displaced entries changed places among each other, unless the one that belongs here turned up nowhere."""
        if sealed_as > fault.seq and fault.seq not in self._displaced:
            last = sealed_as - 1
            numbers = f"{fault.seq}" if last == fault.seq else f"{fault.seq} to {last}"
            problem = f"What was sealed as {numbers} is gone, and the entries behind it were numbered anew."
            return Fault(
                FaultKind.REMOVED, fault.seq, fault.event, problem, f"number {fault.seq}", f"number {sealed_as}"
            )
        return fault

    def _does_not_follow(self, link: Link) -> Iterator[Fault]:
        """The link is intact, so what it was sealed onto tells what happened to the entries before it."""
        self._shift = 0
        onto = self._recent.get(link.prev_hash)
        if onto is not None and not self._suspects.intersection(range(onto + 1, link.seq)):
            yield self._pushed_in(onto + 1, link)
        elif onto is None and self.seq not in self._suspects:
            yield self._sealed_again(link.prev_hash, f"entry {link.seq}")

    def _pushed_in(self, first: int, link: Link) -> Fault:
        last = link.seq - 1
        numbers = "It was" if first == last else f"The entries {first} to {last} were"
        event = self.event if first == last else ""
        problem = f"{numbers} pushed in before the entry that now is {link.seq} ({link.event})."
        return Fault(FaultKind.INSERTED, first, event, problem, link.prev_hash, self.hash)

    def _sealed_again(self, expected: str, witness: str) -> Fault:
        kind = FaultKind.CHANGED
        problem = f"It was replaced and its hash computed anew: {witness} was sealed onto another one."
        return Fault(kind, self.seq, self.event, problem, expected, self.hash)

    def _gone(self, first: int, last: int) -> Fault:
        numbers = "The entry is" if first == last else f"The entries {first} to {last} are"
        return Fault(FaultKind.REMOVED, first, "", f"{numbers} gone.", f"number {first}", "nothing")

    def _against_anchor(self, link: Link) -> Iterator[Fault]:
        expected = self._anchors.pop(link.seq, link.hash)
        if expected != link.hash:
            problem = "When it was verified before, it had another hash."
            yield Fault(FaultKind.REWRITTEN, link.seq, link.event, problem, expected, link.hash)


def _changed(link: Link) -> Fault:
    problem = "Its content is not what was sealed."
    return Fault(FaultKind.CHANGED, link.seq, link.event, problem, link.hash, _digest_now(link.content))


def _digest_now(content: Mapping[str, Any]) -> str:
    """The hash of the content as it stands. What cannot be hashed was never sealed by us."""
    try:
        return digest(content)
    except NotRecordable as error:
        return f"a content without a hash ({error.detail})"
