"""Policies: who may ask, and who has to agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from access.models import AccessRole, Environment, Policy, PolicyStep
from access.services.catalogue.changes import (
    locked,
    one_at_a_time,
    record_added,
    record_changed,
    ways_on,
    with_consent_only,
)
from access.services.catalogue.checks import check_administrator, check_name, check_names, check_policy, slug_taken
from audit.events import Event
from audit.log import Subject
from people.models import Team, User


def define_policy(
    *,
    person: User,
    slug: str,
    name: str,
    requesters: Sequence[Team],
    steps: Sequence[tuple[Team, int]] = (),
    self_approved_environments: Sequence[Environment] = (),
    break_glass_team: Team | None = None,
    longest: timedelta = timedelta(hours=8),
    lapses_after: timedelta = timedelta(days=1),
) -> Policy:
    """A new policy: who may ask, and which people of which teams have to agree, in order."""
    check_administrator(person)
    check_names(slug, name)
    check_policy(
        requesters=requesters,
        steps=steps,
        self_approved=self_approved_environments,
        longest=longest,
        lapses_after=lapses_after,
    )
    with one_at_a_time():
        with slug_taken():
            policy = Policy.objects.create(
                slug=slug,
                name=name,
                self_approved_environments=_values(self_approved_environments),
                break_glass_team=break_glass_team,
                longest=longest,
                lapses_after=lapses_after,
            )
        _set_teams(policy, requesters, steps)
        record_added(Event.POLICY_ADDED, person=person, subject=Subject("policy", slug, name), after=_described(policy))
    return policy


def change_policy(
    *,
    person: User,
    policy: Policy,
    revision: int,
    name: str,
    requesters: Sequence[Team],
    steps: Sequence[tuple[Team, int]],
    self_approved_environments: Sequence[Environment],
    break_glass_team: Team | None,
    longest: timedelta,
    lapses_after: timedelta,
) -> Policy:
    """Change the policy as it was at `revision`; raises `EditedMeanwhile` when that is not the latest.

    Requests that are open keep the terms that were frozen into them, and so do their approvers.
    """
    check_administrator(person)
    check_name(name)
    check_policy(
        requesters=requesters,
        steps=steps,
        self_approved=self_approved_environments,
        longest=longest,
        lapses_after=lapses_after,
    )
    with one_at_a_time():
        row = locked(Policy, policy.pk, revision)
        guarded = AccessRole.objects.filter(policy=row)
        before, had = _described(row), ways_on(person, guarded)
        if longest > row.longest:
            had = with_consent_only(had)
        row.name = name
        row.self_approved_environments = _values(self_approved_environments)
        row.break_glass_team = break_glass_team
        row.longest, row.lapses_after = longest, lapses_after
        row.steps.all().delete()
        _set_teams(row, requesters, steps)
        after = _described(row)
        if after == before:
            return row
        row.revision += 1
        row.save()
        record_changed(
            Event.POLICY_CHANGED,
            person=person,
            subject=Subject("policy", row.slug, row.name),
            before=before,
            after=after,
            had=had,
            roles=guarded,
            revision=row.revision,
        )
    return row


def _set_teams(policy: Policy, requesters: Sequence[Team], steps: Sequence[tuple[Team, int]]) -> None:
    policy.requesters.set(requesters)
    PolicyStep.objects.bulk_create(
        PolicyStep(policy=policy, position=position, team=team, count=count)
        for position, (team, count) in enumerate(steps)
    )


def _values(environments: Sequence[Environment]) -> list[str]:
    """In one order, so that ticking the same boxes in another order is no change."""
    return [environment.value for environment in Environment if environment in environments]


def _described(policy: Policy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "requesters": sorted(team.slug for team in policy.requesters.all()),
        "steps": [asdict(step) for step in policy.quorum_steps()],
        "self_approved_environments": policy.self_approved_environments,
        "break_glass_team": policy.break_glass_team.slug if policy.break_glass_team else "",
        "longest_s": int(policy.longest.total_seconds()),
        "lapses_after_s": int(policy.lapses_after.total_seconds()),
    }
