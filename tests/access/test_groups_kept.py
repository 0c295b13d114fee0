"""Each sweep sees to it that the groups of living accounts hold what their access roles say."""

from __future__ import annotations

from dataclasses import replace

from access.models import SweepFinding
from access.models.sweeps import FindingKind
from access.services import grants
from access.sweeping import sweep_server
from audit.events import Event
from audit.models import Entry
from connectors.base import Level, Scope
from connectors.fake.server import FakeServer
from tests.access.test_ends import active, sent, server
from tests.access.world import NOW, World

__all__ = ["sent", "server"]


def the_group(server: FakeServer) -> Scope:
    (scope,) = server.groups.values()
    return scope


def test_a_group_that_holds_more_is_set_right_and_the_trail_says_so(world: World, server: FakeServer) -> None:
    active(world)
    granted = the_group(server)
    server.groups[granted.group] = replace(granted, level=Level.DDL)
    sweep_server(server=world.server, now=NOW)
    assert the_group(server) == granted
    told = Entry.objects.filter(event=Event.SWEEP_DRIFT_FOUND).get()
    assert granted.group in told.reason
    assert told.after["statements"]
    assert not SweepFinding.objects.filter(settled_at=None)

    sweep_server(server=world.server, now=NOW)
    assert Entry.objects.filter(event=Event.SWEEP_DRIFT_FOUND).count() == 1


def test_a_group_that_somebody_dropped_is_made_anew_with_whoever_was_granted_it(
    world: World, server: FakeServer
) -> None:
    grant = active(world)
    granted = the_group(server)
    server.groups.clear()
    server.accounts[grant.principal].memberships.clear()
    sweep_server(server=world.server, now=NOW)
    assert the_group(server) == granted
    assert server.accounts[grant.principal].memberships == {granted.group}
    told = Entry.objects.filter(event=Event.SWEEP_DRIFT_FOUND).get()
    assert len(told.after["statements"]) == 2


def test_a_group_that_cannot_be_set_right_is_shown_until_it_is(world: World, server: FakeServer) -> None:
    active(world)
    group = the_group(server).group
    database = server.databases.pop("orders")
    sweep_server(server=world.server, now=NOW)
    finding = SweepFinding.objects.get(settled_at=None)
    assert (finding.kind, finding.principal) == (FindingKind.DRIFT, group)
    assert "orders" in finding.detail

    server.databases["orders"] = database
    sweep_server(server=world.server, now=NOW)
    assert not SweepFinding.objects.filter(settled_at=None)


def test_a_group_without_a_living_account_is_left_until_the_next_grant(world: World, server: FakeServer) -> None:
    grant = active(world)
    granted = the_group(server)
    server.groups[granted.group] = replace(granted, level=Level.DDL)
    grants.end(person=world.alice, grant=grant, reason="", now=NOW)
    sweep_server(server=world.server, now=NOW)
    assert the_group(server).level is Level.DDL


def test_an_account_that_somebody_put_into_another_role_is_shown(world: World, server: FakeServer) -> None:
    grant = active(world)
    server.accounts[grant.principal].memberships.add("payroll")
    sweep_server(server=world.server, now=NOW)
    finding = SweepFinding.objects.get(settled_at=None)
    assert (finding.kind, finding.principal) == (FindingKind.DRIFT, grant.principal)
    assert "payroll" in finding.detail

    server.accounts[grant.principal].memberships.discard("payroll")
    sweep_server(server=world.server, now=NOW)
    assert not SweepFinding.objects.filter(settled_at=None)
