"""Deciding in a browser while others act: news take nothing from whoever types, and no letter decides by itself."""

from __future__ import annotations

import csv
import re
from datetime import timedelta

from django.utils import timezone
from playwright.sync_api import Page, expect

from access.models import AccessRequest, Vote
from access.services import requests, votes
from tests.access.world import World
from tests.browser.conftest import ONE_BY_ONE, Visit

pytestmark = ONE_BY_ONE


def comment(world: World, request: AccessRequest, text: str) -> None:
    requests.comment(person=world.alice, request=request, text=text, now=timezone.now())


def edit(world: World, request: AccessRequest) -> None:
    requests.edit(
        person=world.alice,
        request=request,
        duration=timedelta(minutes=50),
        reason="Something else",
        ticket="",
        wished_start=None,
        now=timezone.now(),
    )


def focused(page: Page) -> str:
    """The id of what has the focus."""
    return str(page.evaluate("document.activeElement.id || document.activeElement.tagName"))


def test_news_take_nothing_from_whoever_types_a_denial(
    committed_world: World, visit: Visit, complaints: list[str]
) -> None:
    world = committed_world
    world.server.engine = "postgresql"
    world.server.save()
    request = world.ask(role=world.two_people(), now=timezone.now())
    page = visit("bob", f"/requests/{request.reference}/")
    page.keyboard.press("d")
    page.keyboard.type("No: ")
    comment(world, request, "Please hurry")
    expect(page.locator("#conversation")).to_contain_text("Please hurry", timeout=15_000)
    page.keyboard.type("ask the DBAs")
    why = page.locator(f"#deny_comment_{request.reference}")
    expect(why).to_have_value("No: ask the DBAs")

    # Somebody else agrees, and it is edited: the sheet stays, and what it would decide on is no longer there.
    votes.approve(
        person=world.carol,
        request=request,
        content_hash=request.content_hash,
        now=timezone.now(),
        authenticated_at=timezone.now(),
    )
    edit(world, request)
    expect(page.get_by_test_id("edited-since")).to_be_attached(timeout=15_000)
    page.keyboard.type(", aaa")
    expect(why).to_have_value("No: ask the DBAs, aaa")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("edited after you opened it")
    expect(page.locator(f"#deny_comment_{request.reference}")).to_have_value("No: ask the DBAs, aaa")
    assert [vote.voter for vote in Vote.objects.all()] == [world.carol]

    # While it is read anew it is taken back: what was written is not lost with it.
    requests.cancel(person=world.alice, request=request, now=timezone.now())
    page.locator(".sheet:popover-open button[type=submit]").click()
    expect(page.locator("main")).to_contain_text("no longer open")
    expect(page.locator("#id_text")).to_have_value("No: ask the DBAs, aaa")
    assert [line for line in complaints if "422 (Unprocessable" not in line] == []


def test_letters_typed_into_a_field_that_has_gone_decide_nothing(committed_world: World, visit: Visit) -> None:
    world = committed_world
    world.server.engine = "postgresql"
    world.server.save()
    request = world.ask(now=timezone.now())
    page = visit("bob", f"/requests/{request.reference}/")
    page.keyboard.press("d")
    page.keyboard.type("No")
    page.evaluate("document.querySelector('.sheet:popover-open').hidePopover()")
    page.keyboard.type("a, ask dad")
    expect(page.locator("#announcer")).to_contain_text("Shortcuts are off")
    expect(page.locator(".sheet:popover-open")).to_have_count(0)
    # A second key that comes late is none.
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.wait_for_timeout(1600)
    page.keyboard.press("a")
    assert page.url.endswith(f"{request.reference}/")
    assert not Vote.objects.exists()
    page.keyboard.press("a")
    expect(page.locator(".message")).to_contain_text("You approved")
    assert focused(page) == "DIV"  # the message, which says what was done


def test_the_choice_moves_on_and_a_second_key_asks(committed_world: World, visit: Visit, complaints: list[str]) -> None:
    world = committed_world
    now = timezone.now()
    first, second = world.ask(now=now), world.ask(role=world.role("orders-change", world.policy), now=now)
    page = visit("bob", "/approvals/")
    page.keyboard.press("a")  # Nothing is chosen.
    expect(page.locator("#announcer")).to_contain_text("Nothing is chosen")
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(page.locator(f"#ask-{first.reference}")).to_contain_text("You approved")
    expect(page.locator("#announcer")).to_contain_text("Next: orders-change for Alice (alice@example.com), 1 h")
    assert focused(page) == f"ask-{second.reference}"

    page.keyboard.press("a")
    expect(page.locator("#confirm-approval")).to_be_visible()
    page.keyboard.press("s")
    expect(page.locator("#confirm-approval")).to_be_hidden()
    assert Vote.objects.count() == 1

    # Shorter without a choice is no choice.
    page.click(f"#shorter-of-{second.reference}")
    sheet = page.locator(f"#shorter-{second.reference}")
    sheet.locator("button[type=submit]").click()
    expect(sheet).to_be_visible()
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate("!!document.activeElement.closest('.sheet')")
    page.keyboard.press("Escape")
    assert Vote.objects.count() == 1

    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(page.locator("#announcer")).to_contain_text("Nothing else is on this page.")
    assert focused(page) == f"ask-{second.reference}"
    assert {vote.request for vote in Vote.objects.all()} == {first, second}
    assert complaints == []


def test_an_alarm_is_said_once(committed_world: World, visit: Visit) -> None:
    page = visit("bob", "/approvals/")
    expect(page.locator("#alarm-voice")).to_have_text(re.compile("No worker is alive"))
    page.evaluate(
        "window.said = 0;"
        "for (const one of document.querySelectorAll('[role=alert]'))"
        "  new MutationObserver(() => { window.said += 1; }).observe(one, {childList: true, subtree: true})"
    )
    with page.expect_response(re.compile("/pulse/"), timeout=15_000):
        pass
    page.wait_for_timeout(300)  # nothing comes of it, however long one waits
    assert page.evaluate("window.said") == 0
    page.goto("/access/")
    expect(page.locator("#alarms")).to_contain_text("No worker is alive")
    expect(page.locator("#alarm-voice")).to_have_text("")


def test_what_was_chosen_is_what_is_exported(committed_world: World, visit: Visit) -> None:
    world = committed_world
    world.ask(now=timezone.now())
    page = visit("erin", "/audit/")
    page.select_option("#f-event", "request.*")
    with page.expect_download() as download:
        page.click("button[value=csv]")
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert rows
    assert {row["event"].partition(".")[0] for row in rows} == {"request"}
    # The list and the address follow.
    expect(page.locator("#found")).not_to_contain_text("Person added")
    assert "event=request" in page.url


def test_the_list_moves_as_the_badge_does(committed_world: World, visit: Visit, complaints: list[str]) -> None:
    world = committed_world
    page = visit("bob", "/approvals/")
    expect(page.locator("#asks-none")).to_be_visible()
    first = world.ask(now=timezone.now())
    row = page.locator(f"#ask-{first.reference}")
    expect(row).to_contain_text("alice@example.com", timeout=15_000)
    expect(page.locator("#asks-none")).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("d")
    page.keyboard.type("No")
    # While she types it is taken back, and another one comes.
    requests.cancel(person=world.alice, request=first, now=timezone.now())
    second = world.ask(now=timezone.now())
    expect(page.locator(f"#ask-{second.reference}")).to_be_attached(timeout=15_000)
    page.keyboard.type(", ask a DBA")
    expect(page.locator(f"#deny_comment_{first.reference}")).to_have_value("No, ask a DBA")
    row.locator(".sheet:popover-open button[type=submit]").click()
    expect(row).to_contain_text("no longer open")
    expect(row).to_contain_text("No, ask a DBA")
    assert focused(page) == f"ask-{second.reference}"
    page.keyboard.press("a")
    expect(page.locator("#confirm-approval")).to_be_visible()
    page.keyboard.press("Escape")
    assert not Vote.objects.exists()
    assert [line for line in complaints if "422 (Unprocessable" not in line] == []
