"""Somebody leaves a team: what becomes of their open request, of a vote they gave, of a grant they live with."""

from __future__ import annotations

import pytest

from access import queueing
from access.errors import AlreadyDecided, NotInCharge
from access.models import Grant
from access.services import grants, votes
from access.services.standing import KeepingNeedsReason, keep
from access.states import GrantState, RequestState
from audit.models import Entry
from people.group_sync import follow_groups, map_group
from people.models import User
from people.services import join, leave
from tests.access.world import NOW, SETUP, World


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object) -> list[tuple[object, ...]]:
    """What was put on the queue."""
    messages: list[tuple[object, ...]] = []
    monkeypatch.setattr(queueing, "send", lambda *message: messages.append(message))
    return messages


def granted(world: World) -> Grant:
    request = world.ask()
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    return Grant.objects.get(request=request)


def again(person: User) -> User:
    """As the next request of their browser has them."""
    return User.objects.get(pk=person.pk)


def test_an_open_request_is_taken_back_with_its_team(world: World) -> None:
    request = world.ask()
    leave(person=world.alice, team=world.backend, actor=SETUP)
    request.refresh_from_db()
    assert request.state == RequestState.CANCELLED
    entry = Entry.objects.filter(event="request.cancelled").latest("seq")
    assert (entry.actor_label, entry.reason) == ("tests", "No longer in a team that may have this.")


def test_an_open_request_stays_with_another_team_that_allows_it(world: World) -> None:
    world.policy.requesters.add(world.security)
    join(person=world.alice, team=world.security, actor=SETUP)
    request = world.ask()
    leave(person=world.alice, team=world.backend, actor=SETUP)
    request.refresh_from_db()
    assert request.is_open
    leave(person=world.alice, team=world.security, actor=SETUP)
    request.refresh_from_db()
    assert request.state == RequestState.CANCELLED


def test_an_edit_of_the_policy_takes_nothing_back(world: World) -> None:
    """A request rests on the teams that allowed it then, not on what the policy says now."""
    request = world.ask()
    world.policy.requesters.set([world.security])
    join(person=world.alice, team=world.dba, actor=SETUP)
    leave(person=world.alice, team=world.dba, actor=SETUP)
    request.refresh_from_db()
    assert request.is_open


def test_a_vote_stays_on_record_and_counts(world: World) -> None:
    request = world.ask(role=world.two_people())
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    leave(person=world.bob, team=world.dba, actor=SETUP)
    assert request.votes.count() == 1
    votes.approve(person=world.carol, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    request.refresh_from_db()
    assert request.state == RequestState.APPROVED
    other = world.ask()
    with pytest.raises(votes.NotAnApprover):
        votes.approve(
            person=again(world.bob), request=other, content_hash=other.content_hash, now=NOW, authenticated_at=NOW
        )


def test_a_living_grant_is_put_before_those_who_approve(world: World) -> None:
    grant = granted(world)
    leave(person=world.alice, team=world.backend, actor=SETUP)
    grant.refresh_from_db()
    assert grant.questioned_at is not None
    assert grant.state == GrantState.SCHEDULED
    assert Entry.objects.filter(event="grant.questioned", subject_id=grant.reference).count() == 1


def test_a_questioned_grant_is_kept_with_a_reason_by_somebody_in_charge(world: World) -> None:
    grant = granted(world)
    leave(person=world.alice, team=world.backend, actor=SETUP)
    with pytest.raises(NotInCharge):
        keep(person=world.alice, grant=grant, comment="I need it", now=NOW)
    with pytest.raises(NotInCharge):
        keep(person=world.oscar, grant=grant, comment="Why not", now=NOW)
    with pytest.raises(KeepingNeedsReason):
        keep(person=world.bob, grant=grant, comment=" ", now=NOW)
    keep(person=world.bob, grant=grant, comment="She hands over until noon", now=NOW)
    grant.refresh_from_db()
    assert grant.questioned_at is None
    assert Entry.objects.get(event="grant.kept").reason == "She hands over until noon"
    with pytest.raises(AlreadyDecided):
        keep(person=world.bob, grant=grant, comment="Twice", now=NOW)


def test_a_questioned_grant_is_ended_like_any_other(world: World) -> None:
    grant = granted(world)
    leave(person=world.alice, team=world.backend, actor=SETUP)
    grants.end(person=world.bob, grant=grant, reason="", now=NOW)
    grant.refresh_from_db()
    assert grant.state == GrantState.REVOKING
    with pytest.raises(AlreadyDecided):
        keep(person=world.bob, grant=grant, comment="Too late", now=NOW)


def test_losing_the_group_at_the_provider_does_all_that_at_the_next_sign_in(world: World) -> None:
    map_group(provider="corp", group="backend-people", team=world.backend, actor=SETUP)
    follow_groups(person=world.alice, provider="corp", groups=["backend-people"], actor=SETUP)
    grant, waiting = granted(world), world.ask(role=world.two_people())
    follow_groups(person=world.alice, provider="corp", groups=[], actor=SETUP)
    grant.refresh_from_db()
    waiting.refresh_from_db()
    assert grant.questioned_at is not None
    assert waiting.state == RequestState.CANCELLED
    assert again(world.alice).team_slugs == frozenset()
