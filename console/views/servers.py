"""Servers: do they answer, what can be asked for on them, and what no grant explains."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from access import clock
from access.errors import AccessError, SecretUnavailable
from access.models import Server
from access.queries.catalogue import changes_since, history_of, roles_for
from access.queries.pages import can_rotate, open_findings, roles_on, servers_for, settled_findings, setup_sql_for
from access.queries.who import WhoCouldGet, who_could_get_on
from access.recognition import strangeness_of, twins_of
from access.rules import may_manage_servers
from access.services import catalogue, rotation
from access.services import servers as service
from access.services.identities import answers_for
from connectors.base import CheckReport
from connectors.errors import ConnectorError
from console.forms.asking import show as show_error
from console.forms.lines import typed
from console.forms.merging import merge
from console.forms.servers import ChangeServerForm, ServerForm, initial_of
from console.http import PersonRequest, signed_in, wants
from console.paging import paged

_SHOWN = 30
_SETTLED_SHOWN = 10


@signed_in()
def overview(request: PersonRequest) -> HttpResponse:
    """Every server in one line."""
    page = paged(request, servers_for(request.user), by=("name", "id"))
    context = {"page": page, "may_add": may_manage_servers(request.user)}
    return render(request, "servers/list.html", context)


@signed_in("GET", "POST")
def add(request: PersonRequest) -> HttpResponse:
    """Put a server under management; its page then shows the SQL for Lockgate's own account."""
    if not may_manage_servers(request.user):
        raise PermissionDenied
    form = ServerForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            server = catalogue.add_server(person=request.user, **form.cleaned_data)
        except SecretUnavailable as error:
            form.add_error("admin_secret", error.sentence)
        except AccessError as error:
            show_error(form, error)
        else:
            messages.success(request, "Now run the SQL below on the server, once, and test the connection.")
            return redirect("server", slug=server.slug)
    return render(request, "servers/add.html", {"form": form}, status=422 if form.errors else 200)


@signed_in("GET", "POST")
def edit(request: PersonRequest, slug: str) -> HttpResponse:
    """Change where the server is, how it is reached, and whether anything can be asked for on it."""
    server = get_object_or_404(servers_for(request.user), slug=slug)
    if not may_manage_servers(request.user):
        raise PermissionDenied
    if wants(request, "who"):
        return render(request, "settings/_who.html", {"who": _who(request, ChangeServerForm(request.GET), server)})
    if request.method != "POST":
        return _edit_page(request, ChangeServerForm(initial=initial_of(server)), server)
    form = ChangeServerForm(request.POST)
    if form.is_valid():
        try:
            changed = catalogue.change_server(person=request.user, server=server, **form.cleaned_data)
        except SecretUnavailable as error:
            form.add_error("admin_secret", error.sentence)
        except catalogue.EditedMeanwhile as error:
            return _overtaken(request, slug, form, error)
        except AccessError as error:
            show_error(form, error)
        else:
            unchanged = changed.revision == form.cleaned_data["revision"]
            messages.success(request, "Nothing was changed." if unchanged else "Saved. Now test the connection.")
            return redirect("server", slug=slug)
    return _edit_page(request, form, server, status=422)


def _overtaken(
    request: PersonRequest, slug: str, form: ChangeServerForm, error: catalogue.EditedMeanwhile
) -> HttpResponse:
    """Their own input again, beside what somebody else saved; what only the other one changed is taken over."""
    server = get_object_or_404(servers_for(request.user), slug=slug)
    changes = changes_since(request.user, "server", slug, form.cleaned_data["revision"])
    merged = merge(
        mine=typed(form, request.POST), recorded=form.as_recorded(), saved=initial_of(server), changes=changes
    )
    again = ChangeServerForm(initial=merged.initial)
    overtaken = {"sentence": error.sentence, "changes": changes, "merged": merged}
    return _edit_page(request, again, server, status=409, overtaken=overtaken)


def _edit_page(
    request: PersonRequest, form: ChangeServerForm, server: Server, status: int = 200, **more: Any
) -> HttpResponse:
    form.offer_tls_of(server.engine)
    context = {"form": form, "server": server, "who": _who(request, form, server), **more}
    return render(request, "servers/edit.html", context, status=status)


def _who(request: PersonRequest, form: ChangeServerForm, server: Server) -> WhoCouldGet:
    """Who could get what on the server as the form shows it, sent or not."""
    return who_could_get_on(
        server,
        roles_for(request.user).filter(server=server),
        environment=str(form["environment"].value() or server.environment),
        is_enabled=bool(form["is_enabled"].value()),
        viewer=request.user,
    )


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
        report = service.test_connection(person=request.user, server=server, now=clock.now())
    except (AccessError, ConnectorError) as error:
        problem = str(error)
    status = 422 if problem else 200
    if request.htmx:
        context = {"server": server, "report": report, "problem": problem, "tested": True, "oob": True}
        return render(request, "servers/_outcome.html", context, status=status)
    return _page(request, slug, report=report, problem=problem, tested=True, status=status)


@signed_in("POST")
def rotate(request: PersonRequest, slug: str) -> HttpResponse:
    """Give Lockgate's own account a new password, where its secret can be written."""
    server = get_object_or_404(servers_for(request.user), slug=slug)
    try:
        rotation.rotate_admin_secret(person=request.user, server=server)
    except (AccessError, ConnectorError) as error:
        return _page(request, slug, rotation_problem=str(error), status=422)
    messages.success(
        request, f"{server.admin_user} has a new password, proved by a login. The old one no longer works."
    )
    return redirect("server", slug=slug)


def _page(
    request: PersonRequest,
    slug: str,
    *,
    report: CheckReport | None = None,
    problem: str = "",
    tested: bool = False,
    rotation_problem: str = "",
    status: int = 200,
) -> HttpResponse:
    server = get_object_or_404(servers_for(request.user), slug=slug)
    context = {
        "server": server,
        "report": report,
        "problem": problem,
        "tested": tested,
        "may_test": may_manage_servers(request.user),
        "may_rotate": may_manage_servers(request.user) and can_rotate(server),
        "rotation_problem": rotation_problem,
        "setup_sql": setup_sql_for(server),
        "strangeness": strangeness_of(server),
        "seen_as": answers_for(server),
        "twins": twins_of(server, server.identity),
        "secrets_held": server.secret_uses.filter(confirmed_at=None).select_related("asked_by"),
        "roles": paged(request, roles_on(server), by=("name", "id"), name="roles", size=_SHOWN),
        "findings": paged(request, open_findings(server), by=("-id",), name="findings", size=_SHOWN),
        "settled": settled_findings(server, limit=_SETTLED_SHOWN),
        "history": history_of(request.user, "server", slug),
    }
    return render(request, "servers/show.html", context, status=status)
