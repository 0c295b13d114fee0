"""Signing in, failing to and signing out leave entries in the audit trail, whichever way somebody came."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest

from audit.events import Event
from audit.log import Actor, Subject, record
from people.models import User
from people.services import person_subject


def _actor(person: User) -> Actor:
    return Actor("person", str(person.pk), person.email)


@receiver(user_logged_in)
def signed_in(user: User, **kwargs: Any) -> None:
    """Somebody signed in."""
    with transaction.atomic():
        record(Event.PERSON_SIGNED_IN, actor=_actor(user), subject=person_subject(user))


@receiver(user_logged_out)
def signed_out(user: User | None, **kwargs: Any) -> None:
    """Somebody signed out; an anonymous visitor who does so is no event."""
    if user is None:
        return
    with transaction.atomic():
        record(Event.PERSON_SIGNED_OUT, actor=_actor(user), subject=person_subject(user))


@receiver(user_login_failed)
def sign_in_failed(credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    """Somebody tried to sign in and could not; only the name that was typed is kept, and why a right password was no use."""
    tried = str(credentials.get("email") or credentials.get("username") or "")[:200]
    with transaction.atomic():
        record(
            Event.PERSON_SIGN_IN_FAILED,
            actor=Actor("anonymous", "", "not signed in"),
            subject=Subject("person", tried, tried),
            reason=str(request.META.get("lockgate.sign_in_refused", "")) if request is not None else "",
        )
