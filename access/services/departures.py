"""When somebody is switched off, what they asked for is taken back and what they hold ends, in the same transaction.

The tick would find their active grants as well; nobody waits for it, and what was only scheduled never begins.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from access import clock, queueing
from access.models import AccessRequest, Grant
from access.models.grants import EndReason
from access.services.door import begin_end, lock_grant, lock_request, move_request
from access.states import GrantState, RequestMove, RequestState
from audit.events import Event
from audit.log import Actor
from people.models import User

SWITCHED_OFF = "The person was switched off."

_IN_USE = (GrantState.SCHEDULED, GrantState.PROVISIONING, GrantState.ACTIVE)


def on_deactivated(person: User, actor: Actor, **kwargs: Any) -> None:
    """Receives `people.signals.deactivated`."""
    end_everything(person=person, actor=actor, now=clock.now())


@transaction.atomic
def end_everything(*, person: User, actor: Actor, now: datetime) -> None:
    """Take back the person's open requests, and send their grants on their way out."""
    requests = AccessRequest.objects.filter(requester=person, state=RequestState.PENDING).order_by("pk")
    grants = Grant.objects.filter(person=person, state__in=_IN_USE).order_by("pk")
    # All rows before the first audit entry: the order of locks is requests, grants, audit chain. The grants are read behind
    # the locks of the requests: one that was approved while we waited for it is a grant now.
    locked_requests = [lock_request(pk) for pk in requests.values_list("pk", flat=True)]
    locked_grants = [lock_grant(pk) for pk in grants.values_list("pk", flat=True)]
    for request in locked_requests:
        if request.is_open:
            move_request(
                request, RequestMove.CANCEL, event=Event.REQUEST_CANCELLED, actor=actor, now=now, reason=SWITCHED_OFF
            )
    for grant in locked_grants:
        if grant.state in _IN_USE:
            why = EndReason.CANCELLED if grant.state == GrantState.SCHEDULED else EndReason.ENDED
            begin_end(grant, why=why, actor=actor, now=now)
            queueing.revoke_on_commit(grant.pk)
