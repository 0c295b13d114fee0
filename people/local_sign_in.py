"""Who may sign in without an identity provider: everybody, or in production only a break-glass administrator.

`LOCKGATE_LOCAL_SIGN_IN` says which. With `break-glass` a password, or a passkey by itself, lets in an active administrator
who has a second factor, and nobody else: whoever has left the company is known to the provider, and not to us.
"""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.conf import settings

from people.models import User

EVERYBODY, BREAK_GLASS = "everybody", "break-glass"

NOT_HERE = "Only an administrator with a second factor signs in like this. Everybody else uses SSO."

#: Recovery codes alone are none: they are there for the day on which the other one is lost.
_FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def has_second_factor(person: User) -> bool:
    """An authenticator app or a passkey."""
    return bool(Authenticator.objects.filter(user_id=person.pk, type__in=_FACTORS).exists())


def may_sign_in_locally(person: User) -> bool:
    """Whether the way in that asks no identity provider is open to this person."""
    if settings.LOCKGATE_LOCAL_SIGN_IN == EVERYBODY:
        return person.is_active
    return person.is_active and person.is_administrator and has_second_factor(person)


def may_use_password(person: User) -> bool:
    """The same, for somebody who has a password."""
    return person.has_usable_password() and may_sign_in_locally(person)
