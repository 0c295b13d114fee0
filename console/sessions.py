"""Keeps `UserSession` true: from where a session was used last, and when."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse

from access import clock
from console.middleware import GetResponse, storable_address

#: Pages ask for news every few seconds, and nobody needs 'last seen' to the second.
SELDOM = timedelta(minutes=1)


class LastSeenMiddleware:
    """Notes at most once a minute that a session is in use; what was noted is in the cache, and costs no query."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Note it, then answer."""
        if request.user.is_authenticated and request.session.session_key:
            _note(request, request.session.session_key)
        return self.get_response(request)


def _note(request: HttpRequest, key: str) -> None:
    now = clock.now()
    # The cache is no place for the key itself: whoever has it is signed in.
    noted = f"seen:{hashlib.sha256(key.encode()).hexdigest()}"
    address = storable_address(request)
    before = cache.get(noted)
    if before is not None and before[1] == address and timedelta(0) <= now - before[0] <= SELDOM:
        return
    cache.set(noted, (_write(request, key, address, now=now), address), SELDOM.total_seconds())


def _write(request: HttpRequest, key: str, address: str, *, now: datetime) -> datetime:
    """When the session was in use, by what is written now."""
    known = UserSession.objects.filter(session_key=key)
    last = known.values_list("last_seen_at", "ip").first()
    if last is None:
        UserSession.objects.create_from_request(request)
    elif now - last[0] > SELDOM or last[1] != address:
        agent = request.headers.get("User-Agent", "")[:200]
        known.update(last_seen_at=now, ip=address, user_agent=agent)
    else:
        now = last[0]
    return now
