"""Requests as a person may see them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from access.models import AccessRequest, AccessRole, Vote
from access.rules import is_in, is_requester
from access.services.votes import decision_on
from access.states import RequestState
from people.models import User


def requests_visible_to(person: User) -> QuerySet[AccessRequest]:
    """All for auditors and administrators; otherwise one's own, and those that one of one's teams is asked about."""
    rows = AccessRequest.objects.select_related("requester", "role__server", "role__policy", "grant", "extends")
    if not person.is_active:
        return rows.none()
    if person.is_auditor or person.is_administrator:
        return rows
    visible = Q(requester=person)
    for team in person.team_slugs:
        visible |= Q(terms__contains={"steps": [[team]]})
    return rows.filter(visible)


def requests_of(person: User) -> QuerySet[AccessRequest]:
    """One's own."""
    rows = AccessRequest.objects.select_related("requester", "role__server", "role__policy", "grant", "extends")
    return rows.filter(requester=person) if person.is_active else rows.none()


def with_open_request(person: User, roles: QuerySet[AccessRole]) -> QuerySet[AccessRole]:
    """The same roles, each with `open_request`: the reference of the person's open request for it, or nothing. A second one
    would be refused.
    """
    mine = AccessRequest.objects.filter(requester=person, role=OuterRef("pk"), extends=None, state=RequestState.PENDING)
    first = Subquery(mine.order_by("-id").values("reference")[:1])
    return roles.annotate(open_request=Coalesce(first, Value("")))


def votes_with_voters() -> Prefetch[str, Any, str]:
    """To be read with requests: their votes and who cast them, in one query."""
    return Prefetch("votes", queryset=Vote.objects.select_related("voter"))


def pending_of(person: User) -> QuerySet[AccessRequest]:
    """One's own that nobody has decided, newest first."""
    return requests_of(person).filter(state=RequestState.PENDING).order_by("-id")


def decidable() -> QuerySet[AccessRequest]:
    """Open requests with what an approver reads of them: no grant, which none has."""
    return AccessRequest.objects.select_related("requester", "role__server", "extends")


def waiting_for(person: User, *, now: datetime) -> QuerySet[AccessRequest]:
    """Open requests that this person can decide on now, oldest first: `can_decide`, asked of the database."""
    rows = decidable()
    if not person.is_active:
        return rows.none()
    voted = Vote.objects.filter(request=OuterRef("pk"), voter=person, content_hash=OuterRef("content_hash"))
    open_ones = rows.filter(state=RequestState.PENDING, waits_for__in=sorted(person.team_slugs))
    # A difference, and no comparison that the index of what lapses fits: the planner thinks that few open requests lapse
    # later than now, which nearly all do, and would read every one instead of those that wait for the person's teams.
    open_ones = open_ones.alias(left=F("lapses_at") - Value(now)).filter(left__gt=timedelta())
    return open_ones.exclude(requester=person).filter(~Exists(voted)).order_by("id")


def can_decide(person: User, request: AccessRequest) -> bool:
    """It is open, its present step is the person's, and the person has not voted on this content."""
    if not request.is_open or is_requester(person, request):
        return False
    step = decision_on(request).current
    voted = any(v.voter_id == person.pk and v.content_hash == request.content_hash for v in request.votes.all())
    return step is not None and is_in(person, step.team) and not voted
