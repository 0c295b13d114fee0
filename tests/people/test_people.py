"""Rights come from teams; sign-ins leave a trail."""

from __future__ import annotations

import pytest
from django.contrib.auth import authenticate
from django.db import IntegrityError, transaction
from django.test import Client

from audit.log import Actor
from audit.models import Entry
from people.models import Capability, User
from people.services import add_person, add_team, join, leave

SETUP = Actor("command", "tests", "tests")
pytestmark = pytest.mark.django_db


def alice() -> User:
    return add_person(email="Alice@Example.com", display_name="Alice", password="correct-horse", actor=SETUP)


def test_an_address_is_one_person_whatever_its_case() -> None:
    person = alice()
    assert person.email == "alice@example.com"
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(email="ALICE@example.com")


def test_a_new_person_may_do_nothing() -> None:
    person = alice()
    assert (person.is_auditor, person.is_administrator, person.team_slugs) == (False, False, frozenset())


def test_a_team_gives_its_capability_and_takes_it_along() -> None:
    person = alice()
    team = add_team(slug="auditors", name="Auditors", capability=Capability.AUDITOR, actor=SETUP)
    join(person=person, team=team, actor=SETUP)
    assert (person.is_auditor, person.is_administrator) == (True, False)
    leave(person=person, team=team, actor=SETUP)
    assert not person.is_auditor
    assert list(Entry.objects.filter(event__in=["person.joined", "person.left"]).values_list("event", flat=True)) == [
        "person.left",
        "person.joined",
    ]


def test_joining_twice_is_one_entry() -> None:
    person, team = alice(), add_team(slug="dba", name="DBA", actor=SETUP)
    join(person=person, team=team, actor=SETUP)
    join(person=person, team=team, actor=SETUP)
    assert Entry.objects.filter(event="person.joined").count() == 1


def test_a_deactivated_person_is_in_no_team() -> None:
    person = alice()
    join(person=person, team=add_team(slug="dba", name="DBA", actor=SETUP), actor=SETUP)
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert User.objects.get(pk=person.pk).team_slugs == frozenset()


def test_signing_in_failing_and_signing_out_are_in_the_trail_without_the_password(client: Client) -> None:
    person = alice()
    assert authenticate(email=person.email, password="wrong") is None
    client.force_login(person)
    client.logout()
    events = list(Entry.objects.filter(event__startswith="person.sign").order_by("seq").values_list("event", flat=True))
    assert events == ["person.sign_in_failed", "person.signed_in", "person.signed_out"]
    assert "wrong" not in str(list(Entry.objects.values()))
