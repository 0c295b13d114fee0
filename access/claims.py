"""Claims on grants, so that two workers do not do the same work, and none is lost when a worker dies.

A claim is a conditional update that must change exactly one row, and a lease: it ends by itself when its holder no longer
renews it. The row locks that the updates take are held for a moment only, never while a server is being talked to.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from access.models import Grant
from access.states import GrantState

#: Each journalled statement renews it; a dead worker's grant is free again after this.
LEASE = timedelta(seconds=15)

#: How long a queued grant is not queued again: duplicates are harmless, they only cost a message.
QUEUED_FOR = timedelta(seconds=10)

_FREE = Q(claimed_until__isnull=True)


def claim(*, grant_id: int, claimant: str, states: Iterable[GrantState], now: datetime) -> bool:
    """Take the grant for `LEASE`; False when somebody else has it or it is in none of `states` any more.

    The same claimant may take it again: a message that is delivered twice after its worker died has the same name.
    """
    free = _FREE | Q(claimed_until__lte=now) | Q(claimed_by=claimant)
    rows = Grant.objects.filter(free, pk=grant_id, state__in=list(states))
    return rows.update(claimed_by=claimant, claimed_until=now + LEASE) == 1


def renew(*, grant_id: int, claimant: str, now: datetime) -> bool:
    """Hold the claim for another `LEASE`; False when it was lost."""
    rows = Grant.objects.filter(pk=grant_id, claimed_by=claimant)
    return rows.update(claimed_until=now + LEASE) == 1


def release(*, grant_id: int, claimant: str) -> None:
    """Let go, if still held."""
    rows = Grant.objects.filter(pk=grant_id, claimed_by=claimant)
    rows.update(claimed_by="", claimed_until=None, queued_until=None)


def take_due(due: Q, *, limit: int, now: datetime) -> list[int]:
    """Ids of at most `limit` grants for which `due` holds and nobody works; marked so that no other tick takes them."""
    # What was queued, or put off, while the window was open was an extension: it must not put off the end.
    over = Q(state=GrantState.ACTIVE, ends_at__lte=now)
    queued_before_the_end = over & Q(queued_until__lt=F("ends_at") + QUEUED_FOR)
    idle = _FREE | Q(claimed_until__lte=now)
    unqueued = Q(queued_until__isnull=True) | Q(queued_until__lte=now) | queued_before_the_end
    ready = Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=now) | over
    with transaction.atomic():
        rows = Grant.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
        rows = rows.filter(due, idle, unqueued, ready).order_by("ends_at")
        ids = list(rows.values_list("pk", flat=True)[:limit])
        Grant.objects.filter(pk__in=ids).update(queued_until=now + QUEUED_FOR)
    return ids
