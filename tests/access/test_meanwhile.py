"""What happened between the page and the click counts, and transactions that meet never wait for each other for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest

from access.errors import NotAnApprover, NotARequester, NotInCharge, NotYours, StartNotPossible, TooLong
from access.models import AccessRole, Environment, Grant
from access.services import catalogue, grants, requests, standing, votes
from access.states import GrantState, RequestState
from audit.models import Entry
from people.deactivation import deactivate
from people.group_sync import map_group, unmap_group
from people.models import Membership, User
from people.services import join, leave
from tests.access.test_votes import approve, at_once, errors_in
from tests.access.world import HOUR, NOW, SETUP, World


def with_page_open(person: User) -> User:
    """The person as a page loaded them, teams read."""
    stale = User.objects.get(pk=person.pk)
    assert stale.team_slugs
    return stale


def living(world: World) -> Grant:
    request = world.ask()
    approve(world, "bob", request)
    Grant.objects.filter(request=request).update(state=GrantState.ACTIVE)
    return Grant.objects.get(request=request)


def test_whoever_left_the_team_meanwhile_may_not_vote(world: World) -> None:
    request = world.ask()
    bob = with_page_open(world.bob)
    leave(person=world.bob, team=world.dba, actor=SETUP)
    with pytest.raises(NotAnApprover):
        votes.approve(person=bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)


def test_whoever_left_the_team_meanwhile_may_not_ask(world: World) -> None:
    alice = with_page_open(world.alice)
    leave(person=world.alice, team=world.backend, actor=SETUP)
    with pytest.raises(NotARequester):
        world.ask(person=alice)


def test_whoever_left_the_team_meanwhile_may_not_extend_and_it_is_recorded(world: World) -> None:
    grant = living(world)
    alice = with_page_open(world.alice)
    leave(person=world.alice, team=world.backend, actor=SETUP)
    with pytest.raises(NotARequester):
        requests.extend(person=alice, grant=grant, duration=HOUR, reason="Not done yet", now=NOW)
    refused = Entry.objects.get(event="request.refused")
    assert (refused.actor_label, refused.subject_id) == ("alice@example.com", grant.reference)


def test_a_shorter_policy_leaves_an_open_request_editable(world: World) -> None:
    request = world.ask(duration=2 * HOUR)
    catalogue.change_policy(
        person=world.erin,
        policy=world.policy,
        revision=world.policy.revision,
        name="One DBA",
        requesters=[world.backend],
        steps=[(world.dba, 1)],
        self_approved_environments=[],
        break_glass_team=None,
        longest=HOUR,
        lapses_after=24 * HOUR,
    )
    wishes = {"duration": 2 * HOUR, "ticket": "", "wished_start": None, "now": NOW}
    requests.edit(person=world.alice, request=request, reason="Said better", **wishes)  # type: ignore[arg-type]
    request.refresh_from_db()
    assert (request.reason, request.duration) == ("Said better", 2 * HOUR)


def break_glass_role(world: World) -> AccessRole:
    policy = catalogue.define_policy(
        person=world.erin,
        slug="glass",
        name="Glass",
        requesters=[world.backend],
        steps=[(world.dba, 1)],
        break_glass_team=world.backend,
    )
    return world.role("glass", policy)


def test_a_broken_glass_begins_at_once(world: World) -> None:
    role = break_glass_role(world)
    with pytest.raises(StartNotPossible):
        world.ask(role=role, break_glass=True, wished_start=NOW + HOUR)


def test_extensions_that_nobody_looks_at_do_not_add_up(world: World) -> None:
    policy = catalogue.define_policy(
        person=world.erin,
        slug="alone",
        name="Alone",
        requesters=[world.backend],
        steps=[(world.dba, 1)],
        self_approved_environments=[Environment.PRODUCTION],
        longest=2 * HOUR,
    )
    role = catalogue.define_role(
        person=world.erin,
        slug="alone-read",
        name="Alone",
        server=world.server,
        policy=policy,
        level=world.read.scope.level,
        databases=["orders"],
    )
    request = world.ask(role=role)
    Grant.objects.filter(request=request).update(state=GrantState.ACTIVE)
    grant = Grant.objects.get(request=request)
    requests.extend(person=world.alice, grant=grant, duration=HOUR, reason="More", now=NOW)
    with pytest.raises(TooLong, match="2 h"):
        requests.extend(person=world.alice, grant=grant, duration=timedelta(minutes=5), reason="And more", now=NOW)
    grant.refresh_from_db()
    assert grant.extend_to == NOW + 2 * HOUR


def test_hands_on_the_access_of_others_are_refused_and_recorded(world: World) -> None:
    grant = living(world)
    with pytest.raises(NotInCharge):
        grants.end(person=world.oscar, grant=grant, reason="", now=NOW)
    with pytest.raises(NotYours):
        grants.reveal_password(person=world.bob, grant=grant, now=NOW)
    with pytest.raises(NotInCharge):
        grants.review(person=world.oscar, grant=grant, comment="Fine", now=NOW)
    with pytest.raises(NotInCharge):
        standing.keep(person=world.oscar, grant=grant, comment="Fine", now=NOW)
    refused = Entry.objects.filter(event="grant.refused", subject_id=grant.reference).order_by("seq")
    names = ["oscar@example.com", "bob@example.com", "oscar@example.com", "oscar@example.com"]
    assert [entry.actor_label for entry in refused] == names
    grant.refresh_from_db()
    assert grant.state == GrantState.ACTIVE


@pytest.mark.parametrize("_round", range(5))
def test_switching_off_and_approving_at_the_same_instant(committed_world: World, _round: int) -> None:
    world = committed_world
    request = world.ask()
    results = at_once(lambda: approve(world, "bob", request), lambda: deactivate(person=world.alice, actor=SETUP))
    assert len(errors_in(results)) <= 1
    request.refresh_from_db()
    assert request.state in (RequestState.APPROVED, RequestState.CANCELLED)
    assert not Grant.objects.exclude(state=GrantState.REVOKING).exists()


@pytest.mark.parametrize("_round", range(5))
def test_a_mapping_that_goes_while_people_vote(committed_world: World, _round: int) -> None:
    """It takes several people out of a team, each with a request that somebody decides at that instant."""
    world = committed_world
    mapping = map_group(provider="corp", group="engineers", team=world.backend, actor=SETUP)
    join(person=world.oscar, team=world.backend, actor=SETUP)
    Membership.objects.filter(team=world.backend).update(source="corp")
    oscar = User.objects.get(pk=world.oscar.pk)
    asked = [world.ask(), world.ask(person=oscar)]
    at_once(
        lambda: unmap_group(mapping=mapping, actor=SETUP),
        lambda: approve(world, "bob", asked[1]),
        lambda: approve(world, "carol", asked[0]),
    )
    for request in asked:
        request.refresh_from_db()
        assert request.state in (RequestState.APPROVED, RequestState.CANCELLED)
    assert not Grant.objects.filter(questioned_at__isnull=True).exists()
    assert not Membership.objects.filter(team=world.backend).exists()


@pytest.mark.parametrize("_round", range(5))
def test_asking_while_one_leaves_the_team_leaves_nothing_open(committed_world: World, _round: int) -> None:
    world = committed_world
    at_once(lambda: world.ask(), lambda: leave(person=world.alice, team=world.backend, actor=SETUP))
    assert not world.alice.requests.filter(state=RequestState.PENDING).exists()
