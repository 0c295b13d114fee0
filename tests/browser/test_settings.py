"""A policy is edited in two browsers at once: the steps move, the preview follows, and nobody's work is lost."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from access.models import Policy
from tests.access.test_catalogue import second_administrator
from tests.access.world import World
from tests.browser.conftest import ONE_BY_ONE, Visit
from tests.browser.test_accessibility import RULES

pytestmark = ONE_BY_ONE

PAGE = "/settings/policies/one-dba/"


def steps(page: Page) -> list[str]:
    return page.eval_on_selector_all("[name=steps_team]", "rows => rows.map(row => row.value)")


def test_two_administrators_edit_one_policy(committed_world: World, visit: Visit, complaints: list[str]) -> None:
    world = committed_world
    second_administrator(world)
    erins, freds = visit("erin", PAGE), visit("fred", PAGE)

    erins.fill("#id_name", "Two pairs of eyes")
    erins.click("#step-add")
    erins.select_option("#step-1-team", "security")
    erins.click("#step-1-up")
    expect(erins.locator("#step-0-team")).to_have_value("security")
    assert steps(erins) == ["security", "dba"]
    expect(erins.locator(".person-gains", has_text="Dora")).to_be_visible()
    assert Axe().run(erins, options=RULES).response["violations"] == []

    freds.check("[name=requesters][value=security]")
    expect(freds.locator(".person-gains", has_text="Dora")).to_be_visible()
    freds.press("#id_longest", "Enter")
    expect(freds.locator(".message")).to_contain_text("Saved.")

    erins.click("#save")
    expect(erins.get_by_test_id("overtaken")).to_contain_text("fred@example.com saved this")
    assert (erins.input_value("#id_name"), steps(erins)) == ("Two pairs of eyes", ["security", "dba"])
    assert Axe().run(erins, options=RULES).response["violations"] == []
    erins.click("#save")
    expect(erins.locator(".message")).to_contain_text("Saved.")
    policy = Policy.objects.get(slug="one-dba")
    assert [step.team for step in policy.quorum_steps()] == ["security", "dba"]
    # Chromium itself notes every answer that is no success.
    assert [line for line in complaints if "409 (Conflict)" not in line] == []


def test_a_policy_is_edited_without_scripts(committed_world: World, visit: Visit) -> None:
    page = visit("erin", PAGE, java_script_enabled=False)
    page.fill("#id_name", "By hand")
    page.click("#step-add")
    page.select_option("#step-1-team", "security")
    page.click("#step-1-up")
    page.click("#step-1-remove")
    page.click("#save")
    policy = Policy.objects.get(slug="one-dba")
    assert (policy.name, [step.team for step in policy.quorum_steps()]) == ("By hand", ["security"])
