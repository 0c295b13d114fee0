"""From a policy to the terms of one request. Default is no."""

from __future__ import annotations

from access.errors import NoPolicy, NotARequester, PolicyCannotBeMet
from access.models import AccessRole, Policy
from access.quorum import can_be_met
from access.rules import may_break_glass, may_request
from access.terms import Terms
from connectors.base import Level
from people.models import Team, User


def terms_for(*, person: User, role: AccessRole, level: Level, break_glass: bool) -> Terms:
    """The terms under which `person` may have `role`, worked out now and frozen on the request.

    `level` is that of the access itself: the role's own, or what a living grant got of it before the role was edited.
    Raises `NoPolicy`, `NotARequester` or `PolicyCannotBeMet`.
    """
    policy = role.policy
    if policy is None or not role.is_enabled or not role.server.is_enabled:
        raise NoPolicy
    if break_glass:
        if not may_break_glass(person, policy):
            raise NotARequester("Breaking the glass is for another team.")
    elif not may_request(person, policy):
        raise NotARequester
    terms = Terms(
        policy=policy.slug,
        steps=policy.quorum_steps(),
        approves_itself=not break_glass and _approves_itself(policy, role, level),
        break_glass=break_glass,
        longest=role.longest_allowed,
        lapses_after=policy.lapses_after,
    )
    if not terms.is_immediate and not _can_be_met(terms, person):
        raise PolicyCannotBeMet
    return terms


def _approves_itself(policy: Policy, role: AccessRole, level: Level) -> bool:
    return level is Level.READ and role.server.environment in policy.self_approved_environments


def _can_be_met(terms: Terms, person: User) -> bool:
    teams = Team.objects.filter(slug__in={step.team for step in terms.steps})
    pairs = teams.filter(people__is_active=True).values_list("slug", "people__pk")
    members: dict[str, list[int]] = {}
    for team, member in pairs:
        members.setdefault(team, []).append(member)
    return can_be_met(steps=terms.steps, members=members, requester=person.pk)
