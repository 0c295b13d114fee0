"""Servers: do they answer, what can be asked for on them, and what no grant explains."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from access.errors import AccessError
from access.queries.pages import servers_for, settled_findings, setup_sql_for
from access.rules import may_manage_servers
from access.services import servers as service
from connectors.base import CheckReport
from connectors.errors import ConnectorError
from console.http import PersonRequest, signed_in

_SETTLED_SHOWN = 10


@signed_in()
def overview(request: PersonRequest) -> HttpResponse:
    """Every server in one line."""
    return render(request, "servers/list.html", {"servers": servers_for(request.user)})


@signed_in()
def show(request: PersonRequest, slug: str) -> HttpResponse:
    """One server, its access roles, its findings, and the SQL for its admin account."""
    return _page(request, slug)


@signed_in("POST")
def test(request: PersonRequest, slug: str) -> HttpResponse:
    """Connect now, and say what stands in the way and what to do about it."""
    server = get_object_or_404(servers_for(request.user), slug=slug)
    report: CheckReport | None = None
    problem = ""
    try:
        report = service.test_connection(person=request.user, server=server, now=timezone.now())
    except (AccessError, ConnectorError) as error:
        problem = str(error)
    status = 422 if problem else 200
    if request.htmx:
        context = {"server": server, "report": report, "problem": problem, "tested": True, "oob": True}
        return render(request, "servers/_outcome.html", context, status=status)
    return _page(request, slug, report=report, problem=problem, tested=True, status=status)


def _page(
    request: PersonRequest,
    slug: str,
    *,
    report: CheckReport | None = None,
    problem: str = "",
    tested: bool = False,
    status: int = 200,
) -> HttpResponse:
    server = get_object_or_404(servers_for(request.user), slug=slug)
    context = {
        "server": server,
        "report": report,
        "problem": problem,
        "tested": tested,
        "may_test": may_manage_servers(request.user),
        "setup_sql": setup_sql_for(server),
        "settled": settled_findings(server, limit=_SETTLED_SHOWN),
    }
    return render(request, "servers/show.html", context, status=status)
