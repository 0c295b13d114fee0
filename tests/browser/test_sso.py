"""Signing in through a real OpenID provider, in a real browser: the deep link, the teams, a refusal."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from people.group_sync import map_group
from people.models import User
from tests.access.world import SETUP, World
from tests.browser.conftest import ONE_BY_ONE
from tests.browser.test_accessibility import RULES
from tests.sso.peer import Peer

pytestmark = ONE_BY_ONE


@pytest.fixture
def visitor(open_browser: Callable[..., Page]) -> Page:
    """A browser that nobody has signed in with."""
    return open_browser()


def test_the_whole_way_there_and_back(
    committed_world: World, configure: Callable[..., object], provider: Peer, visitor: Page, complaints: list[str]
) -> None:
    world = committed_world
    map_group(provider="corp", group="backend-people", team=world.backend, actor=SETUP)
    provider.knows("subject-7", email="alice@example.com", email_verified=True, name="Alice", groups=["backend-people"])
    visitor.goto(f"/request/?role={world.read.slug}&for=1h")
    visitor.click("#sso-corp")
    visitor.wait_for_url(re.compile("/oauth2/authorize"))
    visitor.fill("input[name=sub]", "subject-7")
    visitor.click("button:has-text('Authorize')")
    visitor.wait_for_url(re.compile(rf"/request/\?role={world.read.slug}&for=1h$"))
    expect(visitor.locator(f"input[name=role][value={world.read.slug}]")).to_be_checked()
    assert world.alice.socialaccount_set.count() == 1
    assert User.objects.filter(email="alice@example.com").count() == 1
    assert complaints == []


def test_somebody_of_another_domain_is_told_why_and_what_to_do(
    committed_world: World, configure: Callable[..., object], provider: Peer, visitor: Page
) -> None:
    provider.knows("mallory", email="mallory@evil.test", email_verified=True)
    visitor.goto("/")
    visitor.click("#sso-corp")
    visitor.fill("input[name=sub]", "mallory")
    visitor.click("button:has-text('Authorize')")
    expect(visitor.locator("[data-testid=refusal]")).to_contain_text("a domain that may not sign in here")
    assert visitor.evaluate("document.title") == "Not signed in · Lockgate"
    assert Axe().run(visitor, options=RULES).response["violations"] == []
    visitor.click("text=Back to the sign-in page")
    expect(visitor.locator("#sso-corp")).to_be_visible()


def test_somebody_who_changes_their_mind_at_the_provider_is_told_so(
    committed_world: World, configure: Callable[..., object], provider: Peer, visitor: Page
) -> None:
    visitor.goto("/")
    visitor.click("#sso-corp")
    visitor.click("button:has-text('Deny')")
    expect(visitor.locator("[data-testid=refusal]")).to_contain_text("access was declined")
