"""Asking for access, and changing what was asked for while nobody has decided."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from access import clock
from access.errors import AccessError
from access.models import AccessRole, PolicyStep
from access.queries.pages import MOST_ROLES, roles_found_by
from access.queries.paging import first_of
from access.queries.requests import requests_of, with_open_request
from access.queries.roles import Preview, preview
from access.rules import may_break_glass, may_request
from access.services import requests as service
from access.states import RequestState
from console import durations
from console.forms.asking import AskForm, WishesForm, show
from console.forms.durations import DurationChips
from console.http import PersonRequest, signed_in, wants
from people.models import User

#: What the SQL of the page counts with until somebody chooses.
_USUAL = timedelta(hours=1)


@signed_in("GET", "POST")
def ask(request: PersonRequest) -> HttpResponse:
    """Choose a role, a duration, say why, send. By GET the form can be filled in beforehand: `?role=…&for=1h`."""
    roles = with_open_request(request.user, roles_found_by(request.user, ""))
    if request.method == "POST":
        return _submit(request, roles)
    if wants(request, "roles"):
        chosen = _role(request.GET.get("role"), roles)
        return render(request, "request/_roles.html", _found(request, request.GET.get("q", ""), chosen))
    if wants(request, "preview"):
        return _preview(request, roles)
    return _page(request, AskForm(initial=_wished(request), roles=roles), roles)


@signed_in("GET", "POST")
def edit(request: PersonRequest, reference: str) -> HttpResponse:
    """Change one's own open request; votes cast so far no longer count."""
    asked = get_object_or_404(requests_of(request.user), reference=reference)
    if asked.state != RequestState.PENDING:
        return redirect("request", reference=reference)
    initial = {
        "duration": asked.duration,
        "reason": asked.reason,
        "ticket": asked.ticket,
        "wished_start": asked.wished_start,
        "utc_offset": 0,
    }
    form = WishesForm(request.POST if request.method == "POST" else None, initial=initial)
    form.fields["duration"].widget = DurationChips(longest=asked.role.longest_allowed)
    if request.method == "POST" and form.is_valid():
        wishes = {name: form.cleaned_data[name] for name in ("duration", "reason", "ticket", "wished_start")}
        try:
            service.edit(person=request.user, request=asked, now=clock.now(), **wishes)
        except AccessError as error:
            show(form, error)
        else:
            return redirect("request", reference=reference)
    status = 422 if form.errors else 200
    return render(request, "request/edit.html", {"form": form, "asked": asked}, status=status)


def _submit(request: PersonRequest, roles: QuerySet[AccessRole]) -> HttpResponse:
    form = AskForm(request.POST, roles=roles)
    if form.is_valid():
        wishes = {key: value for key, value in form.cleaned_data.items() if key != "utc_offset"}
        try:
            asked = service.submit(person=request.user, now=clock.now(), **wishes)
        except AccessError as error:
            show(form, error)
        else:
            return redirect("request", reference=asked.reference)
    return _page(request, form, roles, status=422)


def _page(request: PersonRequest, form: AskForm, roles: QuerySet[AccessRole], status: int = 200) -> HttpResponse:
    role = _role(form.data.get("role") or form.initial.get("role"), roles)
    found = _found(request, request.GET.get("q", ""), role)
    context = {
        "form": form,
        **found,
        **_worked_out(request.user, role, _duration(form), bool(form.data.get("break_glass"))),
    }
    _limit_chips(form, role)
    return render(request, "request/new.html", context, status=status)


def _preview(request: PersonRequest, roles: QuerySet[AccessRole]) -> HttpResponse:
    """The side panel for what is chosen so far; with it the durations, when it was the role that changed."""
    # Not bound: nothing is wrong with a form before it is sent.
    duration = DurationChips().value_from_datadict(request.GET, {}, "duration")
    form = AskForm(initial={"duration": duration}, roles=roles)
    role = _role(request.GET.get("role"), roles)
    _limit_chips(form, role)
    context = {
        "form": form,
        "role_changed": request.GET.get("changed") == "role",
        **_worked_out(request.user, role, _duration(form), bool(request.GET.get("break_glass"))),
    }
    return render(request, "request/_preview.html", context)


def _wished(request: PersonRequest) -> dict[str, str]:
    """What the address asks to fill in."""
    wished = {"role": "role", "duration": "for", "reason": "reason", "ticket": "ticket"}
    return {field: request.GET[name] for field, name in wished.items() if request.GET.get(name)}


def _found(request: PersonRequest, words: str, chosen: AccessRole | None = None) -> dict[str, Any]:
    """The list of roles: what was searched for, and always the one that is chosen."""
    wide = with_open_request(request.user, AccessRole.objects.select_related("server"))
    found = first_of(roles_found_by(request.user, words), MOST_ROLES + 1, wide)
    shown = found[:MOST_ROLES]
    slug = chosen.slug if chosen else request.GET.get("role", "")
    if chosen and chosen not in shown:
        shown.insert(0, chosen)
    return {
        "roles": shown,
        "more_roles": len(found) > MOST_ROLES,
        "words": words,
        "chosen_role": slug,
    }


def _role(slug: Any, roles: QuerySet[AccessRole]) -> AccessRole | None:
    steps = Prefetch("policy__steps", queryset=PolicyStep.objects.select_related("team"))
    rules = roles.select_related("policy__break_glass_team").prefetch_related("policy__requesters", steps)
    return rules.filter(slug=str(slug)).first() if slug else None


def _duration(form: AskForm) -> timedelta | None:
    """What is chosen, if it can be read."""
    text = form["duration"].value()
    if isinstance(text, timedelta):
        return text
    try:
        return durations.parse(str(text)) if text else None
    except ValueError:
        return None


def _limit_chips(form: AskForm, role: AccessRole | None) -> None:
    form.fields["duration"].widget = DurationChips(longest=role.longest_allowed if role else None)


def _worked_out(person: User, role: AccessRole | None, duration: timedelta | None, break_glass: bool) -> dict[str, Any]:
    """Who would have to agree and what would run; and whether the person has a choice about the glass."""
    if role is None or role.policy is None:
        return {"preview": None, "may_break_glass": False}
    only_by_glass = not may_request(person, role.policy)
    counted: timedelta = duration or _USUAL
    would: Preview = preview(person=person, role=role, duration=counted, break_glass=break_glass, now=clock.now())
    return {
        "preview": would,
        "chosen": role,
        "already": role.open_request,  # type: ignore[attr-defined]  # annotated
        "duration": duration,
        "break_glass": break_glass,
        "may_break_glass": may_break_glass(person, role.policy),
        "only_by_glass": only_by_glass,
    }
