"""The tick: once a second, look at the rows and queue what is due.

It does no work itself and may run any number of times at once: `claims.take_due` lets each grant be taken by one tick.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Q, Value

from access import claims, queueing
from access.models import AccessRequest, Grant, Heartbeat
from access.services.door import lock_request, move_request, record_about
from access.states import GrantState, RequestMove, RequestState
from access.window import OVERDUE_AFTER
from audit.events import Event
from audit.log import Actor

#: More than a tick can queue in a second is left to the next one.
BATCH = 500

#: Half of the time a request stays open, and no sooner than this, its approvers are reminded once.
REMIND_AFTER = timedelta(hours=1)

CLOCK = Actor("worker", "tick", "clock")


def tick(*, worker: str, now: datetime) -> dict[str, int]:
    """Queue what is due and note that `worker` lives; returns how many of each were found."""
    Heartbeat.objects.update_or_create(worker=worker, defaults={"seen_at": now})
    # Ends first: when there is more to do than time, access goes before access comes.
    return {
        "revoke": _queue(queueing.REVOKE, ending(now), now),
        "extend": _queue(queueing.EXTEND, growing(now), now),
        "provision": _queue(queueing.PROVISION, beginning(now), now),
        "lapse": _lapse(now),
        "remind": _remind(now),
        "alarm": _alarm(now),
    }


def ending(now: datetime) -> Q:
    """Grants whose access should be gone: the window is over, or the person has left."""
    active = Q(state=GrantState.ACTIVE)
    return Q(state=GrantState.REVOKING) | active & (Q(ends_at__lte=now) | Q(person__is_active=False))


def growing(now: datetime) -> Q:
    """Grants whose end is to be moved on the server."""
    return Q(state=GrantState.ACTIVE, extend_to__isnull=False, ends_at__gt=now)


def beginning(now: datetime) -> Q:
    """Grants whose account should be made."""
    return Q(state__in=[GrantState.SCHEDULED, GrantState.PROVISIONING], starts_at__lte=now)


def overdue(now: datetime) -> Q:
    """Grants whose access should have been gone for longer than anybody should have to wait."""
    late = now - OVERDUE_AFTER
    return Q(state=GrantState.REVOKING, ending_since__lte=late) | Q(state=GrantState.ACTIVE, ends_at__lte=late)


def _queue(task: str, due: Q, now: datetime) -> int:
    ids = claims.take_due(due, limit=BATCH, now=now)
    for grant_id in ids:
        queueing.send(task, grant_id)
    if ids and queueing.is_away():
        claims.mark_untaken(ids, now=now)
    return len(ids)


def _lapse(now: datetime) -> int:
    due = AccessRequest.objects.filter(state=RequestState.PENDING, lapses_at__lte=now)
    ids = list(due.values_list("pk", flat=True)[:BATCH])
    lapsed = 0
    for request_id in ids:
        with transaction.atomic():
            locked = lock_request(request_id)
            if not locked.is_open or now < locked.lapses_at:
                continue  # Decided, or lapsed by another tick, since we looked.
            move_request(locked, RequestMove.LAPSE, event=Event.REQUEST_LAPSED, actor=CLOCK, now=now)
            queueing.notify_on_commit("request_lapsed", request_id)
            lapsed += 1
    return lapsed


def _remind(now: datetime) -> int:
    # Asked of the database, so that however many are not due yet keep none that is from being among the first.
    half_over = Q(lapses_at__lte=ExpressionWrapper(Value(now) + (Value(now) - F("submitted_at")), DateTimeField()))
    waiting = AccessRequest.objects.filter(
        half_over, state=RequestState.PENDING, reminded_at__isnull=True, submitted_at__lte=now - REMIND_AFTER
    )
    reminded = 0
    for request in waiting[:BATCH]:
        fresh = AccessRequest.objects.filter(pk=request.pk, reminded_at__isnull=True, state=RequestState.PENDING)
        if fresh.update(reminded_at=now) == 1:
            queueing.send(queueing.NOTIFY, "request_reminded", request.pk)
            reminded += 1
    return reminded


def _alarm(now: datetime) -> int:
    """Say once, in the audit trail and to the administrators, that access outlives its window."""
    alarmed = 0
    late = Grant.objects.filter(overdue(now), alarmed_at__isnull=True)
    for grant in late.select_related("request__role__server", "request__requester")[:BATCH]:
        with transaction.atomic():
            if Grant.objects.filter(pk=grant.pk, alarmed_at__isnull=True).update(alarmed_at=now) != 1:
                continue
            record_about(grant, Event.GRANT_REVOCATION_OVERDUE, actor=CLOCK, reason=grant.last_error)
            queueing.notify_on_commit("revocation_overdue", grant.request_id)
            alarmed += 1
    return alarmed
