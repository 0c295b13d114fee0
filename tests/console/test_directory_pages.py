"""People, teams and the groups that fill them, as administrators keep them and auditors read them."""

from __future__ import annotations

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core import mail
from django.http import HttpResponse
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from access import change_notices, queueing
from access.services import directory
from audit.models import Entry
from people.models import GroupMapping, Team, User
from people.services import join
from people.sso.providers import Provider
from tests.access.world import SETUP, World
from tests.console.people_and_pages import activated, approved, ask, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def corp(settings: Settings) -> None:
    provider = Provider("corp", "Corp", "https://login.example.com", "id", "secret", frozenset({"example.com"}))
    settings.LOCKGATE_SSO = {"corp": provider}


def has_group(person: User, group: str) -> None:
    """As the provider said at their last sign-in."""
    SocialAccount.objects.create(user=person, provider="corp", uid=person.email, extra_data={"groups": [group]})


def page(person: User, team: Team, **query: str) -> str:
    return signed_in(person).get(reverse("settings_team", args=[team.slug]), query).content.decode()


def press(who: User, name: str, team: Team, *more: int, **data: str) -> HttpResponse:
    return signed_in(who).post(reverse(name, args=[team.slug, *more]), data, follow=True)


def test_a_team_shows_who_is_in_it_and_what_it_gives(world: World) -> None:
    text = page(world.erin, world.dba)
    for words in ("bob@example.com", "carol@example.com", "Decides on requests of others for", world.read.name):
        assert words in text


def test_an_auditor_reads_and_is_offered_nothing(world: World) -> None:
    text = page(world.auditor, world.dba)
    assert "bob@example.com" in text
    assert 'aria-label="Remove' not in text
    assert "Map the group" not in text


def test_a_new_team_starts_empty(world: World) -> None:
    client = signed_in(world.erin)
    client.post(reverse("settings_teams"), {"name": "Night shift", "slug": "night-shift", "capability": ""})
    team = Team.objects.get(slug="night-shift")
    assert "Nobody is in this team" in page(world.erin, team)
    again = client.post(reverse("settings_teams"), {"name": "Other", "slug": "night-shift", "capability": ""})
    assert "There is a team with this short name" in again.content.decode()
    assert 'value="Other"' in again.content.decode()
    bad = client.post(reverse("settings_teams"), {"name": "Other", "slug": "Night Shift", "capability": ""})
    assert "lower-case letters" in bad.content.decode()


def test_people_are_put_in_and_taken_out_and_it_is_recorded(world: World) -> None:
    press(world.erin, "settings_team_add_person", world.dba, person="OSCAR@example.com")
    assert world.oscar.teams.filter(pk=world.dba.pk).exists()
    press(world.erin, "settings_team_remove", world.dba, person="oscar@example.com")
    assert not world.oscar.teams.filter(pk=world.dba.pk).exists()
    changed = Entry.objects.filter(event="team.changed").latest("seq")
    assert "oscar@example.com" in changed.before["memberships"]  # type: ignore[index]
    assert "oscar@example.com" not in changed.after["memberships"]  # type: ignore[index]
    assert changed.actor_label == world.erin.email


def test_nobody_decides_on_their_own_teams(world: World) -> None:
    refused = press(world.erin, "settings_team_add_person", world.dba, person=world.erin.email)
    assert "Ask another administrator" in refused.content.decode()
    assert world.dba.slug not in User.objects.get(pk=world.erin.pk).team_slugs


def test_nobody_maps_a_group_of_their_own_to_a_team(world: World) -> None:
    has_group(world.erin, "everybody")
    refused = press(world.erin, "settings_team_map", world.dba, provider="corp", group="everybody")
    assert "Ask another administrator" in refused.content.decode()
    assert not GroupMapping.objects.exists()


def test_an_unknown_address_is_told(world: World) -> None:
    refused = press(world.erin, "settings_team_add_person", world.dba, person="nobody@example.com")
    assert refused.status_code == 422
    assert "Nobody with this address" in refused.content.decode()


def test_a_mapping_shows_whom_it_would_reach_before_it_is_made(world: World) -> None:
    has_group(world.oscar, "database-people")
    has_group(world.bob, "database-people")
    client = signed_in(world.erin)
    address = reverse("settings_team", args=[world.dba.slug])
    query = {"part": "reach", "provider": "corp", "group": "database-people"}
    text = client.get(address, query, HTTP_HX_REQUEST="true").content.decode()
    assert "would join: Oscar." in text
    assert "Decides on requests of others for" in text
    assert "Bob" not in text
    nobody = client.get(address, {**query, "group": "x"}, HTTP_HX_REQUEST="true").content.decode()
    assert "Nobody who has signed in so far" in nobody


def test_a_mapping_is_made_and_taken_away(world: World) -> None:
    press(world.erin, "settings_team_map", world.dba, provider="corp", group="database-people")
    mapping = GroupMapping.objects.get()
    assert "database-people" in page(world.erin, world.dba)
    twice = press(world.erin, "settings_team_map", world.dba, provider="corp", group="database-people")
    assert "mapped to this team already" in twice.content.decode()
    press(world.erin, "settings_team_unmap", world.dba, mapping.pk)
    assert not GroupMapping.objects.exists()
    gone = press(world.erin, "settings_team_unmap", world.dba, mapping.pk)
    assert "Somebody else has taken that away" in gone.content.decode()


def test_people_that_groups_put_into_a_team_are_not_taken_out_by_hand(world: World) -> None:
    join(person=world.oscar, team=world.dba, actor=SETUP, source="corp")
    assert "by their groups at corp" in page(world.erin, world.dba)
    refused = press(world.erin, "settings_team_remove", world.dba, person="oscar@example.com")
    assert "A provider&#x27;s groups fill this team" in refused.content.decode()
    assert world.oscar.teams.filter(pk=world.dba.pk).exists()


def test_the_other_administrators_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    monkeypatch.setattr(queueing, "send", lambda task, entry: change_notices.send(entry=entry))
    other = User.objects.create_user("grace@example.com")
    join(person=other, team=world.erin.teams.get(capability="administrator"), actor=SETUP)
    with django_capture_on_commit_callbacks(execute=True):
        directory.put_into_team(person=world.erin, member=world.oscar, team=world.dba)
    assert [message.to for message in mail.outbox] == [["grace@example.com"]]
    assert "oscar@example.com" in mail.outbox[0].body


def test_people_are_searched(world: World) -> None:
    client = signed_in(world.erin)
    text = client.get(reverse("settings_people"), {"q": "bob"}).content.decode()
    assert "bob@example.com" in text
    assert "carol@example.com" not in text


def test_somebody_is_switched_off_with_everything_that_hangs_on_them(world: World) -> None:
    alice, erin = signed_in(world.alice), signed_in(world.erin)
    grant, waiting = activated(approved(world, ask(world))), ask(world, role=world.two_people())
    assert alice.get("/").status_code == 200
    text = erin.post(reverse("settings_person_off", args=[world.alice.pk]), follow=True).content.decode()
    assert "Alice is switched off" in text
    assert alice.get("/").status_code == 302
    grant.refresh_from_db()
    waiting.refresh_from_db()
    assert (grant.state, waiting.state) == ("revoking", "cancelled")
    assert Entry.objects.filter(event="person.deactivated", actor_label=world.erin.email).count() == 1
    erin.post(reverse("settings_person_on", args=[world.alice.pk]))
    assert User.objects.get(pk=world.alice.pk).is_active
    assert alice.get("/").status_code == 302


def test_nobody_switches_themselves_off(world: World) -> None:
    text = (
        signed_in(world.erin).post(reverse("settings_person_off", args=[world.erin.pk]), follow=True).content.decode()
    )
    assert "Ask another administrator" in text
    assert User.objects.get(pk=world.erin.pk).is_active
