"""What comes between a person and their click: a list that moves, a session that ends, a console that fails."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from access.models import Comment, Vote
from tests.access.world import World
from tests.browser.conftest import ONE_BY_ONE, Visit

pytestmark = ONE_BY_ONE


def sign_in_again(page: Page, who: str) -> None:
    """At the provider, from the page that asks for it."""
    expect(page).to_have_url(re.compile("/accounts/login/"))
    page.click("#sso-corp")
    page.fill("input[name=sub]", who)
    page.click("button:has-text('Authorize')")
    page.wait_for_url(lambda url: "/accounts/" not in url and "/oauth2/" not in url)


def answers(status: int) -> Callable[[Route], None]:
    """A console that answers so."""
    return lambda route: route.fulfill(status=status, body="")


def test_a_row_that_was_only_offered_is_asked_about_each_time(
    committed_world: World, visit: Visit, complaints: list[str]
) -> None:
    world = committed_world
    now = timezone.now()
    first, second = world.ask(now=now), world.ask(role=world.role("orders-change", world.policy), now=now)
    page = visit("bob", "/approvals/")
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(page.locator(f"#ask-{first.reference}")).to_contain_text("You approved")
    confirmation = page.locator("#confirm-approval")
    # Whoever types "as a" has looked at nothing, and neither has who reads the list of keys.
    for keys in ("as", "as", "?"):
        for key in keys:
            page.keyboard.press(key)
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(confirmation).to_be_visible()
    page.keyboard.press("Escape")
    assert Vote.objects.count() == 1

    # The second click of a double click hits what stands there now.
    approve = page.locator(f"#ask-{second.reference} [data-action=approve]")
    page.evaluate(
        "document.getElementById('asks').append(document.createElement('i')); document.querySelector('#asks i').remove()"
    )
    page.wait_for_function("true")
    approve.dispatch_event("click", {"detail": 1})
    expect(page.locator("#announcer")).to_have_text("The list has just moved. Nothing was approved.")
    assert Vote.objects.count() == 1
    page.locator(f"#ask-{second.reference}").click(position={"x": 4, "y": 4})
    page.keyboard.press("a")
    expect(page.locator(f"#ask-{second.reference}")).to_contain_text("You approved")
    # An empty list goes on asking for news.
    with page.expect_response(re.compile("part=news"), timeout=15_000):
        pass
    assert complaints == []


def test_who_is_signed_out_while_they_type_loses_nothing(committed_world: World, visit: Visit) -> None:
    world = committed_world
    request = world.ask(now=timezone.now())
    page = visit("bob", f"/requests/{request.reference}/")
    page.keyboard.press("d")
    page.keyboard.type("No: ")
    Session.objects.all().delete()
    expect(page.locator("#failed")).to_contain_text("You have been signed out", timeout=15_000)
    page.keyboard.type("ask the DBAs")
    why = page.locator(f"#deny_comment_{request.reference}")
    expect(why).to_have_value("No: ask the DBAs")
    page.locator(".sheet:popover-open button[type=submit]").click()
    sign_in_again(page, "bob")
    expect(page).to_have_url(re.compile(rf"/requests/{request.reference}/$"))
    expect(why).to_be_visible()
    expect(why).to_have_value("No: ask the DBAs")
    assert not Vote.objects.exists()

    # A box on the page, and what is sent from the list without leaving it.
    page.keyboard.press("Escape")
    page.fill("#id_text", "Which ticket?")
    Session.objects.all().delete()
    page.click("button:has-text('Comment')")
    sign_in_again(page, "bob")
    expect(page.locator("#id_text")).to_have_value("Which ticket?")
    page.click("button:has-text('Comment')")
    expect(page.locator("#conversation")).to_contain_text("Which ticket?")
    assert Comment.objects.count() == 1
    page.goto("/approvals/")
    page.keyboard.press("j")
    page.keyboard.press("d")
    page.keyboard.type("Not today")
    Session.objects.all().delete()
    page.locator(".sheet:popover-open button[type=submit]").click()
    sign_in_again(page, "bob")
    expect(why).to_be_visible()
    expect(why).to_have_value("Not today")

    # It was for bob alone, and for once.
    page.reload()
    expect(why).to_have_value("")


def test_a_click_that_came_to_nothing_is_told(committed_world: World, visit: Visit) -> None:
    request = committed_world.ask(now=timezone.now())
    page = visit("bob", "/approvals/")
    approve = page.locator(f"#ask-{request.reference} [data-action=approve]")
    failed = page.locator("#failed")
    for status, words in {
        403: "too old",
        404: "not there any more",
        429: "Too many attempts",
        500: "may not have been done",
        503: "may not have been done",
    }.items():
        page.route("**/approve/", answers(status))
        approve.click()
        expect(failed).to_contain_text(words)
        page.unroute("**/approve/")
    page.route("**/approve/", lambda route: route.abort())
    approve.click()
    expect(failed).to_contain_text("may not have been done")
    page.unroute("**/approve/")
    approve.click()
    expect(page.locator(f"#ask-{request.reference}")).to_contain_text("You approved")
    expect(failed).to_be_hidden()

    # What asks by itself says that it has no answer, for as long as it has none.
    page.route("**/pulse/", answers(503))
    expect(page.locator("#offline")).to_be_visible(timeout=15_000)
    page.unroute("**/pulse/")
    expect(page.locator("#offline")).to_be_hidden(timeout=15_000)
