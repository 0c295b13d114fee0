"""When somebody showed last that it is them, and the way to show it once more.

Signing in counts, and so does showing it again: with the password, a code, a passkey, or through SSO. What takes a fresh
authentication is decided elsewhere: `access.rules` for approvals, `console.views.second_factor` for ways to sign in.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from allauth.account.authentication import get_authentication_records
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect

from access import clock
from access.rules import is_recent
from console.http import PersonRequest
from people.models import User

#: In the session: when the identity provider says that the person signed in there; None where it does not say.
SIGNED_IN_THERE_AT = "signed_in_there_at"


def authenticated_at(request: HttpRequest) -> datetime | None:
    """The last time, in this session; None when it does not know of any."""
    person = request.user if isinstance(request.user, User) else None
    times = [_time_of(record, request) for record in get_authentication_records(request, person)]
    # Noted by the clock of a web server, which may be another one than the one by which everything is decided.
    return datetime.fromtimestamp(max(times), UTC) - clock.skew() if times else None


def _time_of(record: dict[str, Any], request: HttpRequest) -> float:
    """A provider that knows the browser lets people through without a question: then it counts when it asked last.

    One that does not say when may never have asked: that counts as long ago.
    """
    at = float(record["at"])
    if record["method"] != "socialaccount":
        return at
    there = request.session.get(SIGNED_IN_THERE_AT)
    return min(at, float(there)) if isinstance(there, (int, float)) else 0.0


def is_fresh(request: HttpRequest) -> bool:
    """Whether that was recently enough for something that matters."""
    last = authenticated_at(request)
    return is_recent(last, now=clock.now())


def led_to_reauthenticate(request: PersonRequest, *, back: str) -> HttpResponse:
    """Send the browser to show again that it is them; from there it comes `back` with a GET, which changes nothing."""
    address = f"{reverse('account_reauthenticate')}?{urlencode({'next': back})}"
    return HttpResponseClientRedirect(address) if request.htmx else HttpResponseRedirect(address)
