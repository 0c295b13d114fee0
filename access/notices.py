"""Mails to the people concerned: short, with one link that opens a page (a GET changes nothing).

Each notice names whom it goes to and its template, `templates/mail/<notice>.txt`, whose first line is the subject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse

from access.models import AccessRequest
from access.services.votes import decision_on
from access.terms import Terms
from people.models import Capability, User

Audience = Callable[[AccessRequest], Iterable[User]]


def next_approvers(request: AccessRequest) -> Iterable[User]:
    """The people of the step that waits, the requester and those who voted already aside."""
    step = decision_on(request).current
    if not request.is_open or step is None:
        return []
    voted = request.votes.filter(content_hash=request.content_hash).values("voter")
    people = User.objects.filter(is_active=True, teams__slug=step.team)
    return people.exclude(pk=request.requester_id).exclude(pk__in=voted)


def requester(request: AccessRequest) -> Iterable[User]:
    """Whoever asked."""
    return [request.requester]


def everybody_concerned(request: AccessRequest) -> Iterable[User]:
    """All who could have approved, and the administrators."""
    teams = {step.team for step in Terms.from_json(request.terms).steps}
    concerned = Q(teams__slug__in=teams) | Q(teams__capability=Capability.ADMINISTRATOR)
    return User.objects.filter(concerned, is_active=True).exclude(pk=request.requester_id).distinct()


def administrators(request: AccessRequest) -> Iterable[User]:
    """The administrators."""
    return User.objects.filter(is_active=True, teams__capability=Capability.ADMINISTRATOR).distinct()


NOTICES: dict[str, Audience] = {
    "request_submitted": next_approvers,
    "request_reminded": next_approvers,
    "request_approved": requester,
    "request_denied": requester,
    "request_lapsed": requester,
    "access_ready": requester,
    "access_failed": requester,
    "request_taken_back": requester,
    "access_questioned": everybody_concerned,
    "glass_broken": everybody_concerned,
    "revocation_overdue": administrators,
}


def send(*, notice: str, request_id: int) -> int:
    """Mail the notice about the request to its audience, one message each; returns how many were sent."""
    request = AccessRequest.objects.select_related("role__server", "requester", "grant").get(pk=request_id)
    people = list(NOTICES[notice](request))
    link = settings.LOCKGATE_BASE_URL + reverse("request", args=[request.reference])
    for person in people:
        text = render_to_string(f"mail/{notice}.txt", {"request": request, "person": person, "link": link})
        subject, _, body = text.strip().partition("\n")
        # A line end of another kind, in a name that somebody chose, is refused by Django, and nobody would be told.
        EmailMessage(subject=" ".join(subject.split()), body=body.strip() + "\n", to=[person.email]).send()
    return len(people)
