"""Sign-in methods that are added and removed, and second factors that fail, leave entries in the audit trail.

The rows themselves are watched, not allauth's own signals: those come after the commit, or not at all from a command.
"""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from audit import origin
from audit.events import Event
from audit.log import Actor, record
from people.models import User
from people.services import person_subject

#: As people call them.
WORDS = {
    Authenticator.Type.TOTP: "authenticator app",
    Authenticator.Type.WEBAUTHN: "passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery codes",
}


@receiver(post_save, sender=Authenticator)
def added(instance: Authenticator, created: bool, **kwargs: Any) -> None:
    """Somebody can show in another way that it is them."""
    if created:
        _record(Event.PERSON_FACTOR_ADDED, instance)


@receiver(post_delete, sender=Authenticator)
def removed(instance: Authenticator, **kwargs: Any) -> None:
    """One way less."""
    _record(Event.PERSON_FACTOR_REMOVED, instance)


@receiver(authentication_failed)
def failed(user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    """A code was wrong. What was typed is not kept."""
    record_failure(person=user, factor=WORDS[authenticator.type])


def record_failure(*, person: User, factor: str, reason: str = "") -> None:
    """Somebody who came as the person could not show the factor, or it was not enough."""
    with transaction.atomic():
        record(
            Event.PERSON_FACTOR_FAILED,
            actor=Actor("anonymous", "", "not signed in"),
            subject=person_subject(person),
            after={"factor": factor},
            reason=reason,
        )


def _record(event: Event, authenticator: Authenticator) -> None:
    # By its number: whoever holds the row may have changed the person since.
    person = User.objects.get(pk=authenticator.user_id)
    by_themselves = origin.current().channel == "web"
    actor = Actor("person", str(person.pk), person.email) if by_themselves else Actor("command", "", "manage.py")
    about = {"factor": WORDS[authenticator.type], "name": str(authenticator.data.get("name", ""))}
    was, is_now = (None, about) if event is Event.PERSON_FACTOR_ADDED else (about, None)
    with transaction.atomic():
        record(event, actor=actor, subject=person_subject(person), before=was, after=is_now)
