"""Fixtures for the tests of the pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from tests.access.world import World, build
from tests.console.people_and_pages import Pages, with_pages


@pytest.fixture(autouse=True)
def _somewhere_for_static_files(settings: Settings, tmp_path: Path) -> None:
    """WhiteNoise warns when nothing has been collected, and nothing has to be for these tests."""
    settings.STATIC_ROOT = tmp_path


@pytest.fixture
def world(db: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """Everybody and everything, inside the test's transaction; its server is one on which plans can be made."""
    monkeypatch.setenv("TEST_SERVER_PASSWORD", "not-used-by-pages")
    world = build("env:TEST_SERVER_PASSWORD")
    world.server.engine = "postgresql"
    world.server.save()
    return world


@pytest.fixture
def pages(world: World) -> Pages:
    """The world with requests and grants in it."""
    return with_pages(world)
