"""From a policy to the terms of one request. Default is no."""

from __future__ import annotations

from access.audience import approves_itself
from access.errors import NoPolicy, NotARequester, OwnRules, PolicyCannotBeMet, RulesJustChanged
from access.models import AccessRole, HeldBack, Policy
from access.quorum import can_be_met
from access.rules import may_break_glass, may_request
from access.terms import Terms
from connectors.base import Level
from people.models import Team, User


def terms_for(*, person: User, role: AccessRole, level: Level, break_glass: bool) -> Terms:
    """The terms under which `person` may have `role`, worked out now and frozen on the request.

    `level` is that of the access itself: the role's own, or what a living grant got of it before the role was edited.
    Raises `NoPolicy`, `NotARequester`, `PolicyCannotBeMet`, `OwnRules` or `RulesJustChanged`.
    """
    terms = terms_foreseen(person=person, role=role, level=level, break_glass=break_glass)
    if role.policy is not None:
        _check_unchanged(role, role.policy)
    return terms


def terms_foreseen(*, person: User, role: AccessRole, level: Level, break_glass: bool) -> Terms:
    """As `terms_for`, only to be shown: nothing may be decided by them, for the rules may be changing as they are read."""
    policy = role.policy
    if policy is None or not role.is_enabled or not role.server.is_enabled:
        raise NoPolicy
    if break_glass:
        if not may_break_glass(person, policy):
            raise NotARequester("Emergency access is for another team.")
    elif not may_request(person, policy):
        raise NotARequester
    terms = Terms(
        policy=policy.slug,
        steps=policy.quorum_steps(),
        approves_itself=not break_glass
        and approves_itself(level, role.server.environment, policy.self_approved_environments),
        break_glass=break_glass,
        longest=role.longest_allowed,
        lapses_after=policy.lapses_after,
        through=_through(person, policy, break_glass),
    )
    if not terms.is_immediate and not _can_be_met(terms, person):
        raise PolicyCannotBeMet
    if terms.is_immediate and HeldBack.objects.filter(person=person, role=role).exists():
        raise OwnRules
    return terms


def _through(person: User, policy: Policy, break_glass: bool) -> tuple[str, ...]:
    """The person's teams without which they could not have it."""
    if break_glass and policy.break_glass_team is not None:
        return (policy.break_glass_team.slug,)
    return tuple(sorted({team.slug for team in policy.requesters.all()} & person.team_slugs))


def _check_unchanged(role: AccessRole, policy: Policy) -> None:
    """The rules were read in several queries: they must not be half of one revision and half of the next."""
    read = {"pk": role.pk, "revision": role.revision, "server__revision": role.server.revision}
    if not AccessRole.objects.filter(policy=policy, policy__revision=policy.revision, **read).exists():
        raise RulesJustChanged


def _can_be_met(terms: Terms, person: User) -> bool:
    teams = Team.objects.filter(slug__in={step.team for step in terms.steps})
    pairs = teams.filter(people__is_active=True).values_list("slug", "people__pk")
    members: dict[str, list[int]] = {}
    for team, member in pairs:
        members.setdefault(team, []).append(member)
    return can_be_met(steps=terms.steps, members=members, requester=person.pk)
