"""Deciding on a request: one vote a person, for one content."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from access import queueing
from access.errors import (
    AlreadyDecided,
    AlreadyVoted,
    AuthenticationTooOld,
    ContentHasChanged,
    HasLapsed,
    NotAnApprover,
    OwnRequest,
    ReasonMissing,
    RequesterHasLeft,
    TooLong,
)
from access.models import AccessRequest, Vote
from access.quorum import Ballot, Decision, Outcome, Verdict, decide
from access.rules import is_fresh_enough, is_in, is_requester
from access.services.clocks import require_clocks_agree
from access.services.decisions import approve_locked
from access.services.door import actor_of, lock_grant, lock_request, move_request, related_to, subject_of
from access.services.refusals import recorded_refusal
from access.services.requests import SHORTEST
from access.states import RequestMove
from access.terms import Terms
from audit.events import Event
from audit.log import record
from people.models import User


class DenialNeedsReason(ReasonMissing):
    """Say why: the requester has to know what to change."""

    field = "comment"


def approve(
    *,
    person: User,
    request: AccessRequest,
    content_hash: str,
    duration: timedelta | None = None,
    comment: str = "",
    authenticated_at: datetime | None,
    now: datetime,
) -> Decision:
    """Vote yes, for `duration` when that is shorter than asked for; the last vote needed makes the grant.

    `authenticated_at` is when the person last showed that it is them, None when nobody knows.
    """
    with _refusal_recorded(person, request), transaction.atomic():
        locked, team = _lock_for_vote(person, request, content_hash, now)
        if not is_fresh_enough(locked, authenticated_at=authenticated_at, now=now):
            raise AuthenticationTooOld
        if not locked.requester.is_active:
            raise RequesterHasLeft
        require_clocks_agree(now)
        if duration is not None and not SHORTEST <= duration <= locked.duration:
            raise TooLong("Approve for as long as was asked, or for less.")
        _cast(locked, person, Verdict.APPROVE, team, comment, now, duration)
        decision = decision_on(locked)
        if decision.outcome is Outcome.APPROVED:
            approve_locked(
                request=locked,
                duration=_agreed_duration(locked),
                event=Event.REQUEST_APPROVED,
                actor=actor_of(person),
                now=now,
            )
            queueing.notify_on_commit("request_approved", locked.pk)
        else:
            locked.waits_for = decision.current.team if decision.current else ""
            locked.save(update_fields=["waits_for"])
            queueing.notify_on_commit("request_submitted", locked.pk)
    return decision


def deny(*, person: User, request: AccessRequest, content_hash: str, comment: str, now: datetime) -> Decision:
    """Vote no, with a reason; one denial ends the request."""
    if not comment.strip():
        raise DenialNeedsReason
    with _refusal_recorded(person, request), transaction.atomic():
        locked, team = _lock_for_vote(person, request, content_hash, now)
        _cast(locked, person, Verdict.DENY, team, comment, now)
        decision = decision_on(locked)
        move_request(
            locked,
            RequestMove.DENY,
            event=Event.REQUEST_DENIED,
            actor=actor_of(person),
            now=now,
            reason=comment.strip(),
        )
        queueing.notify_on_commit("request_denied", locked.pk)
    return decision


def decision_on(request: AccessRequest) -> Decision:
    """How the votes on the request's present content add up."""
    ballots = [
        Ballot(vote.voter_id, Verdict(vote.verdict), vote.content_hash, vote.team) for vote in request.votes.all()
    ]
    return decide(
        steps=Terms.from_json(request.terms).steps,
        requester=request.requester_id,
        content_hash=request.content_hash,
        ballots=ballots,
    )


def _refusal_recorded(person: User, request: AccessRequest) -> AbstractContextManager[None]:
    return recorded_refusal(Event.VOTE_REFUSED, person=person, subject=subject_of(request))


def _lock_for_vote(person: User, request: AccessRequest, content_hash: str, now: datetime) -> tuple[AccessRequest, str]:
    """The locked request and the team for which the person speaks, or the reason why they may not vote."""
    locked = lock_request(request.pk)
    if is_requester(person, locked):
        raise OwnRequest
    if locked.votes.filter(voter=person, content_hash=locked.content_hash).exists():
        raise AlreadyVoted(f"The request is {locked.state}.")
    if not locked.is_open:
        raise AlreadyDecided(f"It is {locked.state}.")
    if now >= locked.lapses_at:
        raise HasLapsed
    if content_hash != locked.content_hash:
        raise ContentHasChanged
    step = decision_on(locked).current
    # As they are now: while the page was answered, or the lock waited for, the team may have been taken from them.
    if step is None or not is_in(User.objects.get(pk=person.pk), step.team):
        raise NotAnApprover
    if locked.extends_id is not None:
        lock_grant(locked.extends_id)  # Before the vote's audit entry: the order of locks is request, grant, chain.
    return locked, step.team


def _cast(
    request: AccessRequest,
    person: User,
    verdict: Verdict,
    team: str,
    comment: str,
    now: datetime,
    duration: timedelta | None = None,
) -> None:
    shorter = duration if duration is not None and duration < request.duration else None
    try:
        with transaction.atomic():
            Vote.objects.create(
                request=request,
                voter=person,
                verdict=verdict,
                content_hash=request.content_hash,
                team=team,
                duration=shorter,
                comment=comment.strip(),
                cast_at=now,
            )
    except IntegrityError as error:
        raise AlreadyVoted from error
    record(
        Event.VOTE_APPROVED if verdict is Verdict.APPROVE else Event.VOTE_DENIED,
        actor=actor_of(person),
        subject=subject_of(request),
        after={
            "content_hash": request.content_hash,
            "team": team,
            "duration_s": int((shorter or request.duration).total_seconds()),
        },
        reason=comment.strip(),
        related=related_to(request),
    )


def _agreed_duration(request: AccessRequest) -> timedelta:
    """The shortest that any approver of the present content agreed to."""
    votes = request.votes.filter(content_hash=request.content_hash, duration__isnull=False)
    return min([request.duration, *(vote.duration for vote in votes if vote.duration)])
