"""How far a request is, in every state."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from access.models.grants import EndReason
from access.services import requests, votes
from access.states import GrantState
from console.stepper import Standing, is_settled, pace_of, steps_of
from console.templatetags.lockgate import grant_badge, request_badge
from tests.access.world import World
from tests.console.people_and_pages import activated, approved, ask, ended

DONE, NOW, NEXT, STOPPED = Standing.DONE, Standing.NOW, Standing.NEXT, Standing.STOPPED


def test_a_new_request_waits_for_approval(world: World) -> None:
    request = ask(world)
    assert [step.name for step in steps_of(request)] == ["Requested", "Approved", "Provisioning", "Active", "Revoked"]
    assert [step.standing for step in steps_of(request)] == [DONE, NOW, NEXT, NEXT, NEXT]
    assert not is_settled(request)


@pytest.mark.parametrize(
    ("state", "standings"),
    [
        (GrantState.SCHEDULED, [DONE, DONE, NOW, NEXT, NEXT]),
        (GrantState.PROVISIONING, [DONE, DONE, NOW, NEXT, NEXT]),
        (GrantState.ACTIVE, [DONE, DONE, DONE, NOW, NEXT]),
        (GrantState.REVOKING, [DONE, DONE, DONE, DONE, NOW]),
        (GrantState.REVOKED, [DONE, DONE, DONE, DONE, DONE]),
    ],
)
def test_the_grant_moves_the_steps(world: World, state: GrantState, standings: list[Standing]) -> None:
    grant = activated(approved(world, ask(world)))
    if state in (GrantState.SCHEDULED, GrantState.PROVISIONING):
        grant.activated_at = None
    grant.state = state
    request = grant.request
    request.refresh_from_db()
    request.grant = grant
    assert [step.standing for step in steps_of(request)] == standings
    assert is_settled(request) == (state is GrantState.REVOKED)


def test_an_account_that_could_not_be_made_stops_at_provisioning(world: World) -> None:
    grant = ended(approved(world, ask(world)), reason=EndReason.FAILED)
    grant.state, grant.activated_at = GrantState.FAILED, None
    request = grant.request
    request.grant = grant
    request.state = "approved"
    assert [step.standing for step in steps_of(request)] == [DONE, DONE, STOPPED, NEXT, DONE]
    assert is_settled(request)
    assert [step.name for step in steps_of(request)][2:] == ["Could not be made", "Active", "Cleaned up"]
    assert steps_of(request)[3].detail == "never"


@pytest.mark.parametrize(
    ("reason", "state", "names"),
    [
        (EndReason.CANCELLED, GrantState.REVOKED, ["Cancelled", "Active", "Cleaned up"]),
        (EndReason.ENDED, GrantState.REVOKED, ["Ended before it began", "Active", "Cleaned up"]),
        (EndReason.FAILED, GrantState.REVOKING, ["Could not be made", "Active", "Cleaning up"]),
    ],
)
def test_what_never_began_was_never_revoked(
    world: World, reason: EndReason, state: GrantState, names: list[str]
) -> None:
    grant = ended(approved(world, ask(world)), reason=reason)
    grant.state, grant.activated_at = state, None
    request = grant.request
    request.grant = grant
    assert [step.name for step in steps_of(request)][2:] == names
    word = "Cancelled" if state is GrantState.REVOKED else "Ending"
    assert f">{word}<" in request_badge(request)
    assert f">{word}<" in grant_badge(grant)


@pytest.mark.parametrize(
    ("reason", "late", "told"),
    [
        (EndReason.EXPIRED, timedelta(seconds=1), ""),
        (EndReason.RETURNED, timedelta(seconds=1), "given back early"),
        (EndReason.ENDED, timedelta(minutes=3), "ended early, 3 min late"),
    ],
)
def test_an_end_that_was_early_or_late_is_told(world: World, reason: EndReason, late: timedelta, told: str) -> None:
    grant = ended(activated(approved(world, ask(world))), reason=reason)
    grant.state, grant.ending_since = GrantState.REVOKED, grant.closed_at - late
    request = grant.request
    request.grant = grant
    assert (steps_of(request)[-1].name, steps_of(request)[-1].detail) == ("Revoked", told)


def test_an_extension_that_came_too_late_is_not_told_as_one(world: World) -> None:
    grant = activated(approved(world, ask(world)))
    longer = requests.extend(
        person=world.alice, grant=grant, duration=timedelta(hours=1), reason="More", now=timezone.now()
    )
    votes.approve(
        person=world.bob,
        request=longer,
        content_hash=longer.content_hash,
        now=timezone.now(),
        authenticated_at=timezone.now(),
    )
    longer.refresh_from_db()
    grant.refresh_from_db()
    grant.state, grant.extend_to = GrantState.REVOKING, None
    longer.extends = grant
    assert [(step.name, step.standing) for step in steps_of(longer)][-1] == ("Not extended", STOPPED)


def test_a_denied_request_goes_no_further(world: World) -> None:
    request = ask(world)
    votes.deny(person=world.bob, request=request, content_hash=request.content_hash, comment="No", now=timezone.now())
    request.refresh_from_db()
    assert [(step.name, step.standing) for step in steps_of(request)] == [("Requested", DONE), ("Denied", STOPPED)]
    assert is_settled(request)


def test_an_extension_ends_with_extended(world: World) -> None:
    grant = activated(approved(world, ask(world)))
    request = requests.extend(
        person=world.alice, grant=grant, duration=timedelta(minutes=30), reason="Longer", now=timezone.now()
    )
    assert [step.name for step in steps_of(request)] == ["Requested", "Approved", "Extended"]
    votes.approve(
        person=world.bob,
        request=request,
        content_hash=request.content_hash,
        now=timezone.now(),
        authenticated_at=timezone.now(),
    )
    request.refresh_from_db()
    request.extends.refresh_from_db()
    assert [step.standing for step in steps_of(request)] == [DONE, DONE, NOW]
    assert not is_settled(request)
    request.extends.extend_to = None
    assert [step.standing for step in steps_of(request)] == [DONE, DONE, DONE]
    assert is_settled(request)


def test_the_page_looks_more_often_while_something_is_under_way(world: World) -> None:
    request = ask(world)
    waiting = pace_of(request)
    grant = approved(world, request)
    request = grant.request
    request.state, request.grant = "approved", grant
    assert pace_of(request) < waiting
