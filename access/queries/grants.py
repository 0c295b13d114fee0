"""Grants as a person may see them."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from access.models import Grant
from access.rules import may_keep
from access.states import LIVING, GrantState
from people.models import User


def grants_visible_to(person: User) -> QuerySet[Grant]:
    """All for auditors and administrators; otherwise one's own, and those that one of one's teams was asked about."""
    rows = Grant.objects.select_related("person", "server", "request__role__server", "request__requester")
    if not person.is_active:
        return rows.none()
    if person.is_auditor or person.is_administrator:
        return rows
    visible = Q(person=person)
    for team in person.team_slugs:
        visible |= Q(request__terms__contains={"steps": [[team]]})
    return rows.filter(visible)


def questioned_grants_for(person: User) -> list[Grant]:
    """Grants that nobody may have any more and that this person can decide on, longest in question first."""
    rows = grants_visible_to(person).filter(questioned_at__isnull=False, state__in=LIVING - {GrantState.REVOKING})
    return [grant for grant in rows.order_by("questioned_at") if may_keep(person, grant)]


def grants_of(person: User) -> QuerySet[Grant]:
    """One's own."""
    return grants_visible_to(person).filter(person=person)


def living_grants_visible_to(person: User) -> QuerySet[Grant]:
    """Grants for which something may still exist on a server, soonest end first."""
    return grants_visible_to(person).filter(state__in=LIVING).order_by("ends_at", "id")
