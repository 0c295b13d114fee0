"""Deciding: who may, in what order, and what two people at the same instant get."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection

from access.errors import (
    AccessError,
    AlreadyAsked,
    AlreadyDecided,
    AlreadyVoted,
    ContentHasChanged,
    HasLapsed,
    NotAnApprover,
    OwnRequest,
    TooLong,
)
from access.models import AccessRequest, Grant, Vote
from access.services import requests, votes
from access.states import RequestState
from audit.models import Entry
from people.services import leave
from tests.access.world import HOUR, NOW, SETUP, World


def approve(world: World, who: str, request: AccessRequest, **more: object) -> None:
    votes.approve(
        person=getattr(world, who),
        request=request,
        content_hash=request.content_hash,
        now=NOW,
        authenticated_at=NOW,
        **more,  # type: ignore[arg-type]
    )


def test_one_approval_makes_the_grant(world: World) -> None:
    request = world.ask()
    approve(world, "bob", request)
    request.refresh_from_db()
    grant = Grant.objects.get(request=request)
    assert request.state == RequestState.APPROVED
    assert (grant.state, grant.ends_at - grant.starts_at, grant.principal) == ("scheduled", HOUR, request.principal)


@pytest.mark.parametrize("who", ["oscar", "erin", "auditor", "dora"])
def test_whom_the_step_does_not_name_may_not_vote(world: World, who: str) -> None:
    request = world.ask()
    with pytest.raises(NotAnApprover):
        approve(world, who, request)
    assert not Vote.objects.exists()
    refused = Entry.objects.get(event="vote.refused")
    assert (refused.actor_label, refused.subject_id) == (f"{who}@example.com", request.reference)


def test_nobody_votes_on_their_own_request_even_as_an_approver(world: World) -> None:
    world.policy.requesters.add(world.dba)
    request = world.ask(person=world.bob)
    with pytest.raises(OwnRequest):
        approve(world, "bob", request)
    with pytest.raises(OwnRequest):
        votes.deny(person=world.bob, request=request, content_hash=request.content_hash, comment="no", now=NOW)
    approve(world, "carol", request)


def test_steps_are_voted_on_in_order(world: World) -> None:
    request = world.ask(role=world.two_steps())
    with pytest.raises(NotAnApprover):
        approve(world, "dora", request)
    approve(world, "bob", request)
    assert not Grant.objects.exists()
    with pytest.raises(NotAnApprover):
        approve(world, "carol", request)
    approve(world, "dora", request)
    assert Grant.objects.count() == 1


def test_an_approver_may_agree_to_less_and_the_least_counts(world: World) -> None:
    request = world.ask(role=world.two_people())
    approve(world, "bob", request, duration=timedelta(minutes=20))
    approve(world, "carol", request, duration=timedelta(minutes=40))
    assert Grant.objects.get(request=request).duration == timedelta(minutes=20)


def test_an_approver_cannot_give_more_than_was_asked(world: World) -> None:
    request = world.ask()
    with pytest.raises(TooLong):
        approve(world, "bob", request, duration=2 * HOUR)


def test_a_denial_needs_a_reason_and_ends_the_request(world: World) -> None:
    request = world.ask(role=world.two_people())
    with pytest.raises(votes.DenialNeedsReason):
        votes.deny(person=world.bob, request=request, content_hash=request.content_hash, comment=" ", now=NOW)
    votes.deny(person=world.bob, request=request, content_hash=request.content_hash, comment="Use staging", now=NOW)
    request.refresh_from_db()
    assert request.state == RequestState.DENIED
    with pytest.raises(AlreadyDecided, match="denied"):
        approve(world, "carol", request)


def test_a_vote_on_content_that_has_changed_is_not_counted(world: World) -> None:
    request = world.ask()
    seen = request.content_hash
    requests.edit(
        person=world.alice, request=request, duration=8 * HOUR, reason="More", ticket="", wished_start=None, now=NOW
    )
    with pytest.raises(ContentHasChanged):
        votes.approve(person=world.bob, request=request, content_hash=seen, now=NOW, authenticated_at=NOW)
    assert not Vote.objects.exists()


def test_a_vote_on_a_cancelled_request_is_refused(world: World) -> None:
    request = world.ask()
    requests.cancel(person=world.alice, request=request, now=NOW)
    with pytest.raises(AlreadyDecided, match="cancelled"):
        approve(world, "bob", request)


def test_a_vote_after_the_request_lapsed_is_refused_even_before_a_tick_said_so(world: World) -> None:
    request = world.ask()
    with pytest.raises(HasLapsed):
        votes.approve(
            person=world.bob,
            request=request,
            content_hash=request.content_hash,
            now=request.lapses_at,
            authenticated_at=request.lapses_at,
        )


def test_a_double_click_is_told_that_it_was_counted_once(world: World) -> None:
    request = world.ask()
    approve(world, "bob", request)
    with pytest.raises(AlreadyVoted, match="approved"):
        approve(world, "bob", request)
    assert Vote.objects.count() == 1


def test_a_vote_stands_when_the_voter_leaves_the_team_later(world: World) -> None:
    request = world.ask(role=world.two_people())
    approve(world, "bob", request)
    leave(person=world.bob, team=world.dba, actor=SETUP)
    approve(world, "carol", request)
    assert Grant.objects.count() == 1


def at_once(*actions: Callable[[], object]) -> list[object]:
    """Run the actions in threads that start at the same instant, each on a connection of its own."""
    barrier = Barrier(len(actions))

    def run(action: Callable[[], object]) -> object:
        try:
            barrier.wait(timeout=10)
            return action()
        except AccessError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def errors_in(results: list[object]) -> list[type]:
    return [type(result) for result in results if isinstance(result, AccessError)]


@pytest.mark.parametrize("_round", range(5))
def test_two_approvers_at_the_same_instant_make_one_grant(committed_world: World, _round: int) -> None:
    world = committed_world
    request = world.ask()
    results = at_once(lambda: approve(world, "bob", request), lambda: approve(world, "carol", request))
    assert errors_in(results) == [AlreadyDecided]
    assert (Grant.objects.count(), Vote.objects.count()) == (1, 1)


def test_two_needed_approvers_at_the_same_instant_both_count(committed_world: World) -> None:
    world = committed_world
    request = world.ask(role=world.two_people())
    results = at_once(lambda: approve(world, "bob", request), lambda: approve(world, "carol", request))
    assert errors_in(results) == []
    assert (Grant.objects.count(), Vote.objects.count()) == (1, 2)


def test_a_double_click_at_the_same_instant_is_one_vote(committed_world: World) -> None:
    world = committed_world
    request = world.ask(role=world.two_people())
    results = at_once(*[lambda: approve(world, "bob", request)] * 4)
    assert errors_in(results) == [AlreadyVoted] * 3
    assert Vote.objects.count() == 1


@pytest.mark.parametrize("_round", range(5))
def test_cancel_and_approve_at_the_same_instant_have_one_winner(committed_world: World, _round: int) -> None:
    world = committed_world
    request = world.ask()
    results = at_once(
        lambda: approve(world, "bob", request),
        lambda: requests.cancel(person=world.alice, request=request, now=NOW),
    )
    request.refresh_from_db()
    assert errors_in(results) == [AlreadyDecided]
    assert Grant.objects.exists() == (request.state == RequestState.APPROVED)


@pytest.mark.parametrize("_round", range(5))
def test_edit_and_approve_at_the_same_instant_never_grant_what_nobody_saw(committed_world: World, _round: int) -> None:
    world = committed_world
    request = world.ask()

    def edit() -> None:
        requests.edit(
            person=world.alice, request=request, duration=8 * HOUR, reason="x", ticket="", wished_start=None, now=NOW
        )

    results = at_once(lambda: approve(world, "bob", request), edit)
    assert errors_in(results) in ([AlreadyDecided], [ContentHasChanged])
    assert not Grant.objects.filter(duration=8 * HOUR).exists()


def test_submitting_twice_at_the_same_instant_makes_one_request(committed_world: World) -> None:
    world = committed_world
    results = at_once(*[lambda: world.ask()] * 3)
    assert errors_in(results) == [AlreadyAsked] * 2
    assert AccessRequest.objects.count() == 1
