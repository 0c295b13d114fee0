"""Home, and the pulse by which every open page keeps its alarms and counts fresh."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from access import clock
from access.queries.grants import living_grants_visible_to
from access.queries.pages import latest_requests_by_role
from access.queries.requests import requests_of, waiting_for
from access.states import RequestState
from console.http import PersonRequest, signed_in

#: More than this is for the page behind the panel.
_SHOWN = 5
_AGAIN = 3


@signed_in()
def home(request: PersonRequest) -> HttpResponse:
    """What I have, what I wait for, what waits for me, and what I asked for last."""
    person, now = request.user, clock.now()
    waiting = waiting_for(person, now=now)
    context = {
        "grants": living_grants_visible_to(person).filter(person=person),
        "pending": requests_of(person).filter(state=RequestState.PENDING),
        "waiting": waiting[:_SHOWN],
        "more_waiting": max(len(waiting) - _SHOWN, 0),
        "again": latest_requests_by_role(person, limit=_AGAIN),
    }
    return render(request, "home.html", context)


@signed_in()
def pulse(request: PersonRequest) -> HttpResponse:
    """The alarms and the badge of every page, as partials that replace the old ones."""
    return render(request, "pulse.html", {"oob": True})
