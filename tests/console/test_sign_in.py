"""Signing in and out, and coming back to where one wanted to go."""

from __future__ import annotations

from urllib.parse import urlencode

from django.test import Client
from django.urls import reverse

from access.models import AccessRequest
from tests.access.world import World
from tests.console.people_and_pages import Pages, signed_in

DOOR = {"login": "alice@example.com", "password": "correct-horse-battery"}


def test_a_deep_link_is_remembered_through_signing_in(pages: Pages) -> None:
    address = reverse("request", args=[pages.pending.reference])
    client = signed_in(None)
    to_door = client.get(address)
    assert to_door["Location"] == f"{reverse('account_login')}?next={address}"
    form = client.get(to_door["Location"]).content.decode()
    assert f'name="next" value="{address}"' in form.replace('type="hidden" ', "")
    inside = client.post(to_door["Location"], {**DOOR, "next": address})
    assert inside["Location"] == address


def test_a_wrong_password_is_said_in_words_and_the_address_stays(world: World) -> None:
    response = signed_in(None).post(reverse("account_login"), {**DOOR, "password": "wrong"})
    text = response.content.decode()
    assert 'role="alert"' in text
    assert 'value="alice@example.com"' in text
    assert "wrong" not in text.split("<form")[1].split('name="password"')[1].split(">")[0]


def test_a_link_to_somewhere_else_is_not_followed(world: World) -> None:
    response = signed_in(None).post(reverse("account_login"), {**DOOR, "next": "https://evil.example/"})
    assert response["Location"] == reverse("home")


def test_a_form_sent_after_the_session_leads_back_to_its_page(pages: Pages) -> None:
    page = reverse("request", args=[pages.pending.reference])
    comment = reverse("request_comment", args=[pages.pending.reference])
    came_from = {
        f"http://testserver{page}?x=1": f"{page}?x=1",
        f"http://testserver{comment}": reverse("home"),  # nothing that can be opened
        f"https://evil.example{page}": reverse("home"),
        "http://testserver/nowhere/": reverse("home"),
        "": reverse("home"),
    }
    for referer, back in came_from.items():
        answer = signed_in(None).post(comment, {"text": "x"}, headers={"referer": referer})
        assert answer["Location"] == f"{reverse('account_login')}?{urlencode({'next': back}, safe='/')}"


def test_nobody_signs_up(db: None) -> None:
    response = signed_in(None).get(reverse("account_signup"))
    assert "Ask an administrator for an account." in response.content.decode()


def test_signing_out_asks_first(world: World) -> None:
    client = signed_in(world.alice)
    assert "Sign out?" in client.get(reverse("account_logout")).content.decode()
    assert client.get(reverse("home")).status_code == 200
    client.post(reverse("account_logout"))
    assert client.get(reverse("home")).status_code == 302


def test_a_form_from_another_site_changes_nothing(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.alice)
    form = {"role": "orders-read", "duration": "1h", "reason": "x"}
    assert client.post(reverse("request_new"), form).status_code == 403
    assert not AccessRequest.objects.exists()


def test_a_form_from_another_address_than_the_one_in_the_settings_is_told_as_that(db: None) -> None:
    """As behind a proxy on another port than the one in LOCKGATE_BASE_URL: every form would be called too old."""
    strict = Client(enforce_csrf_checks=True)
    strict.get("/accounts/login/")
    answer = strict.post("/accounts/login/", {}, headers={"Origin": "https://lockgate.example.com:8443"})
    assert answer.status_code == 403
    assert "LOCKGATE_BASE_URL" in answer.content.decode()
    assert "This form is too old" in strict.post("/accounts/login/", {}).content.decode()
