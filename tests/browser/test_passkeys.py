"""Passkeys in a real Chromium with a virtual authenticator: made, signed in with, used as a second factor and again."""

from __future__ import annotations

import re
from datetime import timedelta

from allauth.mfa.models import Authenticator
from playwright.sync_api import Page, expect
from pytest_django import Settings

from access.models import Vote
from audit.events import Event
from audit.models import Entry
from tests.access.world import World
from tests.browser.conftest import ONE_BY_ONE, Visit
from tests.console.people_and_pages import ask
from tests.console.test_mfa import PASSWORD

pytestmark = ONE_BY_ONE

#: A key in the device itself, with a finger sensor that knows its owner.
HERE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def plug_in(page: Page) -> None:
    """Give the page's browser such a key."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": HERE})


def make_passkey(page: Page) -> None:
    """From the account's page, to the recovery codes, and back."""
    page.goto("/account/")
    page.click("#passkey-add")
    page.fill("#id_name", "Laptop")
    page.click("#passkey-save")
    page.wait_for_url(re.compile("/methods/codes/"))
    expect(page.locator("#recovery-codes")).to_have_text(re.compile(r"\d{8}"))
    page.goto("/account/")
    expect(page.locator("[data-testid=passkey]")).to_contain_text("Laptop")


def sign_out(page: Page) -> None:
    page.goto("/accounts/logout/")
    page.click("#sign-out")
    page.wait_for_url(re.compile("/accounts/login/"))


def test_a_passkey_is_made_and_signs_in_by_itself(committed_world: World, visit: Visit, complaints: list[str]) -> None:
    page = visit("bob", "/account/")
    plug_in(page)
    make_passkey(page)
    sign_out(page)
    page.goto("/accounts/login/?next=/approvals/")
    page.click("#sign-in-passkey")
    page.wait_for_url(re.compile("/approvals/"))
    expect(page.locator("#signed-in-as")).to_have_text("Bob")
    assert complaints == []
    added = Entry.objects.filter(event=Event.PERSON_FACTOR_ADDED, actor_label="bob@example.com")
    assert {(entry.after or {})["name"] for entry in added} == {"Laptop", ""}


def test_a_passkey_is_the_second_factor_behind_the_password(committed_world: World, visit: Visit) -> None:
    page = visit("bob", "/account/")
    plug_in(page)
    make_passkey(page)
    sign_out(page)
    page.fill("#id_login", "bob@example.com")
    page.fill("#id_password", PASSWORD)
    page.click("#sign-in")
    page.wait_for_url(re.compile("/second-factor/"))
    page.click("#second-passkey")
    expect(page.locator("#signed-in-as")).to_have_text("Bob")


def test_an_approval_after_a_while_takes_the_passkey_and_then_one_click(
    committed_world: World, visit: Visit, settings: Settings
) -> None:
    request = ask(committed_world)
    page = visit("bob", "/account/")
    plug_in(page)
    make_passkey(page)
    settings.LOCKGATE_REAUTHENTICATE_AFTER = timedelta(0)
    page.goto("/approvals/")
    page.locator(f"[data-testid=ask-{request.reference}] [data-action=approve]").click()
    page.wait_for_url(re.compile("/accounts/again/"))
    settings.LOCKGATE_REAUTHENTICATE_AFTER = timedelta(minutes=15)
    assert not Vote.objects.exists()
    page.click("#again-passkey")
    page.wait_for_url(re.compile(f"/requests/{request.reference}/"))
    assert not Vote.objects.exists()
    page.click("#approve")
    expect(page.locator("body")).to_contain_text("You approved")
    assert Vote.objects.filter(voter=committed_world.bob).exists()


def test_without_an_authenticator_the_page_says_so_in_words(committed_world: World, visit: Visit) -> None:
    page = visit("bob", "/account/")
    page.goto("/accounts/methods/passkeys/add/")
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": {**HERE, "isUserVerified": False}})
    page.click("#passkey-save")
    expect(page.locator("[data-passkey-problem]")).to_contain_text("Try again", timeout=70_000)
    assert not Authenticator.objects.exists()
