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
def world(db: None, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> World:
    """Everybody and everything, inside the test's transaction; its server is one on which plans can be made."""
    monkeypatch.setenv("TEST_SERVER_PASSWORD", "not-used-by-pages")
    if "pages" in request.fixturenames:
        return request.getfixturevalue("_pages").world  # type: ignore[no-any-return]
    return kept("world with plans", _world)


@pytest.fixture
def _pages(db: None) -> Pages:
    return kept("pages", lambda: with_pages(_world()))


@pytest.fixture
def pages(world: World, _pages: Pages) -> Pages:
    """The world with requests and grants in it."""
    return _pages


def _world() -> World:
    world = build("env:TEST_SERVER_PASSWORD")
    world.server.engine = "postgresql"
    world.server.save()
    return world
