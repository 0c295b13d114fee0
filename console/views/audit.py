"""The audit log: who did what, when, to what, why; and its export."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from access.queries.finding import address_of, person_meant, server_meant
from access.queries.pages import audit_page_for, chain_state_for
from access.rules import may_see_audit
from access.services.door import actor_of
from audit import checkpoints
from audit import export as exporting
from audit.errors import BadFilter
from audit.events import Event
from audit.evidence import evidence
from audit.export import Format
from audit.search import Filters
from console.http import PersonRequest, download, signed_in, wants
from console.options import options

_FAMILIES = (
    ("request.*", "Requests"),
    ("vote.*", "Votes"),
    ("grant.*", "Access"),
    ("person.*", "People and sign-ins"),
    ("server.*", "Servers"),
    ("role.*", "Access roles"),
    ("policy.*", "Policies"),
    ("sweep.*", "Sweeps"),
    ("audit.*", "The log itself"),
)

#: Digits of the highest number that an entry can have.
_LONGEST_NUMBER = 18


@signed_in()
def entries(request: PersonRequest) -> HttpResponse:
    """One page of the log, newest first; the filters and the place in the log are in the address."""
    if answer := options(request):
        return answer
    error, status, candidates = "", 200, ()
    try:
        filters = _filters(request, request.GET.dict())
    except BadFilter as refused:
        filters, error, status = Filters(), str(refused), 422
        candidates = getattr(refused, "options", ())
    older_than = request.GET.get("before", "")
    known = older_than.isdecimal() and len(older_than) <= _LONGEST_NUMBER
    page = audit_page_for(request.user, filters, older_than=int(older_than) if known else None)
    context: dict[str, Any] = {"page": page, "error": error, "typed": request.GET, "filtered": bool(filters)}
    if page.older_than is not None:
        context["older"] = "?" + urlencode({**_typed(request), "before": page.older_than})
    if wants(request, "rows"):
        return render(request, "audit/_rows.html", context)
    context |= {
        "chain": chain_state_for(request.user),
        "checkpoints": checkpoints.state(),
        "families": _FAMILIES,
        "events": Event.choices,
        "person_typed": address_of(request.user, request.GET.get("person", "")),
        "candidates": candidates,
        "newest": "?" + urlencode(_typed(request)) if known else "",
        "typed_pairs": sorted(_typed(request).items()),
    }
    return render(request, "audit/list.html", context, status=status)


@signed_in("POST")
def export(request: PersonRequest) -> HttpResponseBase:
    """Exactly what the filters find, as a download; evidence is always of everything, and its button says so.

    By POST, since an export is itself written into the log.
    """
    if not may_see_audit(request.user):
        raise PermissionDenied
    if request.POST.get("format") == "evidence":
        lines = evidence(actor=actor_of(request.user))
        return download(lines, "lockgate-evidence", "text/plain; charset=utf-8", "txt")
    try:
        filters = _filters(request, request.POST.dict())
        form = Format(request.POST.get("format", ""))
    except (BadFilter, ValueError) as error:
        return render(request, "audit/export_refused.html", {"error": str(error)}, status=422)
    lines = exporting.export(filters, form, actor=actor_of(request.user))
    return download(lines, "lockgate-audit", form.content_type, form.value)


def _filters(request: PersonRequest, query: dict[str, str]) -> Filters:
    """The filters as they were typed: people by their address, servers by either of their names. Raises `BadFilter`."""
    found = {
        "person": person_meant(request.user, query.get("person", "")),
        "server": server_meant(request.user, query.get("server", ""))[0],
    }
    return Filters.from_query({**query, **found})


def _typed(request: PersonRequest) -> dict[str, str]:
    """The filters as they stand in the address, without the place in the log."""
    names = ("person", "actor", "subject", "server", "event", "from", "to", "text")
    return {name: request.GET[name] for name in names if request.GET.get(name)}
