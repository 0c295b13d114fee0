"""When somebody leaves a team, what it allowed them is looked at again, at that moment.

Open requests that rested on the team are taken back. Living grants are not cut in the middle of somebody's work: they are
put before those who approve, who end them or say why they stay. Votes already given stay on record, and count: they were
given by somebody who was in charge.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from access import clock, queueing
from access.errors import AlreadyDecided, NotInCharge, ReasonMissing
from access.models import AccessRequest, Grant
from access.rules import may_keep
from access.services.door import actor_of, lock_grant, lock_request, move_request, record_about, subject_of
from access.services.refusals import recorded_refusal
from access.states import GrantState, RequestMove, RequestState
from access.terms import Terms
from audit.events import Event
from audit.log import Actor
from people.models import Membership, Team, User

NO_LONGER_ALLOWED = "No longer in a team that may have this."

#: A grant on its way out needs nobody's decision.
_IN_USE = (GrantState.SCHEDULED, GrantState.PROVISIONING, GrantState.ACTIVE)


class KeepingNeedsReason(ReasonMissing):
    """Say why the access stays although its owner has left the team: the auditor reads it."""

    field = "comment"


def on_left_teams(left: Mapping[User, Sequence[Team]], actor: Actor, **kwargs: Any) -> None:
    """Receives `people.signals.left_teams`."""
    review_standing(people=left.keys(), actor=actor, now=clock.now())


@transaction.atomic
def review_standing(*, people: Collection[User], actor: Actor, now: datetime) -> None:
    """Take back the open requests of these people, and question their grants, that no team of theirs allows any more."""
    teams: dict[int, set[str]] = {person.pk: set() for person in people}
    for person_id, slug in Membership.objects.filter(user__in=people).values_list("user_id", "team__slug"):
        teams[person_id].add(slug)
    open_requests = AccessRequest.objects.filter(requester__in=people, state=RequestState.PENDING).order_by("pk")
    fallen = [one.pk for one in open_requests if not _still_allowed(one.terms, teams[one.requester_id])]
    # All rows before the first audit entry: the order of locks is requests, grants, audit chain.
    locked_requests = [lock_request(pk) for pk in fallen]
    # Read behind those locks: a request that was approved while we waited for it is a grant now.
    living = Grant.objects.filter(person__in=people, state__in=_IN_USE, questioned_at__isnull=True).order_by("pk")
    doubtful = [
        grant.pk
        for grant in living.select_related("request")
        if not _still_allowed(grant.request.terms, teams[grant.person_id])
    ]
    locked_grants = [lock_grant(pk) for pk in doubtful]
    for request in locked_requests:
        _take_back(request, actor, now)
    for grant in locked_grants:
        _question(grant, actor, now)


def keep(*, person: User, grant: Grant, comment: str, now: datetime) -> None:
    """Let a questioned grant go on to its end, with a reason."""
    if not comment.strip():
        raise KeepingNeedsReason
    refusal_recorded = recorded_refusal(Event.GRANT_REFUSED, person=person, subject=subject_of(grant))
    with refusal_recorded, transaction.atomic():
        locked = lock_grant(grant.pk)
        if not may_keep(person, locked):
            raise NotInCharge
        if locked.questioned_at is None or locked.state not in _IN_USE:
            raise AlreadyDecided("Nobody has to decide about it any more.")
        locked.questioned_at = None
        locked.save(update_fields=["questioned_at"])
        record_about(locked, Event.GRANT_KEPT, actor=actor_of(person), reason=comment.strip())


def _still_allowed(terms: dict[str, Any], teams: Collection[str]) -> bool:
    through = Terms.from_json(terms).through
    return not through or not set(through).isdisjoint(teams)


def _take_back(request: AccessRequest, actor: Actor, now: datetime) -> None:
    if request.is_open:
        move_request(
            request, RequestMove.CANCEL, event=Event.REQUEST_CANCELLED, actor=actor, now=now, reason=NO_LONGER_ALLOWED
        )
        queueing.notify_on_commit("request_taken_back", request.pk)


def _question(grant: Grant, actor: Actor, now: datetime) -> None:
    if grant.state in _IN_USE and grant.questioned_at is None:
        grant.questioned_at = now
        grant.save(update_fields=["questioned_at"])
        record_about(grant, Event.GRANT_QUESTIONED, actor=actor, reason=NO_LONGER_ALLOWED)
        queueing.notify_on_commit("access_questioned", grant.request_id)
