"""Is it approved? A pure function of the policy as it was at submission and the votes that were cast.

Steps are taken in order. A vote counts for the step that was current when it was cast, when it names the content that is
being decided, comes from the step's team and from somebody else than the requester; one person counts once in all steps
together. One denial by somebody who could have approved ends the request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What one approver said."""

    APPROVE = "approve"
    DENY = "deny"


class Outcome(StrEnum):
    """What the votes add up to."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Step:
    """`count` distinct people of one team have to agree."""

    team: str
    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError("A step needs at least one person.")


@dataclass(frozen=True, slots=True)
class Ballot:
    """One vote as the decision sees it, in the order in which votes were cast."""

    voter: int
    verdict: Verdict
    content_hash: str
    team: str
    """The team for which the voter spoke, as it stood when the vote was cast."""


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far one step is."""

    step: Step
    voters: tuple[int, ...]

    @property
    def missing(self) -> int:
        """People still needed."""
        return max(self.step.count - len(self.voters), 0)


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome, and how it stands step by step."""

    outcome: Outcome
    steps: tuple[StepProgress, ...]

    @property
    def current(self) -> Step | None:
        """The step that waits for votes; None when decided."""
        if self.outcome is not Outcome.PENDING:
            return None
        return next((progress.step for progress in self.steps if progress.missing), None)


def decide(*, steps: Iterable[Step], requester: int, content_hash: str, ballots: Iterable[Ballot]) -> Decision:
    """Count `ballots` for the content with `content_hash`.

    No step at all is never an approval: a policy under which nobody has to agree says so by approving by itself, which
    is not decided here.
    """
    wanted = tuple(steps)
    voters: list[list[int]] = [[] for _ in wanted]
    counted: set[int] = set()
    denied = False
    at = 0
    for ballot in ballots:
        if ballot.content_hash != content_hash or ballot.voter == requester or ballot.voter in counted:
            continue
        if at == len(wanted) or ballot.team != wanted[at].team:
            continue
        counted.add(ballot.voter)
        if ballot.verdict is Verdict.DENY:
            denied = True
            break
        voters[at].append(ballot.voter)
        if len(voters[at]) >= wanted[at].count:
            at += 1
    progress = tuple(StepProgress(step, tuple(people)) for step, people in zip(wanted, voters, strict=True))
    if denied:
        return Decision(Outcome.DENIED, progress)
    if wanted and at == len(wanted):
        return Decision(Outcome.APPROVED, progress)
    return Decision(Outcome.PENDING, progress)


def can_be_met(*, steps: Iterable[Step], members: Mapping[str, Iterable[int]], requester: int) -> bool:
    """Whether there are enough distinct people, the requester aside, to fill every step.

    `members` maps a team to the people who could vote for it.
    """
    others = {team: [person for person in people if person != requester] for team, people in members.items()}
    return seated(steps=steps, members=others) is not None


def seated(*, steps: Iterable[Step], members: Mapping[str, Iterable[int]]) -> frozenset[int] | None:
    """Distinct people who together fill every step; None when there are not enough, or there is no step.

    Somebody in two teams can fill one place only, so this is a matching of places to people, found by augmenting paths.
    """
    places = [step.team for step in steps for _ in range(step.count)]
    place_of: dict[int, int] = {}

    def seat(place: int, tried: set[int]) -> bool:
        for person in members.get(places[place], ()):
            if person in tried:
                continue
            tried.add(person)
            if person not in place_of or seat(place_of[person], tried):
                place_of[person] = place
                return True
        return False

    if places and all(seat(place, set()) for place in range(len(places))):
        return frozenset(place_of)
    return None
