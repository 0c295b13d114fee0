"""`python -m tests.browser.screenshots [ADDRESS]`: the pictures of the README, taken from a demo that runs.

Plays the main journey once: Alice asks, Bob approves, she connects through the gateway, and gives the access back. A demo
that is fresh (`make demo-reset`) makes the plainest pictures.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlencode

import psycopg
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from deploy.local.installed import ROOT
from tests.browser.chromium import CHROMIUM, SWITCHES

PICTURES = ROOT / "docs" / "screenshots"
SIZE = ViewportSize(width=1280, height=800)
PASSWORD = "lockgate-demo"
WISH = {"role": "orders-read", "for": "1h", "reason": "Order 48113 shows the wrong total", "ticket": "SHOP-2041"}
#: Something to look at in the record; the last one is refused.
STATEMENTS = (
    "SELECT status, count(*) FROM orders GROUP BY status",
    "SELECT id, total FROM orders WHERE id = 48113",
    "SELECT sum(quantity * price) FROM order_items WHERE order_id = 48113",
    "UPDATE orders SET total = 129.90 WHERE id = 48113",
)


def main() -> int:
    """Take them all."""
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        with opened(browser, address) as nobody:
            nobody.goto("/")
            take(nobody, "sign-in")
        with signed_in(browser, address, "alice") as alice, signed_in(browser, address, "bob") as bob:
            asks(alice)
            approves(bob, alice)
            connects(alice)
        for who, path, name in (
            ("dana", "/audit/statements/", "statements"),
            ("dana", "/audit/", "audit"),
            ("erin", "/settings/policies/reading/", "policy"),
            ("erin", "/servers/", "servers"),
        ):
            with signed_in(browser, address, who) as page:
                page.goto(path)
                take(page, name)
        browser.close()
    return 0


@contextmanager
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """A page in a profile of its own."""
    context = browser.new_context(base_url=address, viewport=SIZE, timezone_id="UTC", locale="en-GB")
    page = context.new_page()
    yield page
    context.close()


@contextmanager
def signed_in(browser: Browser, address: str, who: str) -> Iterator[Page]:
    """Somebody of the demo, with the password that all of them have."""
    with opened(browser, address) as page:
        page.goto("/")
        page.fill("input[name=login]", f"{who}@demo.example")
        page.fill("input[name=password]", PASSWORD)
        page.click("form:has(input[name=password]) button[type=submit]")
        page.wait_for_url(lambda url: "/accounts/" not in url)
        yield page


def take(page: Page, name: str) -> None:
    """One picture, once nothing moves any more."""
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")
    print(f"docs/screenshots/{name}.png")


def asks(alice: Page) -> None:
    """The form filled in, and sent."""
    alice.goto(f"/request/?{urlencode(WISH)}")
    take(alice, "ask")
    alice.click("#submit-request")
    alice.wait_for_url(re.compile(r"/requests/R-"))


def approves(bob: Page, alice: Page) -> None:
    """One click, and the access begins."""
    reference = alice.url.rstrip("/").rpartition("/")[2]
    bob.goto("/approvals/")
    take(bob, "approvals")
    bob.click(f"[data-testid=ask-{reference}] [data-action=approve]")
    alice.wait_for_selector("#progress[data-state=active]")
    take(alice, "request")


def connects(alice: Page) -> None:
    """The password once, statements through the gateway, and the end."""
    alice.click("#connect")
    alice.click("#reveal")
    alice.wait_for_selector("#password")
    take(alice, "ready")
    alice.click("#make-token")
    token = alice.input_value("#gateway-token")
    line = alice.inner_text("#gateway-text-1").removeprefix("psql ").strip("'")
    with psycopg.connect(line, password=token, autocommit=True, application_name="psql") as session:
        for statement in STATEMENTS[:-1]:
            session.execute(statement.encode())
        with suppress(psycopg.errors.InsufficientPrivilege):
            session.execute(STATEMENTS[-1].encode())
    alice.click("#status button:has-text('Give back')")
    alice.locator("[data-testid=end-now]:visible").first.click()
    alice.wait_for_selector("text=removal confirmed")


if __name__ == "__main__":
    sys.exit(main())
