"""Keeps `UserSession` true: from where a session was used last, and when."""

from __future__ import annotations

from datetime import timedelta

from allauth.usersessions.models import UserSession
from django.http import HttpRequest, HttpResponse

from access import clock
from console.middleware import GetResponse, storable_address

#: Pages ask for news every few seconds, and nobody needs 'last seen' to the second.
SELDOM = timedelta(minutes=1)


class LastSeenMiddleware:
    """Notes at most once a minute that a session is in use; one query a request otherwise."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Note it, then answer."""
        if request.user.is_authenticated and request.session.session_key:
            _note(request, request.session.session_key)
        return self.get_response(request)


def _note(request: HttpRequest, key: str) -> None:
    now = clock.now()
    known = UserSession.objects.filter(session_key=key)
    last = known.values_list("last_seen_at", "ip").first()
    address = storable_address(request)
    if last is None:
        UserSession.objects.create_from_request(request)
    elif now - last[0] > SELDOM or last[1] != address:
        agent = request.headers.get("User-Agent", "")[:200]
        known.update(last_seen_at=now, ip=address, user_agent=agent)
