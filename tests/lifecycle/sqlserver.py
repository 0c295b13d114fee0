"""A small world on the SQL Server that the environment names; see `tests.connectors.labs.sqlserver`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from access.models import Environment
from access.services import catalogue
from connectors.base import Level
from tests.access.world import World, build
from tests.connectors.labs.base import Place
from tests.connectors.labs.sqlserver import NAMES_NONE, SQLSERVER_URL, SQLServerLab, open_lab

#: Before anything else is started for the test.
NEEDS_SQLSERVER = pytest.mark.skipif(not os.environ.get(SQLSERVER_URL), reason=NAMES_NONE)


@pytest.fixture
def sqlserver() -> Iterator[SQLServerLab]:
    """The server, with a login of Lockgate's."""
    opened = open_lab()
    yield opened
    opened.close()


@pytest.fixture
def till(sqlserver: SQLServerLab) -> Place:
    """A table with three rows."""
    database = sqlserver.make_database("orders")
    return sqlserver.make_table(database, sqlserver.make_schema(database))


@pytest.fixture
def sqlserver_world(
    transactional_db: None, sqlserver: SQLServerLab, till: Place, monkeypatch: pytest.MonkeyPatch
) -> World:
    """The people of the small world, and a role to read the orders."""
    monkeypatch.setenv("TEST_SQLSERVER_PASSWORD", sqlserver.target.password.reveal())
    world = build("env:TEST_SQLSERVER_PASSWORD")
    world.server = catalogue.add_server(
        person=world.erin,
        slug="till",
        name="Till",
        engine="sqlserver",
        environment=Environment.PRODUCTION,
        host=sqlserver.target.host,
        port=sqlserver.target.port,
        admin_user=sqlserver.target.user,
        admin_secret="env:TEST_SQLSERVER_PASSWORD",
        tls=sqlserver.target.tls,
    )
    world.read = catalogue.define_role(
        person=world.erin,
        slug=f"read-{till.database.replace('_', '-')}",
        name="Read the orders",
        server=world.server,
        policy=world.policy,
        level=Level.READ,
        databases=[till.database],
    )
    return world
