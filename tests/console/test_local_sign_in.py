"""Break-glass: with a password comes in only an administrator who has a second factor, and who then shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from audit.events import Event
from audit.models import Entry
from people.local_sign_in import BREAK_GLASS, NOT_HERE
from people.models import User
from people.second_factor import enrol
from tests.access.world import World
from tests.console.test_mfa import PASSWORD, _Lines, code_of, half_way


@pytest.fixture(autouse=True)
def _break_glass(settings: Settings) -> None:
    settings.LOCKGATE_LOCAL_SIGN_IN = BREAK_GLASS


def attempt(person: User) -> Any:
    return Client().post(reverse("account_login"), {"login": person.email, "password": PASSWORD})


def reasons() -> list[str]:
    return list(Entry.objects.filter(event=Event.PERSON_SIGN_IN_FAILED).values_list("reason", flat=True))


def test_the_right_password_of_an_engineer_is_of_no_use(world: World) -> None:
    answer = attempt(world.alice)
    assert answer.status_code == 200
    assert NOT_HERE in answer.content.decode()
    assert reasons() == [NOT_HERE]


def test_nor_is_it_with_a_second_factor(world: World) -> None:
    enrol(person=world.alice)
    assert attempt(world.alice).status_code == 200
    assert reasons() == [NOT_HERE]


def test_an_administrator_without_a_second_factor_is_refused(world: World) -> None:
    assert attempt(world.erin).status_code == 200
    assert reasons() == [NOT_HERE]


def test_recovery_codes_alone_are_no_second_factor(world: World) -> None:
    enrol(person=world.erin)
    world.erin.authenticator_set.filter(type="totp").delete()
    assert attempt(world.erin).status_code == 200


def test_an_administrator_with_a_second_factor_shows_it_and_is_in(world: World) -> None:
    enrolment = enrol(person=world.erin)
    client = half_way(world.erin)
    assert client.get(reverse("home")).status_code == 302
    client.post(reverse("mfa_authenticate"), {"code": code_of(enrolment.secret)})
    assert client.get(reverse("home")).status_code == 200


def test_an_administrator_who_is_switched_off_is_not_let_in(world: World) -> None:
    enrol(person=world.erin)
    User.objects.filter(pk=world.erin.pk).update(is_active=False)
    assert attempt(world.erin)["Location"] == reverse("account_inactive")


def test_it_is_the_backend_that_refuses_whatever_form_was_used(world: World) -> None:
    assert authenticate(None, email=world.alice.email, password=PASSWORD) is None
    enrol(person=world.erin)
    assert authenticate(None, email=world.erin.email, password=PASSWORD) == world.erin


def test_a_wrong_password_sounds_the_same(world: World) -> None:
    answer = Client().post(reverse("account_login"), {"login": world.alice.email, "password": "wrong"})
    assert NOT_HERE in answer.content.decode()
    assert reasons() == [""]


def test_the_first_administrator_gets_a_second_factor_with_the_account(world: World, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(PASSWORD)
    told = _Lines()
    call_command("add_administrator", "root@example.com", "Root", password_file=str(path), stdout=told)
    secret = next(line for line in told.lines if line.startswith("Secret: ")).split()[-1]
    client = half_way(User.objects.get(email="root@example.com"))
    client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert client.get(reverse("home")).status_code == 200
