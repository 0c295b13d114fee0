"""What must not keep an access alive, or bring one about: a failing extension, a mistake in our code, an edited role, a
person who has left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from access import provisioning, queueing
from access.errors import Refused
from access.models import AccessRequest, Grant
from access.services import grants, requests, votes
from access.states import GrantState, RequestState
from access.ticking import tick
from access.window import PROVISION_PATIENCE
from connectors.base import Level
from connectors.fake.connector import FakeConnector
from connectors.fake.server import FakeServer
from people.models import User
from tests.access.world import HOUR, NOW, World

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What was put on the queue."""
    messages: list[tuple[object, ...]] = []
    monkeypatch.setattr(queueing, "send", lambda *message: messages.append(message))
    return messages


@pytest.fixture
def server(world: World) -> Iterator[FakeServer]:
    """The server that the small world speaks of."""
    made = FakeServer.named(world.server.host)
    made.clock = lambda: NOW
    made.databases["orders"] = {}
    yield made
    FakeServer._servers.pop(world.server.host)


def granted(world: World, **wishes: object) -> Grant:
    request = world.ask(**wishes)
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    return Grant.objects.get(request=request)


def active(world: World, **wishes: object) -> Grant:
    grant = granted(world, **wishes)
    provisioning.provision(grant_id=grant.pk, claimant="w", clock=lambda: NOW)
    grant.refresh_from_db()
    assert grant.state == GrantState.ACTIVE, grant.last_error
    return grant


def longer(world: World, grant: Grant) -> AccessRequest:
    request = requests.extend(person=world.alice, grant=grant, duration=HOUR, reason="Not done", now=NOW)
    return AccessRequest.objects.get(pk=request.pk)


def with_extension(world: World, grant: Grant) -> None:
    request = longer(world, grant)
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)


def deactivate(person: User) -> None:
    User.objects.filter(pk=person.pk).update(is_active=False)


def mistaken(*args: object) -> None:
    raise KeyError("a mistake of ours")


def test_an_extension_that_waits_to_be_tried_again_does_not_put_off_the_end(world: World, server: FakeServer) -> None:
    grant = active(world)
    with_extension(world, grant)
    server.is_down = True
    for attempt in range(1, 8):
        provisioning.extend(grant_id=grant.pk, claimant="w", clock=lambda: grant.ends_at - SECOND)
        grant.refresh_from_db()
        assert grant.attempts == attempt
    assert grant.next_attempt_at is not None
    assert grant.next_attempt_at > grant.ends_at + 30 * SECOND
    assert tick(worker="w", now=grant.ends_at)["revoke"] == 1


def test_an_extension_that_was_queued_a_moment_ago_does_not_put_off_the_end(world: World, server: FakeServer) -> None:
    grant = active(world)
    with_extension(world, grant)
    assert tick(worker="w", now=grant.ends_at - SECOND)["extend"] == 1
    assert tick(worker="w", now=grant.ends_at)["revoke"] == 1
    assert tick(worker="w", now=grant.ends_at)["revoke"] == 0


def test_an_extension_that_fails_after_an_early_end_leaves_the_revocation_alone(
    world: World, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = active(world)
    with_extension(world, grant)
    honest = FakeConnector.extend

    def ended_meanwhile(connector: FakeConnector, *args: object) -> None:
        grants.end(person=world.alice, grant=grant, reason="", now=NOW)
        server.is_down = True
        honest(connector, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeConnector, "extend", ended_meanwhile)
    provisioning.extend(grant_id=grant.pk, claimant="w", clock=lambda: NOW)
    grant.refresh_from_db()
    assert (grant.state, grant.attempts, grant.next_attempt_at) == (GrantState.REVOKING, 0, None)


@pytest.mark.parametrize("verb", ["provision", "extend", "revoke"])
def test_a_mistake_of_ours_is_told_waits_before_it_is_tried_again_and_is_raised(
    world: World, server: FakeServer, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    if verb == "provision":
        grant = granted(world)
    else:
        grant = active(world)
        with_extension(world, grant)
    now = NOW + HOUR if verb == "revoke" else NOW
    monkeypatch.setattr(FakeConnector, verb, mistaken)
    with pytest.raises(KeyError):
        getattr(provisioning, verb)(grant_id=grant.pk, claimant="w", clock=lambda: now)
    grant.refresh_from_db()
    assert (grant.attempts, grant.next_attempt_at) == (1, now + SECOND)
    assert "KeyError" in grant.last_error
    assert "mistake" not in grant.last_error


def test_an_account_that_a_mistake_of_ours_keeps_from_being_made_is_given_up(
    world: World, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = granted(world)
    monkeypatch.setattr(FakeConnector, "provision", mistaken)
    for now in (NOW, NOW + PROVISION_PATIENCE):
        with pytest.raises(KeyError):
            provisioning.provision(grant_id=grant.pk, claimant="w", clock=lambda now=now: now)
    grant.refresh_from_db()
    assert (grant.state, grant.end_reason) == (GrantState.REVOKING, "failed")


def test_a_role_that_only_reads_by_now_does_not_let_a_writing_grant_extend_itself(
    world: World, server: FakeServer
) -> None:
    world.policy.self_approved_environments = ["production"]
    world.policy.save()
    grant = active(world, role=world.role("orders-write", world.policy, Level.WRITE))
    grant.request.role.level = Level.READ
    grant.request.role.save()
    assert longer(world, Grant.objects.get(pk=grant.pk)).state == RequestState.PENDING


def test_the_password_is_destroyed_when_the_end_begins(world: World, server: FakeServer) -> None:
    grant = active(world)
    grants.end(person=world.alice, grant=grant, reason="", now=NOW)
    grant.refresh_from_db()
    assert (grant.state, grant.password) == (GrantState.REVOKING, "")


def test_nothing_is_approved_for_somebody_who_has_left(world: World) -> None:
    request = world.ask()
    deactivate(world.alice)
    with pytest.raises(Refused):
        votes.approve(
            person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW
        )
    assert not Grant.objects.exists()


def test_the_access_of_somebody_who_has_left_ends_at_the_next_tick(world: World, server: FakeServer) -> None:
    grant = active(world)
    assert tick(worker="w", now=NOW)["revoke"] == 0
    deactivate(world.alice)
    assert tick(worker="w", now=NOW + SECOND)["revoke"] == 1
    provisioning.revoke(grant_id=grant.pk, claimant="w", clock=lambda: NOW + SECOND)
    grant.refresh_from_db()
    assert (grant.state, grant.end_reason) == (GrantState.REVOKED, "ended")
    assert grant.principal not in server.accounts


def test_no_account_is_made_for_somebody_who_has_left(world: World, server: FakeServer) -> None:
    grant = granted(world)
    deactivate(world.alice)
    provisioning.provision(grant_id=grant.pk, claimant="w", clock=lambda: NOW)
    grant.refresh_from_db()
    assert (grant.state, grant.end_reason) == (GrantState.REVOKING, "cancelled")
    assert grant.principal not in server.accounts
