"""Teams and people, for the pages on which administrators keep them. Administrators and auditors see them."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Prefetch, Q, QuerySet, Subquery

from access.models import AccessRole, Policy
from access.queries.counting import Counted
from access.rules import may_see_settings
from access.services.directory import people_with
from people.models import Capability, Membership, Team, User

#: More people than this are counted, not named.
MOST_NAMES = 20


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom a mapping would reach, and what the team gives them."""

    joining: tuple[str, ...]
    more: int
    already: int
    gives: tuple[str, ...]


def teams_for(person: User, words: str = "") -> QuerySet[Team]:
    """Every team in whose name every word occurs, with its groups and how many people are in it."""
    _check(person)
    rows = Team.objects.prefetch_related("mappings")
    for word in words.split()[:5]:
        rows = rows.filter(Q(name__icontains=word) | Q(slug__icontains=word))
    # A value, not a join: for each team of a page the planner would read everybody anew.
    is_active = Subquery(User.objects.filter(pk=OuterRef("user")).values("is_active")[:1])
    active = Membership.objects.annotate(is_active=is_active).filter(team=OuterRef("pk"), is_active=True)
    return rows.annotate(size=Counted(active.order_by()))


def members_of(team: Team) -> QuerySet[Membership]:
    """Who is in the team, by address."""
    return team.memberships.select_related("user").order_by("user__email", "id")


def people_for(person: User, words: str = "") -> QuerySet[User]:
    """Everybody in whose address or name every word occurs."""
    _check(person)
    rows = User.objects.order_by("email").prefetch_related(
        Prefetch("memberships", queryset=Membership.objects.select_related("team").order_by("team__name")),
        "socialaccount_set",
    )
    for word in words.split()[:5]:
        rows = rows.filter(Q(email__icontains=word) | Q(display_name__icontains=word))
    return rows


def reach_of(person: User, *, team: Team, provider: str, group: str) -> Reach:
    """What would follow from mapping the provider's group to the team, for the people who are known to have it."""
    _check(person)
    found = people_with(provider, group.strip())
    inside = set(team.people.values_list("pk", flat=True))
    joining = [one.label for one in found if one.pk not in inside]
    return Reach(
        joining=tuple(joining[:MOST_NAMES]),
        more=max(len(joining) - MOST_NAMES, 0),
        already=len(found) - len(joining),
        gives=what_it_gives(team),
    )


def what_it_gives(team: Team) -> tuple[str, ...]:
    """In words: what being in the team lets somebody do."""
    gives = []
    if team.capability:
        gives.append(f"{Capability(team.capability).label}.")
    for words, policies in _policies_naming(team):
        roles = AccessRole.objects.filter(policy__in=policies, is_enabled=True).order_by("name")
        names = list(roles.values_list("name", flat=True)[: MOST_NAMES + 1])
        if names:
            shown = ", ".join(names[:MOST_NAMES]) + (" and more" if len(names) > MOST_NAMES else "")
            gives.append(f"{words} {shown}.")
    return tuple(gives)


def _policies_naming(team: Team) -> list[tuple[str, QuerySet[Policy]]]:
    return [
        ("May ask for", Policy.objects.filter(requesters=team)),
        ("Decides on requests of others for", Policy.objects.filter(steps__team=team)),
        ("May take emergency access to", Policy.objects.filter(break_glass_team=team)),
    ]


def _check(person: User) -> None:
    if not may_see_settings(person):
        raise PermissionDenied
