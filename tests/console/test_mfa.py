"""Authenticator apps and recovery codes: set up, asked for, good once, removed, recorded. Passkeys: tests/browser."""

from __future__ import annotations

import re
import time

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from audit.events import Event
from audit.models import Entry
from people.local_sign_in import has_second_factor
from people.models import User
from people.second_factor import Enrolment, enrol, sealed_secrets
from tests.access.world import World
from tests.console.people_and_pages import signed_in

PASSWORD = "correct-horse-battery"


def code_of(secret: str, *, steps: int = 0) -> str:
    """What the app shows now, or so many half minutes later."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def half_way(person: User) -> Client:
    """A browser that has given the right password and nothing more."""
    client = Client()
    answer = client.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})
    assert answer["Location"] == reverse("mfa_authenticate")
    return client


def is_in(client: Client) -> bool:
    return client.get(reverse("home")).status_code == 200


def recorded(event: Event) -> list[Entry]:
    return list(Entry.objects.filter(event=event).order_by("seq"))


def set_up_in_the_browser(client: Client) -> str:
    text = client.get(reverse("mfa_activate_totp")).content.decode()
    found = re.search(r'id="totp-secret" value="([A-Z2-7]+)"', text)
    assert found is not None
    return found[1]


def test_an_app_is_set_up_and_recorded_and_its_secret_is_sealed(world: World) -> None:
    client = signed_in(world.bob)
    secret = set_up_in_the_browser(client)
    answer = client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
    assert answer["Location"] == reverse("mfa_view_recovery_codes")
    assert has_second_factor(world.bob)
    assert secret not in str(list(Authenticator.objects.values_list("data", flat=True)))
    assert len(sealed_secrets()) == 2
    told = [(entry.actor_label, entry.after["factor"]) for entry in recorded(Event.PERSON_FACTOR_ADDED) if entry.after]
    assert told == [(world.bob.email, "authenticator app"), (world.bob.email, "recovery codes")]


def test_a_wrong_code_sets_nothing_up(world: World) -> None:
    client = signed_in(world.bob)
    set_up_in_the_browser(client)
    answer = client.post(reverse("mfa_activate_totp"), {"code": "000000"})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()
    assert not has_second_factor(world.bob)


def test_the_recovery_codes_are_shown_once(world: World) -> None:
    client = signed_in(world.bob)
    client.post(reverse("mfa_activate_totp"), {"code": code_of(set_up_in_the_browser(client))})
    first = client.get(reverse("mfa_view_recovery_codes")).content.decode()
    again = client.get(reverse("mfa_view_recovery_codes")).content.decode()
    code = re.search(r"\b\d{8}\b", first)
    assert code is not None
    assert code[0] not in again


def test_the_password_alone_lets_nobody_in_who_has_an_app(world: World) -> None:
    enrolment = enrol(person=world.bob)
    client = half_way(world.bob)
    assert not is_in(client)
    client.post(reverse("mfa_authenticate"), {"code": code_of(enrolment.secret)})
    assert is_in(client)


def test_a_wrong_code_is_refused_and_recorded_without_the_code(world: World) -> None:
    enrol(person=world.bob)
    client = half_way(world.bob)
    assert client.post(reverse("mfa_authenticate"), {"code": "123456"}).status_code == 422
    assert not is_in(client)
    entry = recorded(Event.PERSON_FACTOR_FAILED)[0]
    assert (entry.subject_label, entry.after) == (world.bob.email, {"factor": "authenticator app"})
    assert "123456" not in str(entry.content())


def test_a_code_is_good_for_one_sign_in(world: World) -> None:
    enrolment = enrol(person=world.bob)
    code = code_of(enrolment.secret)
    half_way(world.bob).post(reverse("mfa_authenticate"), {"code": code})
    second = half_way(world.bob)
    second.post(reverse("mfa_authenticate"), {"code": code})
    assert not is_in(second)


def test_a_recovery_code_is_good_for_one_sign_in(world: World) -> None:
    enrolment = enrol(person=world.bob)
    first, second = half_way(world.bob), half_way(world.bob)
    for client in (first, second):
        client.post(reverse("mfa_authenticate"), {"code": enrolment.recovery_codes[0]})
    assert (is_in(first), is_in(second)) == (True, False)


def test_removing_the_app_asks_first_and_takes_the_codes_with_it(world: World) -> None:
    enrol(person=world.bob)
    client = signed_in(world.bob)
    assert "Remove the authenticator app?" in client.get(reverse("mfa_deactivate_totp")).content.decode()
    assert has_second_factor(world.bob)
    client.post(reverse("mfa_deactivate_totp"))
    assert not Authenticator.objects.filter(user=world.bob).exists()
    assert len(recorded(Event.PERSON_FACTOR_REMOVED)) == 2


def test_nobody_removes_a_passkey_of_somebody_else(world: World) -> None:
    theirs = Authenticator.objects.create(user=world.carol, type=Authenticator.Type.WEBAUTHN, data={"name": "Key"})
    assert signed_in(world.bob).post(reverse("mfa_remove_webauthn", args=[theirs.pk])).status_code == 404
    assert Authenticator.objects.filter(pk=theirs.pk).exists()


def test_a_passkey_that_nobody_made_lets_nobody_in(world: World) -> None:
    client = Client()
    assert client.get(reverse("mfa_login_webauthn"), headers={"Accept": "application/json"}).status_code == 200
    client.post(reverse("mfa_login_webauthn"), {"credential": '{"id": "AAAA", "rawId": "AAAA", "type": "public-key"}'})
    assert not is_in(client)
    assert [entry.after for entry in recorded(Event.PERSON_SIGN_IN_FAILED)] == [{"factor": "passkey"}]


def test_an_operator_gives_an_administrator_an_app_by_hand(world: World) -> None:
    call_command("enrol_second_factor", world.erin.email, stdout=(told := _Lines()))
    secret = next(line for line in told.lines if line.startswith("Secret: ")).split()[-1]
    client = half_way(world.erin)
    client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert is_in(client)
    assert {entry.actor_kind for entry in recorded(Event.PERSON_FACTOR_ADDED)} == {"command"}


def test_what_an_enrolment_holds_is_in_no_repr(world: World) -> None:
    enrolment: Enrolment = enrol(person=world.erin)
    assert enrolment.secret not in repr(enrolment)


def test_after_resealing_the_older_key_can_go_and_the_app_still_works(world: World, settings: Settings) -> None:
    enrolment = enrol(person=world.bob)
    newest, older = Fernet.generate_key().decode(), settings.LOCKGATE_ENCRYPTION_KEYS[0]
    settings.LOCKGATE_ENCRYPTION_KEYS = [newest, older]
    call_command("reseal_second_factors", stdout=(told := _Lines()))
    assert told.lines == ["2 second factors are sealed with the newest key."]
    settings.LOCKGATE_ENCRYPTION_KEYS = [newest]
    client = half_way(world.bob)
    client.post(reverse("mfa_authenticate"), {"code": code_of(enrolment.secret)})
    assert is_in(client)


class _Lines:
    """A terminal that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str) -> None:
        self.lines += text.splitlines()

    def isatty(self) -> bool:
        return False

    def flush(self) -> None:
        """Nothing is held back."""
