"""Access roles: what can be asked for; administrators change them, auditors read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from access.audience import Rules
from access.errors import AccessError
from access.gateway_rules import in_words, loosens, rules_for
from access.models import AccessRole, Policy, Server
from access.queries.catalogue import changes_since, held_back_for, history_of, living_grants_of, roles_for
from access.queries.who import Case, WhoCouldGet, who_could_get
from access.rules import may_manage_servers
from access.services import catalogue, scopes
from connectors.base import Level
from connectors.errors import ConnectorError
from console.forms.asking import show
from console.forms.gateway_rules import OF_ITS_OWN, initial_of_level
from console.forms.lines import LinesField, line_of, typed
from console.forms.merging import merge
from console.forms.roles import RoleForm, initial_of
from console.http import PersonRequest, signed_in, wants
from console.paging import paged
from people.models import User


@signed_in()
def overview(request: PersonRequest) -> HttpResponse:
    """Every access role, by server."""
    words = request.GET.get("q", "")
    # Found narrow, read wide: thousands are sorted, and a page of them is shown.
    by = ("server__name", "name", "id")
    page = paged(request, roles_for(request.user, words), by=by, shown=roles_for(request.user))
    context = {"page": page, "words": words, "may_change": may_manage_servers(request.user)}
    return render(request, "settings/roles.html", context)


@signed_in("GET", "POST")
def add(request: PersonRequest) -> HttpResponse:
    """A new access role."""
    if not may_manage_servers(request.user):
        raise PermissionDenied
    if wants(request, "who"):
        return _who(request, RoleForm(request.GET), None)
    if wants(request, "gateway"):
        return _gateway(request, None)
    if wants(request, "names"):
        return _names(request, Server.objects.filter(slug=request.GET.get("server", "")).first())
    if request.method != "POST":
        usual = {"server": request.GET.get("server", ""), "longest": "8h", "connections": 5}
        usual |= {"statement_timeout": "5m", "idle_in_transaction_timeout": "5m"}
        return _page(request, RoleForm(initial={**usual, **initial_of_level(Level.READ)}), None)
    form = RoleForm(request.POST)
    if form.is_valid() and _is_on_server(request, form, form.cleaned_data["server"]):
        try:
            role = catalogue.define_role(person=request.user, **form.cleaned_data)
        except AccessError as error:
            show(form, error)
        else:
            messages.success(request, "The access role was added.")
            return redirect("settings_role", slug=role.slug)
    return _page(request, form, None, status=422)


@signed_in("GET", "POST")
def edit(request: PersonRequest, slug: str) -> HttpResponse:
    """One access role: change it, see who could get it, and who changed what before."""
    role = get_object_or_404(roles_for(request.user), slug=slug)
    if not may_manage_servers(request.user):
        if request.method == "POST":
            raise PermissionDenied
        return _page(request, None, role)
    if wants(request, "who"):
        return _who(request, RoleForm(request.GET, role=role), role)
    if wants(request, "gateway"):
        return _gateway(request, role)
    if wants(request, "names"):
        return _names(request, role.server)
    if request.method != "POST":
        return _page(request, RoleForm(initial=initial_of(role), role=role), role)
    return _save(request, role)


def _save(request: PersonRequest, role: AccessRole) -> HttpResponse:
    form = RoleForm(request.POST, role=role)
    if form.is_valid() and _is_on_server(request, form, role.server, role):
        try:
            changed = catalogue.change_role(person=request.user, role=role, **form.cleaned_data)
        except catalogue.EditedMeanwhile as error:
            return _overtaken(request, role.slug, form, error)
        except AccessError as error:
            show(form, error)
        else:
            unchanged = changed.revision == form.cleaned_data["revision"]
            told = "Nothing was changed." if unchanged else "Saved. Open requests and living access are not touched."
            messages.success(request, told)
            return redirect("settings_role", slug=role.slug)
    return _page(request, form, role, status=422)


def _is_on_server(request: PersonRequest, form: RoleForm, server: Server, saved: AccessRole | None = None) -> bool:
    """Whether what the form names is there; what is not is told beside its field. A server that is away forbids nothing."""
    compared = scopes.compare(person=request.user, server=server, names=form.names(), saved=saved)
    for missing in compared.missing:
        form.add_error(missing.field, missing.sentence)
    if compared.unchecked:
        messages.warning(request, f"The names were not compared with the server: {compared.unchecked}")
    return not compared.missing


def _names(request: PersonRequest, server: Server | None) -> HttpResponse:
    """What is on the server of one kind, and is called like what was typed into the search beside it."""
    kind = request.GET.get("kind", "")
    context: dict[str, Any] = {"target": f"id_{kind}", "problem": "" if server else "Choose the server first."}
    if server is not None:
        databases = LinesField(required=False).to_python(request.GET.get("databases", ""))
        like = request.GET.get(f"find_{kind}", "")
        try:
            found = scopes.offer(person=request.user, server=server, kind=kind, databases=databases, like=like)
        except (AccessError, ConnectorError) as error:
            context["problem"] = str(error)
        else:
            context |= {"offered": [line_of(each) for each in found], "more": len(found) == scopes.MOST_OFFERED}
    return render(request, "settings/_names.html", context)


def _overtaken(request: PersonRequest, slug: str, form: RoleForm, error: catalogue.EditedMeanwhile) -> HttpResponse:
    """Their own input again, beside what somebody else saved; what only the other one changed is taken over."""
    role = get_object_or_404(roles_for(request.user), slug=slug)
    changes = changes_since(request.user, "role", slug, form.cleaned_data["revision"])
    mine = _so_far(form, request.POST)
    merged = merge(mine=mine, recorded=form.as_recorded(), saved=initial_of(role), changes=changes)
    again = RoleForm(initial=merged.initial, role=role)
    overtaken = {"sentence": error.sentence, "changes": changes, "merged": merged}
    return _page(request, again, role, overtaken=overtaken, status=409)


def _so_far(form: RoleForm, data: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed; where it says that what the level gives counts, the rules of the level."""
    mine = typed(form, data)
    return mine if mine["gateway_rules"] == OF_ITS_OWN else {**mine, **initial_of_level(form.level_so_far())}


def _gateway(request: PersonRequest, role: AccessRole | None) -> HttpResponse:
    """The rules at the gateway after another level was chosen."""
    mine = _so_far(RoleForm(request.GET, role=role), request.GET)
    return render(request, "settings/_gateway_rules.html", {"form": RoleForm(initial=mine, role=role)})


def _who(request: PersonRequest, form: RoleForm, role: AccessRole | None) -> HttpResponse:
    return render(request, "settings/_who.html", {"who": _worked_out(request.user, role, form)})


def _worked_out(viewer: User, role: AccessRole | None, form: RoleForm | None) -> WhoCouldGet:
    """Who could get the role as it is saved, or as `form` shows it (sent or not), beside what is saved."""
    saved = role.guarded if role else None
    saved_rules = _rules(role.policy, role.is_enabled) if role else None
    if form is None and saved is not None:
        return who_could_get([Case(saved, saved_rules, saved, saved_rules)], viewer=viewer)
    form = form or RoleForm(role=role)
    slug = form["policy"].value() or ""
    is_saved = role is not None and role.policy is not None and role.policy.slug == slug
    policy = role.policy if role and is_saved else Policy.objects.filter(slug=slug).first()
    rules = _rules(policy, role is None or bool(form["is_enabled"].value()))
    case = Case(form.guarded_so_far(role), rules, saved, saved_rules, loosens=role is not None and _loosens(form, role))
    return who_could_get([case], viewer=viewer)


def _loosens(form: RoleForm, role: AccessRole) -> bool:
    """Whether what was typed allows more at the gateway than what is saved."""
    if not form.is_bound or not form.is_valid():
        return False
    own = form.cleaned_data["gateway"]
    return loosens(role.gateway_rules, own or rules_for(form.cleaned_data["level"]))


def _rules(policy: Policy | None, is_enabled: bool) -> Rules | None:
    return policy.rules() if policy and is_enabled else None


def _page(
    request: PersonRequest,
    form: RoleForm | None,
    role: AccessRole | None,
    *,
    overtaken: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "role": role, "overtaken": overtaken, "who": None}
    if role is not None or (form is not None and form.is_bound):
        context["who"] = _worked_out(request.user, role, form)
    if role is not None:
        context["history"] = history_of(request.user, "role", role.slug)
        context["held_back"] = held_back_for(request.user).filter(role=role)
        context["may_change"] = may_manage_servers(request.user)
        context["living"] = living_grants_of(role)
        context["at_the_gateway"] = in_words(role.gateway_rules)
    return render(request, "settings/role.html", context, status=status)
