"""Finds entries: filters, and pages that stay quick however long the log is.

Every list is a walk along an index that ends in `seq`, newest first, from where the last page ended: no offsets and no
counts. A span of time becomes a span of `seq`, since time never runs backwards along the chain. Free text has no index:
it is looked for among a bounded number of candidates, and the page says how far it has looked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Self

from django.db.models import Min, Q, QuerySet

from audit.chain import timestamp
from audit.errors import BadFilter
from audit.events import Event
from audit.models import Entry

PAGE_SIZE = 50

#: How many entries one page looks through for a free text before it offers to look further.
_CANDIDATES = 20_000

_BATCH = 1000

#: References say of themselves what they name.
_LETTERS = {"R": "request", "G": "grant"}
_REFERENCE = re.compile(r"([RG])-[0-9A-Z]{8}", re.IGNORECASE | re.ASCII)

#: No entry ever has this number.
_BEYOND = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Filters:
    """What to look for; empty means everything. All that are given must fit."""

    person: str = ""
    """Id of a person: what they did, and what was done to them or has to do with them."""
    actor: tuple[str, str] | None = None
    """Kind and id of who did it, e.g. `("worker", "tick")`: only what they did."""
    subject: tuple[str, str] | None = None
    """Kind and id, e.g. `("request", "R-12")`: entries about it or related to it."""
    server: str = ""
    """Short name of a server."""
    events: tuple[str, ...] = ()
    """Values of `Event`, or a whole family as `grant.*`."""
    since: datetime | None = None
    """First moment, included."""
    until: datetime | None = None
    """Last moment, excluded."""
    text: str = ""
    """Part of the reason, of a label, of an address or of a request id; case does not matter."""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Read the filters from the parameters of an address; raises `BadFilter`. Unknown parameters are left alone."""
        return cls(
            person=query.get("person", "").strip(),
            actor=_named("actor", query.get("actor", "")),
            subject=_subject(query.get("subject", "")),
            server=query.get("server", "").strip(),
            events=_events(query.get("event", "")),
            since=moment_from(query.get("from", ""), end=False),
            until=moment_from(query.get("to", ""), end=True),
            text=query.get("text", "").strip(),
        )

    def as_query(self) -> dict[str, str]:
        """The filters as parameters of an address; `from_query` reads them back the same."""
        query = {
            "person": self.person,
            "actor": ":".join(self.actor) if self.actor else "",
            "subject": ":".join(self.subject) if self.subject else "",
            "server": self.server,
            "event": ",".join(self.events),
            "from": timestamp(self.since) if self.since else "",
            "to": timestamp(self.until) if self.until else "",
            "text": self.text,
        }
        return {name: value for name, value in query.items() if value}

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True)
class Page:
    """One page, newest first."""

    entries: tuple[Entry, ...]
    older_than: int | None
    """Give this to `page` for the next one; None at the end of the log."""
    searched_to: int | None = None
    """Set when a free text was looked for only as far as this entry, and there may be more behind it."""


def page(filters: Filters, *, older_than: int | None = None, size: int = PAGE_SIZE) -> Page:
    """The newest entries that fit, older than entry `older_than` if that is given."""
    candidates = _indexed(filters)
    if older_than is not None:
        candidates = candidates.filter(seq__lt=older_than)
    candidates = candidates.order_by("-seq")
    if not filters.text:
        return _page_of(candidates, size)
    floor = _floor(candidates)
    found = _page_of(candidates.filter(_says(filters.text), seq__gte=floor), size)
    if found.older_than is not None or candidates.filter(seq__lt=floor).first() is None:
        return found
    return Page(found.entries, floor, floor)


def matching(filters: Filters, *, upto: int) -> Iterator[Entry]:
    """Every entry that fits, oldest first, up to number `upto`; read in batches, so that any number is fine."""
    entries = _indexed(filters).filter(seq__lte=upto)
    if filters.text:
        entries = entries.filter(_says(filters.text))
    after = 0
    while batch := list(entries.filter(seq__gt=after).order_by("seq")[:_BATCH]):
        yield from batch
        after = batch[-1].seq


def _page_of(entries: QuerySet[Entry], size: int) -> Page:
    rows = list(entries.order_by("-seq")[: size + 1])
    return Page(tuple(rows[:size]), rows[size - 1].seq if len(rows) > size else None)


def _floor(candidates: QuerySet[Entry]) -> int:
    """How far back a text is looked for. A number of its own, since the planner would rather read the whole table."""
    lowest: int | None = candidates[:_CANDIDATES].aggregate(lowest=Min("seq"))["lowest"]
    return lowest or 0


def _indexed(filters: Filters) -> QuerySet[Entry]:
    """All filters but the free text, each answered by an index."""
    entries = Entry.objects.all()
    for kind, ident in _mentioned(filters):
        entries = entries.filter(mentions__kind=kind, mentions__ident=ident)
    if filters.actor:
        kind, ident = filters.actor
        entries = entries.filter(actor_kind=kind, actor_id=ident)
    if filters.events:
        entries = entries.filter(event__in=_expanded(filters.events))
    if filters.since:
        entries = entries.filter(seq__gte=_first_at(filters.since))
    if filters.until:
        entries = entries.filter(seq__lt=_first_at(filters.until))
    return entries


def _mentioned(filters: Filters) -> set[tuple[str, str]]:
    mentioned = {pair for pair in (filters.actor, filters.subject) if pair}
    if filters.person:
        mentioned.add(("person", filters.person))
    if filters.server:
        mentioned.add(("server", filters.server))
    return mentioned


def _first_at(moment: datetime) -> int:
    """Number of the first entry at or after the moment; beyond every number when there is none yet."""
    first = Entry.objects.filter(at__gte=moment).order_by("at", "seq").values_list("seq", flat=True).first()
    return first if first is not None else _BEYOND


def _says(text: str) -> Q:
    columns = ("reason", "actor_label", "subject_label", "subject_id", "ip", "request_id")
    says = Q()
    for column in columns:
        says |= Q(**{f"{column}__icontains": text})
    return says


def _expanded(events: tuple[str, ...]) -> list[str]:
    families = tuple(event.removesuffix("*") for event in events if event.endswith(".*"))
    return [value for value in Event.values if value in events or (families and value.startswith(families))]


def _events(text: str) -> tuple[str, ...]:
    events = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for event in events:
        if not _expanded((event,)):
            raise BadFilter(f"There is no event {event!r}.")
    return events


def _named(name: str, text: str) -> tuple[str, str] | None:
    if not text.strip():
        return None
    kind, colon, ident = (part.strip() for part in text.strip().partition(":"))
    if not (kind and colon and ident):
        raise BadFilter(
            f"Write the {name} as kind:id, for example server:orders, or as a reference such as R-7K2M9QXT."
        )
    kind = kind.lower()
    return kind, ident.upper() if kind in _LETTERS.values() else ident


def _subject(text: str) -> tuple[str, str] | None:
    """As people write it: a reference such as `G-7K2M9QXT`, in any case, or `kind:id`."""
    reference = _REFERENCE.fullmatch(text.strip())
    return (_LETTERS[reference[1].upper()], reference[0].upper()) if reference else _named("subject", text)


def moment_from(text: str, *, end: bool) -> datetime | None:
    """A day or a time; without a zone it is UTC. The end of a span takes the whole of a day that is named.

    Raises `BadFilter`.
    """
    text = text.strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return _time(text)
    try:
        return datetime.combine(day + timedelta(days=1 if end else 0), time(), UTC)
    except OverflowError:
        raise BadFilter(f"{text!r} is too far away.") from None


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadFilter(f"{text!r} is no date or time. Write 2026-01-31 or 2026-01-31T09:30.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
