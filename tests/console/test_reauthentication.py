"""Approving on a production server takes an authentication that is fresh; whoever's is old shows again that it is them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from access.errors import AuthenticationTooOld
from access.models import AccessRequest, Environment, Vote
from access.services import votes
from audit.events import Event
from audit.models import Entry
from people.models import User
from people.second_factor import enrol
from tests.access.world import World
from tests.console.people_and_pages import ask, authenticated, signed_in
from tests.console.test_mfa import code_of

PASSWORD = "correct-horse-battery"
OLD = timedelta(minutes=16)


def stale(person: User) -> Client:
    """A browser in which the person signed in sixteen minutes ago."""
    client = signed_in(person)
    authenticated(client, person, timezone.now() - OLD)
    return client


def approve(client: Client, request: AccessRequest, **more: object) -> object:
    form = {"content_hash": request.content_hash, **more}
    headers = {"HX-Request": "true"} if more.get("back") else {}
    return client.post(reverse("request_approve", args=[request.reference]), form, headers=headers)


def page_of(request: AccessRequest) -> str:
    return reverse("request", args=[request.reference])


def way_back(request: AccessRequest) -> str:
    return f"{reverse('account_reauthenticate')}?next={page_of(request).replace('/', '%2F')}"


def test_whoever_has_just_signed_in_approves_with_one_click(world: World) -> None:
    request = ask(world)
    approve(signed_in(world.bob), request)
    assert Vote.objects.filter(voter=world.bob).exists()


def test_whoever_signed_in_long_ago_is_led_away_and_has_not_voted(world: World) -> None:
    request = ask(world)
    answer = approve(stale(world.bob), request)
    assert answer["Location"] == way_back(request)  # type: ignore[index]
    assert not Vote.objects.exists()
    refused = Entry.objects.get(event=Event.VOTE_REFUSED)
    assert "Confirm your identity again" in refused.reason


def test_from_the_list_htmx_is_told_to_leave_the_page(world: World) -> None:
    request = ask(world)
    answer = approve(stale(world.bob), request, back="approvals")
    assert answer["HX-Redirect"] == way_back(request)  # type: ignore[index]
    assert not Vote.objects.exists()


def test_back_on_the_page_one_click_approves_and_coming_back_alone_does_not(world: World) -> None:
    request = ask(world)
    client = stale(world.bob)
    approve(client, request)
    answer = client.post(reverse("account_reauthenticate"), {"password": PASSWORD, "next": page_of(request)})
    assert answer["Location"] == page_of(request)
    page = client.get(answer["Location"]).content.decode()
    assert 'id="approve"' in page
    assert not Vote.objects.exists()
    approve(client, request)
    assert Vote.objects.filter(voter=world.bob).exists()
    assert Entry.objects.filter(event=Event.PERSON_REAUTHENTICATED, actor_label=world.bob.email).exists()


def test_what_was_typed_is_still_there(world: World) -> None:
    request = ask(world)
    client = stale(world.bob)
    approve(client, request, duration="15m", comment="Only to look")
    page = client.get(page_of(request)).content.decode()
    assert "Only to look" in page
    assert "data-open" in page
    assert "Only to look" not in client.get(page_of(request)).content.decode()


def test_what_was_ticked_is_still_ticked(world: World) -> None:
    request = ask(world)
    client = stale(world.bob)
    pick = f"{request.reference}:{request.content_hash}"
    answer = client.post(reverse("approve_several"), {"pick": [pick]})
    assert answer["Location"].startswith(reverse("account_reauthenticate"))
    assert not Vote.objects.exists()
    back = f"{reverse('approvals')}?tick={request.reference}"
    assert "data-pick checked" in client.get(back).content.decode()


def test_elsewhere_than_on_production_nobody_is_asked(world: World) -> None:
    request = ask(world)
    world.server.environment = Environment.STAGING
    world.server.save()
    approve(stale(world.bob), request)
    assert Vote.objects.filter(voter=world.bob).exists()


def test_denying_needs_nothing_fresh(world: World) -> None:
    request = ask(world)
    form = {"content_hash": request.content_hash, "comment": "Not today."}
    stale(world.bob).post(reverse("request_deny", args=[request.reference]), form)
    assert Vote.objects.filter(voter=world.bob).exists()


def test_how_long_it_lasts_is_a_setting(world: World, settings: Settings) -> None:
    settings.LOCKGATE_REAUTHENTICATE_AFTER = timedelta(minutes=17)
    approve(stale(world.bob), ask(world))
    assert Vote.objects.filter(voter=world.bob).exists()


def test_a_session_that_knows_nothing_of_an_authentication_is_not_fresh(world: World) -> None:
    request = ask(world)
    with pytest.raises(AuthenticationTooOld):
        votes.approve(
            person=world.bob,
            request=request,
            content_hash=request.content_hash,
            authenticated_at=None,
            now=timezone.now(),
        )


def test_a_wrong_password_is_said_in_words_and_nothing_is_fresh(world: World) -> None:
    request = ask(world)
    client = stale(world.bob)
    answer = client.post(reverse("account_reauthenticate"), {"password": "wrong", "next": page_of(request)})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()
    approve(client, request)
    assert not Vote.objects.exists()


def test_a_code_of_an_app_does_as_well(world: World) -> None:
    request = ask(world)
    enrolment = enrol(person=world.bob)
    client = stale(world.bob)
    client.post(reverse("mfa_reauthenticate"), {"code": code_of(enrolment.secret), "next": page_of(request)})
    approve(client, request)
    assert Vote.objects.filter(voter=world.bob).exists()


def test_the_way_back_leads_nowhere_else(world: World) -> None:
    form = {"password": PASSWORD, "next": "https://evil.example/"}
    assert stale(world.bob).post(reverse("account_reauthenticate"), form)["Location"] == reverse("home")


def test_ways_to_sign_in_are_changed_by_whoever_is_fresh_only(world: World) -> None:
    client = stale(world.bob)
    for name in ("mfa_activate_totp", "mfa_add_webauthn", "mfa_generate_recovery_codes"):
        assert client.get(reverse(name))["Location"].startswith(reverse("account_reauthenticate")), name
