"""A session's page says where and when it was used last; most requests ask the database nothing for it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from access import clock
from tests.access.world import World
from tests.console.people_and_pages import signed_in


def _asked(client: Client, **headers: str) -> list[str]:
    """What the request asked the database about sessions that are in use."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get(reverse("pulse"), **headers).status_code == 200  # type: ignore[arg-type]
    # Of a statement that was prepared before, Django does not know the text.
    return [query["sql"] for query in captured if "usersessions_usersession" in (query["sql"] or "")]


def test_a_session_that_was_noted_a_moment_ago_costs_no_query(world: World) -> None:
    client = signed_in(world.alice)
    assert _asked(client)
    assert _asked(client) == []


def test_what_was_noted_a_minute_ago_is_noted_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in(world.alice)
    _asked(client)
    before, later = UserSession.objects.get().last_seen_at, clock.now() + timedelta(seconds=70)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert _asked(client)
    assert UserSession.objects.get().last_seen_at == later > before


def test_another_address_is_noted_at_once(world: World) -> None:
    client = signed_in(world.alice)
    _asked(client)
    assert _asked(client, REMOTE_ADDR="198.51.100.7")
    assert UserSession.objects.get().ip == "198.51.100.7"


def test_the_cache_does_not_hold_what_one_could_sign_in_with(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    keep = cache.set
    monkeypatch.setattr(cache, "set", lambda name, *rest, **more: (names.append(name), keep(name, *rest, **more)))
    client = signed_in(world.alice)
    _asked(client)
    assert any(name.startswith("seen:") for name in names)
    assert not any(client.session.session_key in name for name in names)
