"""What follows from an approval: a grant, or a later end for one that lives."""

from __future__ import annotations

from datetime import datetime, timedelta

from access import queueing
from access.content import limits_to_json, scope_to_json
from access.errors import GrantIsOver
from access.gateway_rules import rules_to_json
from access.models import AccessRequest, Grant
from access.services.clocks import require_clocks_agree
from access.services.door import actor_of, lock_grant, move_request, record_about
from access.states import GrantState, RequestMove
from access.terms import Terms
from audit.events import Event
from audit.log import Actor


def grant_at_once(*, request: AccessRequest, terms: Terms, now: datetime) -> None:
    """Carry out a request that nobody has to vote on; inside the transaction that made it."""
    if not terms.break_glass:
        # Whoever breaks the glass has no time to have clocks set; the window goes by the database's anyway.
        require_clocks_agree(now)
    event = Event.REQUEST_BREAK_GLASS if terms.break_glass else Event.REQUEST_AUTO_APPROVED
    actor = actor_of(request.requester) if terms.break_glass else Actor("policy", terms.policy, terms.policy)
    approve_locked(request=request, duration=request.duration, event=event, actor=actor, now=now)
    if terms.break_glass:
        queueing.notify_on_commit("glass_broken", request.pk)


def approve_locked(*, request: AccessRequest, duration: timedelta, event: Event, actor: Actor, now: datetime) -> None:
    """Approve the locked request for `duration` and make what it asks for, in the same transaction."""
    # Before the first audit entry: the order of locks is request, grant, audit chain.
    grant = lock_grant(request.extends_id) if request.extends_id is not None else None
    request.granted_duration = duration
    move_request(request, RequestMove.APPROVE, event=event, actor=actor, now=now)
    if grant is None:
        _make_grant(request, actor, now)
    else:
        _extend_grant(request, grant, actor, now)


def _make_grant(request: AccessRequest, actor: Actor, now: datetime) -> None:
    content = request.frozen
    duration = request.granted_duration or content.duration
    starts_at = max(now, content.wished_start or now)
    grant = Grant.objects.create(
        request=request,
        person=request.requester,
        server=request.role.server,
        address=dict(content.address),
        principal=content.principal,
        identity=content.identity,
        scope=scope_to_json(content.scope),
        limits=limits_to_json(content.limits),
        gateway=rules_to_json(content.gateway) if content.gateway else {},
        heir=content.heir,
        approving_teams=sorted({step.team for step in Terms.from_json(request.terms).steps}),
        duration=duration,
        starts_at=starts_at,
        ends_at=starts_at + duration,
        is_break_glass=request.is_break_glass,
    )
    record_about(
        grant,
        Event.GRANT_SCHEDULED,
        actor=actor,
        after={"starts_at": starts_at.isoformat(), "duration_s": int(duration.total_seconds())},
    )
    if starts_at <= now:
        # A hint, so that nobody waits for a tick; the row is the truth and the tick finds it anyway.
        queueing.provision_on_commit(grant.pk)


def _extend_grant(request: AccessRequest, grant: Grant, actor: Actor, now: datetime) -> None:
    if grant.state != GrantState.ACTIVE or grant.ends_at <= now:
        raise GrantIsOver("It cannot be extended any more.")
    duration = request.granted_duration or request.duration
    grant.extend_to = (grant.extend_to or grant.ends_at) + duration
    grant.save(update_fields=["extend_to"])
    record_about(
        grant,
        Event.GRANT_EXTENDED,
        actor=actor,
        before={"ends_at": grant.ends_at.isoformat()},
        after={"ends_at": grant.extend_to.isoformat(), "request": request.reference},
    )
    queueing.extend_on_commit(grant.pk)
