"""Broken promises that every page has to show: access past its end, silent workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from access.models import Grant, Heartbeat, Server
from access.models.workers import SILENT_AFTER
from access.queries.grants import grants_visible_to
from access.ticking import overdue
from people.models import User


@dataclass(frozen=True, slots=True)
class Alarm:
    """One broken promise, in a sentence, with where to look."""

    kind: str
    """`revocation`, `worker`, `server` or `chain`."""
    sentence: str
    grant: Grant | None = None


def alarms_for(person: User, *, now: datetime) -> list[Alarm]:
    """What is broken now. Everybody learns of it; the grant is named to those who may see it."""
    alarms = []
    if not Heartbeat.objects.filter(seen_at__gt=now - SILENT_AFTER).exists():
        alarms.append(
            Alarm("worker", "No worker is alive: access that ends now will not be taken away until one is back.")
        )
    late = list(Grant.objects.filter(overdue(now)).values_list("pk", flat=True)[:100])
    if late:
        count = f"{len(late)} grants are" if len(late) > 1 else "A grant is"
        first = grants_visible_to(person).filter(pk__in=late).order_by("ends_at").first()
        alarms.append(Alarm("revocation", f"{count} past the end and not proved gone. Lockgate goes on trying.", first))
    if strangers := list(Server.objects.filter(stranger_since__isnull=False).values_list("name", flat=True)[:3]):
        alarms.append(
            Alarm(
                "server",
                f"Another server answers at the address of {', '.join(strangers)}. An administrator has to look.",
            )
        )
    return alarms
