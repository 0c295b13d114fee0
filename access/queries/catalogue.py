"""Policies, access roles and rights that wait, for the pages on which administrators change them; and their history.

Administrators and auditors see them; everybody else is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from access.differences import Difference, differences
from access.models import AccessRole, Grant, HeldBack, Policy, PolicyStep
from access.queries.counting import Counted, count_of
from access.queries.roles import MOST_WORDS, fitting
from access.rules import may_see_settings
from access.states import LIVING
from audit.models import Entry
from people.models import Team, User

#: The history that is longer than this continues in the audit log.
MOST_CHANGES = 20


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the history, in words."""

    entry: Entry
    differences: tuple[Difference, ...]
    gives: tuple[str, ...]
    """What it gave to the person who made it."""


def policies_for(person: User, words: str = "") -> QuerySet[Policy]:
    """Every policy in whose name every word occurs, with its teams, its steps, how many roles it guards, and whether a right
    to one of them is held back.
    """
    _check(person)
    steps = Prefetch("steps", queryset=PolicyStep.objects.select_related("team"))
    rows = Policy.objects.select_related("break_glass_team").prefetch_related("requesters", steps)
    for word in words.split()[:MOST_WORDS]:
        rows = rows.filter(Q(name__icontains=word) | Q(slug__icontains=word))
    held_back = HeldBack.objects.filter(role__policy=OuterRef("pk")).order_by()
    guards = Counted(AccessRole.objects.filter(policy=OuterRef("pk")).order_by())
    return rows.annotate(guards=guards, holds_back=Exists(held_back))


def roles_for(person: User, words: str = "") -> QuerySet[AccessRole]:
    """Every access role that fits the words, with its server and its policy."""
    _check(person)
    rows = fitting(AccessRole.objects.select_related("server", "policy__break_glass_team"), words)
    steps = Prefetch("policy__steps", queryset=PolicyStep.objects.select_related("team"))
    return rows.prefetch_related("policy__requesters", steps).order_by("server__name", "name")


def held_back_for(person: User) -> QuerySet[HeldBack]:
    """Rights that administrators gave to themselves and that nobody else has confirmed."""
    _check(person)
    return HeldBack.objects.select_related("person", "role__server", "role__policy")


def living_grants_of(role: AccessRole) -> int:
    """How many grants of the role are not over yet, as far as anybody counts: a change does not touch them."""
    return count_of(Grant.objects.filter(request__role=role, state__in=LIVING).order_by())


def teams_to_choose() -> QuerySet[Team]:
    """Every team, by name."""
    return Team.objects.order_by("name")


def history_of(person: User, kind: str, slug: str) -> Sequence[Change]:
    """Who changed it and how, latest first."""
    _check(person)
    return [_change(entry) for entry in _entries(kind, slug)[:MOST_CHANGES]]


def changes_since(person: User, kind: str, slug: str, revision: int) -> Sequence[Change]:
    """What others saved after somebody opened it at `revision`, latest first."""
    _check(person)
    return [_change(entry) for entry in _entries(kind, slug).filter(after__revision__gt=revision)[:MOST_CHANGES]]


def _entries(kind: str, slug: str) -> QuerySet[Entry]:
    """By event first: changes of the catalogue are few, entries that mention a role are not."""
    events = [
        f"{kind}.{what}"
        for what in ("added", "changed", "confirmed", "removed", "secret_rotated", "secret_rotation_failed")
    ]
    return Entry.objects.filter(event__in=events, subject_kind=kind, subject_id=slug).order_by("-seq")


def _change(entry: Entry) -> Change:
    gives = (entry.after or {}).get("gives_the_actor", [])
    return Change(entry, differences(entry.before, entry.after), tuple(gives))


def _check(person: User) -> None:
    if not may_see_settings(person):
        raise PermissionDenied
