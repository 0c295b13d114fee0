"""Who could get what, with names: for policies as they are, and for policies and access roles as somebody is editing them.

Two queries whatever the number of people and roles: one for the roles, one for the members of the teams that are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from heapq import nsmallest

from django.db.models import Count, QuerySet, Window

from access.audience import NOBODY, Audience, Guarded, Members, Rules, audience
from access.models import AccessRole, Policy, Server
from connectors.base import Level
from people.models import Membership, User

#: Lists are cut to this many names; the rest is a number.
MOST_NAMES = 12
MOST_ROLES = 30

#: What a policy that guards nothing yet is worked out for.
ANY_ROLE = Guarded("", "any access role that writes", Level.WRITE, "production")


@dataclass(frozen=True, slots=True)
class Case:
    """One access role with the rules that would guard it, beside those that guard it now."""

    role: Guarded
    rules: Rules | None
    saved_role: Guarded | None
    """None for a role that is not there yet."""
    saved_rules: Rules | None
    loosens: bool = False
    """Whoever gets it would be allowed more with it than now."""


@dataclass(frozen=True, slots=True)
class Somebody:
    """One person in a list, and whether the change puts them there."""

    name: str
    mark: str
    """`gains`, `loses` or nothing."""


@dataclass(frozen=True, slots=True)
class People:
    """A list of people, cut; those for whom something changes come first."""

    shown: tuple[Somebody, ...]
    total: int
    """How many there would be; those who lose are not among them."""
    gained: int
    lost: int
    more: int
    """How many are not shown."""

    def __bool__(self) -> bool:
        return bool(self.total or self.lost)


@dataclass(frozen=True, slots=True)
class Deciding:
    """One step: so many of these people."""

    count: int
    team: str
    people: People


@dataclass(frozen=True, slots=True)
class Outlook:
    """Access roles that the same people could get in the same way."""

    roles: tuple[str, ...]
    guarded: bool
    """False when no policy would guard them, so that nobody could get them."""
    at_once: People
    asking: People
    in_vain: People
    glass: People
    steps: tuple[Deciding, ...]
    changes: bool


@dataclass(frozen=True, slots=True)
class WhoCouldGet:
    """The whole answer."""

    outlooks: tuple[Outlook, ...]
    more_roles: int
    """Access roles that are counted and not worked out."""
    changes: bool
    alone: tuple[str, ...]
    """Access roles that the person who asks would newly need nobody's consent for."""
    guards_nothing: bool


FirstNames = Callable[[frozenset[int]], list[str]]
"""The first names among some people, in their order. The same thousands may ask for most roles: they are gone through once."""


def who_could_get_under(policy: Policy | None, rules: Rules, *, viewer: User) -> WhoCouldGet:
    """What `rules` would mean for every role that `policy` guards, beside what is saved; None: a policy to be added."""
    saved = policy.rules() if policy else None
    guarded = AccessRole.objects.filter(policy=policy).select_related("server")
    roles, more = _first(guarded) if policy else ([], 0)
    cases = [Case(role.guarded, rules, role.guarded, saved) for role in roles]
    if not cases:
        cases = [Case(ANY_ROLE, rules, ANY_ROLE if saved else None, saved)]
    return who_could_get(cases, viewer=viewer, guards_nothing=not roles, more_roles=more)


def who_could_get_on(
    server: Server, roles: QuerySet[AccessRole], *, environment: str, is_enabled: bool, viewer: User
) -> WhoCouldGet:
    """What another environment, or switching the server on or off, would mean for the `roles` on it."""
    cases = []
    worked_out, more = _first(roles)
    for role in worked_out:
        rules = role.policy.rules() if role.policy and role.is_enabled else None
        edited = replace(role.guarded, environment=environment)
        now = rules if server.is_enabled else None
        cases.append(Case(edited, rules if is_enabled else None, role.guarded, now))
    return who_could_get(cases, viewer=viewer, more_roles=more)


def _first(roles: QuerySet[AccessRole]) -> tuple[list[AccessRole], int]:
    """The roles that are worked out, and how many more there are; those are counted in the same query, and not read."""
    found = list(roles.annotate(together=Window(Count("pk")))[:MOST_ROLES])
    return [*found], found[0].together - len(found) if found else 0


def who_could_get(
    cases: Sequence[Case], *, viewer: User, guards_nothing: bool = False, more_roles: int = 0
) -> WhoCouldGet:
    """The same for any roles under any rules, at most `MOST_ROLES`; `viewer` is told what they would give to themself."""
    rules = [rules for case in cases for rules in (case.rules, case.saved_rules) if rules]
    members, names, teams = _people_of({team for each in rules for team in each.teams})
    find = partial(_audience, members=members)
    groups: dict[tuple[Audience, Audience, bool], list[str]] = {}
    alone: list[str] = []
    for case in cases:
        after, before = find(case.rules, case.role), find(case.saved_rules, case.saved_role)
        groups.setdefault((after, before, case.rules is not None), []).append(case.role.name)
        if not guards_nothing and viewer.pk in _newly_alone(after, NOBODY if case.loosens else before):
            alone.append(case.role.name)
    first = cache(lambda people: nsmallest(MOST_NAMES, (names[one] for one in people)))
    outlooks = tuple(
        _outlook(roles, after, before, guarded, first, teams) for (after, before, guarded), roles in groups.items()
    )
    return WhoCouldGet(
        outlooks=outlooks,
        more_roles=more_roles,
        changes=any(outlook.changes for outlook in outlooks),
        alone=tuple(sorted(alone)),
        guards_nothing=guards_nothing,
    )


def _newly_alone(after: Audience, before: Audience) -> frozenset[int]:
    """Who would need nobody's consent in a way in which they needed somebody's before."""
    return (after.at_once - before.at_once) | (after.glass - before.glass)


def _audience(rules: Rules | None, role: Guarded | None, *, members: Members) -> Audience:
    return NOBODY if rules is None or role is None else audience(rules=rules, role=role, members=members)


def _people_of(teams: Iterable[str]) -> tuple[Members, dict[int, str], dict[str, str]]:
    """Active people by team, everybody's name, and the names of the teams that have somebody in them."""
    rows = Membership.objects.filter(team__slug__in=set(teams), user__is_active=True).values_list(
        "team__slug", "team__name", "user", "user__display_name", "user__email"
    )
    members: dict[str, set[int]] = {}
    names: dict[int, str] = {}
    team_names: dict[str, str] = {}
    for team, team_name, person, name, email in rows:
        members.setdefault(team, set()).add(person)
        names[person] = name or email
        team_names[team] = team_name
    return {team: frozenset(people) for team, people in members.items()}, names, team_names


def _outlook(
    roles: Sequence[str],
    after: Audience,
    before: Audience,
    guarded: bool,
    first: FirstNames,
    teams: Mapping[str, str],
) -> Outlook:
    people = partial(_people, first=first)
    decided_before = before.by_team()
    return Outlook(
        roles=tuple(sorted(roles)),
        guarded=guarded,
        at_once=people(after.at_once, before.at_once),
        asking=people(after.asking, before.asking),
        in_vain=people(after.in_vain, before.in_vain),
        glass=people(after.glass, before.glass),
        steps=tuple(
            Deciding(
                step.count, teams.get(step.team, step.team), people(who, decided_before.get(step.team, frozenset()))
            )
            for step, who in after.approvers
        ),
        changes=after != before,
    )


def _people(after: frozenset[int], before: frozenset[int], *, first: FirstNames) -> People:
    gained, lost = after - before, before - after
    kept = after & before if gained or lost else after
    shown: list[Somebody] = []
    for people, mark in ((lost, "loses"), (gained, "gains"), (kept, "")):
        shown += [Somebody(name, mark) for name in first(people)[: MOST_NAMES - len(shown)]]
    return People(tuple(shown), len(after), len(gained), len(lost), len(after | lost) - len(shown))
