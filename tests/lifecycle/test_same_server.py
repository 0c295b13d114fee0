"""Two entries of one real server, and a host that is edited: nobody loses an access by it, and what ends really ends."""

from __future__ import annotations

import pytest
from django.forms import model_to_dict
from django.utils import timezone

from access import provisioning, sweeping
from access.models import Server, SweepFinding
from access.services import grants, servers
from access.services.identities import Seen, confirm_identity
from access.targets import connect
from connectors.base import Connector, Journal, Limits, ProvisionRequest, Receipt, RevokeRequest, Secret
from connectors.errors import ServerRefused
from tests.access.world import HOUR, World
from tests.lifecycle.estates import Estate
from tests.lifecycle.test_lifecycle import provisioned, refused

pytestmark = pytest.mark.xdist_group("sweep")


def swept(server: Server, *of_this_test: str) -> sweeping.SweepReport:
    """Sweep, but spare the accounts of tests that run beside this one: they are orphans to this test's database."""
    real = sweeping._is_orphan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sweeping, "_is_orphan", lambda account, known: account.name in of_this_test and real(account, known)
        )
        return sweeping.sweep_server(server=server, now=timezone.now())


def second_entry(world: World) -> Server:
    kept = model_to_dict(
        world.server, fields=["engine", "port", "database", "tls", "admin_user", "admin_secret", "heir"]
    )
    return Server.objects.create(slug="twin", name="Twin", host="localhost", **kept)


def plant(server: Server, shop_world: World, name: str) -> str:
    with connect(server) as connector:
        scope = shop_world.read.scope
        made = ProvisionRequest(name, Secret("an-orphans-password"), scope, timezone.now() + HOUR, Limits())
        connector.provision(made, lambda entry: None)
    return name


def test_a_living_account_is_never_an_orphan_under_another_entry(shop_world: World, shop: Estate) -> None:
    grant, password = provisioned(shop_world)
    orphan = plant(shop_world.server, shop_world, f"lg_orphan_{shop.database}"[:32])
    servers.check(server=shop_world.server, now=timezone.now())
    twin = second_entry(shop_world)
    assert "It is Shop, or a copy of it" in swept(twin, grant.principal, orphan).error
    twin.refresh_from_db()
    confirm_identity(person=shop_world.erin, server=twin, found=twin.found_identity, seen=Seen.SAME)
    twin.refresh_from_db()
    report = swept(twin, grant.principal, orphan)
    assert (report.error, report.orphans_removed) == ("", [orphan])
    assert refused(lambda: shop.log_in(orphan, "an-orphans-password"))
    shop.log_in(grant.principal, password).close()


def test_an_orphan_that_cannot_be_taken_away_keeps_no_other(shop_world: World, shop: Estate) -> None:
    real = type(connect(shop_world.server)).revoke
    stuck, orphan = (plant(shop_world.server, shop_world, f"lg_{name}_{shop.database}"[:32]) for name in "ab")

    def revoke(self: Connector, request: RevokeRequest, journal: Journal) -> Receipt:
        if request.principal == stuck:
            raise ServerRefused("It says so.")
        return real(self, request, journal)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(connect(shop_world.server)), "revoke", revoke)
        report = swept(shop_world.server, stuck, orphan)
    assert (report.error, report.orphans_removed) == ("", [orphan])
    assert "take it away by hand" in SweepFinding.objects.get(principal=stuck).detail
    assert swept(shop_world.server, stuck).orphans_removed == [stuck]
    assert not SweepFinding.objects.filter(settled_at=None, principal__in=[stuck, orphan]).exists()


def test_an_edited_host_costs_nobody_an_access_which_ends_all_the_same(shop_world: World, shop: Estate) -> None:
    grant, password = provisioned(shop_world)
    Server.objects.filter(pk=shop_world.server.pk).update(host="localhost")
    shop_world.server.refresh_from_db()
    report = swept(shop_world.server, grant.principal)
    assert (report.error, report.orphans_removed, report.missing) == ("", [], [])
    shop.log_in(grant.principal, password).close()
    grants.end(person=shop_world.alice, grant=grant, reason="", now=timezone.now())
    provisioning.revoke(grant_id=grant.pk, claimant="test")
    grant.refresh_from_db()
    assert (grant.state, grant.receipt["read_at"]["server_identity"]) == ("revoked", shop_world.server.identity)
    assert refused(lambda: shop.log_in(grant.principal, password))
