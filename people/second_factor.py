"""Second factors by hand: whoever may run `manage.py` can give an administrator one, for the first day and the worst one."""

from __future__ import annotations

from dataclasses import dataclass

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.db import transaction

from people.models import User

_SEALED = ("secret", "seed")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the person needs; it is shown once, and nowhere kept in the clear."""

    secret: str
    """For the authenticator app, in base 32."""
    address: str
    """The same as the app reads it from a picture: `otpauth://totp/…`."""
    recovery_codes: tuple[str, ...]

    def __repr__(self) -> str:
        return "Enrolment(…)"


@transaction.atomic
def enrol(*, person: User) -> Enrolment:
    """A new authenticator app and new recovery codes, in place of those the person had. Passkeys stay."""
    User.objects.select_for_update(no_key=True).get(pk=person.pk)
    codes_and_app = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
    Authenticator.objects.filter(user_id=person.pk, type__in=codes_and_app).delete()
    secret = generate_totp_secret()
    TOTP.activate(person, secret)
    codes = RecoveryCodes.activate(person)
    codes.mark_as_viewed()
    return Enrolment(secret, get_adapter().build_totp_url(person, secret), tuple(codes.get_unused_codes()))


def sealed_secrets() -> list[str]:
    """Everything of second factors that is encrypted under the installation's keys."""
    rows = Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN).values_list("data", flat=True)
    return [data[name] for data in rows for name in _SEALED if data.get(name)]


@transaction.atomic
def reseal() -> int:
    """Encrypt everything anew under the newest key, so that an older one can go; how many rows that were."""
    rows = list(Authenticator.objects.select_for_update().exclude(type=Authenticator.Type.WEBAUTHN).order_by("pk"))
    adapter = get_adapter()
    for row in rows:
        for name in _SEALED:
            if row.data.get(name):
                row.data[name] = adapter.encrypt(adapter.decrypt(row.data[name]))
        row.save(update_fields=["data"])
    return len(rows)
