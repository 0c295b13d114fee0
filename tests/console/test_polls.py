"""Open pages ask again and again: while nothing has changed they are told so, for the price of one cheap query."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from access import clock
from access.models import Heartbeat
from access.services import requests
from tests.access.world import World
from tests.console.people_and_pages import Pages, ask, signed_in

#: Of every request: the session, who it is, that the session is in use, and their teams.
AROUND = 4


@pytest.fixture(autouse=True)
def _the_clock_was_asked_just_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked every other second, and not by what is counted here."""
    monkeypatch.setattr(clock, "GOOD_FOR", timedelta(hours=1))


def _poll(client: Client, path: str, etag: str = "") -> tuple[int, str, int]:
    """Status, version and how many queries it took."""
    headers = {"HTTP_HX_REQUEST": "true", **({"HTTP_IF_NONE_MATCH": etag} if etag else {})}
    clock.now()
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path, **headers)  # type: ignore[arg-type]
    return answer.status_code, answer.headers["ETag"], len(captured)


def _paths(pages: Pages) -> dict[str, tuple[str, str]]:
    return {
        "pulse": ("bob", reverse("pulse")),
        "request": ("bob", reverse("request", args=[pages.pending.reference]) + "?part=progress"),
        "grant": ("alice", reverse("grant", args=[pages.active.reference]) + "?part=status"),
    }


@pytest.mark.parametrize("name", ["pulse", "request", "grant"])
def test_nothing_new_is_one_query_and_no_content(pages: Pages, name: str) -> None:
    who, path = _paths(pages)[name]
    client = signed_in(getattr(pages.world, who))
    status, etag, _ = _poll(client, path)
    assert (status, etag != "") == (200, True)
    status, again, queries = _poll(client, path, etag)
    assert (status, again) == (304, etag)
    assert queries <= AROUND + 1
    assert client.get(path, HTTP_HX_REQUEST="true", HTTP_IF_NONE_MATCH=etag).content == b""


def test_the_page_itself_says_which_version_it_has(pages: Pages) -> None:
    client = signed_in(pages.world.bob)
    for name in ("pulse", "request"):
        _, path = _paths(pages)[name]
        page = client.get(reverse("request", args=[pages.pending.reference])).content.decode()
        _, etag, _ = _poll(client, path)
        assert f'data-etag="{etag}"'.replace('"', "&quot;").replace("data-etag=&quot;", 'data-etag="')[:-6] in page


def test_a_new_request_an_alarm_and_its_end_are_told_by_the_pulse(world: World) -> None:
    Heartbeat.objects.create(worker="w", seen_at=timezone.now() + timedelta(hours=1))
    client, path = signed_in(world.bob), reverse("pulse")
    versions = [_poll(client, path)[1]]
    ask(world)
    status, etag, _ = _poll(client, path, versions[-1])
    assert status == 200
    versions.append(etag)
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    status, etag, _ = _poll(client, path, versions[-1])
    assert status == 200
    Heartbeat.objects.update(seen_at=timezone.now() + timedelta(hours=1))
    assert _poll(client, path, etag)[:2] == (200, versions[-1])


def test_a_comment_is_told_to_the_open_page_of_its_request(pages: Pages) -> None:
    client, (_, path) = signed_in(pages.world.bob), _paths(pages)["request"]
    _, etag, _ = _poll(client, path)
    requests.comment(person=pages.world.alice, request=pages.pending, text="Please", now=timezone.now())
    assert _poll(client, path, etag)[0] == 200


def test_a_poll_about_what_is_not_yours_is_not_there(pages: Pages) -> None:
    _, path = _paths(pages)["request"]
    assert signed_in(pages.world.oscar).get(path, HTTP_HX_REQUEST="true", HTTP_IF_NONE_MATCH="*").status_code == 404
