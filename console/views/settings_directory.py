"""Settings: people, teams, and the groups of the identity providers that fill them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from access.errors import AccessError
from access.queries.catalogue import history_of
from access.queries.directory import members_of, people_for, reach_of, teams_for, what_it_gives
from access.rules import may_manage_people
from access.services import directory
from console.forms.asking import show
from console.forms.directory import MappingForm, MemberForm, TeamForm
from console.http import PersonRequest, signed_in, wants
from console.options import options
from console.paging import paged
from people.models import Team


@signed_in()
def people(request: PersonRequest) -> HttpResponse:
    """Everybody who can sign in, their teams, and where those come from."""
    words = request.GET.get("q", "")
    context = {
        "page": paged(request, people_for(request.user, words), by=("email", "id")),
        "words": words,
        "may_change": may_manage_people(request.user),
    }
    return render(request, "settings/people.html", context)


@signed_in("POST")
def switch_off(request: PersonRequest, pk: int) -> HttpResponse:
    """Switch somebody off, with everything that hangs on them."""
    return _switched(
        request, pk, directory.switch_off, "{} is switched off: signed out everywhere, and their access ends now."
    )


@signed_in("POST")
def switch_on(request: PersonRequest, pk: int) -> HttpResponse:
    """Let somebody in again."""
    return _switched(request, pk, directory.switch_on, "{} may sign in again.")


def _switched(request: PersonRequest, pk: int, switch: Callable[..., None], words: str) -> HttpResponse:
    _check(request)
    member = get_object_or_404(people_for(request.user), pk=pk)
    try:
        switch(person=request.user, member=member)
    except AccessError as error:
        messages.error(request, error.sentence)
    else:
        messages.success(request, words.format(member.label))
    return redirect("settings_people")


@signed_in("GET", "POST")
def teams(request: PersonRequest) -> HttpResponse:
    """Every team; and a form for another one."""
    words = request.GET.get("q", "")
    form = TeamForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        _check(request)
        if form.is_valid():
            try:
                team = directory.add_team(person=request.user, **form.cleaned_data)
            except AccessError as error:
                show(form, error)
            else:
                messages.success(request, "The team was added. It has no members yet.")
                return redirect("settings_team", slug=team.slug)
    page = paged(request, teams_for(request.user, words), by=("name", "id"))
    context = {"page": page, "words": words, "form": form, "may_change": may_manage_people(request.user)}
    return render(request, "settings/teams.html", context, status=422 if form.errors else 200)


@signed_in()
def team(request: PersonRequest, slug: str) -> HttpResponse:
    """One team: who is in it and why, which groups fill it, what it gives."""
    found = get_object_or_404(teams_for(request.user), slug=slug)
    if answer := options(request):
        return answer
    if wants(request, "reach"):
        provider, group = request.GET.get("provider", ""), request.GET.get("group", "")
        reach = reach_of(request.user, team=found, provider=provider, group=group) if group.strip() else None
        return render(request, "settings/_reach.html", {"reach": reach})
    return _page(request, found)


@signed_in("POST")
def add_member(request: PersonRequest, slug: str) -> HttpResponse:
    """Put somebody into the team."""
    _check(request)
    found = get_object_or_404(teams_for(request.user), slug=slug)
    form = MemberForm(request.POST)

    def add() -> str:
        member = form.cleaned_data["person"]
        directory.put_into_team(person=request.user, member=member, team=found)
        return f"{member.label} is in the team."

    return _done(request, found, add, member_form=form)


@signed_in("POST")
def remove_member(request: PersonRequest, slug: str) -> HttpResponse:
    """Take somebody out of the team."""
    _check(request)
    found = get_object_or_404(teams_for(request.user), slug=slug)
    member = get_object_or_404(found.people, email=request.POST.get("person", ""))

    def remove() -> str:
        directory.take_out_of_team(person=request.user, member=member, team=found)
        return f"{member.label} is no longer in the team. Their living access is put before its approvers."

    return _done(request, found, remove)


@signed_in("POST")
def map_group(request: PersonRequest, slug: str) -> HttpResponse:
    """Let a group fill the team."""
    _check(request)
    found = get_object_or_404(teams_for(request.user), slug=slug)
    form = MappingForm(request.POST)

    def add() -> str:
        directory.map_group(person=request.user, team=found, **form.cleaned_data)
        return "Mapped. It counts from each person's next sign-in on."

    return _done(request, found, add, mapping_form=form)


@signed_in("POST")
def unmap_group(request: PersonRequest, slug: str, pk: int) -> HttpResponse:
    """Let a group fill the team no more."""
    _check(request)
    found = get_object_or_404(teams_for(request.user), slug=slug)

    def remove() -> str:
        directory.unmap_group(person=request.user, team=found, mapping_id=pk)
        return "The group gives this team no more."

    return _done(request, found, remove)


def _check(request: PersonRequest) -> None:
    if not may_manage_people(request.user):
        raise PermissionDenied


def _done(request: PersonRequest, found: Team, change: Callable[[], str], **sent: forms.Form) -> HttpResponse:
    """Make the change, and back to the page; or the page again, with what is wrong in words."""
    form = next(iter(sent.values()), None)
    if form is None or form.is_valid():
        try:
            messages.success(request, change())
        except AccessError as error:
            if form is None:
                messages.error(request, error.sentence)
            else:
                show(form, error)
                return _page(request, found, status=422, **sent)
        return redirect("settings_team", slug=found.slug)
    return _page(request, found, status=422, **sent)


def _page(request: PersonRequest, found: Team, *, status: int = 200, **forms_sent: Any) -> HttpResponse:
    context = {
        "team": found,
        "members": paged(request, members_of(found), by=("user__email", "id")),
        "gives": what_it_gives(found),
        "history": history_of(request.user, "team", found.slug),
        "member_form": MemberForm(),
        "mapping_form": MappingForm(),
        "may_change": may_manage_people(request.user),
        **forms_sent,
    }
    return render(request, "settings/team.html", context, status=status)
