"""The main journey, as people make it: ask, approve as somebody else, log in with the shown password, end, refused."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from access.models import Vote
from tests.access.world import World
from tests.browser.conftest import ONE_BY_ONE, Visit
from tests.lifecycle.estates import REFUSED, Estate
from tests.lifecycle.test_lifecycle import refused
from tests.lifecycle.test_workers import Worker

pytestmark = ONE_BY_ONE

#: A worker may have to start first, on a busy machine.
SLOW_MS = 40_000


def test_ask_approve_log_in_end_and_be_refused(
    shop_world: World, shop: Estate, visit: Visit, worker: Worker, complaints: list[str]
) -> None:
    role = shop_world.read
    # Alice signs in on a link that a colleague sent her, and lands where it leads. Two interactions send the request.
    alice = visit("alice", f"/request/?role={role.slug}&for=1h")
    expect(alice.locator(f"input[name=role][value={role.slug}]")).to_be_checked()
    expect(alice.locator("#preview")).to_contain_text("Bob")
    expect(alice.locator("#preview")).to_contain_text(re.compile("CREATE (ROLE|USER)"))
    alice.fill("#id_reason", "An order is stuck, OPS-4711")
    alice.click("#submit-request")
    alice.wait_for_url(re.compile(r"/requests/R-"))
    reference = alice.url.rstrip("/").rpartition("/")[2]
    expect(alice.locator("#approve")).to_have_count(0)

    # Bob says yes with one click, from the list.
    bob = visit("bob", "/approvals/")
    row = bob.locator(f"[data-testid=ask-{reference}]")
    expect(row).to_contain_text("An order is stuck")
    row.locator("[data-action=approve]").click()
    expect(bob.locator("body")).to_contain_text("pproved")

    # Her page moves by itself.
    expect(alice.locator("#progress[data-state=active]")).to_be_visible(timeout=SLOW_MS)
    alice.click("#connect")
    alice.click("#reveal")
    password = alice.input_value("#password")
    principal = re.search(r"lg_[a-z0-9_]+", alice.inner_text("main"))
    assert principal is not None
    session = shop.log_in(principal[0], password)
    assert session.ask("SELECT count(*) FROM orders") == 3
    address = alice.url
    alice.goto(address)
    expect(alice.locator("#reveal")).to_have_count(0)
    assert password not in alice.content()

    # She gives it back, and everything is gone.
    alice.goto(f"/requests/{reference}/")
    alice.click("#give-back")
    alice.locator("[data-testid=end-now]:visible").first.click()
    alice.goto(f"/requests/{reference}/")
    expect(alice.locator("#progress[data-state=revoked]")).to_be_visible(timeout=SLOW_MS)
    alice.click("#tab-receipt")
    expect(alice.locator("[data-testid=receipt]")).to_be_visible()
    assert refused(lambda: shop.log_in(principal[0], password))
    with pytest.raises(REFUSED):
        session.ask("SELECT 1")
    assert shop.accounts(principal[0]) == 0
    assert complaints == []


@pytest.mark.wide(one_in=3)
def test_a_vote_on_a_page_that_is_out_of_date_is_not_counted(shop_world: World, shop: Estate, visit: Visit) -> None:
    request = shop_world.ask(now=timezone.now())
    bob = visit("bob", f"/requests/{request.reference}/")
    # His page asks for news every few seconds, and would show the edit before he clicks.
    bob.route(re.compile("part="), lambda route: route.abort())
    alice = visit("alice", f"/requests/{request.reference}/edit/")
    alice.fill("#id_reason", "Something quite different")
    alice.click("text=Save changes")
    alice.wait_for_url(re.compile(rf"/requests/{request.reference}/$"))
    bob.click("#approve")
    expect(bob.locator("main")).to_contain_text("edited after you opened it")
    assert not Vote.objects.exists()


@pytest.mark.wide(one_in=3)
def test_an_outsider_finds_nothing(shop_world: World, shop: Estate, visit: Visit) -> None:
    request = shop_world.ask(now=timezone.now())
    oscar = visit("oscar", "/")
    answer = oscar.goto(f"/requests/{request.reference}/")
    assert answer is not None
    assert answer.status == 404


@pytest.mark.wide(one_in=3)
def test_without_a_worker_every_page_says_so(shop_world: World, shop: Estate, visit: Visit) -> None:
    for path in ("/", "/request/", "/access/"):
        page = visit("alice", path)
        expect(page.locator("#alarms")).to_contain_text("No worker is alive")


@pytest.mark.wide(one_in=3)
def test_the_keyboard_is_enough_to_approve(shop_world: World, shop: Estate, visit: Visit) -> None:
    request = shop_world.ask(now=timezone.now())
    bob = visit("bob", "/")
    bob.keyboard.press("g")
    bob.keyboard.press("a")
    bob.wait_for_url(re.compile("/approvals/"))
    bob.keyboard.press("j")
    bob.keyboard.press("a")
    expect(bob.locator("body")).to_contain_text("pproved")
    request.refresh_from_db()
    assert request.state == "approved"
