"""How allauth treats accounts here: nobody signs up by themselves, and an address is a person's own column."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.ratelimit import respond_429
from django.conf import settings
from django.http import HttpRequest

from console.middleware import storable_address
from people.local_sign_in import BREAK_GLASS, NOT_HERE
from people.models import User

MISMATCH = "The e-mail address and the password do not belong together."


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts are made by administrators or by SSO, never by a sign-up form."""

    @property
    def error_messages(self) -> dict[str, str]:
        """Those of allauth, and what it means here when a password lets nobody in."""
        own = {"email_password_mismatch": MISMATCH}
        if settings.LOCKGATE_LOCAL_SIGN_IN == BREAK_GLASS:
            own["email_password_mismatch"] = f"{MISMATCH} {NOT_HERE}"
        return {**DefaultAccountAdapter.error_messages, **own}

    def validation_error(self, code: str, *args: Any) -> Exception:
        """An error to raise; too many attempts are a page of their own, and no form."""
        if code == "too_many_login_attempts":
            raise ImmediateHttpResponse(respond_429(context.request))
        found: Exception = super().validation_error(code, *args)
        return found

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """For the limits on how often one may try to sign in: the same address that the audit trail records."""
        return storable_address(request)

    def reauthenticate(self, user: User, password: str) -> bool:
        """Whether the password is the person's; allauth would look for their address among those they verified."""
        found = self.authenticate(context.request, email=user.email, password=password)
        return found is not None and found.pk == user.pk
