"""Too many wrong passwords or codes: a page in words, an entry, and no way to lock somebody out of another way in."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import reverse

from audit.events import Event
from audit.models import Entry
from people.models import User
from people.second_factor import enrol
from tests.access.world import World
from tests.console.people_and_pages import signed_in
from tests.console.test_mfa import PASSWORD, code_of, half_way

DOOR = "account_login"


def attempt(email: str, password: str = "wrong", address: str = "192.0.2.7") -> Any:
    client = Client(REMOTE_ADDR=address)
    return client.post(reverse(DOOR), {"login": email, "password": password})


def limited() -> list[Entry]:
    return list(Entry.objects.filter(event=Event.PERSON_SIGN_IN_LIMITED))


def test_the_sixth_wrong_password_for_an_account_is_not_even_looked_at(world: World) -> None:
    # From a new address each time: it is the account that is counted.
    answers = [attempt("bob@example.com", address=f"198.51.100.{count}") for count in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    text = answers[-1].content.decode()
    assert "Wait five minutes" in text
    assert answers[-1]["Retry-After"] == "300"
    assert [entry.subject_label for entry in limited()] == ["bob@example.com"]
    assert attempt("bob@example.com", PASSWORD, "198.51.100.9").status_code == 429


def test_other_accounts_are_not_held_up(world: World) -> None:
    for count in range(6):
        attempt("bob@example.com", address=f"198.51.100.{count}")
    assert attempt("carol@example.com", PASSWORD).status_code == 302


def test_the_eleventh_wrong_password_from_an_address_is_refused_whoever_it_is_for(world: World) -> None:
    answers = [attempt(f"nobody-{count}@example.com") for count in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert attempt("bob@example.com", PASSWORD, "192.0.2.8").status_code == 302


def test_right_passwords_are_not_counted(world: World) -> None:
    assert [attempt("bob@example.com", PASSWORD).status_code for _ in range(8)] == [302] * 8


def test_whoever_goes_on_trying_fills_no_pages_of_the_trail(world: World) -> None:
    for _ in range(20):
        attempt("bob@example.com")
    assert len(limited()) == 1


def test_a_session_that_is_open_goes_on(world: World) -> None:
    client = signed_in(world.bob)
    for count in range(6):
        attempt("bob@example.com", address=f"198.51.100.{count}")
    assert client.get(reverse("home")).status_code == 200


def test_codes_are_counted_too(world: World) -> None:
    enrolment = enrol(person=world.bob)
    client = half_way(world.bob)
    answers = [client.post(reverse("mfa_authenticate"), {"code": "000000"}).status_code for _ in range(6)]
    assert answers == [422] * 5 + [429]
    assert client.post(reverse("mfa_authenticate"), {"code": code_of(enrolment.secret)}).status_code == 429


def test_an_account_that_is_held_up_still_comes_in_with_a_passkey_s_challenge(world: World) -> None:
    for count in range(6):
        attempt("bob@example.com", address=f"198.51.100.{count}")
    challenge = Client().get(reverse("mfa_login_webauthn"), headers={"Accept": "application/json"})
    assert challenge.status_code == 200


def test_the_person_who_is_meant_is_not_told_apart_from_nobody(world: World) -> None:
    known, unknown = attempt("bob@example.com"), attempt("nobody@example.com")
    assert User.objects.filter(email="bob@example.com").exists()
    assert known.content.count(b"do not belong together") == unknown.content.count(b"do not belong together") == 1
