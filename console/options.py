"""The lists under fields that search while somebody types: parts of the page that the field stands on."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from access.queries.finding import people_found_by, servers_found_by
from console.http import PersonRequest, wants

#: Name of the part → name of the field, and who looks.
_LISTS = {"people": ("person", people_found_by), "servers": ("server", servers_found_by)}


def options(request: PersonRequest) -> HttpResponse | None:
    """The list that a field of this page asks for; None when it is something else that is asked for."""
    for part, (field, find) in _LISTS.items():
        if wants(request, part):
            found = find(request.user, request.GET.get(field, ""))
            return render(request, "parts/options.html", {"options": found, "part": part})
    return None
