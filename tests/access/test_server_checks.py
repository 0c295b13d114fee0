"""What is kept of a check stays until the same question is answered well."""

from __future__ import annotations

from access.models import Server
from access.services import servers
from connectors.fake.server import FakeServer
from tests.access.test_ends import sent, server
from tests.access.world import NOW, World

__all__ = ["sent", "server"]


def kept(world: World) -> Server:
    return Server.objects.get(pk=world.server.pk)


def test_what_stands_in_the_way_of_an_access_role_is_not_called_well_by_a_check_that_does_not_try_it(
    world: World, server: FakeServer
) -> None:
    servers.check(server=kept(world), now=NOW)
    assert kept(world).check_ok
    database = server.databases.pop("orders")
    servers.check(server=kept(world), now=NOW)
    assert kept(world).check_ok is False

    servers.check_all(now=NOW)
    assert kept(world).check_ok is False
    assert "orders" in kept(world).check_message

    server.databases["orders"] = database
    servers.check_all(now=NOW)
    assert kept(world).check_ok
    assert kept(world).check_message == ""


def test_the_check_of_each_minute_finds_by_itself_what_needs_no_access_role(world: World, server: FakeServer) -> None:
    servers.check(server=kept(world), now=NOW)
    server.lacks_rights = True
    servers.check_all(now=NOW)
    assert kept(world).check_ok is False
    server.lacks_rights = False
    servers.check_all(now=NOW)
    assert kept(world).check_ok
