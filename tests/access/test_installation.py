"""Two Lockgates on one server: neither takes the other's accounts for orphans of its own."""

from __future__ import annotations

from django.utils import timezone

from access import installation, sweeping
from access.models import SweepFinding
from access.models.sweeps import FindingKind
from access.targets import connect
from connectors.base import Limits, ProvisionRequest, Secret
from connectors.fake.server import FakeServer
from connectors.mariadb.names import made_by, switch_comment
from tests.access.test_ends import active, sent
from tests.access.test_recognition import ended, server
from tests.access.world import HOUR, World

__all__ = ["sent", "server"]


def make(world: World, name: str, made_by: str) -> None:
    """An account that no grant of this Lockgate knows."""
    made = ProvisionRequest(
        name, Secret("somebody-elses"), world.read.scope, timezone.now() + HOUR, Limits(), made_by=made_by
    )
    with connect(world.server) as connector:
        connector.provision(made, lambda entry: None)


def test_an_account_of_another_lockgate_is_shown_and_left_alone(world: World, server: FakeServer) -> None:
    make(world, "lg_another", "0123456789ab")
    make(world, "lg_ours", installation.mark())
    make(world, "lg_unmarked", "")
    report = sweeping.sweep_server(server=world.server, now=timezone.now())
    assert sorted(report.orphans_removed) == ["lg_ours", "lg_unmarked"]
    assert "lg_another" in server.accounts
    (finding,) = SweepFinding.objects.filter(settled_at=None)
    assert (finding.kind, finding.principal) == (FindingKind.DRIFT, "lg_another")
    assert "Another Lockgate made it, with the mark 0123456789ab" in finding.detail


def test_an_account_that_was_granted_here_is_ours_whatever_its_mark_says(world: World, server: FakeServer) -> None:
    grant = ended(world, active(world))
    make(world, grant.principal, "0123456789ab")
    report = sweeping.sweep_server(server=world.server, now=timezone.now())
    assert report.orphans_removed == [grant.principal]


def test_the_mark_stays_what_it_is_and_fits_beside_a_name(db: None) -> None:
    mark = installation.mark()
    assert installation.mark() == mark
    assert (len(mark), mark.isalnum()) == (12, True)
    longest = "lg_" + 29 * "x"
    assert made_by(switch_comment(longest, mark)) == mark
    assert made_by(switch_comment(longest, "")) == ""
    assert len(switch_comment("lg_" + 60 * "é", mark)) <= 64
