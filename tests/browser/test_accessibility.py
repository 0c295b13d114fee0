"""WCAG 2.2 AA by axe, light and dark, on a desk and on a phone; and nothing that the content security policy refuses."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone

from access.services import votes
from tests.access.world import World
from tests.browser.conftest import ONE_BY_ONE, Visit
from tests.gateway.stored import intent, opened, outcome, store

pytestmark = ONE_BY_ONE

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_every_page_is_accessible_and_fits(
    committed_world: World, visit: Visit, complaints: list[str], scheme: str, size: dict[str, int]
) -> None:
    world = committed_world
    world.server.admin_secret = "file:/run/servers/orders"  # one that can be rotated, so that its page has every part
    world.server.save()
    now = timezone.now()
    request = world.ask(now=now)
    approved = world.ask(role=world.two_people(), now=now)
    votes.approve(person=world.bob, request=approved, content_hash=approved.content_hash, now=now, authenticated_at=now)
    votes.approve(
        person=world.carol, request=approved, content_hash=approved.content_hash, now=now, authenticated_at=now
    )
    approved.refresh_from_db()
    stream = store([{"kind": "began", "host": "gateway-1", "pid": 1}, opened(approved.grant), intent(), outcome(3)])
    pages = {
        "alice": [
            "/",
            "/request/",
            "/account/",
            f"/requests/{request.reference}/",
            f"/requests/{request.reference}/edit/",
            "/requests/",
            "/access/",
            f"/access/{approved.grant.reference}/",
        ],
        "bob": [
            "/approvals/",
            f"/requests/{request.reference}/",
            f"/access/{approved.grant.reference}/",
            "/accounts/again/",
            "/accounts/methods/app/add/",
            "/accounts/methods/passkeys/add/",
        ],
        "erin": [
            "/",
            "/access/",
            "/audit/",
            "/audit/statements/",
            f"/audit/statements/{stream}/3/",
            "/servers/",
            f"/servers/{world.server.slug}/",
            "/servers/add/",
            f"/servers/{world.server.slug}/edit/",
            "/settings/",
            "/settings/people/",
            "/settings/teams/",
            f"/settings/teams/{world.dba.slug}/",
            "/settings/policies/",
            "/settings/policies/add/",
            f"/settings/policies/{world.policy.slug}/",
            "/settings/roles/",
            "/settings/roles/add/",
            f"/settings/roles/{world.read.slug}/",
        ],
    }
    found = []
    for who, paths in pages.items():
        page = visit(who, "/", color_scheme=scheme, viewport=size)
        for path in paths:
            page.goto(path)
            page.wait_for_load_state("networkidle")
            violations = Axe().run(page, options=RULES).response["violations"]
            found += [f"{path}: {violation['id']}: {violation['nodes'][0]['html'][:120]}" for violation in violations]
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                found.append(f"{path} is wider than the screen")
    assert found == []
    assert complaints == []
