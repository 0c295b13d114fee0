"""The one door through which a request or a grant changes its state.

Each function here expects a locked row (`lock_request`, `lock_grant`) inside a transaction, asks the transition table,
saves, and writes the audit entry. What has to happen afterwards is queued on commit.

The order of locks is: person, request, grant, and then the end of the audit chain, which every entry takes. So whoever
needs several rows locks them all before the first entry is written. `tests/lock_order.py` holds every test to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from access.errors import AlreadyDecided, GrantIsOver
from access.models import AccessRequest, Grant
from access.models.grants import EndReason
from access.states import (
    GrantMove,
    GrantState,
    IllegalMove,
    RequestMove,
    RequestState,
    next_grant_state,
    next_request_state,
)
from audit.events import Event
from audit.log import Actor, Subject, record
from people.models import User


def actor_of(person: User) -> Actor:
    """A person as the audit trail names them."""
    return Actor("person", str(person.pk), person.email)


def subject_of(thing: AccessRequest | Grant) -> Subject:
    """A request or a grant as the audit trail names it."""
    if isinstance(thing, AccessRequest):
        return Subject("request", thing.reference, thing.role.name)
    return Subject("grant", thing.reference, thing.principal)


def related_to(request: AccessRequest, *, grant: Grant | None = None) -> list[Subject]:
    """What else an entry about the request (or its grant) should be found under."""
    related = [
        Subject("role", request.role.slug, request.role.name),
        Subject("server", request.role.server.slug, request.role.server.name),
        Subject("person", str(request.requester_id), request.requester.email),
    ]
    if grant is not None:
        related.append(subject_of(request))
    return related


def lock_person(pk: int) -> User:
    """The person as they are now, locked until the end of the transaction: no team is taken from them meanwhile."""
    return User.objects.select_for_update(no_key=True).get(pk=pk)


def lock_request(pk: int) -> AccessRequest:
    """The request, locked until the end of the transaction."""
    rows = AccessRequest.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("role__server", "role__policy", "requester").get(pk=pk)


def lock_grant(pk: int) -> Grant:
    """The grant, locked until the end of the transaction."""
    rows = Grant.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("request__role__server", "request__requester", "person", "server").get(pk=pk)


def move_request(
    request: AccessRequest, move: RequestMove, *, event: Event, actor: Actor, now: datetime, reason: str = ""
) -> None:
    """Take the locked request one move further; raises `AlreadyDecided` when the move is not legal any more."""
    before = RequestState(request.state)
    try:
        request.state = next_request_state(before, move)
    except IllegalMove as error:
        raise AlreadyDecided(f"It is {before}.") from error
    request.decided_at = now
    request.waits_for = ""
    request.save()
    record(
        event,
        actor=actor,
        subject=subject_of(request),
        before={"state": before.value},
        after={"state": request.state, "content_hash": request.content_hash},
        reason=reason,
        related=related_to(request),
    )


def move_grant(
    grant: Grant,
    move: GrantMove,
    *,
    event: Event,
    actor: Actor,
    reason: str = "",
    after: Mapping[str, Any] | None = None,
) -> None:
    """Take the locked grant one move further and save every field; raises `GrantIsOver` when the move is not legal."""
    before = GrantState(grant.state)
    try:
        grant.state = next_grant_state(before, move)
    except IllegalMove as error:
        raise GrantIsOver(f"It is {before}.") from error
    grant.save()
    record_about(grant, event, actor=actor, reason=reason, before={"state": before.value}, after=after or {})


def record_about(
    grant: Grant,
    event: Event,
    *,
    actor: Actor,
    reason: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """An audit entry about the grant, found under its request, role, server and person as well."""
    record(
        event,
        actor=actor,
        subject=subject_of(grant),
        before=before,
        after={"state": grant.state, **(after or {})},
        reason=reason,
        related=related_to(grant.request, grant=grant),
    )


def begin_end(grant: Grant, *, why: EndReason, actor: Actor, now: datetime, person: User | None = None) -> None:
    """Send the locked grant on its way out: from here only a clean read-back leads anywhere."""
    grant.end_reason = why
    grant.ended_by = person
    grant.ending_since = min(now, grant.ends_at)
    grant.extend_to = None
    grant.attempts = 0
    grant.next_attempt_at = None
    grant.waits_for_server = False
    grant.last_error = ""
    grant.password = ""
    move_grant(grant, GrantMove.END, event=Event.GRANT_REVOKING, actor=actor, reason=str(EndReason(why).label))
