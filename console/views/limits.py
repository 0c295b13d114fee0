"""Too many attempts: said in words, and recorded once a minute, so that nobody floods the audit trail either."""

from __future__ import annotations

from hashlib import sha256

from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from audit.events import Event
from audit.log import Actor, Subject, record
from console.middleware import client_address
from people.models import User

#: As long as the longest of the limits.
WAIT_SECONDS = 300


@never_cache
def too_many(request: HttpRequest) -> HttpResponse:
    """The page; `ACCOUNT_RATE_LIMITS` and `MFA_RATE_LIMITS` say when."""
    person = request.user if isinstance(request.user, User) else None
    tried = person.email if person else str(request.POST.get("login", ""))[:200]
    # Hashed: whatever was typed as a name need not be fit for a key.
    who = sha256(f"{client_address(request)} {tried}".encode("utf-8", "replace")).hexdigest()
    if cache.add(f"limited:{who}", "told", timeout=60):
        with transaction.atomic():
            record(
                Event.PERSON_SIGN_IN_LIMITED,
                actor=Actor("person", str(person.pk), tried) if person else Actor("anonymous", "", "not signed in"),
                subject=Subject("person", str(person.pk) if person else tried, tried),
            )
    response = render(request, "429.html", status=429)
    response["Retry-After"] = str(WAIT_SECONDS)
    return response
