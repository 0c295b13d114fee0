"""Deciding: the list of what waits, one click to approve, and a reason to deny."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from access import clock
from access.errors import AccessError, AuthenticationTooOld
from access.models import AccessRequest
from access.queries.pages import request_with_story, risk_of
from access.queries.requests import can_decide
from access.queries.roles import names_of_teams
from access.quorum import Decision, Outcome
from access.risk import Risk
from access.services import votes as service
from console.forms.asking import show as show_error
from console.forms.deciding import ApproveForm, DenyForm, approval_form
from console.freshness import authenticated_at, led_to_reauthenticate
from console.http import PersonRequest, signed_in, wants
from console.views.requests import deciding_forms, keep_for_later, render_page
from console.waiting_list import asks_of, list_context, news_of


@signed_in()
def waiting(request: PersonRequest) -> HttpResponse:
    """What waits for this person, oldest first; or only what has changed since an open page was told."""
    if not wants(request, "news"):
        return render(request, "approvals/list.html", list_context(request))
    news = news_of(request)
    return render(request, "approvals/_news.html", {"news": news, "oob": True}) if news else HttpResponse(status=204)


@signed_in("POST")
def approve(request: PersonRequest, reference: str) -> HttpResponse:
    """Yes: the button sends nothing but which content was seen."""
    asked = get_object_or_404(request_with_story(request.user), reference=reference)
    form = approval_form(request.POST, asked=asked.duration, auto_id=f"approve_%s_{reference}")
    if form.is_valid():
        try:
            decision = _approve(request, asked, **form.cleaned_data)
        except AuthenticationTooOld:
            return _to_reauthenticate(request, asked, form.cleaned_data)
        except AccessError as error:
            show_error(form, error)
        else:
            return _decided(request, asked, _approved_words(asked, decision))
    return _again(request, asked, "approve_form", form)


@signed_in("POST")
def deny(request: PersonRequest, reference: str) -> HttpResponse:
    """No, with a reason."""
    asked = get_object_or_404(request_with_story(request.user), reference=reference)
    form = DenyForm(request.POST, auto_id=f"deny_%s_{reference}")
    if form.is_valid():
        try:
            service.deny(person=request.user, request=asked, now=clock.now(), **form.cleaned_data)
        except AccessError as error:
            show_error(form, error)
        else:
            return _decided(request, asked, f"You denied {asked.role.name} to {asked.requester.label}.")
    return _again(request, asked, "deny_form", form)


@signed_in("POST")
def approve_several(request: PersonRequest) -> HttpResponse:
    """Yes to each low-risk request that was ticked; every one is a vote of its own, and each refusal is told."""
    approved = 0
    too_early: list[str] = []
    for pick in request.POST.getlist("pick"):
        reference, _, content_hash = pick.partition(":")
        asked = request_with_story(request.user).filter(reference=reference).first()
        if asked is None:
            messages.error(request, f"{reference}: there is no such request.")
        elif risk_of(asked).risk is not Risk.LOW:
            messages.error(
                request, f"{reference}: only low-risk requests are approved together. Review this one separately."
            )
        else:
            try:
                approved += _approve_one(request, asked, content_hash)
            except AuthenticationTooOld:
                too_early.append(reference)
    if approved:
        messages.success(request, f"You approved {approved} request{'' if approved == 1 else 's'}.")
    elif not request.POST.getlist("pick"):
        messages.error(request, "Tick the requests that you want to approve.")
    if too_early:
        # Still ticked when they come back.
        return led_to_reauthenticate(
            request, back=f"{reverse('approvals')}?{urlencode({'tick': too_early}, doseq=True)}"
        )
    return redirect("approvals")


def _approve(request: PersonRequest, asked: AccessRequest, **wishes: Any) -> Decision:
    """The one place from which a click becomes a vote."""
    return service.approve(
        person=request.user, request=asked, authenticated_at=authenticated_at(request), now=clock.now(), **wishes
    )


def _to_reauthenticate(request: PersonRequest, asked: AccessRequest, wishes: dict[str, Any]) -> HttpResponse:
    """Away, and back to the request's page, where one click approves as it was meant: nothing typed is lost."""
    keep_for_later(request, asked, wishes)
    return led_to_reauthenticate(request, back=reverse("request", args=[asked.reference]))


def _approve_one(request: PersonRequest, asked: AccessRequest, content_hash: str) -> bool:
    try:
        _approve(request, asked, content_hash=content_hash)
    except AuthenticationTooOld:
        raise
    except AccessError as error:
        messages.error(request, f"{asked.reference}: {error.sentence}")
        return False
    return True


def _approved_words(asked: AccessRequest, decision: Decision) -> str:
    what = f"{asked.role.name} for {asked.requester.label}"
    if decision.outcome is Outcome.APPROVED:
        return f"You approved {what}. The account is being created."
    step = decision.current
    if step is None:
        return f"You approved {what}."
    team = names_of_teams([step.team]).get(step.team, step.team)
    return f"You approved {what}. It still needs approval from {team}."


def _from_list(request: PersonRequest) -> bool:
    return request.POST.get("back") == "approvals"


def _decided(request: PersonRequest, asked: AccessRequest, words: str) -> HttpResponse:
    if request.htmx and _from_list(request):
        return render(request, "approvals/_decided.html", {"asked": asked, "words": words, "oob": True})
    messages.success(request, words)
    return redirect("approvals") if _from_list(request) else redirect("request", reference=asked.reference)


def _again(request: PersonRequest, asked: AccessRequest, name: str, form: forms.Form) -> HttpResponse:
    """Where the person came from, with what is wrong in words and what was typed."""
    # The vote failed, so what it was cast on may be old: read it again.
    fresh = request_with_story(request.user).get(pk=asked.pk)
    if not can_decide(request.user, fresh):
        return _too_late(request, fresh, form)
    # What the plain button was refused stands beside it; what a sheet was refused is corrected in the sheet.
    has_sheet = not (name == "approve_form" and type(form) is ApproveForm)
    shown: dict[str, Any] = {name: form} if has_sheet else {"refusal": _words_of(form)}
    if not _from_list(request):
        return render_page(request, fresh, status=422, **shown)
    ask = asks_of([fresh], request.user)[0]
    ask.refusal = shown.pop("refusal", "")
    if shown:
        ask.forms = deciding_forms(fresh) | shown
    if request.htmx:
        return render(request, "approvals/_ask.html", {"ask": ask}, status=422)
    context = list_context(request)
    rows = [ask if row.request.pk == fresh.pk else row for row in context["asks"]]
    if ask not in rows:
        rows.insert(0, ask)  # it stands on another page of the list
    return render(request, "approvals/list.html", {**context, "asks": rows}, status=422)


def _too_late(request: PersonRequest, asked: AccessRequest, form: forms.Form) -> HttpResponse:
    """There is nothing to decide any more: why, and what was typed, which may be worth saying all the same."""
    words, typed = _words_of(form), form.data.get("comment", "").strip()
    if not _from_list(request):
        return render_page(request, asked, status=422, refusal=words, unsent=typed)
    gone = {"asked": asked, "words": words, "unsent": typed, "is_refused": True}
    if request.htmx:
        return render(request, "approvals/_decided.html", {**gone, "oob": True}, status=422)
    return render(request, "approvals/list.html", {**list_context(request), "gone": gone}, status=422)


def _words_of(form: forms.Form) -> str:
    return " ".join(str(error) for errors in form.errors.values() for error in errors)
