"""What every page shows and every poll asks for: broken promises, and how much waits for the person.

All of it is one query, over partial indexes that are nearly empty while all is well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import QuerySet, Subquery

from access.models import Grant, Server
from access.queries import machinery
from access.queries.counting import MOST, Counted, in_words
from access.queries.grants import grants_visible_to, questioned_grants_for
from access.queries.requests import waiting_for
from access.queries.written import NOW, Kind, Written, kind_of, somebody
from access.states import GrantState
from access.window import OVERDUE_AFTER
from audit.models import Verification
from people.models import User


@dataclass(frozen=True, slots=True)
class Alarm:
    """One broken promise, in a sentence, with where to look."""

    kind: str
    """`revocation`, `worker`, `clock`, `queue`, `silence`, `server` or `chain`."""
    sentence: str
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What is broken now, and what waits for one person."""

    alarms: tuple[Alarm, ...]
    waiting: int
    """Requests and questioned access that the person can decide on; past `counting.MOST` it is not exact."""

    @property
    def waiting_in_words(self) -> str:
        """`7`, or `99+`."""
        return in_words(self.waiting)

    @property
    def version(self) -> str:
        """Changes when there is something else to show."""
        shown = [(alarm.sentence, alarm.grant.reference if alarm.grant else "") for alarm in self.alarms]
        return hashlib.sha256(repr((shown, self.waiting_in_words)).encode()).hexdigest()[:16]


#: For somebody who is not there any more; one worker, so that nothing seems wrong.
_NOTHING: tuple[Any, ...] = (['{"worker": "", "skew": 0.0, "alone": false}'], [], 0, 0, None, 0, 0, [])


def status_for(person: User, *, now: datetime) -> Status:
    """One query; a second one where access is overdue, for the grant to look at."""
    found = _question(kind_of(person)).row(person, now) or _NOTHING
    workers, silent, ending_late, active_late, chain_ok, requests, questioned, strangers = found
    late = ending_late + active_late
    troubles = machinery.troubles([json.loads(one) for one in workers], [json.loads(one) for one in silent])
    alarms = [Alarm(kind, sentence) for kind, sentence in troubles]
    alarms += _alarms(person, now, late=late, chain_ok=chain_ok, strangers=strangers)
    return Status(tuple(alarms), requests + questioned)


@cache
def _question(kind: Kind) -> Written:
    """All of it, about somebody of a kind."""
    person = somebody(kind)
    ending, active = _overdue(NOW)
    rows = User.objects.filter(pk=person.pk).values_list(
        machinery.workers(NOW),
        machinery.silent_servers(),
        Counted(ending),
        Counted(active),
        Subquery(Verification.objects.order_by("-id").values("ok")[:1]),
        Counted(waiting_for(person, now=NOW).order_by()),
        Counted(questioned_grants_for(person).order_by()),
        ArraySubquery(Server.objects.filter(stranger_since__isnull=False).values("name")[:3]),
    )
    return Written(rows)


def alarms_for(person: User, *, now: datetime) -> list[Alarm]:
    """What is broken now. Everybody learns of it; the grant is named to those who may see it."""
    return list(status_for(person, now=now).alarms)


def _alarms(
    person: User, now: datetime, *, late: int, chain_ok: bool | None, strangers: Sequence[str]
) -> Iterator[Alarm]:
    if late:
        count = f"{late if late <= MOST else f'More than {MOST}'} grants are" if late > 1 else "A grant is"
        sentence = f"{count} past the end, and removal is not confirmed. Lockgate keeps trying."
        yield Alarm("revocation", sentence, _first_overdue(person, now))
    if strangers:
        names = ", ".join(strangers)
        yield Alarm("server", f"Another server answers at the address of {names}. An administrator has to look.")
    if chain_ok is False:
        yield Alarm("chain", "The audit log does not fit its hash chain: an entry was changed, removed or inserted.")


def _first_overdue(person: User, now: datetime) -> Grant | None:
    """Of those that the person may see, the one that should have been gone first."""
    ending, active = (rows.values_list("pk", flat=True)[: MOST + 1] for rows in _overdue(now))
    return grants_visible_to(person).filter(pk__in=[*ending, *active]).order_by("ends_at").first()


def _overdue(now: datetime) -> tuple[QuerySet[Grant], QuerySet[Grant]]:
    """`access.ticking.overdue` in its two halves: each has an index of its own, and together they would have none."""
    late = now - OVERDUE_AFTER
    return (
        Grant.objects.filter(state=GrantState.REVOKING, ending_since__lte=late).order_by(),
        Grant.objects.filter(state=GrantState.ACTIVE, ends_at__lte=late).order_by(),
    )
