"""Switching a person off and on again: what they had open ends at once, and what they may have is somebody else's to end.

Whoever holds things of the person's (requests, grants) hears of it through `people.signals.deactivated`, inside the same
transaction: an account is never switched off without what hangs on it.
"""

from __future__ import annotations

from django.db import transaction

from audit.events import Event
from audit.log import Actor, record
from people.models import User
from people.services import person_subject
from people.sessions import record_ended, take_all_away
from people.signals import deactivated


@transaction.atomic
def deactivate(*, person: User, actor: Actor) -> None:
    """Nobody signs in as the person any more, and nobody still is; nothing happens when they are switched off already."""
    # Not FOR UPDATE, which would wait for, and hold up, whoever writes a row that points at the person: an approval that
    # holds the person's request makes their grant, and would wait for us while we wait for the request.
    locked = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    if not locked.is_active:
        return
    locked.is_active = False
    locked.save(update_fields=["is_active"])
    person.is_active = False
    # Both before the first audit entry of ours: locks of rows come before that of the chain.
    gone = take_all_away(person=locked)
    deactivated.send(sender=User, person=locked, actor=actor)
    record(
        Event.PERSON_DEACTIVATED,
        actor=actor,
        subject=person_subject(locked),
        before={"is_active": True},
        after={"is_active": False},
    )
    record_ended(person=locked, sessions=gone, actor=actor)


@transaction.atomic
def reactivate(*, person: User, actor: Actor) -> None:
    """The person may sign in again; what ended does not come back."""
    locked = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    if locked.is_active:
        return
    locked.is_active = True
    locked.save(update_fields=["is_active"])
    person.is_active = True
    record(
        Event.PERSON_REACTIVATED,
        actor=actor,
        subject=person_subject(locked),
        before={"is_active": False},
        after={"is_active": True},
    )
