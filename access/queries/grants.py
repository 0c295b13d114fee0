"""Grants as a person may see them."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from access.models import Grant
from access.states import LIVING, GrantState
from people.models import User


def grants_visible_to(person: User) -> QuerySet[Grant]:
    """All for auditors and administrators; otherwise one's own, and those that one of one's teams was asked about."""
    rows = _with_what_is_shown()
    if not person.is_active:
        return rows.none()
    if person.is_auditor or person.is_administrator:
        return rows
    return rows.filter(Q(person=person) | _asked_about(person))


def questioned_grants_for(person: User) -> QuerySet[Grant]:
    """Grants that nobody may have any more and that this person can decide on, longest in question first.

    `access.rules.may_keep`, asked of the database.
    """
    rows = _with_what_is_shown().filter(questioned_at__isnull=False, state__in=LIVING - {GrantState.REVOKING})
    if not person.is_active:
        return rows.none()
    mine_to_decide = rows if person.is_administrator else rows.filter(_asked_about(person))
    return mine_to_decide.exclude(person=person).order_by("questioned_at", "id")


def grants_of(person: User) -> QuerySet[Grant]:
    """One's own."""
    rows = _with_what_is_shown()
    return rows.filter(person=person) if person.is_active else rows.none()


def living_grants_of(person: User) -> QuerySet[Grant]:
    """One's own for which something may still exist on a server, soonest end first."""
    return grants_of(person).filter(state__in=LIVING).order_by("ends_at", "id")


def ended_grants_of(person: User) -> QuerySet[Grant]:
    """One's own of which nothing is left, newest first."""
    return grants_of(person).exclude(state__in=LIVING).order_by("-id")


def living_grants_of_others(person: User) -> QuerySet[Grant]:
    """Those of others that the person may see and for which something may still exist, soonest end first."""
    rows = _with_what_is_shown().filter(state__in=LIVING)
    if not person.is_active:
        return rows.none()
    if not (person.is_auditor or person.is_administrator):
        rows = rows.filter(_asked_about(person))
    return rows.exclude(person=person).order_by("ends_at", "id")


def _asked_about(person: User) -> Q:
    return Q(approving_teams__overlap=sorted(person.team_slugs))


def _with_what_is_shown() -> QuerySet[Grant]:
    return Grant.objects.select_related("person", "server", "request__role")
