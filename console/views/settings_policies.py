"""Policies: as sentences, with who could get what; administrators change them, auditors read them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django_htmx.http import trigger_client_event

from access.errors import AccessError
from access.models import Policy
from access.queries.catalogue import changes_since, held_back_for, history_of, policies_for
from access.queries.who import who_could_get_under
from access.rules import may_manage_servers
from access.services import catalogue
from console.forms.asking import show
from console.forms.lines import moved, typed
from console.forms.merging import merge
from console.forms.policies import PolicyForm, initial_of
from console.http import PersonRequest, signed_in, wants
from console.paging import paged
from console.sentences import sentences_of
from people.models import User


@signed_in()
def overview(request: PersonRequest) -> HttpResponse:
    """Every policy as sentences."""
    words = request.GET.get("q", "")
    page = paged(request, policies_for(request.user, words), by=("name", "id"))
    context = {
        "page": page,
        "policies": [(policy, sentences_of(policy)) for policy in page.rows],
        "words": words,
        "may_change": _may_change(request.user),
    }
    return render(request, "settings/policies.html", context)


@signed_in("GET", "POST")
def add(request: PersonRequest) -> HttpResponse:
    """A new policy."""
    if not _may_change(request.user):
        raise PermissionDenied
    if wants(request, "who"):
        return _who(request, PolicyForm(request.GET), None)
    if request.method != "POST":
        return _page(request, PolicyForm(initial={"steps": [("", 1)], "longest": "8h", "lapses_after": "1d"}), None)
    if "steps_move" in request.POST:
        return _moved(request, None)
    form = PolicyForm(request.POST)
    if form.is_valid():
        wishes = {name: value for name, value in form.cleaned_data.items() if name != "revision"}
        try:
            policy = catalogue.define_policy(person=request.user, **wishes)
        except AccessError as error:
            show(form, error)
        else:
            messages.success(request, "The policy was added. Now assign it to access roles.")
            return redirect("settings_policy", slug=policy.slug)
    return _page(request, form, None, status=422)


@signed_in("GET", "POST")
def edit(request: PersonRequest, slug: str) -> HttpResponse:
    """One policy: change it, see who could get what, and who changed what before."""
    policy = get_object_or_404(policies_for(request.user), slug=slug)
    if not _may_change(request.user):
        if request.method == "POST":
            raise PermissionDenied
        return _page(request, None, policy)
    if wants(request, "who"):
        return _who(request, PolicyForm(request.GET, policy=policy), policy)
    if request.method != "POST":
        return _page(request, PolicyForm(initial=initial_of(policy), policy=policy), policy)
    if "steps_move" in request.POST:
        return _moved(request, policy)
    return _save(request, policy)


def _save(request: PersonRequest, policy: Policy) -> HttpResponse:
    form = PolicyForm(request.POST, policy=policy)
    if form.is_valid():
        try:
            changed = catalogue.change_policy(person=request.user, policy=policy, **form.cleaned_data)
        except catalogue.EditedMeanwhile as error:
            return _overtaken(request, policy.slug, form, error)
        except AccessError as error:
            show(form, error)
        else:
            unchanged = changed.revision == form.cleaned_data["revision"]
            messages.success(request, "Nothing was changed." if unchanged else "Saved. Open requests are not touched.")
            return redirect("settings_policy", slug=policy.slug)
    return _page(request, form, policy, status=422)


def _overtaken(request: PersonRequest, slug: str, form: PolicyForm, error: catalogue.EditedMeanwhile) -> HttpResponse:
    """Their own input again, beside what somebody else saved; what only the other one changed is taken over."""
    policy = get_object_or_404(policies_for(request.user), slug=slug)
    changes = changes_since(request.user, "policy", slug, form.cleaned_data["revision"])
    merged = merge(
        mine=typed(form, request.POST), recorded=form.as_recorded(), saved=initial_of(policy), changes=changes
    )
    again = PolicyForm(initial=merged.initial, policy=policy)
    overtaken = {"sentence": error.sentence, "changes": changes, "merged": merged}
    return _page(request, again, policy, overtaken=overtaken, status=409)


def _moved(request: PersonRequest, policy: Policy | None) -> HttpResponse:
    """The form again after a button of the steps; only the steps when htmx asks."""
    so_far = typed(PolicyForm(policy=policy), request.POST)
    so_far["steps"] = moved(so_far["steps"], request.POST["steps_move"])
    form = PolicyForm(initial=so_far, policy=policy)
    if request.htmx:
        return trigger_client_event(render(request, "settings/_steps_field.html", {"form": form}), "steps-moved")
    return _page(request, form, policy)


def _who(request: PersonRequest, form: PolicyForm, policy: Policy | None) -> HttpResponse:
    context = {
        "who": who_could_get_under(policy, form.rules_so_far(), viewer=request.user),
        "unfinished": form.has_unfinished_steps(),
    }
    return render(request, "settings/_who.html", context)


def _page(
    request: PersonRequest,
    form: PolicyForm | None,
    policy: Policy | None,
    *,
    overtaken: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    rules = form.rules_so_far() if form is not None else policy.rules() if policy is not None else None
    context: dict[str, Any] = {"form": form, "policy": policy, "overtaken": overtaken, "who": None}
    if rules is not None and rules.teams:
        context["who"] = who_could_get_under(policy, rules, viewer=request.user)
    if policy is not None:
        context["sentences"] = sentences_of(policy)
        context["history"] = history_of(request.user, "policy", policy.slug)
        if policy.holds_back:  # type: ignore[attr-defined]  # annotated
            context["held_back"] = held_back_for(request.user).filter(role__policy=policy)
        context["may_change"] = _may_change(request.user)
    return render(request, "settings/policy.html", context, status=status)


def _may_change(person: User) -> bool:
    return may_manage_servers(person)
