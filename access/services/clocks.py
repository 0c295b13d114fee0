"""How far the clocks of Lockgate's machines are apart, and what that stops: approvals, never ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from access import clock, presence
from access.errors import ClocksApart
from access.models import Heartbeat
from access.models.workers import SILENT_AFTER
from access.window import CLOCKS_AGREE_WITHIN, CLOCKS_STOP_APPROVALS

HERE = "this console"


def living(now: datetime) -> QuerySet[Heartbeat]:
    """Workers that ticked a moment ago and whose process is there."""
    there = Q(holder__isnull=True) | Q(holder__in=presence.living())
    return Heartbeat.objects.filter(there, seen_at__gt=now - SILENT_AFTER).order_by("worker")


def wrong_clocks(
    workers: Mapping[str, float], *, more_than: timedelta = CLOCKS_AGREE_WITHIN
) -> Iterator[tuple[str, timedelta]]:
    """Each machine whose clock is off by more than that, and by how much: ahead of the database's, or (negative) behind.

    In: the workers' names, and by how many seconds each is ahead.
    """
    ahead = {name: timedelta(seconds=seconds) for name, seconds in workers.items()}
    return ((name, skew) for name, skew in {HERE: clock.skew(), **ahead}.items() if abs(skew) > more_than)


def require_clocks_agree(now: datetime) -> None:
    """Nothing new is granted while a machine's clock is far off. Raises `ClocksApart`."""
    workers = dict(living(now).values_list("worker", "skew"))
    for name, skew in wrong_clocks(workers, more_than=CLOCKS_STOP_APPROVALS):
        raise ClocksApart(told(name, skew))


def told(name: str, skew: timedelta) -> str:
    """In a sentence, without what follows from it."""
    seconds = abs(skew).total_seconds()
    amount = f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
    return f"The clock of {name} is {amount} {'ahead of' if skew > timedelta(0) else 'behind'} the database's."
