"""A real Chromium, the console on a port of its own, and a real worker behind it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.access.conftest import committed_world
from tests.access.world import World
from tests.browser.chromium import CHROMIUM, SWITCHES
from tests.lifecycle.conftest import shop, shop_world
from tests.lifecycle.test_workers import Worker, start_worker
from tests.sso.conftest import configure, provider
from tests.sso.peer import Peer

__all__ = ["committed_world", "configure", "provider", "shop", "shop_world", "start_worker"]

# Playwright keeps an event loop in the thread of these tests. Nothing here is asynchronous: Django's guard is mistaken.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

#: Four browsers at once are too many for a small machine: these run one after the other, beside everything else.
ONE_BY_ONE = pytest.mark.xdist_group("browser")

#: Signs somebody in, in a browser profile of their own, and opens a page.
Visit = Callable[..., Page]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of this folder; each person has a profile of their own.

    It ends with the last of them: until then Playwright's loop counts as running in this thread, and no test that comes
    after could run one of its own.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


#: htmx says so of a request that was under way when its page was left. One that fails for another reason is complained
#: about by the browser itself as well.
_CUT_SHORT = ("htmx:afterRequest", "htmx:sendError", "htmx:sendAbort")


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about: errors of scripts, and whatever the content security policy refused."""
    return []


@pytest.fixture
def open_browser(chromium: Browser, live_server: object, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens a browser profile that nobody has signed in with; what it complains about on our pages is noted."""
    ours, contexts = str(live_server), []

    def go(**options: object) -> Page:
        context = chromium.new_context(base_url=ours, **options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)

        def note(text: str) -> None:
            if page.url.startswith(ours) and not text.startswith(_CUT_SHORT):
                complaints.append(f"{page.url}: {text}")

        page.on("pageerror", lambda error: note(str(error)))
        page.on("console", lambda line: note(line.text) if line.type == "error" else None)
        return page

    yield go
    for context in contexts:
        context.close()


@pytest.fixture
def visit(open_browser: Callable[..., Page], provider: Peer, configure: Callable[..., object]) -> Visit:
    """Sign in as somebody, through the identity provider, on the way to a page."""
    # Teams are kept by hand, as the small world has made them.
    configure(groups_claim="")

    def go(who: str, path: str = "/", **options: object) -> Page:
        provider.knows(who, email=f"{who}@example.com", email_verified=True, name=who.capitalize())
        page = open_browser(**options)
        page.goto(path)
        page.click("#sso-corp")
        page.fill("input[name=sub]", who)
        page.click("button:has-text('Authorize')")
        page.wait_for_url(lambda url: "/accounts/" not in url and "/oauth2/" not in url)
        return page

    return go


@pytest.fixture
def worker(shop_world: World, start_worker: Callable[[], Worker]) -> Worker:
    """A real worker with its beat."""
    return start_worker()
