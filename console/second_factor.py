"""How allauth's MFA is set up here: secrets sealed as passwords are, and one way to make a passkey."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.webauthn.forms import AddWebAuthnForm as AllauthAddWebAuthnForm
from django.conf import settings

from access.sealing import seal, unseal
from connectors.base import Secret


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Secrets of authenticator apps are no more readable in the database than passwords of accounts."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": "That was not right. Codes of an app are good for half a minute, recovery codes for one time.",
    }

    def encrypt(self, text: str) -> str:
        """Under the newest of the encryption keys."""
        return seal(Secret(text))

    def decrypt(self, encrypted_text: str) -> str:
        """With whichever key it was."""
        return unseal(encrypted_text).reveal()

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Passkeys belong to the address that people type, whatever a request says its host is."""
        # On a developer's machine that is a number, to which no passkey can belong; `localhost` is the same place.
        host = None if settings.DEVELOPMENT else urlsplit(settings.LOCKGATE_BASE_URL).hostname
        return {"id": host or context.request.get_host().partition(":")[0], "name": "Lockgate"}


class AddPasskeyForm(AllauthAddWebAuthnForm):  # type: ignore[misc]
    """A passkey always asks for the owner's finger, face or PIN, so that it can stand alone."""

    def clean(self) -> dict[str, Any]:
        """Whatever the browser's form says."""
        self.cleaned_data["passwordless"] = True
        found: dict[str, Any] = super().clean()
        return found
