"""Pages of lists: forwards and back, while rows come and go, and from any address that somebody may send."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from access.models import AccessRole, Grant, Server
from access.queries.paging import Page, page_of
from people.models import User
from tests.access.world import World
from tests.console.people_and_pages import signed_in

BY_NAME = ("name", "id")
NEWEST = ("-id",)


@pytest.fixture
def servers(world: World) -> list[str]:
    """Thirty of them, some with the same name."""
    Server.objects.bulk_create(
        Server(slug=f"s-{n:02d}", name=f"Name {n // 3:02d}", engine="postgresql", host="h", port=1, admin_user="a")
        for n in range(30)
    )
    return list(Server.objects.order_by(*BY_NAME).values_list("slug", flat=True))


def _walk(by: Sequence[str], cursor: str = "", way: str = "next", size: int = 7) -> list[Page[Server]]:
    pages = [page_of(Server.objects.all(), by=by, cursor=cursor, size=size)]
    while following := getattr(pages[-1], way):
        pages.append(page_of(Server.objects.all(), by=by, cursor=following, size=size))
    return pages


def _slugs(pages: Sequence[Page[Server]]) -> list[str]:
    return [row.slug for page in pages for row in page.rows]


@pytest.mark.parametrize("by", [BY_NAME, NEWEST, ("-name", "-id")], ids=" ".join)
def test_forwards_every_row_comes_once_and_in_order(servers: list[str], by: Sequence[str]) -> None:
    assert _slugs(_walk(by)) == list(Server.objects.order_by(*by).values_list("slug", flat=True))


@pytest.mark.parametrize("by", [BY_NAME, NEWEST], ids=" ".join)
def test_back_the_same_pages_come_again(servers: list[str], by: Sequence[str]) -> None:
    there = _walk(by)
    back = _walk(by, cursor=there[-1].back, way="back")
    assert [page.rows for page in reversed(back)] == [page.rows for page in there[:-1]]
    assert not there[0].back
    assert not there[-1].next


def test_what_comes_and_goes_meanwhile_neither_repeats_a_row_nor_skips_one(servers: list[str]) -> None:
    first = page_of(Server.objects.all(), by=BY_NAME, size=7)
    Server.objects.filter(slug=first.rows[-1].slug).delete()
    Server.objects.create(slug="new", name="A name before all", engine="postgresql", host="h", port=1, admin_user="a")
    second = page_of(Server.objects.all(), by=BY_NAME, cursor=first.next, size=7)
    assert [row.slug for row in second.rows] == servers[7:14]
    again = page_of(Server.objects.all(), by=BY_NAME, cursor=second.back, size=7)
    assert again.rows[0].slug == "new"


def test_behind_the_last_row_is_the_beginning(servers: list[str]) -> None:
    last = _walk(BY_NAME)[-1]
    forwards = page_of(Server.objects.all(), by=BY_NAME, size=7)
    beyond = page_of(Server.objects.all(), by=("-name", "-id"), size=1).next
    Server.objects.filter(pk__in=[row.pk for row in last.rows if row.slug.startswith("s-")]).delete()
    assert beyond
    assert page_of(Server.objects.all(), by=BY_NAME, cursor=beyond, size=7).rows == forwards.rows


BAD = [
    "x",
    "next.",
    "next.!!!!",
    "next.bnVsbA",  # null
    "next.W10",  # []
    "next.WzFd",  # [1]
    "next.W251bGwsbnVsbF0",  # [null,null]
    "next.WyJhIiwgMWU0MDBd",  # ["a", 1e400]
    "next.WyJhIiwgMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjNd",  # ["a", 12345678901234567890123]
    "next.WyJcdTAwMDAiLCAxXQ",  # ["\u0000", 1]
    "next.WyJcdWQ4MDAiLCAxXQ",  # ["\ud800", 1]
    "next.WyJhIiwgdHJ1ZV0",  # ["a", true]
    "sideways.WyJhIiwgMV0",
    "next." + "W" * 5000,
    "next.日本",
    "back.WyJhIiwgeyJiIjogMX1d",  # ["a", {"b": 1}]
]


@pytest.mark.parametrize("cursor", BAD)
def test_a_cursor_that_nobody_wrote_leads_to_the_beginning(servers: list[str], cursor: str) -> None:
    page = page_of(Server.objects.all(), by=BY_NAME, cursor=cursor, size=7)
    assert page.is_lost
    assert [row.slug for row in page.rows] == servers[:7]


@pytest.mark.parametrize("cursor", [*BAD, "next.WyJ5ZXN0ZXJkYXkiLCAxXQ", "next.WyIyMDI2LTAxLTAxIiwgMV0"])
def test_a_cursor_of_another_list_leads_to_the_beginning_of_times_as_well(world: World, cursor: str) -> None:
    assert page_of(Grant.objects.all(), by=("ends_at", "id"), cursor=cursor).is_lost


LISTS = [
    ("approvals", "bob", "page"),
    ("approvals", "bob", "questioned"),
    ("access", "auditor", "mine"),
    ("access", "auditor", "others"),
    ("access", "auditor", "ended"),
    ("servers", "erin", "page"),
    ("settings_roles", "erin", "page"),
    ("settings_policies", "erin", "page"),
    ("settings_teams", "erin", "page"),
    ("settings_people", "erin", "page"),
]


@pytest.mark.parametrize(("name", "who", "parameter"), LISTS, ids=[f"{name}-{p}" for name, _, p in LISTS])
def test_a_place_that_is_not_known_is_answered_kindly(world: World, name: str, who: str, parameter: str) -> None:
    world.ask(now=timezone.now())
    for cursor in ("nonsense", "next.W251bGwsbnVsbF0", "next.日本"):
        answer = signed_in(getattr(world, who)).get(reverse(name), {parameter: cursor})
        assert answer.status_code == 200


def test_the_list_of_access_roles_is_walked_by_its_links(world: World) -> None:
    AccessRole.objects.bulk_create(
        AccessRole(slug=f"r-{n:03d}", name=f"Role {n:03d}", server=world.server, policy=world.policy, level="read")
        for n in range(120)
    )
    client, path, seen = signed_in(world.erin), reverse("settings_roles"), list[str]()
    while path:
        text = client.get(path).content.decode()
        seen += re.findall(r'muted small mono">(r-\d{3})<', text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        path = reverse("settings_roles") + following[1].replace("&amp;", "&") if following else ""
    assert seen == [f"r-{n:03d}" for n in range(120)]


def test_what_was_searched_for_stays_while_pages_are_turned(world: World) -> None:
    for n in range(60):
        User.objects.create_user(f"worker-{n:02d}@example.com")
    text = signed_in(world.erin).get(reverse("settings_people"), {"q": "worker"}).content.decode()
    assert re.search(r'rel="next" href="\?q=worker&amp;page=next\.', text)


def test_a_badge_counts_no_further_than_anybody_reads(world: World) -> None:
    requests = [world.ask(role=world.role(f"role-{n}", world.policy), now=timezone.now()) for n in range(3)]
    text = signed_in(world.bob).get(reverse("pulse")).content.decode()
    assert 'class="rail-count">3<' in text
    first = requests[0]
    for n in range(100):
        first.pk, first.reference, first.role = None, f"R-{n:08d}", world.role(f"more-{n}", None)
        first.save(force_insert=True)
    assert 'class="rail-count">99+<' in signed_in(world.bob).get(reverse("pulse")).content.decode()


def test_approvals_are_read_a_page_at_a_time(world: World) -> None:
    for n in range(18):
        world.ask(role=world.role(f"role-{n:02d}", world.policy), now=timezone.now() + timedelta(seconds=n))
    client = signed_in(world.bob)
    first = client.get(reverse("approvals")).content.decode()
    assert first.count('data-testid="ask-') == 15
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    second = client.get(reverse("approvals") + following[1]).content.decode()
    assert second.count('data-testid="ask-') == 3
    assert 'rel="prev"' in second
