"""Sessions of a person in their browsers: which there are, and how they really end.

A session is a row of Django's, and where it came from is in allauth's `UserSession` beside it. Ending one removes both, so
that the next request of that browser is nobody's.
"""

from __future__ import annotations

from collections.abc import Iterable

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from audit.events import Event
from audit.log import Actor, record
from people.devices import device_of
from people.models import User
from people.services import person_subject


def sessions_of(person: User) -> list[UserSession]:
    """The person's living sessions, the one that was seen last first."""
    rows = list(UserSession.objects.filter(user_id=person.pk).order_by("-last_seen_at"))
    keys = [row.session_key for row in rows]
    living = Session.objects.filter(pk__in=keys, expire_date__gt=timezone.now()).values_list("pk", flat=True)
    alive = set(living)
    return [row for row in rows if row.session_key in alive]


@transaction.atomic
def end_session(*, person: User, session: int, actor: Actor) -> bool:
    """End one session of the person's, by its number. False when they have no such session any more."""
    gone = _take_away(UserSession.objects.filter(user_id=person.pk, pk=session))
    record_ended(person=person, sessions=gone, actor=actor)
    return bool(gone)


@transaction.atomic
def end_sessions(*, person: User, except_key: str = "", actor: Actor) -> int:
    """End all sessions of the person but the one with `except_key`; how many living ones that were."""
    gone = take_all_away(person=person, except_key=except_key)
    record_ended(person=person, sessions=gone, actor=actor)
    return len(gone)


def take_all_away(*, person: User, except_key: str = "") -> list[UserSession]:
    """The first half of `end_sessions`, for who locks more rows before the first audit entry; returns the living ones."""
    return _take_away(UserSession.objects.filter(user_id=person.pk).exclude(session_key=except_key))


def record_ended(*, person: User, sessions: Iterable[UserSession], actor: Actor) -> None:
    """The other half: an entry each."""
    for session in sessions:
        record(
            Event.PERSON_SESSION_ENDED,
            actor=actor,
            subject=person_subject(person),
            before={"device": device_of(session.user_agent), "address": session.ip},
        )


def _take_away(sessions: Iterable[UserSession]) -> list[UserSession]:
    rows = list(sessions)
    found = Session.objects.filter(pk__in=[row.session_key for row in rows])
    living = set(found.filter(expire_date__gt=timezone.now()).values_list("pk", flat=True))
    found.delete()
    UserSession.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return [row for row in rows if row.session_key in living]
