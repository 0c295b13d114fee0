"""Home, and the pulse by which every open page keeps its alarms and counts fresh."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from access import clock
from access.queries.grants import living_grants_of
from access.queries.pages import latest_requests_by_role
from access.queries.paging import first_of
from access.queries.requests import decidable, pending_of, waiting_for
from console.http import PersonRequest, not_modified, signed_in
from console.shell import shell

#: More than this is for the page behind the panel.
_SHOWN = 5
_MOST_OWN = 20
_AGAIN = 3


@signed_in()
def home(request: PersonRequest) -> HttpResponse:
    """What I have, what I wait for, what waits for me, and what I asked for last."""
    person, now = request.user, clock.now()
    grants = list(living_grants_of(person)[: _MOST_OWN + 1])
    waiting = first_of(waiting_for(person, now=now), _SHOWN, decidable())
    pending = list(pending_of(person)[: _MOST_OWN + 1])
    context = {
        "grants": grants[:_MOST_OWN],
        "more_grants": len(grants) > _MOST_OWN,
        "pending": pending[:_MOST_OWN],
        "more_pending": len(pending) > _MOST_OWN,
        "waiting": waiting,
        "again": latest_requests_by_role(person, limit=_AGAIN),
    }
    return render(request, "home.html", context)


@signed_in()
def pulse(request: PersonRequest) -> HttpResponse:
    """The alarms and the badge of every page, as partials that replace the old ones; 304 while nothing has changed."""
    around = shell(request)
    version = around["shell"].status.version
    return not_modified(request, version) or render(request, "pulse.html", {**around, "oob": True})
