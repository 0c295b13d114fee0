"""Who may do what: one-line predicates that read aloud, over persons, requests and grants."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from access.models import AccessRequest, Environment, Grant, Policy
from access.terms import Terms
from access.window import CLOCKS_AGREE_WITHIN
from people.models import User


def is_in(person: User, team: str) -> bool:
    """An active member of the team."""
    return person.is_active and team in person.team_slugs


def is_in_any(person: User, teams: set[str]) -> bool:
    """An active member of at least one of the teams."""
    return person.is_active and bool(teams & person.team_slugs)


def may_request(person: User, policy: Policy) -> bool:
    """The policy names one of the person's teams."""
    return is_in_any(person, {team.slug for team in policy.requesters.all()})


def may_break_glass(person: User, policy: Policy) -> bool:
    """The policy's break-glass team is one of the person's."""
    return policy.break_glass_team is not None and is_in(person, policy.break_glass_team.slug)


def is_requester(person: User, request: AccessRequest) -> bool:
    """The person asked for it."""
    return request.requester_id == person.pk


def approves(person: User, request: AccessRequest) -> bool:
    """A member of a team that some step of the request asks, and not the requester."""
    teams = {step.team for step in Terms.from_json(request.terms).steps}
    return not is_requester(person, request) and is_in_any(person, teams)


def is_fresh_enough(request: AccessRequest, *, authenticated_at: datetime | None, now: datetime) -> bool:
    """On a production server whoever approves has shown within `LOCKGATE_REAUTHENTICATE_AFTER` that it is them."""
    on_production = request.role.server.environment == Environment.PRODUCTION
    return is_recent(authenticated_at, now=now) or not on_production


def is_recent(authenticated_at: datetime | None, *, now: datetime) -> bool:
    """Within `LOCKGATE_REAUTHENTICATE_AFTER`. A time that lies ahead is of a clock that is wrong, and counts for nothing."""
    if authenticated_at is None:
        return False
    return -CLOCKS_AGREE_WITHIN <= now - authenticated_at < settings.LOCKGATE_REAUTHENTICATE_AFTER


def may_see_request(person: User, request: AccessRequest) -> bool:
    """Requester, approvers, auditors and administrators; to others the request does not exist."""
    return person.is_active and (
        is_requester(person, request) or approves(person, request) or person.is_auditor or person.is_administrator
    )


def may_see_grant(person: User, grant: Grant) -> bool:
    """Whoever may see the request that it came from."""
    return may_see_request(person, grant.request)


def may_end(person: User, grant: Grant) -> bool:
    """Owner, approvers and administrators."""
    return person.is_active and (
        grant.person_id == person.pk or approves(person, grant.request) or person.is_administrator
    )


def may_review(person: User, grant: Grant) -> bool:
    """Approvers and administrators, but never the person who broke the glass."""
    return grant.person_id != person.pk and (approves(person, grant.request) or person.is_administrator)


def may_keep(person: User, grant: Grant) -> bool:
    """Whoever may review: approvers and administrators, but never the person whose access it is."""
    return person.is_active and may_review(person, grant)


def may_manage_servers(person: User) -> bool:
    """Administrators."""
    return person.is_active and person.is_administrator


def may_manage_people(person: User) -> bool:
    """Administrators; never their own teams, which the services refuse."""
    return person.is_active and person.is_administrator


def may_see_servers(person: User) -> bool:
    """Administrators and auditors."""
    return person.is_active and (person.is_administrator or person.is_auditor)


def may_read_statements(person: User) -> bool:
    """Auditors alone: the whole text of what others ran holds what they looked for and what they wrote."""
    return person.is_active and person.is_auditor


def may_see_audit(person: User) -> bool:
    """Auditors and administrators."""
    return person.is_active and (person.is_auditor or person.is_administrator)


def may_see_settings(person: User) -> bool:
    """Administrators and auditors."""
    return person.is_active and (person.is_administrator or person.is_auditor)
