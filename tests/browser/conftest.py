"""A real Chromium, the console on a port of its own, and a real worker behind it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.access.conftest import committed_world
from tests.access.world import World
from tests.lifecycle.conftest import shop, shop_world
from tests.lifecycle.test_workers import Worker, start_worker

__all__ = ["committed_world", "shop", "shop_world", "start_worker"]

# Playwright keeps an event loop in the thread of the tests. Nothing here is asynchronous: Django's guard is mistaken.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

CHROMIUM = "/usr/bin/chromium"
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PASSWORD = "correct-horse-battery"

#: Signs somebody in, in a browser profile of their own, and opens a page.
Visit = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of a process; each person has a profile of their own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about: errors of scripts, and whatever the content security policy refused."""
    return []


@pytest.fixture
def visit(chromium: Browser, live_server: object, complaints: list[str]) -> Iterator[Visit]:
    """Sign in as somebody, through the form, on the way to a page."""
    contexts = []

    def go(who: str, path: str = "/", **options: object) -> Page:
        context = chromium.new_context(base_url=str(live_server), **options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on("console", lambda line: complaints.append(f"{page.url}: {line.text}") if line.type == "error" else None)
        page.goto(path)
        page.fill("#id_login", f"{who}@example.com")
        page.fill("#id_password", PASSWORD)
        page.click("#sign-in")
        page.wait_for_url(lambda url: "/accounts/login/" not in url)
        return page

    yield go
    for context in contexts:
        context.close()


@pytest.fixture
def worker(shop_world: World, start_worker: Callable[[], Worker]) -> Worker:
    """A real worker with its beat."""
    return start_worker()
