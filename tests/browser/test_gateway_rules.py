"""The rules at the gateway are edited in a browser: they follow the level until the role has rules of its own."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from access.gateway_rules import Durability, Keep
from access.models import AccessRole
from tests.access.world import World
from tests.browser.conftest import ONE_BY_ONE, Visit
from tests.browser.test_accessibility import DESK, PHONE, RULES

pytestmark = ONE_BY_ONE

PAGE = "/settings/roles/orders-read/"


def classes(page: Page) -> list[str]:
    return page.eval_on_selector_all("[name=gateway_classes]:checked", "boxes => boxes.map(box => box.value)")


def violations(page: Page) -> list[str]:
    return [one["id"] for one in Axe().run(page, options=RULES).response["violations"]]


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_rules_start_from_the_level_and_are_saved(
    committed_world: World, visit: Visit, complaints: list[str], size: dict[str, int]
) -> None:
    page = visit("erin", PAGE, viewport=size)
    expect(page.locator(".gateway-own")).to_be_hidden()
    expect(page.get_by_test_id("level-gives")).to_contain_text("The level read gives")

    page.select_option("#id_level", "write")
    expect(page.get_by_test_id("level-gives")).to_contain_text("The level write gives")
    page.check("[name=gateway_rules][value=own]")
    expect(page.locator(".gateway-own")).to_be_visible()
    assert classes(page) == ["read", "write"]

    page.check("[name=gateway_classes][value=call]")
    page.fill("#id_gateway_tables", "a.b.c")
    page.check("[name=gateway_keep][value=text]")
    page.check("[name=gateway_durability][value=batched]")
    expect(page.locator("#gateway-rules")).to_contain_text("at risk if the machine itself dies")
    assert violations(page) == []
    assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")

    # What the role says itself stays when the level changes once more.
    page.select_option("#id_level", "ddl")
    expect(page.get_by_test_id("level-gives")).to_contain_text("The level ddl gives")
    assert classes(page) == ["read", "write", "call"]
    assert page.input_value("#id_gateway_tables") == "a.b.c"

    page.click("#save")
    expect(page.locator("#gateway-rules .field-error")).to_contain_text("This is none: a.b.c")
    assert violations(page) == []
    page.fill("#id_gateway_tables", "shop.*")
    page.click("#save")
    expect(page.locator(".message")).to_contain_text("Saved.")
    rules = AccessRole.objects.get(slug="orders-read").gateway_rules
    assert (rules.tables, rules.keep, rules.durability) == (("shop.*",), Keep.TEXT, Durability.BATCHED)
    assert [line for line in complaints if "422" not in line] == []


def test_rules_are_edited_without_scripts(committed_world: World, visit: Visit) -> None:
    page = visit("erin", PAGE, java_script_enabled=False)
    page.check("[name=gateway_rules][value=own]")
    page.fill("#id_gateway_longest_statement", "30s")
    page.click("#save")
    assert AccessRole.objects.get(slug="orders-read").gateway["longest_statement_s"] == 30
