"""The page of one's own account: teams, ways to sign in, sessions, and ending them."""

from __future__ import annotations

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse

from access.models import AccessRequest, Grant
from access.models.grants import EndReason
from access.states import GrantState, RequestState
from audit.events import Event
from audit.models import Entry
from people.deactivation import deactivate, reactivate
from people.devices import device_of
from people.models import User
from people.sessions import end_sessions, sessions_of
from tests.access.world import SETUP, World
from tests.console.people_and_pages import Pages, signed_in

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
EDGE = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0 Safari/537.36 Edg/139.0"


def browser(person: User, agent: str = FIREFOX, address: str = "192.0.2.7") -> Client:
    client = signed_in(person)
    client.defaults |= {"HTTP_USER_AGENT": agent, "REMOTE_ADDR": address}
    assert client.get(reverse("home")).status_code == 200
    return client


def is_in(client: Client) -> bool:
    return client.get(reverse("home")).status_code == 200


def recorded(event: Event) -> list[Entry]:
    return list(Entry.objects.filter(event=event).order_by("seq"))


def test_the_page_shows_teams_and_where_they_come_from(world: World) -> None:
    world.alice.memberships.filter(team=world.backend).update(source="okta")
    text = browser(world.alice).get(reverse("account")).content.decode()
    assert world.backend.name in text
    assert "by your groups at okta" in text


def test_the_page_shows_each_browser_with_its_address(world: World) -> None:
    browser(world.alice, EDGE, "198.51.100.4")
    text = browser(world.alice).get(reverse("account")).content.decode()
    assert "Edge on Windows" in text
    assert "from 198.51.100.4" in text
    assert "Firefox on Linux" in text
    assert text.count("This one") == 1


@pytest.mark.parametrize("address", ["", "unix:", "192.0.2.7:5501"])
def test_a_browser_without_a_readable_address_is_served_all_the_same(world: World, address: str) -> None:
    assert [row.ip for row in _sessions(browser(world.alice, address=address), world)] == ["::"]


def _sessions(client: Client, world: World) -> list[UserSession]:
    assert client.get(reverse("account")).status_code == 200
    return sessions_of(world.alice)


def test_sessions_of_others_are_not_shown(world: World) -> None:
    browser(world.bob, EDGE, "198.51.100.4")
    assert "198.51.100.4" not in browser(world.alice).get(reverse("account")).content.decode()


def test_ending_a_session_makes_the_next_request_of_that_browser_nobodys(world: World) -> None:
    here, there = browser(world.alice), browser(world.alice, EDGE)
    row = UserSession.objects.get(session_key=there.session.session_key)
    here.post(reverse("account_session_end", args=[row.pk]))
    assert is_in(here)
    assert not is_in(there)
    entry = recorded(Event.PERSON_SESSION_ENDED)[0]
    assert entry.actor_label == entry.subject_label == world.alice.email
    assert entry.before == {"device": "Edge on Windows", "address": "192.0.2.7"}


def test_ending_all_others_leaves_this_one(world: World) -> None:
    here, *others = (browser(world.alice) for _ in range(3))
    bob = browser(world.bob)
    answer = here.post(reverse("account_sessions_end_others"), follow=True)
    assert "2 other sessions are over." in answer.content.decode()
    assert [is_in(client) for client in (here, *others, bob)] == [True, False, False, True]
    assert len(recorded(Event.PERSON_SESSION_ENDED)) == 2


def test_nobody_ends_a_session_of_somebody_else(world: World) -> None:
    bob = browser(world.bob)
    row = UserSession.objects.get(session_key=bob.session.session_key)
    browser(world.alice).post(reverse("account_session_end", args=[row.pk]))
    assert is_in(bob)
    assert recorded(Event.PERSON_SESSION_ENDED) == []


def test_ones_own_session_is_ended_by_signing_out(world: World) -> None:
    here = browser(world.alice)
    row = UserSession.objects.get(session_key=here.session.session_key)
    assert here.post(reverse("account_session_end", args=[row.pk]))["Location"] == reverse("account_logout")


def test_ending_sessions_from_elsewhere_ends_them_all(world: World) -> None:
    one, two = browser(world.alice), browser(world.alice)
    assert end_sessions(person=world.alice, actor=SETUP) == 2
    assert not is_in(one)
    assert not is_in(two)
    assert sessions_of(world.alice) == []


def test_a_person_who_is_switched_off_is_out_at_once_and_stays_out(world: World) -> None:
    client = browser(world.alice)
    deactivate(person=world.alice, actor=SETUP)
    assert not is_in(client)
    reactivate(person=world.alice, actor=SETUP)
    assert not is_in(client)
    assert [entry.subject_label for entry in recorded(Event.PERSON_DEACTIVATED)] == [world.alice.email]
    assert len(recorded(Event.PERSON_REACTIVATED)) == 1


def test_switching_off_twice_is_one_event(world: World) -> None:
    deactivate(person=world.alice, actor=SETUP)
    deactivate(person=world.alice, actor=SETUP)
    assert len(recorded(Event.PERSON_DEACTIVATED)) == 1


def test_what_a_person_holds_ends_in_the_transaction_that_switches_them_off(pages: Pages) -> None:
    deactivate(person=pages.world.alice, actor=SETUP)
    grant = Grant.objects.get(pk=pages.active.pk)
    assert (grant.state, grant.end_reason) == (GrantState.REVOKING, EndReason.ENDED)
    assert AccessRequest.objects.get(pk=pages.pending.pk).state == RequestState.CANCELLED


def test_devices_are_named_as_people_know_them() -> None:
    assert device_of(FIREFOX) == "Firefox on Linux"
    assert device_of(EDGE) == "Edge on Windows"
    assert device_of("curl/8.5") == "curl"
    assert device_of("") == "Unknown browser"
