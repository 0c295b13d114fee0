"""With Redis away people sign in, and what keeps others out goes on being counted, in the console's database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import caches
from django.urls import reverse
from pytest_django import Settings

from console.caching import SteadyCache
from deploy.local.servers import free_port
from people.second_factor import enrol
from tests.access.world import World
from tests.console.test_mfa import PASSWORD, code_of, half_way
from tests.console.test_throttling import attempt


@pytest.fixture
def no_redis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if it had been stopped: its port refuses."""
    monkeypatch.setattr(SteadyCache, "_away_until", 0.0)
    location = f"redis://127.0.0.1:{free_port()}/0"
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": location}}
    yield
    SteadyCache._away_until = 0.0


def test_the_cache_goes_on_in_the_database(db: None, no_redis: None) -> None:
    cache = caches["default"]
    assert cache.add("key", 1)
    assert not cache.add("key", 2)
    assert cache.incr("key") == 2
    cache.set_many({"one": 1, "two": 2})
    assert cache.get_many(["key", "one", "two"]) == {"key": 2, "one": 1, "two": 2}
    assert cache.touch("one")
    assert cache.has_key("one")
    assert cache.delete("one")
    cache.delete_many(["two"])
    assert cache.get("one") is cache.get("two") is None
    cache.clear()
    assert cache.get("key") is None


def test_somebody_signs_in(world: World, no_redis: None) -> None:
    assert attempt("bob@example.com", PASSWORD).status_code == 302


def test_the_sixth_wrong_password_is_not_even_looked_at(world: World, no_redis: None) -> None:
    answers = [attempt("bob@example.com", address=f"198.51.100.{count}") for count in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert attempt("bob@example.com", PASSWORD, "198.51.100.9").status_code == 429


def test_a_code_lets_in_once(world: World, no_redis: None) -> None:
    secret = enrol(person=world.bob).secret
    browsers = [half_way(world.bob) for _ in range(2)]
    code = code_of(secret)
    answers = [browser.post(reverse("mfa_authenticate"), {"code": code}) for browser in browsers]
    assert [answer.status_code for answer in answers] == [302, 422]
