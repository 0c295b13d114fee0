"""How allauth treats accounts here: nobody signs up by themselves, and an address is a person's own column."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from django.http import HttpRequest

from console.middleware import client_address
from people.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts are made by administrators or by SSO, never by a sign-up form."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """For the limits on how often one may try to sign in: the same address that the audit trail records."""
        return client_address(request)

    def reauthenticate(self, user: User, password: str) -> bool:
        """Whether the password is the person's; allauth would look for their address among those they verified."""
        found = self.authenticate(context.request, email=user.email, password=password)
        return found is not None and found.pk == user.pk
