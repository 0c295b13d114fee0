"""WCAG 2.2 AA by axe, light and dark, on a desk and on a phone; and nothing that the content security policy refuses."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Page, ViewportSize

from access.services import votes
from tests.access.world import World
from tests.browser.conftest import ONE_BY_ONE, Visit
from tests.gateway.stored import intent, opened, outcome, store

pytestmark = ONE_BY_ONE

AXE = Axe()
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
#: What the width of the screen and its colours can change of a page that has been looked at as a whole.
OF_A_PHONE = {"runOnly": {"type": "rule", "values": ["color-contrast", "target-size", "scrollable-region-focusable"]}}
OF_THE_NIGHT = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
DESK, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=360, height=740)

#: Who looks at which pages; the names in braces are those of `somebody_waits_and_somebody_works`.
PAGES = {
    "alice": """/ /request/ /account/ /requests/{request}/ /requests/{request}/edit/ /requests/ /access/ /access/{grant}/""",
    "bob": """/approvals/ /requests/{request}/ /access/{grant}/
        /accounts/again/ /accounts/methods/app/add/ /accounts/methods/passkeys/add/""",
    "erin": """/ /access/ /audit/ /audit/statements/ /audit/statements/{stream}/3/
        /servers/ /servers/{server}/ /servers/add/ /servers/{server}/edit/
        /settings/ /settings/people/ /settings/teams/ /settings/teams/{team}/
        /settings/policies/ /settings/policies/add/ /settings/policies/{policy}/
        /settings/roles/ /settings/roles/add/ /settings/roles/{role}/""",
}


@pytest.mark.parametrize("who", list(PAGES))
def test_every_page_is_accessible_and_fits(
    committed_world: World, visit: Visit, complaints: list[str], who: str
) -> None:
    names = somebody_waits_and_somebody_works(committed_world)
    page = visit(who, "/", viewport=DESK, reduced_motion="reduce")
    found = [fault for path in PAGES[who].split() for fault in faults(page, path.format(**names))]
    assert found == []
    assert complaints == []


def somebody_waits_and_somebody_works(world: World) -> dict[str, object]:
    """A request that waits, a grant with a statement in its record, and a server whose password can be rotated."""
    world.server.admin_secret = "file:/run/servers/orders"
    world.server.save()
    now = timezone.now()
    request = world.ask(now=now)
    approved = world.ask(role=world.two_people(), now=now)
    for approver in (world.bob, world.carol):
        votes.approve(
            person=approver, request=approved, content_hash=approved.content_hash, now=now, authenticated_at=now
        )
    approved.refresh_from_db()
    stream = store([{"kind": "began", "host": "gateway-1", "pid": 1}, opened(approved.grant), intent(), outcome(3)])
    return {
        "request": request.reference,
        "grant": approved.grant.reference,
        "stream": stream,
        "server": world.server.slug,
        "team": world.dba.slug,
        "policy": world.policy.slug,
        "role": world.read.slug,
    }


def faults(page: Page, path: str) -> list[str]:
    """The page as a whole on a desk by day; after that what only the night, or a small screen, can spoil."""
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="light")
    page.goto(path, wait_until="networkidle")
    page.evaluate(AXE.axe_script)
    found = [f"{path} by day: {one}" for one in violations(page, RULES)]
    found += [f"{path} is wider than a desk's screen"] * is_too_wide(page)
    page.emulate_media(color_scheme="dark")
    found += [f"{path} at night: {one}" for one in violations(page, OF_THE_NIGHT)]
    page.set_viewport_size(PHONE)
    found += [f"{path} on a phone: {one}" for one in violations(page, OF_A_PHONE)]
    found += [f"{path} is wider than a phone's screen"] * is_too_wide(page)
    return found


def is_too_wide(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def violations(page: Page, rules: object) -> list[str]:
    """What axe, which the page has already, finds fault with."""
    found = page.evaluate("(rules) => axe.run({...rules, resultTypes: ['violations']})", rules)["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found]
