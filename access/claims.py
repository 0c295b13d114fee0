"""Claims on grants, so that two workers do not do the same work, and none is lost when a worker dies.

A claim is a conditional update that must change exactly one row. It ends when its holder's presence does, since the process
is gone, and as a lease it ends by itself when its holder is there but no longer renews it. The row locks that the updates
take are held for a moment only, never while a server is being talked to.

Times are those of the console's database (`access.clock`). One that lies further ahead than any of ours can was written
before that clock was set back, and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from access import presence
from access.models import Grant
from access.states import GrantState
from access.window import LONGEST_PAUSE

#: Each journalled statement renews it; a grant whose worker stands still is free again after this.
LEASE = timedelta(seconds=15)

#: How long a queued grant is not queued again: duplicates are harmless, they only cost a message.
QUEUED_FOR = timedelta(seconds=10)
#: A queued grant that nobody has taken after this is not waited for: the queue is slow, or has lost the message.
UNTAKEN_AFTER = timedelta(seconds=3)


def _over(column: str, longest: timedelta, now: datetime) -> Q:
    """Whether a time until which something holds is over; none is further ahead than `longest`, give or take."""
    past = Q(**{f"{column}__isnull": True}) | Q(**{f"{column}__lte": now})
    return past | Q(**{f"{column}__gt": now + 2 * longest})


def _free(now: datetime) -> Q:
    is_dead = Q(holder__isnull=False) & ~Q(holder__in=presence.living())
    return _over("claimed_until", LEASE, now) | is_dead


def claim(*, grant_id: int, claimant: str, states: Iterable[GrantState], now: datetime) -> bool:
    """Take the grant for `LEASE`; False when somebody else has it or it is in none of `states` any more.

    The same claimant may take it again: a message that is delivered twice after its worker died has the same name.
    """
    free = _free(now) | Q(claimed_by=claimant)
    rows = Grant.objects.filter(free, pk=grant_id, state__in=list(states))
    # Its message has arrived: should this worker die, another one is asked at once.
    return rows.update(claimed_by=claimant, claimed_until=now + LEASE, holder=presence.held(), queued_until=None) == 1


def renew(*, grant_id: int, claimant: str, now: datetime) -> bool:
    """Hold the claim for another `LEASE`; False when it was lost."""
    rows = Grant.objects.filter(pk=grant_id, claimed_by=claimant)
    # A connection that broke has taken the presence along: from then on the lease alone says that we are there.
    return rows.update(claimed_until=now + LEASE, holder=presence.held()) == 1


def release(*, grant_id: int, claimant: str) -> None:
    """Let go, if still held."""
    rows = Grant.objects.filter(pk=grant_id, claimed_by=claimant)
    rows.update(claimed_by="", claimed_until=None, holder=None, queued_until=None)


def take_due(due: Q, *, limit: int, now: datetime) -> list[int]:
    """Ids of at most `limit` grants for which `due` holds and nobody works; marked so that no other tick takes them."""
    # What was queued, or put off, while the window was open was an extension: it must not put off the end.
    over = Q(state=GrantState.ACTIVE, ends_at__lte=now)
    queued_before_the_end = over & Q(queued_until__lt=F("ends_at") + QUEUED_FOR)
    unqueued = _over("queued_until", QUEUED_FOR, now) | queued_before_the_end
    ready = _over("next_attempt_at", LONGEST_PAUSE, now) | over
    return _take(due & unqueued & ready, limit, now)


def take_untaken(due: Q, *, limit: int, now: datetime) -> list[int]:
    """As `take_due`, of those that were queued some time ago and that no worker has begun with."""
    untaken = Q(queued_until__gt=now, queued_until__lte=now + QUEUED_FOR - UNTAKEN_AFTER)
    return _take(due & untaken, limit, now)


def mark_untaken(ids: Iterable[int], *, now: datetime) -> None:
    """The queue did not take their messages: whoever asks with `take_untaken` gets them at once."""
    Grant.objects.filter(pk__in=list(ids)).update(queued_until=now + QUEUED_FOR - UNTAKEN_AFTER)


def _take(due: Q, limit: int, now: datetime) -> list[int]:
    with transaction.atomic():
        rows = Grant.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
        ids = list(rows.filter(due, _free(now)).order_by("ends_at").values_list("pk", flat=True)[:limit])
        Grant.objects.filter(pk__in=ids).update(queued_until=now + QUEUED_FOR)
    return ids
