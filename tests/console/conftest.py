"""Fixtures for the tests of the pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from tests.access.world import World, build
from tests.console.people_and_pages import Pages, with_pages
from tests.kept import kept


@pytest.fixture(autouse=True)
def _somewhere_for_static_files(settings: Settings, tmp_path: Path) -> None:
    """WhiteNoise warns when nothing has been collected, and nothing has to be for these tests."""
    settings.STATIC_ROOT = tmp_path


@pytest.fixture
def _made(db: None, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> World | Pages:
    monkeypatch.setenv("TEST_SERVER_PASSWORD", "not-used-by-pages")
    if "pages" in request.fixturenames:
        return kept("pages", lambda: with_pages(_world()))
    return kept("world with plans", _world)


@pytest.fixture
def world(_made: World | Pages) -> World:
    """Everybody and everything, inside the test's transaction; its server is one on which plans can be made."""
    return _made.world if isinstance(_made, Pages) else _made


@pytest.fixture
def pages(_made: World | Pages) -> Pages:
    """The world with requests and grants in it."""
    return _made if isinstance(_made, Pages) else with_pages(_made)


def _world() -> World:
    world = build("env:TEST_SERVER_PASSWORD")
    world.server.engine = "postgresql"
    world.server.save()
    return world
