"""Fixtures for the tests of access."""

from __future__ import annotations

import pytest

from tests.access.world import World, build
from tests.kept import kept


@pytest.fixture
def world(db: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """Everybody and everything, inside the test's transaction."""
    monkeypatch.setenv("TEST_SERVER_PASSWORD", "not-used-by-the-fake")
    return kept("world", lambda: build("env:TEST_SERVER_PASSWORD"))


@pytest.fixture
def committed_world(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """The same, committed: for tests in which several connections work at once."""
    monkeypatch.setenv("TEST_SERVER_PASSWORD", "not-used-by-the-fake")
    return build("env:TEST_SERVER_PASSWORD")
