"""A look at each server every few seconds: who is silent, who is back, and who may have been restored from a backup."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from access import provisioning, watching
from access.models import Grant, Server, SweepFinding
from access.queries.status import alarms_for
from access.services import grants, votes
from connectors.base import Secret
from connectors.errors import ServerUnreachable
from connectors.fake.server import FakeLoginRefused, FakeServer
from tests.access.world import NOW, World

SECOND = timedelta(seconds=1)


@pytest.fixture
def orders(world: World) -> Iterator[FakeServer]:
    FakeServer.forget_all()
    server = FakeServer.named(world.server.host)
    server.clock = lambda: NOW
    server.started_at = NOW - timedelta(days=3)
    server.make_table("orders", "public", "orders")
    yield server
    FakeServer.forget_all()


def looked(world: World, now: datetime = NOW) -> Server:
    """The server's row, after somebody has looked."""
    world.server.refresh_from_db()
    watching.look(world.server, clock=lambda: now)
    world.server.refresh_from_db()
    return world.server


def active(world: World) -> Grant:
    request = world.ask()
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    grant = Grant.objects.get(request=request)
    provisioning.provision(grant_id=grant.pk, claimant="w", clock=lambda: NOW)
    grant.refresh_from_db()
    assert grant.state == "active", grant.last_error
    return grant


def ended(world: World, grant: Grant, *, at: datetime = NOW) -> Grant:
    grants.end(person=world.alice, grant=grant, reason="", now=at)
    provisioning.revoke(grant_id=grant.pk, claimant="w", clock=lambda: at)
    grant.refresh_from_db()
    return grant


def test_each_server_is_looked_at_every_five_seconds_by_one_and_every_two_while_it_is_away(world: World) -> None:
    assert watching.due(now=NOW) == [world.server]
    assert watching.due(now=NOW + 4 * SECOND) == []
    assert watching.due(now=NOW + 5 * SECOND) == [world.server]
    Server.objects.update(down_since=NOW)
    assert watching.due(now=NOW + 6 * SECOND) == []
    assert watching.due(now=NOW + 7 * SECOND) == [world.server]
    # A look that lies ahead was noted before the database's clock was set back.
    assert watching.due(now=NOW - timedelta(hours=1)) == [world.server]


def test_a_silent_server_is_told_of_where_something_lives_on_it_and_what_waits_is_due_when_it_is_back(
    world: World, orders: FakeServer
) -> None:
    grant = active(world)
    orders.is_down = True
    assert looked(world).down_since == NOW
    assert ended(world, grant).waits_for_server
    later = NOW + timedelta(minutes=10)
    assert looked(world, later).down_since == NOW
    [alarm] = [alarm for alarm in alarms_for(world.oscar, now=later) if alarm.kind == "silence"]
    assert alarm.sentence.startswith("Orders has not answered since 09:00:00 UTC.")
    Grant.objects.update(next_attempt_at=later + timedelta(minutes=1))

    orders.is_down = False
    assert looked(world, later).down_since is None
    grant.refresh_from_db()
    assert (grant.waits_for_server, grant.next_attempt_at) == (False, None)
    provisioning.revoke(grant_id=grant.pk, claimant="w", clock=lambda: later)
    grant.refresh_from_db()
    assert grant.state == "revoked"


def test_a_pause_that_is_not_for_the_server_is_kept_when_it_answers(world: World, orders: FakeServer) -> None:
    grant = active(world)
    Grant.objects.update(next_attempt_at=NOW + SECOND, waits_for_server=False)
    Server.objects.update(down_since=NOW)
    looked(world)
    grant.refresh_from_db()
    assert grant.next_attempt_at == NOW + SECOND


def test_an_attempt_that_finds_nobody_has_the_server_looked_at(world: World, orders: FakeServer) -> None:
    grant = active(world)
    orders.is_down = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.db.transaction.on_commit", lambda act, *rest, **more: act())
        ended(world, grant)
    world.server.refresh_from_db()
    assert world.server.down_since == NOW


def test_a_server_that_was_started_anew_is_swept_at_once(world: World, orders: FakeServer) -> None:
    assert looked(world).started_at == orders.started_at
    saved = dict(orders.accounts)
    grant = active(world)
    saved.update(orders.accounts)
    ended(world, grant)
    assert not orders.accounts

    # A backup of yesterday, with the account that has ended since.
    orders.accounts.update(saved)
    orders.started_at = NOW + SECOND
    assert looked(world, NOW + 2 * SECOND).started_at == orders.started_at
    assert not orders.accounts
    assert SweepFinding.objects.get().principal == grant.principal
    with pytest.raises(FakeLoginRefused):
        orders.log_in(grant.principal, Secret("whatever"), "orders")


def test_one_that_cannot_be_swept_yet_is_swept_when_it_can(world: World, orders: FakeServer) -> None:
    before = looked(world).started_at
    orders.started_at = NOW
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("connectors.fake.connector.FakeConnector.list_principals", _unreachable)
        assert looked(world).started_at == before
    assert looked(world).started_at == NOW


def _unreachable(*args: object) -> None:
    raise ServerUnreachable("It is only just starting.")


def test_an_account_that_rises_on_a_server_that_never_stopped_is_swept_at_once(
    world: World, orders: FakeServer
) -> None:
    looked(world)
    grant = active(world)
    saved = dict(orders.accounts)
    looked(world)
    assert orders.accounts == saved
    ended(world, grant)
    orders.accounts.update(saved)
    # Whoever read the accounts before the end has not seen one that rose.
    looked(world, NOW)
    assert orders.accounts == saved
    looked(world, NOW + SECOND)
    assert not orders.accounts
    looked(world, NOW + 2 * SECOND)
    assert SweepFinding.objects.count() == 1
