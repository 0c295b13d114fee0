"""What waits for whom is asked of the database; here it is held against the votes themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from access.models import AccessRequest, Grant
from access.queries.grants import grants_visible_to, questioned_grants_for
from access.queries.requests import can_decide, waiting_for
from access.rules import approves, may_keep, may_see_grant
from access.services import requests, votes
from access.services.votes import decision_on
from access.terms import Terms
from people.models import User
from people.services import join, leave
from tests.access.world import HOUR, NOW, SETUP, World

Story = Callable[[World], AccessRequest]


def _asked(world: World) -> AccessRequest:
    return world.ask()


def _in_two_steps(world: World) -> AccessRequest:
    return world.ask(role=world.two_steps())


def _at_the_second_step(world: World) -> AccessRequest:
    request = _in_two_steps(world)
    _agree(world.bob, request)
    return request


def _half_of_a_step(world: World) -> AccessRequest:
    request = world.ask(role=world.two_people())
    _agree(world.bob, request)
    return request


def _edited_after_a_vote(world: World) -> AccessRequest:
    request = _at_the_second_step(world)
    fresh = AccessRequest.objects.get(pk=request.pk)
    requests.edit(
        person=world.alice, request=fresh, duration=HOUR / 2, reason="Less", ticket="", wished_start=None, now=NOW
    )
    return request


def _approved(world: World) -> AccessRequest:
    request = _asked(world)
    _agree(world.bob, request)
    return request


def _denied(world: World) -> AccessRequest:
    request = _asked(world)
    votes.deny(person=world.bob, request=request, content_hash=request.content_hash, comment="No", now=NOW)
    return request


def _cancelled(world: World) -> AccessRequest:
    request = _asked(world)
    requests.cancel(person=world.alice, request=request, now=NOW)
    return request


def _agree(person: User, request: AccessRequest) -> None:
    fresh = AccessRequest.objects.get(pk=request.pk)
    votes.approve(person=person, request=fresh, content_hash=fresh.content_hash, authenticated_at=NOW, now=NOW)


STORIES = [
    _asked,
    _in_two_steps,
    _at_the_second_step,
    _half_of_a_step,
    _edited_after_a_vote,
    _approved,
    _denied,
    _cancelled,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__.strip("_"))
def test_a_request_waits_for_the_team_whose_votes_are_missing(world: World, story: Story) -> None:
    request = AccessRequest.objects.get(pk=story(world).pk)
    step = decision_on(request).current if request.is_open else None
    assert request.waits_for == (step.team if step else "")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__.strip("_"))
def test_the_database_and_the_rule_agree_on_who_can_decide(world: World, story: Story) -> None:
    join(person=world.alice, team=world.dba, actor=SETUP)  # never on one's own
    request = AccessRequest.objects.get(pk=story(world).pk)
    for person in User.objects.all():
        found = waiting_for(person, now=NOW).filter(pk=request.pk).exists()
        assert found == can_decide(person, request), person


def test_whoever_leaves_the_team_is_waited_for_no_more(world: World) -> None:
    request = _asked(world)
    leave(person=world.bob, team=world.dba, actor=SETUP)
    assert not waiting_for(User.objects.get(pk=world.bob.pk), now=NOW).exists()
    assert list(waiting_for(world.carol, now=NOW)) == [request]


def test_what_has_lapsed_waits_for_nobody(world: World) -> None:
    request = _asked(world)
    assert list(waiting_for(world.bob, now=request.lapses_at - timedelta(microseconds=1))) == [request]
    assert not waiting_for(world.bob, now=request.lapses_at).exists()


def test_the_database_lets_nothing_decided_wait_for_somebody(world: World) -> None:
    request = _approved(world)
    with pytest.raises(IntegrityError), transaction.atomic():
        AccessRequest.objects.filter(pk=request.pk).update(waits_for="dba")


@pytest.mark.parametrize("story", [_approved, _at_the_second_step], ids=["one step", "two steps"])
def test_a_grant_carries_the_teams_that_its_request_asks(world: World, story: Story) -> None:
    request = story(world)
    if story is _at_the_second_step:
        _agree(world.dora, request)
    grant = Grant.objects.get(request=request)
    assert grant.approving_teams == sorted({step.team for step in Terms.from_json(request.terms).steps})
    Grant.objects.update(questioned_at=NOW)
    for person in User.objects.all():
        assert grants_visible_to(person).exists() == may_see_grant(person, grant), person
        assert questioned_grants_for(person).exists() == may_keep(person, grant), person
    assert approves(world.bob, grant.request)
