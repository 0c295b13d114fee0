"""A world whose server is a real one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.utils import timezone

from access.models import AccessRole, Environment
from access.secret_uses import bind_where_accounts_live
from access.services import catalogue
from connectors.base import Level, Tls
from tests.access.world import World, build
from tests.lifecycle.estates import Estate, estate

_URLS = {"postgresql": "LOCKGATE_TEST_POSTGRESQL_URL", "mariadb": "LOCKGATE_TEST_MARIADB_URL"}


@pytest.fixture(params=sorted(_URLS))
def shop(request: pytest.FixtureRequest) -> Iterator[Estate]:
    """A real server with a database of this test's own."""
    made = estate(request.param, os.environ[_URLS[request.param]])
    made.create()
    yield made
    made.drop()


@pytest.fixture
def shop_world(transactional_db: None, shop: Estate, monkeypatch: pytest.MonkeyPatch) -> World:
    """The people of the small world, and a role to read the shop."""
    monkeypatch.setenv("TEST_SHOP_PASSWORD", shop.password)
    world = build("env:TEST_SHOP_PASSWORD")
    world.server = catalogue.add_server(
        person=world.erin,
        slug="shop",
        name="Shop",
        engine=shop.engine,
        environment=Environment.PRODUCTION,
        host=shop.url.hostname or "",
        port=shop.url.port or 0,
        admin_user=shop.url.username or "",
        admin_secret="env:TEST_SHOP_PASSWORD",
        tls=Tls.DISABLE,
    )
    world.read = role_on(world, shop, "shop-read", Level.READ)
    return world


def reached_at(world: World, port: int) -> None:
    """Its secret may be sent to this port as well: somebody has confirmed that."""
    bind_where_accounts_live(world.server, [{**world.server.address, "port": port}], now=timezone.now())


def role_on(world: World, shop: Estate, slug: str, level: Level) -> AccessRole:
    """An access role on the whole shop, whose group has the database's name: tests run beside each other."""
    return catalogue.define_role(
        person=world.erin,
        slug=f"{slug}-{shop.database.replace('_', '-')}",
        name=slug,
        server=world.server,
        policy=world.policy,
        level=level,
        databases=[shop.database],
    )
