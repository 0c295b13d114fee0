"""Using and ending a grant: the password, the early end, the review after breaking the glass."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime

from django.db import transaction

from access import queueing
from access.errors import (
    AlreadyDecided,
    AlreadyShown,
    GrantIsOver,
    NotInCharge,
    NotReadyYet,
    NotYours,
    ReasonMissing,
    Stale,
)
from access.models import Grant
from access.models.grants import EndReason
from access.rules import may_end, may_review
from access.sealing import unseal
from access.services.door import actor_of, begin_end, lock_grant, record_about, subject_of
from access.services.refusals import recorded_refusal
from access.states import GrantState
from audit.events import Event
from people.models import User


class NothingToShow(Stale):
    """This access is with your own identity: log in as yourself, there is no password."""


class ReviewNeedsWords(ReasonMissing):
    """Write what you found: the auditor reads it."""

    field = "comment"


def end(*, person: User, grant: Grant, reason: str, now: datetime) -> None:
    """End the access now, sessions included. A second call while it is ending changes nothing."""
    with _refusal_recorded(person, grant), transaction.atomic():
        locked = lock_grant(grant.pk)
        if not may_end(person, locked):
            raise NotInCharge
        if locked.state == GrantState.REVOKING:
            return
        if locked.state == GrantState.SCHEDULED:
            why = EndReason.CANCELLED
        else:
            why = EndReason.RETURNED if locked.person_id == person.pk else EndReason.ENDED
        begin_end(locked, why=why, actor=actor_of(person), now=now, person=person)
        if reason.strip():
            record_about(locked, Event.GRANT_SHORTENED, actor=actor_of(person), reason=reason.strip())
        queueing.revoke_on_commit(locked.pk)


def reveal_password(*, person: User, grant: Grant, now: datetime) -> str:
    """The password, once, to its owner. It stays sealed for the gateway until the grant ends."""
    with _refusal_recorded(person, grant), transaction.atomic():
        locked = lock_grant(grant.pk)
        if locked.person_id != person.pk:
            raise NotYours
        if locked.password_shown_at is not None:
            raise AlreadyShown
        if locked.state in (GrantState.SCHEDULED, GrantState.PROVISIONING):
            raise NotReadyYet
        if locked.state != GrantState.ACTIVE or not locked.window.contains(now):
            raise GrantIsOver("Request it again.")
        if locked.identity:
            raise NothingToShow
        password = unseal(locked.password)
        locked.password_shown_at = now
        locked.save(update_fields=["password_shown_at"])
        record_about(locked, Event.GRANT_PASSWORD_REVEALED, actor=actor_of(person))
    return password.reveal()


def review(*, person: User, grant: Grant, comment: str, now: datetime) -> None:
    """Write down what came of a broken glass."""
    if not comment.strip():
        raise ReviewNeedsWords
    with _refusal_recorded(person, grant), transaction.atomic():
        locked = lock_grant(grant.pk)
        if not may_review(person, locked):
            raise NotInCharge
        if not locked.needs_review:
            raise AlreadyDecided("There is nothing to review.")
        locked.reviewed_at = now
        locked.reviewed_by = person
        locked.review = comment.strip()
        locked.save(update_fields=["reviewed_at", "reviewed_by", "review"])
        record_about(locked, Event.GRANT_REVIEWED, actor=actor_of(person), reason=comment.strip())


def _refusal_recorded(person: User, grant: Grant) -> AbstractContextManager[None]:
    return recorded_refusal(Event.GRANT_REFUSED, person=person, subject=subject_of(grant))
