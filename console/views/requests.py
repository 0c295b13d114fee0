"""The page of one request, read like a pull request, and what its requester can do there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from access import clock
from access.errors import AccessError
from access.models import AccessRequest, Grant
from access.models.grants import Direction
from access.queries.pages import (
    earlier_like,
    request_with_story,
    risk_of,
    story_of,
    version_of_request,
    version_shown,
)
from access.queries.requests import can_decide, requests_of
from access.queries.roles import Approvers, approvers_of, names_of_teams, plan_of
from access.quorum import StepProgress
from access.rules import is_requester, may_end, may_review
from access.services import requests as service
from access.services.votes import decision_on
from access.states import GrantState, RequestState
from access.terms import Terms
from console.forms.asking import show as show_error
from console.forms.asking import tell_errors
from console.forms.deciding import CommentForm, DenyForm, ReviewForm, ShorterForm
from console.http import PersonRequest, not_modified, signed_in, wants
from console.paging import paged
from console.stepper import grant_of, is_settled, pace_of, steps_of
from console.wording import REQUEST_LOOKS
from people.models import User

#: In the session: the approval that somebody was about to give.
_KEPT = "approval_kept"

#: So many digits of the content's hash tell one version of a request from the others.
_ENOUGH = 12


@signed_in()
def mine(request: PersonRequest) -> HttpResponse:
    """All that the person has ever asked for, newest first; `?state=denied` for those in one state."""
    state = request.GET.get("state", "")
    rows = requests_of(request.user).prefetch_related("votes__voter")
    if state in list(RequestState):
        rows = rows.filter(state=state)
    states = [("", "All"), *((value.value, REQUEST_LOOKS[value].word) for value in RequestState)]
    context = {"page": paged(request, rows, by=("-id",)), "states": states, "state": state}
    return render(request, "request/mine.html", context)


@signed_in()
def show(request: PersonRequest, reference: str) -> HttpResponse:
    """The whole page, or only its progress, asked for again and again until nothing changes any more."""
    if not wants(request, "progress"):
        asked = get_object_or_404(request_with_story(request.user), reference=reference)
        return render_page(request, asked, **_kept(request, asked))
    version = version_of_request(request.user, reference)
    if version is None:
        raise Http404
    if answer := not_modified(request, version):
        return answer
    if request.GET.get("seen") == version:
        return HttpResponse(status=204)
    asked = get_object_or_404(request_with_story(request.user), reference=reference)
    opened = request.GET.get("opened", "")
    context = {**page_context(request.user, asked, opened=opened), "oob": True}
    return render(request, "request/_progress.html", context)


@signed_in("POST")
def cancel(request: PersonRequest, reference: str) -> HttpResponse:
    """Take the request back."""
    asked = get_object_or_404(request_with_story(request.user), reference=reference)
    try:
        service.cancel(person=request.user, request=asked, now=clock.now())
    except AccessError as error:
        messages.error(request, error.sentence)
    else:
        messages.success(request, "You cancelled your request.")
    return redirect("request", reference=reference)


@signed_in("POST")
def remind(request: PersonRequest, reference: str) -> HttpResponse:
    """Tell the approvers again."""
    asked = get_object_or_404(request_with_story(request.user), reference=reference)
    try:
        service.remind(person=request.user, request=asked, now=clock.now())
    except AccessError as error:
        messages.error(request, error.sentence)
    else:
        messages.success(request, "The approvers were reminded.")
    return redirect("request", reference=reference)


@signed_in("POST")
def comment(request: PersonRequest, reference: str) -> HttpResponse:
    """Say something about the request."""
    asked = get_object_or_404(request_with_story(request.user), reference=reference)
    form = CommentForm(request.POST)
    if form.is_valid():
        try:
            service.comment(person=request.user, request=asked, now=clock.now(), **form.cleaned_data)
        except AccessError as error:
            show_error(form, error)
        else:
            return redirect("request", reference=reference)
    return render_page(request, asked, status=422, comment_form=form)


def render_page(request: PersonRequest, asked: AccessRequest, *, status: int = 200, **forms: Any) -> HttpResponse:
    """The whole page; `forms` are those that come back with something to correct.

    `refusal` says why a vote came to nothing, and `unsent` is what was typed with it: it goes where a comment is written.
    """
    typed = {"text": forms.get("unsent", "")}
    context = {**page_context(request.user, asked), "comment_form": CommentForm(initial=typed), **forms}
    if "comment_form" in forms and not context["may_comment"]:
        tell_errors(request, forms["comment_form"])
    return render(request, "request/show.html", context, status=status)


def page_context(person: User, asked: AccessRequest, *, opened: str = "") -> dict[str, Any]:
    """All that the page shows, worked out before anything is rendered.

    `opened` names the content that an open page was opened with. Once that was edited, the page shows the new content and
    offers no button for it: nobody decides by a click that was meant for what they had read.
    """
    content = asked.content_hash[:_ENOUGH]
    grant = grant_of(asked)
    if grant is not None and grant.person_id == asked.requester_id:
        grant.person = asked.requester  # read already
    terms = Terms.from_json(asked.terms)
    approvers = approvers_of(terms, requester=asked.requester) if asked.is_open else ()
    return {
        "asked": asked,
        "grant": grant,
        "terms": terms,
        "steps": steps_of(asked),
        "settled": is_settled(asked),
        "pace": pace_of(asked),
        "version": "" if is_settled(asked) else version_shown(asked),
        "opened": opened or content,
        "edited_since": bool(opened) and opened != content,
        "risk": risk_of(asked),
        "similar": earlier_like(asked, viewer=person),
        "progress": _progress(asked, terms, approvers),
        "approvers": approvers,
        "comments": asked.comments.all(),
        "story": story_of(asked),
        "more_time": _more_time(asked, grant),
        **_sql(asked, grant),
        **_possible(person, asked, grant),
        **deciding_forms(asked),
    }


def deciding_forms(asked: AccessRequest) -> dict[str, Any]:
    """The forms to decide with, for the content as it is now."""
    initial = {"content_hash": asked.content_hash}
    prefix = f"%s_{asked.reference}"
    return {
        "approve_form": ShorterForm(initial=initial, asked=asked.duration, auto_id=f"approve_{prefix}"),
        "deny_form": DenyForm(initial=initial, auto_id=f"deny_{prefix}"),
    }


def keep_for_later(request: PersonRequest, asked: AccessRequest, wishes: Mapping[str, Any]) -> None:
    """Keep what an approver typed while they are away to show that it is them."""
    duration = wishes.get("duration")
    request.session[_KEPT] = {
        "reference": asked.reference,
        "duration_s": duration.total_seconds() if duration else None,
        "comment": wishes.get("comment", ""),
    }


def _kept(request: PersonRequest, asked: AccessRequest) -> dict[str, Any]:
    """The form as they left it, once."""
    kept = request.session.get(_KEPT)
    if not kept or kept["reference"] != asked.reference:
        return {}
    del request.session[_KEPT]
    form = deciding_forms(asked)["approve_form"]
    form.initial |= {"comment": kept["comment"]}
    if kept["duration_s"]:
        form.initial["duration"] = timedelta(seconds=kept["duration_s"])
    return {"approve_form": form, "approve_as_before": bool(kept["duration_s"] or kept["comment"])}


def _more_time(asked: AccessRequest, grant: Grant | None) -> dict[str, Any]:
    """What was added to the access, by whom it was asked for being plain, and how long that makes it."""
    if grant is None or not asked.was_extended:  # type: ignore[attr-defined]  # annotated
        return {}
    added = [asked for asked in grant.extensions.all() if asked.state == RequestState.APPROVED]
    until = grant.extend_to or grant.ends_at
    return {"requests": added, "total": until - grant.starts_at} if added else {}


def _progress(asked: AccessRequest, terms: Terms, approvers: Sequence[Approvers]) -> list[tuple[StepProgress, str]]:
    """How far each step is, with its team as people call it; `approvers` were read with the names, if they were read."""
    read = {known.step.team: known.team for known in approvers}
    names = read or names_of_teams([step.team for step in terms.steps])
    return [(step, names.get(step.step.team, step.step.team)) for step in decision_on(asked).steps]


def _possible(person: User, asked: AccessRequest, grant: Grant | None) -> dict[str, Any]:
    """What this person may do here, now."""
    mine = is_requester(person, asked)
    usable = grant is not None and grant.state == GrantState.ACTIVE
    living = grant is not None and grant.is_living and grant.state != GrantState.REVOKING
    return {
        "mine": mine,
        "decides": can_decide(person, asked),
        "may_change": mine and asked.is_open,
        "may_use": mine and usable,
        "may_end": grant is not None and living and may_end(person, grant),
        "may_comment": mine or not person.is_auditor,
        "may_review": grant is not None and grant.needs_review and may_review(person, grant),
        "may_ask_again": mine and is_settled(asked) and asked.extends is None,
        "review_form": ReviewForm(),
    }


def _sql(asked: AccessRequest, grant: Grant | None) -> dict[str, Any]:
    """What will run, by the frozen content; and, once there is a grant, what did run."""
    journal = list(grant.journal.all()) if grant is not None else []
    return {
        "plan": plan_of(asked),
        "granted": [line for line in journal if line.direction != Direction.REVOKE],
        "revoked": [line for line in journal if line.direction == Direction.REVOKE],
        "receipt": grant.receipt if grant is not None else None,
    }
