"""Asking for access: submit, edit, cancel, remind, extend, talk."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from access import queueing
from access.content import Content
from access.errors import (
    AlreadyAsked,
    AlreadyDecided,
    GrantIsOver,
    NoOwnIdentity,
    NotYours,
    ReasonMissing,
    Refused,
    Stale,
    StartNotPossible,
    TooLong,
)
from access.models import AccessRequest, AccessRole, Comment, Grant
from access.models.references import request_reference
from access.rules import is_requester, may_see_request
from access.services.decisions import grant_at_once
from access.services.door import (
    actor_of,
    lock_grant,
    lock_person,
    lock_request,
    move_request,
    related_to,
    subject_of,
)
from access.services.policies import terms_for
from access.services.refusals import recorded_refusal
from access.states import GrantState, RequestMove
from access.targets import make_principal
from access.terms import Terms
from audit.events import Event
from audit.log import Subject, record
from people.models import User
from people.sso.arrival import directory_account

SHORTEST = timedelta(minutes=1)
FURTHEST_START = timedelta(days=30)
REMIND_PAUSE = timedelta(minutes=10)


class RemindedAlready(Stale):
    """The approvers were reminded a moment ago. Wait ten minutes before the next reminder."""


class CommentMissing(ReasonMissing):
    """Write something first."""

    field = "text"


def submit(
    *,
    person: User,
    role: AccessRole,
    duration: timedelta,
    reason: str,
    ticket: str = "",
    wished_start: datetime | None = None,
    break_glass: bool = False,
    now: datetime,
) -> AccessRequest:
    """Ask for `role`. Granted at once where the policy says so; otherwise open until decided, cancelled or lapsed.

    Raises `Refused` (default is no) or `BadRequest` (something typed is not possible).
    """
    asked_for = Subject("role", role.slug, role.name)
    with recorded_refusal(Event.REQUEST_REFUSED, person=person, subject=asked_for), transaction.atomic():
        person = lock_person(person.pk)  # Who leaves a team at this moment does so before, and is refused, or after.
        terms = terms_for(person=person, role=role, level=role.scope.level, break_glass=break_glass)
        _check_wishes(terms.longest, duration, reason, wished_start, now)
        if break_glass and wished_start is not None:
            raise StartNotPossible("Emergency access starts at once: leave the start empty.")
        content = Content(
            reference=request_reference(),
            requester=person.pk,
            principal=make_principal(person),
            identity=_identity_for(role, person),
            server=role.server.slug,
            address=role.server.address,
            heir=role.server.heir,
            role=role.slug,
            scope=role.scope,
            limits=role.limits,
            gateway=role.gateway_rules,
            duration=duration,
            reason=reason.strip(),
            ticket=ticket.strip(),
            wished_start=wished_start,
            terms_hash=terms.hash,
            submission=1,
        )
        request = _create(person, role, content, terms, now)
        if terms.is_immediate:
            grant_at_once(request=request, terms=terms, now=now)
        else:
            queueing.notify_on_commit("request_submitted", request.pk)
    return request


def extend(*, person: User, grant: Grant, duration: timedelta, reason: str, now: datetime) -> AccessRequest:
    """Ask for `duration` more on a living grant: a request of its own, decided by a new vote.

    The content is the grant's own: an access role that changed meanwhile does not slip in.
    """
    if grant.person_id != person.pk:
        raise NotYours
    if grant.state != GrantState.ACTIVE or grant.ends_at <= now:
        raise GrantIsOver("Request it again.")
    original = grant.request
    role = original.role
    with recorded_refusal(Event.REQUEST_REFUSED, person=person, subject=subject_of(grant)), transaction.atomic():
        person = lock_person(person.pk)
        terms = terms_for(person=person, role=role, level=original.frozen.scope.level, break_glass=False)
        _check_wishes(terms.longest, duration, reason, None, now)
        content = original.frozen.changed(
            reference=request_reference(),
            duration=duration,
            reason=reason.strip(),
            wished_start=None,
            terms_hash=terms.hash,
            extends=grant.reference,
            submission=1,
        )
        locked = lock_grant(grant.pk)
        if terms.is_immediate:
            _check_all_that_lies_ahead(locked, duration, terms, now)
        request = _create(person, role, content, terms, now, extends=locked)
        if terms.is_immediate:
            grant_at_once(request=request, terms=terms, now=now)
        else:
            queueing.notify_on_commit("request_submitted", request.pk)
    return request


def edit(
    *,
    person: User,
    request: AccessRequest,
    duration: timedelta,
    reason: str,
    ticket: str,
    wished_start: datetime | None,
    now: datetime,
) -> None:
    """Change what is asked for. The content gets another hash, so votes cast so far no longer count."""
    with transaction.atomic():
        locked = lock_request(request.pk)
        _check_open(person, locked, now)
        # What was allowed when it was asked for: a change of the rules never touches an open request.
        _check_wishes(Terms.from_json(locked.terms).longest, duration, reason, wished_start, now)
        old = locked.frozen
        new = old.changed(duration=duration, reason=reason.strip(), ticket=ticket.strip(), wished_start=wished_start)
        if new.hash == old.hash:
            return
        _store(locked, new.submitted_anew)
        locked.save()
        record(
            Event.REQUEST_EDITED,
            actor=actor_of(person),
            subject=subject_of(locked),
            before=_described(old),
            after=_described(new),
            related=related_to(locked),
        )
        queueing.notify_on_commit("request_submitted", locked.pk)


def cancel(*, person: User, request: AccessRequest, now: datetime) -> None:
    """Take the request back."""
    with transaction.atomic():
        locked = lock_request(request.pk)
        if not is_requester(person, locked):
            raise NotYours
        move_request(locked, RequestMove.CANCEL, event=Event.REQUEST_CANCELLED, actor=actor_of(person), now=now)


def remind(*, person: User, request: AccessRequest, now: datetime) -> None:
    """Tell the approvers again, at most every ten minutes."""
    with transaction.atomic():
        locked = lock_request(request.pk)
        _check_open(person, locked, now)
        if locked.reminded_at and now < locked.reminded_at + REMIND_PAUSE:
            raise RemindedAlready
        locked.reminded_at = now
        locked.save(update_fields=["reminded_at"])
        record(Event.REQUEST_REMINDED, actor=actor_of(person), subject=subject_of(locked), related=related_to(locked))
        queueing.notify_on_commit("request_reminded", locked.pk)


def comment(*, person: User, request: AccessRequest, text: str, now: datetime) -> Comment:
    """Add a line to the conversation; anybody who may see the request may, except auditors, who change nothing."""
    if not may_see_request(person, request) or (person.is_auditor and not is_requester(person, request)):
        raise Refused
    if not text.strip():
        raise CommentMissing
    with transaction.atomic():
        locked = lock_request(request.pk)
        line = Comment.objects.create(request=locked, author=person, text=text.strip(), written_at=now)
        record(
            Event.REQUEST_COMMENTED,
            actor=actor_of(person),
            subject=subject_of(locked),
            after={"comment": line.text},
            related=related_to(locked),
        )
    return line


def _identity_for(role: AccessRole, person: User) -> str:
    """As whom the person comes in; empty where an account is made for them."""
    if not role.own_identity:
        return ""
    account = directory_account(person)
    if not account:
        raise NoOwnIdentity
    return account


def _check_open(person: User, request: AccessRequest, now: datetime) -> None:
    if not is_requester(person, request):
        raise NotYours
    if not request.is_open or now >= request.lapses_at:
        raise AlreadyDecided(f"It is {request.state}.")


def _check_wishes(
    longest: timedelta, duration: timedelta, reason: str, wished_start: datetime | None, now: datetime
) -> None:
    if not SHORTEST <= duration <= longest:
        raise TooLong(f"Choose between one minute and {_spoken(longest)}.")
    if not reason.strip():
        raise ReasonMissing
    if wished_start is not None and not now < wished_start <= now + FURTHEST_START:
        raise StartNotPossible


def _check_all_that_lies_ahead(grant: Grant, duration: timedelta, terms: Terms, now: datetime) -> None:
    """Where nobody looks at an extension, many of them must not add up to more than the longest that may be asked for."""
    if (grant.extend_to or grant.ends_at) - now + duration > terms.longest:
        raise TooLong(f"With what is left of it, it may last {_spoken(terms.longest)} from now.")


def _spoken(duration: timedelta) -> str:
    minutes = int(duration.total_seconds() // 60)
    hours, rest = divmod(minutes, 60)
    parts = [f"{hours} h"] if hours else []
    return " ".join([*parts, f"{rest} min"] if rest or not hours else parts)


def _create(
    person: User,
    role: AccessRole,
    content: Content,
    terms: Terms,
    now: datetime,
    extends: Grant | None = None,
) -> AccessRequest:
    request = AccessRequest(
        reference=content.reference,
        requester=person,
        role=role,
        terms=terms.to_json(),
        extends=extends,
        is_break_glass=terms.break_glass,
        submitted_at=now,
        lapses_at=now + terms.lapses_after,
    )
    _store(request, content)
    try:
        with transaction.atomic():
            request.save()
    except IntegrityError as error:
        if "open_once" in str(error):
            raise AlreadyAsked from error
        raise
    record(
        Event.REQUEST_SUBMITTED,
        actor=actor_of(person),
        subject=subject_of(request),
        after={**_described(content), "content_hash": request.content_hash, "terms": terms.to_json()},
        reason=content.reason,
        related=related_to(request),
    )
    return request


def _store(request: AccessRequest, content: Content) -> None:
    request.content = content.to_json()
    request.content_hash = content.hash
    request.principal = content.principal
    request.duration = content.duration
    request.reason = content.reason
    request.ticket = content.ticket
    request.wished_start = content.wished_start
    # No vote counts for this content yet.
    request.waits_for = next((step.team for step in Terms.from_json(request.terms).steps), "")


def _described(content: Content) -> dict[str, str | int]:
    return {
        "duration_s": int(content.duration.total_seconds()),
        "reason": content.reason,
        "ticket": content.ticket,
        "wished_start": content.wished_start.isoformat() if content.wished_start else "",
    }
