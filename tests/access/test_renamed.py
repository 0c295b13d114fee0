"""An account that somebody renamed by hand stays its grant's: by what the server cannot rename."""

from __future__ import annotations

from access import provisioning
from access.models import Grant, SweepFinding
from access.models.sweeps import FindingKind
from access.services import grants
from access.states import GrantState
from access.sweeping import sweep_server
from connectors.fake.server import FakeServer
from tests.access.test_ends import active, sent, server
from tests.access.world import HOUR, NOW, World

__all__ = ["sent", "server"]

NEW_NAME = "reporting_batch"


def test_the_grant_keeps_what_cannot_be_renamed(world: World, server: FakeServer) -> None:
    grant = active(world)
    assert grant.identifier == server.accounts[grant.principal].identifier != ""


def test_a_renamed_account_ends_with_its_grant(world: World, server: FakeServer) -> None:
    grant = active(world)
    server.rename(grant.principal, NEW_NAME)
    ended(world, grant)
    assert grant.state == GrantState.REVOKED
    assert not server.accounts


def test_a_renamed_account_that_lives_is_told_and_never_an_orphan(world: World, server: FakeServer) -> None:
    grant = active(world)
    server.rename(grant.principal, NEW_NAME)
    sweep_server(server=world.server, now=NOW)
    assert list(server.accounts) == [NEW_NAME]
    finding = SweepFinding.objects.get(settled_at=None)
    assert (finding.kind, finding.principal) == (FindingKind.DRIFT, grant.principal)
    assert NEW_NAME in finding.detail

    server.rename(NEW_NAME, grant.principal)
    sweep_server(server=world.server, now=NOW)
    assert not SweepFinding.objects.filter(settled_at=None)


def test_a_renamed_account_without_a_living_grant_is_an_orphan(world: World, server: FakeServer) -> None:
    grant = active(world)
    account = server.accounts[grant.principal]
    ended(world, grant)
    server.accounts[NEW_NAME] = account
    report = sweep_server(server=world.server, now=NOW)
    assert report.orphans_removed == [NEW_NAME]
    assert not server.accounts


def ended(world: World, grant: Grant) -> None:
    grants.end(person=world.alice, grant=grant, reason="", now=NOW)
    provisioning.revoke(grant_id=grant.pk, claimant="w", clock=lambda: NOW + HOUR / 2)
    grant.refresh_from_db()
