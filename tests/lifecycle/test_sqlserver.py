"""One grant from request to receipt on the SQL Server that the environment names; see `tests.connectors.labs.sqlserver`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.utils import timezone

from access import provisioning
from access.models import Environment
from access.services import catalogue, grants
from connectors.base import Level, Secret
from tests.access.world import World, build
from tests.connectors.conftest import SQLSERVER_URL
from tests.connectors.labs.base import LoginRefused, Place
from tests.connectors.labs.sqlserver import SQLServerLab
from tests.lifecycle.test_lifecycle import provisioned

pytestmark = pytest.mark.skipif(not os.environ.get(SQLSERVER_URL), reason=f"{SQLSERVER_URL} names no server")


@pytest.fixture
def lab() -> Iterator[SQLServerLab]:
    """The server, with a login of Lockgate's."""
    opened = SQLServerLab(os.environ[SQLSERVER_URL])
    yield opened
    opened.close()


@pytest.fixture
def orders(lab: SQLServerLab) -> Place:
    """A table with three rows."""
    database = lab.make_database("orders")
    return lab.make_table(database, lab.make_schema(database))


@pytest.fixture
def world(transactional_db: None, lab: SQLServerLab, orders: Place, monkeypatch: pytest.MonkeyPatch) -> World:
    """The people of the small world, and a role to read the orders."""
    monkeypatch.setenv("TEST_SQLSERVER_PASSWORD", lab.target.password.reveal())
    world = build("env:TEST_SQLSERVER_PASSWORD")
    world.server = catalogue.add_server(
        person=world.erin,
        slug="till",
        name="Till",
        engine="sqlserver",
        environment=Environment.PRODUCTION,
        host=lab.target.host,
        port=lab.target.port,
        admin_user=lab.target.user,
        admin_secret="env:TEST_SQLSERVER_PASSWORD",
        tls=lab.target.tls,
    )
    world.read = catalogue.define_role(
        person=world.erin,
        slug=f"read-{orders.database.replace('_', '-')}",
        name="Read the orders",
        server=world.server,
        policy=world.policy,
        level=Level.READ,
        databases=[orders.database],
    )
    return world


def test_access_works_then_ends_and_the_server_knows_nothing(world: World, lab: SQLServerLab, orders: Place) -> None:
    grant, password = provisioned(world)
    session = lab.log_in(grant.principal, Secret(password), orders.database)
    assert session.count(orders) == 3

    grants.end(person=world.alice, grant=grant, reason="done", now=timezone.now())
    provisioning.revoke(grant_id=grant.pk, claimant="test")

    grant.refresh_from_db()
    assert grant.receipt["unreadable"] in ([], ())
    assert (grant.state, grant.receipt["is_clean"], grant.receipt["sessions_ended"]) == ("revoked", True, 1)
    assert not session.is_alive()
    with pytest.raises(LoginRefused):
        lab.log_in(grant.principal, Secret(password), orders.database)
    assert not lab.account_exists(grant.principal)
