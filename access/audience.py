"""Who could get what under a policy, over plain values: a policy can be tried before it is saved. Pure.

People are ids, teams are slugs. `members` maps a team to its active people.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from access.quorum import Step, seated
from connectors.base import Level

#: Active people by team.
Members = Mapping[str, frozenset[int]]


def approves_itself(level: Level, environment: str, environments: Collection[str]) -> bool:
    """Nobody has to agree: a read, on one of the environments for which the policy says so."""
    return level is Level.READ and environment in environments


@dataclass(frozen=True, slots=True)
class Rules:
    """What of a policy decides who gets what."""

    requesters: frozenset[str]
    steps: tuple[Step, ...]
    self_approved_environments: frozenset[str]
    break_glass_team: str = ""

    @property
    def teams(self) -> frozenset[str]:
        """Every team that the policy names."""
        named = {*self.requesters, *(step.team for step in self.steps), self.break_glass_team}
        return frozenset(named - {""})

    def approves_itself(self, level: Level, environment: str) -> bool:
        """Nobody has to agree: a read on an environment for which the policy says so."""
        return approves_itself(level, environment, self.self_approved_environments)


@dataclass(frozen=True, slots=True)
class Guarded:
    """What of an access role decides who gets it how."""

    slug: str
    name: str
    level: Level
    environment: str


class Way(StrEnum):
    """One thing that a policy lets somebody do with an access role."""

    AT_ONCE = "get {} without an approval"
    ASK = "ask for {}"
    GLASS = "break the glass for {}"
    APPROVE = "approve {} for others"

    def of(self, role: str) -> str:
        """In words, about one access role."""
        return self.value.format(role)


@dataclass(frozen=True, slots=True)
class Audience:
    """Who could get one access role, and who would decide."""

    at_once: frozenset[int] = frozenset()
    """Get it without an approval."""
    asking: frozenset[int] = frozenset()
    """May ask, and there are enough other people to agree."""
    in_vain: frozenset[int] = frozenset()
    """May ask by their team, and are refused: without them too few people are left to agree."""
    glass: frozenset[int] = frozenset()
    """May take it at once in an emergency."""
    approvers: tuple[tuple[Step, frozenset[int]], ...] = field(default=())
    """Step by step; nobody counts for a request of their own."""

    def by_way(self) -> dict[Way, frozenset[int]]:
        """The people of each way."""
        approving = frozenset[int]().union(*(people for _, people in self.approvers))
        return {Way.AT_ONCE: self.at_once, Way.ASK: self.asking, Way.GLASS: self.glass, Way.APPROVE: approving}

    def by_team(self) -> dict[str, frozenset[int]]:
        """Who decides, by the team for which they speak."""
        return {step.team: people for step, people in self.approvers}


NOBODY = Audience()


def audience(*, rules: Rules, role: Guarded, members: Members) -> Audience:
    """Who could get `role` under `rules`."""
    requesters = people_of(rules.requesters, members)
    approvers = tuple((step, members.get(step.team, frozenset())) for step in rules.steps)
    glass = members.get(rules.break_glass_team, frozenset())
    if rules.approves_itself(role.level, role.environment):
        return Audience(at_once=requesters, glass=glass, approvers=approvers)
    in_vain = unmet(rules=rules, requesters=requesters, members=members)
    return Audience(asking=requesters - in_vain, in_vain=in_vain, glass=glass, approvers=approvers)


def people_of(teams: Iterable[str], members: Members) -> frozenset[int]:
    """Everybody who is in at least one of the teams."""
    return frozenset[int]().union(*(members.get(team, frozenset()) for team in teams))


def unmet(*, rules: Rules, requesters: frozenset[int], members: Members) -> frozenset[int]:
    """Those of `requesters` for whom nobody could grant: without them, too few people are left for the steps.

    One way to fill all steps is looked for. Whoever has no seat in it is not missed; only those who have one are tried
    one by one, and they are never more than the steps have places.
    """
    seats = seated(steps=rules.steps, members=members)
    if seats is None:
        return requesters
    return frozenset(
        person
        for person in requesters & seats
        if seated(steps=rules.steps, members={team: people - {person} for team, people in members.items()}) is None
    )


def ways_of(*, teams: frozenset[str], rules: Rules | None, role: Guarded) -> frozenset[Way]:
    """What a person in `teams` may do with `role`; nothing where no rules guard it."""
    if rules is None:
        return frozenset()
    ways = set()
    if teams & rules.requesters:
        ways.add(Way.ASK)
        if rules.approves_itself(role.level, role.environment):
            ways.add(Way.AT_ONCE)
    if rules.break_glass_team in teams:
        ways.add(Way.GLASS)
    if teams & {step.team for step in rules.steps}:
        ways.add(Way.APPROVE)
    return frozenset(ways)
