"""Where a password is checked, whatever form it came through."""

from __future__ import annotations

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from people.local_sign_in import NOT_HERE, may_sign_in_locally
from people.models import User


class LocalBackend(AuthenticationBackend):  # type: ignore[misc]
    """allauth's, for those whom `LOCKGATE_LOCAL_SIGN_IN` lets in.

    Whoever is refused hears the same as with a wrong password: who has which is for the audit trail alone.
    """

    def get_user(self, user_id: int) -> User | None:
        """Who a session belongs to, with their teams: every page asks for both, so that it is one query."""
        person = User.objects.with_teams().filter(pk=user_id).first()
        return person if person is not None and self.user_can_authenticate(person) else None

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        """The person, if the password is theirs and they may use it; second factors are asked for later, by allauth."""
        person: User | None = super().authenticate(request, **credentials)
        if person is not None and not may_sign_in_locally(person):
            if request is not None:
                request.META["lockgate.sign_in_refused"] = NOT_HERE
            raise PermissionDenied(NOT_HERE)
        return person
