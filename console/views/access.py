"""Using and ending access: the list, the page of one grant, its password, more time, the end, the review."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from access import clock
from access.errors import AccessError
from access.models import Grant
from access.queries.certificates import authority_of_server
from access.queries.counting import count_of, in_words
from access.queries.grants import ended_grants_of, grants_visible_to, living_grants_of, living_grants_of_others
from access.queries.pages import hints_for
from access.queries.requests import requests_of
from access.queries.statements import statements_of_grant
from access.rules import may_end, may_keep, may_review
from access.services import grants as service
from access.services import requests as asking
from access.services import standing
from access.states import GrantState, RequestState
from connectors.base import ConnectionHint
from console.forms.asking import ExtendForm, tell_errors
from console.forms.asking import show as show_error
from console.forms.deciding import EndForm, KeepForm, ReviewForm
from console.http import PersonRequest, not_modified, signed_in, wants
from console.paging import paged
from console.views.gateway import gateway_context
from people.models import User

_SHOWN = 25
_ENDED_SHOWN = 10
_PLACEHOLDER = "{password}"
_MASK = "••••••••"


@signed_in()
def mine(request: PersonRequest) -> HttpResponse:
    """My access, and the living access of others that I may see."""
    person = request.user
    others = paged(request, living_grants_of_others(person), by=("ends_at", "id"), name="others", size=_SHOWN)
    context = {
        "grants": paged(request, living_grants_of(person), by=("ends_at", "id"), name="mine", size=_SHOWN),
        "others": others,
        "others_open": in_words(count_of(living_grants_of_others(person))) if others else "",
        "endable": {grant.pk for grant in others.rows if may_end(person, grant)},
        "ended": paged(request, ended_grants_of(person), by=("-id",), name="ended", size=_ENDED_SHOWN),
    }
    return render(request, "access/list.html", context)


@signed_in()
def show(request: PersonRequest, reference: str) -> HttpResponse:
    """One grant: how to connect, how long it lasts, and its end."""
    grant = get_object_or_404(grants_visible_to(request.user), reference=reference)
    if wants(request, "status"):
        version = version_of(grant)
        if answer := not_modified(request, version):
            return answer
        if request.GET.get("seen") == version:
            return HttpResponse(status=204)
        return render(request, "access/_status.html", {**page_context(request.user, grant), "oob": True})
    return render_page(request, grant)


@signed_in("POST")
def reveal(request: PersonRequest, reference: str) -> HttpResponse:
    """The password, in this one answer and never again. Nothing keeps this answer."""
    grant = get_object_or_404(grants_visible_to(request.user), reference=reference)
    shown: dict[str, str] = {}
    status = 200
    try:
        shown["password"] = service.reveal_password(person=request.user, grant=grant, now=clock.now())
    except AccessError as error:
        shown["password_error"], status = error.sentence, 422
    # Read again: what was still being made when we looked may have become usable by the time the password was taken,
    # and a page that then said 'not ready' would lose it for ever.
    context = page_context(request.user, get_object_or_404(grants_visible_to(request.user), reference=reference))
    context.update(shown)
    if "password" in shown:
        context["hints"] = _with_password(context["hints"], shown["password"])
    if not request.htmx:
        context |= {**gateway_context(request.user, grant), "statements": statements_of_grant(grant)}
    template = "access/_credentials.html" if request.htmx else "access/show.html"
    response = render(request, template, context, status=status)
    response["Cache-Control"] = "no-store, private, max-age=0"
    return response


@signed_in("POST")
def extend(request: PersonRequest, reference: str) -> HttpResponse:
    """Ask for more time: a request of its own, decided like any other."""
    grant = get_object_or_404(grants_visible_to(request.user), reference=reference)
    form = ExtendForm(request.POST)
    if form.is_valid():
        try:
            asked = asking.extend(person=request.user, grant=grant, now=clock.now(), **form.cleaned_data)
        except AccessError as error:
            show_error(form, error)
        else:
            return redirect("request", reference=asked.reference)
    return render_page(request, grant, status=422, extend_form=form)


@signed_in("POST")
def end(request: PersonRequest, reference: str) -> HttpResponse:
    """End it now: one's own by giving it back, somebody else's by being in charge."""
    grant = get_object_or_404(grants_visible_to(request.user), reference=reference)
    form = EndForm(request.POST)
    if form.is_valid():
        try:
            service.end(person=request.user, grant=grant, now=clock.now(), **form.cleaned_data)
        except AccessError as error:
            show_error(form, error)
        else:
            messages.success(request, "The access is being ended. It is over when the server's catalog proves it.")
            return redirect("request", reference=grant.request.reference)
    return render_page(request, grant, status=422, end_form=form)


@signed_in("POST")
def review(request: PersonRequest, reference: str) -> HttpResponse:
    """Write down what came of a broken glass."""
    grant = get_object_or_404(grants_visible_to(request.user), reference=reference)
    form = ReviewForm(request.POST)
    if form.is_valid():
        try:
            service.review(person=request.user, grant=grant, now=clock.now(), **form.cleaned_data)
        except AccessError as error:
            show_error(form, error)
        else:
            messages.success(request, "Your review has been recorded.")
            return redirect("request", reference=grant.request.reference)
    return render_page(request, grant, status=422, review_form=form)


@signed_in("POST")
def keep(request: PersonRequest, reference: str) -> HttpResponse:
    """Let access go on although its owner has left the team that allowed it."""
    grant = get_object_or_404(grants_visible_to(request.user), reference=reference)
    form = KeepForm(request.POST)
    if form.is_valid():
        try:
            standing.keep(person=request.user, grant=grant, now=clock.now(), **form.cleaned_data)
        except AccessError as error:
            show_error(form, error)
        else:
            messages.success(request, "The access stays until its end. Your reason has been recorded.")
            return redirect("approvals")
    return render_page(request, grant, status=422, keep_form=form)


def render_page(request: PersonRequest, grant: Grant, *, status: int = 200, **forms: Any) -> HttpResponse:
    """The whole page; `forms` are those that come back with something to correct."""
    context = page_context(request.user, grant)
    offered = {
        "extend_form": context["mine"] and context["usable"] and context["extension"] is None,
        "end_form": context["may_end"],
        "review_form": context["may_review"],
        "keep_form": context["may_keep"],
    }
    for name, form in forms.items():
        if not offered[name]:
            # What was refused has no place on the page any more; why it was refused still has to be read.
            tell_errors(request, form)
    context |= forms
    context |= gateway_context(request.user, grant)
    context["statements"] = statements_of_grant(grant)
    return render(request, "access/show.html", context, status=status)


def version_of(grant: Grant) -> str:
    """Changes whenever the status has something new to show."""
    until = grant.extend_to or grant.ends_at
    return f"{grant.state}-{grant.attempts}-{until:%s%f}-{grant.extend_to is None}-{grant.password_shown_at is None}"


def page_context(person: User, grant: Grant) -> dict[str, Any]:
    """All that the page shows, worked out before anything is rendered."""
    mine = grant.person_id == person.pk
    usable = grant.state == GrantState.ACTIVE
    usable_or_coming = grant.is_living and grant.state != GrantState.REVOKING
    extension = requests_of(person).filter(extends=grant, state=RequestState.PENDING).first() if mine else None
    return {
        "grant": grant,
        "mine": mine,
        "usable": usable,
        "settled": not grant.is_living,
        "pace": 1 if grant.state in (GrantState.PROVISIONING, GrantState.REVOKING) else 3,
        "version": version_of(grant),
        "may_end": usable_or_coming and may_end(person, grant),
        "may_review": grant.needs_review and may_review(person, grant),
        "may_keep": usable_or_coming and grant.questioned_at is not None and may_keep(person, grant),
        "extension": extension,
        "hints": _masked(hints_for(person, grant)) if mine and usable else (),
        "authority": authority_of_server(person, grant) if mine and usable else None,
        "databases": grant.scope["databases"],
        "length": grant.ends_at - grant.starts_at,
        "extend_form": ExtendForm(),
        "end_form": EndForm(),
        "review_form": ReviewForm(),
        "keep_form": KeepForm(),
    }


def _masked(hints: Sequence[ConnectionHint]) -> list[ConnectionHint]:
    return _with_password(hints, _MASK)


def _with_password(hints: Sequence[ConnectionHint], password: str) -> list[ConnectionHint]:
    texts = ((hint.label, hint.text.replace(_PLACEHOLDER, password).replace(_MASK, password)) for hint in hints)
    return [ConnectionHint(label, text) for label, text in texts]
