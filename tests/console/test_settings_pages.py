"""Settings: policies, access roles and servers are changed on pages that lose nothing and show who could get what."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from access.models import AccessRole, Environment, HeldBack, Policy
from access.services import catalogue
from audit.models import Entry
from people.models import Capability, Team, User
from people.services import add_person, join
from tests.access.world import HOUR, SETUP, World
from tests.console.people_and_pages import signed_in

POLICY = {
    "name": "One DBA",
    "requesters": ["backend"],
    "steps_team": ["dba"],
    "steps_count": ["1"],
    "break_glass_team": "",
    "longest": "8h",
    "lapses_after": "1d",
    "revision": "1",
}
ROLE = {
    "name": "Orders, read",
    "description": "",
    "policy": "one-dba",
    "level": "read",
    "databases": "orders",
    "schemas": "",
    "tables": "",
    "database_roles": "",
    "longest": "8h",
    "connections": "5",
    "statement_timeout": "5m",
    "idle_in_transaction_timeout": "5m",
    "gateway_rules": "level",
    "is_enabled": "on",
    "revision": "1",
}
SERVER = {
    "name": "Orders",
    "environment": "production",
    "host": "orders.test",
    "port": "5432",
    "tls": "verify-full",
    "tls_ca_file": "",
    "admin_user": "lockgate",
    "admin_secret": "",
    "database": "",
    "is_enabled": "on",
    "revision": "1",
}


def send(person: User, name: str, data: dict[str, Any], *args: str, **headers: str) -> Any:
    return signed_in(person).post(reverse(name, args=args), data, **headers)


def see(person: User, name: str, *args: str) -> str:
    return signed_in(person).get(reverse(name, args=args)).content.decode()


def fred(world: World) -> User:
    person = add_person(email="fred@example.com", display_name="Fred", actor=SETUP)
    join(person=person, team=Team.objects.get(capability=Capability.ADMINISTRATOR), actor=SETUP)
    return person


@pytest.mark.parametrize("who", ["erin", "auditor"])
def test_policies_are_written_as_sentences(world: World, who: str) -> None:
    for name in ("settings", "settings_policies"):
        text = see(getattr(world, who), name)
        assert "Backend may ask, for at most 8 h." in text
        assert "One of Dba must approve within 1 d." in text
        assert ("Add a policy" in text) == (who == "erin" and name == "settings_policies")


def test_an_auditor_reads_and_finds_no_form(world: World) -> None:
    for name, slug in (("settings_policy", "one-dba"), ("settings_role", "orders-read")):
        text = see(world.auditor, name, slug)
        assert "Who could get what" in text
        assert "History" in text
        assert 'id="save"' not in text


def test_an_administrator_changes_a_policy_and_the_history_tells(world: World) -> None:
    changes = {"steps_team": ["dba", "security"], "steps_count": ["2", "1"], "longest": "90m"}
    response = send(world.erin, "settings_policy", {**POLICY, **changes}, "one-dba")
    assert response.status_code == 302
    text = see(world.auditor, "settings_policy", "one-dba")
    assert "2 of Dba, then one of Security must approve within 1 d." in text
    assert "Policy changed" in text
    assert "erin@example.com" in text
    assert "1 of dba</del>" in text.replace('<span class="unseen">before: </span>', "")
    assert "2 of dba, then 1 of security" in text
    assert "1 h 30 min" in text


def test_a_new_policy_leads_to_its_page(world: World) -> None:
    new = {**POLICY, "slug": "careful", "name": "Careful", "self_approved_environments": ["staging"]}
    response = send(world.erin, "settings_policy_add", new)
    assert response["Location"] == reverse("settings_policy", args=["careful"])
    policy = Policy.objects.get(slug="careful")
    assert policy.self_approved_environments == ["staging"]
    assert "No access role is guarded by this policy yet" in see(world.erin, "settings_policy", "careful")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "Give the policy a name."),
        ({"requesters": []}, "Choose at least one team that may ask."),
        ({"steps_team": [], "steps_count": []}, "Add a step, or say where reads are approved automatically"),
        ({"steps_team": ["dba", ""], "steps_count": ["1", "1"]}, "Step 2: choose a team."),
        ({"steps_count": ["0"]}, "Step 1: write how many people, 1 or more."),
        ({"steps_count": ["many"]}, "Step 1: write how many people, 1 or more."),
        ({"steps_count": ["21"]}, "Each step takes 1 to 20 people."),
        ({"longest": "soon"}, "Write a duration such as 45m, 2h or 1h 30m."),
        ({"longest": "60d"}, "The longest access has to lie between one minute and 30 days."),
        ({"lapses_after": ""}, "Say how long a request waits for votes."),
        ({"break_glass_team": "nobody-at-all"}, "Select a valid choice."),
    ],
)
def test_what_is_wrong_with_a_policy_is_said_at_its_field_and_nothing_is_lost(
    world: World, change: dict[str, Any], words: str
) -> None:
    typed = {**POLICY, "name": "A long and careful name", "longest": "7h", **change}
    response = send(world.erin, "settings_policy", typed, "one-dba")
    text = response.content.decode()
    assert response.status_code == 422
    assert words in text
    assert f'value="{typed["name"]}"' in text or not typed["name"]
    assert f'value="{typed["longest"]}"' in text
    assert Policy.objects.get(slug="one-dba").revision == 1


@pytest.mark.parametrize(
    ("move", "teams"),
    [
        ("add", ["dba", "security", ""]),
        ("remove-0", ["security"]),
        ("down-0", ["security", "dba"]),
        ("up-1", ["security", "dba"]),
        ("up-0", ["dba", "security"]),
        ("remove-9", ["dba", "security"]),
        ("up-²", ["dba", "security"]),
        ("nonsense", ["dba", "security"]),
    ],
)
@pytest.mark.parametrize("htmx", [True, False])
def test_steps_are_rearranged_by_buttons_and_nothing_is_saved_or_lost(
    world: World, move: str, teams: list[str], htmx: bool
) -> None:
    typed = {
        **POLICY,
        "steps_team": ["dba", "security"],
        "steps_count": ["3", "1"],
        "name": "Half typed",
        "longest": "?",
    }
    headers = {"HTTP_HX_REQUEST": "true"} if htmx else {}
    response = send(world.erin, "settings_policy", {**typed, "steps_move": move}, "one-dba", **headers)
    text = response.content.decode()
    assert response.status_code == 200
    chosen = [row.partition("</select>")[0] for row in text.split('name="steps_team"')[1:]]
    assert [row.partition('" selected')[0].rpartition('"')[2] if " selected" in row else "" for row in chosen] == teams
    assert ("Half typed" in text) is not htmx
    assert "field-error" not in text
    assert Policy.objects.get(slug="one-dba").name == "One DBA"


def who(world: World, **changes: Any) -> str:
    data = {**POLICY, **changes, "part": "who"}
    client = signed_in(world.erin)
    response = client.get(reverse("settings_policy", args=["one-dba"]), data, HTTP_HX_REQUEST="true")
    assert response.status_code == 200
    return response.content.decode()


def test_the_preview_names_who_could_ask_and_who_would_decide(world: World) -> None:
    text = who(world)
    assert "Orders, read" in text
    assert "May ask (1)" in text
    assert "Alice" in text
    assert "1 of Dba must approve (2)" in text
    assert "Carol" in text
    assert "Changes" not in text


def test_the_preview_marks_who_gains_and_who_loses(world: World) -> None:
    text = who(world, requesters=["security"], break_glass_team="dba", steps_count=["2"])
    assert '<span class="unseen">newly: </span>Dora' in text
    assert '<span class="unseen">no longer: </span>Alice' in text
    assert '<span class="unseen">newly: </span>Bob' in text
    assert "May take emergency access (2)" in text
    assert "Changes" in text


def test_the_preview_says_whom_the_policy_could_never_be_met_for(world: World) -> None:
    text = who(world, requesters=["dba", "backend"], steps_count=["2"])
    assert "May ask (1)" in text
    assert "Refused: not enough other approvers (2)" in text


def test_the_preview_says_what_approves_itself(world: World) -> None:
    world.role("orders-write", world.policy)
    text = who(world, self_approved_environments=["production"])
    itself, asked_for = text.split("data-outlook")[1:]
    assert ("Orders, read" in itself, "orders-write" in asked_for) == (True, True)
    assert "Get it without an approval (1)" in itself
    assert "May ask (1)" in asked_for


def test_the_preview_tells_administrators_what_they_would_give_to_themselves(world: World) -> None:
    own = Team.objects.get(capability=Capability.ADMINISTRATOR).slug
    assert "You would need nobody" not in who(world, requesters=[own])
    text = who(world, requesters=[own], self_approved_environments=["production"])
    assert "You would need nobody's consent for Orders, read." in text.replace("&#x27;", "'")


def test_the_preview_leaves_out_a_step_that_is_not_complete(world: World) -> None:
    text = who(world, steps_team=["dba", ""], steps_count=["1", "1"])
    assert "A step that is not complete yet is left out here." in text
    assert "1 of Dba must approve (2)" in text
    assert "is left out here" not in who(world, steps_team=[], steps_count=[])


def test_the_preview_asks_the_same_number_of_questions_for_many_people_and_roles(world: World) -> None:
    who(world)
    with CaptureQueriesContext(connection) as few:
        who(world)
    people = User.objects.bulk_create(
        User(email=f"{n}@many.example", display_name=f"Person {n:04}") for n in range(2000)
    )
    for team in (world.backend, world.dba):
        team.memberships.bulk_create(team.memberships.model(user=person, team=team) for person in people)
    for number in range(30):
        world.role(f"role-{number}", world.policy)
    with CaptureQueriesContext(connection) as many:
        text = who(world)
    assert len(many) == len(few)
    assert "May ask (2001)" in text
    assert "and 1989 more" in text
    assert len(text) < 40_000


def another_policy(world: World, number: int) -> None:
    policy = catalogue.define_policy(
        person=world.erin,
        slug=f"policy-{number}",
        name=f"Policy {number}",
        requesters=[world.backend, world.dba],
        steps=[(world.security, 1)],
        break_glass_team=world.dba,
    )
    world.role(f"role-{number}", policy)
    HeldBack.objects.create(person=world.bob, role=AccessRole.objects.get(slug=f"role-{number}"))
    AccessRole.objects.filter(pk=world.read.pk).update(revision=number + 1)
    send(world.erin, "settings_role", {**ROLE, "name": f"Name {number}", "revision": str(number + 1)}, "orders-read")


def test_lists_ask_the_same_number_of_questions_for_one_and_for_eight(world: World) -> None:
    pages = [("settings",), ("settings_policies",), ("settings_roles",), ("settings_role", "orders-read")]
    another_policy(world, 0)
    one = questions(world, pages)
    for number in range(1, 8):
        another_policy(world, number)
    assert questions(world, pages) == one


def questions(world: World, pages: list[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    """How many each page asks of the database, for whoever may change what is on it and for whoever may not."""
    asked = {}
    for who in ("erin", "auditor"):
        for page in pages:
            see(getattr(world, who), *page)  # what is read once and kept
            with CaptureQueriesContext(connection) as captured:
                see(getattr(world, who), *page)
            asked[who, *page] = len(captured)
    return asked


def test_two_administrators_who_edit_one_policy_both_see_what_the_other_did(world: World) -> None:
    other = fred(world)
    assert send(other, "settings_policy", {**POLICY, "longest": "2h", "name": "Theirs"}, "one-dba").status_code == 302
    mine = {**POLICY, "steps_team": ["security"], "name": "Mine"}
    response = send(world.erin, "settings_policy", mine, "one-dba")
    text = response.content.decode()
    assert response.status_code == 409
    assert "fred@example.com</strong> saved this" in text
    assert "8 h</del>" in text
    assert "2 h</ins>" in text
    assert "since you had not touched it: <strong>Longest access</strong>" in text
    assert "Changed by both of you, and below as you typed it: <strong>Name</strong>" in text
    assert ('value="Mine"' in text, 'value="2h"' in text) == (True, True)
    assert '<option value="security" selected>' in text
    assert 'name="revision" value="2"' in text
    assert Policy.objects.get(slug="one-dba").name == "Theirs"
    assert send(world.erin, "settings_policy", {**mine, "longest": "2h", "revision": "2"}, "one-dba").status_code == 302
    policy = Policy.objects.get(slug="one-dba")
    assert (policy.name, policy.longest) == ("Mine", 2 * HOUR)


def test_who_was_overtaken_several_times_is_shown_everything_since(world: World) -> None:
    other = fred(world)
    send(other, "settings_policy", {**POLICY, "longest": "2h"}, "one-dba")
    send(other, "settings_policy", {**POLICY, "longest": "3h", "requesters": ["security"], "revision": "2"}, "one-dba")
    text = send(world.erin, "settings_policy", {**POLICY, "name": "Mine"}, "one-dba").content.decode()
    assert text.count("fred@example.com</strong> saved this") == 2
    assert "since you had not touched it: <strong>May ask, Longest access</strong>" in text
    assert ('value="Mine"' in text, 'value="3h"' in text, "Changed by both" in text) == (True, True, False)
    assert "Differs from what is saved" not in text


def test_the_same_for_a_role_and_for_a_server(world: World) -> None:
    other = fred(world)
    for name, form, slug in (("settings_role", ROLE, "orders-read"), ("server_edit", SERVER, "orders")):
        assert send(other, name, {**form, "name": "Theirs"}, slug).status_code == 302
        response = send(world.erin, name, {**form, "name": "Mine"}, slug)
        text = response.content.decode()
        assert response.status_code == 409
        assert "Theirs</ins>" in text
        assert 'value="Mine"' in text
        assert "Changed by both of you, and below as you typed it: <strong>Name</strong>" in text
        assert send(world.erin, name, {**form, "name": "Mine", "revision": "2"}, slug).status_code == 302


def test_what_only_the_other_one_changed_of_a_role_or_a_server_is_taken_over(world: World) -> None:
    other = fred(world)
    theirs: dict[str, Any] = {"databases": "orders\npayments", "tables": "public.orders", "statement_timeout": "1m"}
    assert send(other, "settings_role", {**ROLE, **theirs, "is_enabled": ""}, "orders-read").status_code == 302
    text = send(world.erin, "settings_role", {**ROLE, "name": "Mine"}, "orders-read").content.decode()
    assert "<strong>Databases, Tables, Longest statement, Can be requested</strong>" in text
    assert ("public.orders" in text, 'value="1m"' in text, "orders\npayments" in text) == (True, True, True)
    assert re.search(r'name="is_enabled"[^>]*checked', text) is None
    assert send(other, "server_edit", {**SERVER, "port": "5433", "environment": "staging"}, "orders").status_code == 302
    text = send(world.erin, "server_edit", {**SERVER, "name": "Mine"}, "orders").content.decode()
    assert "<strong>Environment, Port</strong>" in text
    assert ('value="5433"' in text, '<option value="staging" selected>' in text) == (True, True)


def test_an_access_role_is_added_and_changed(world: World) -> None:
    new = {
        **ROLE,
        "slug": "orders-fix",
        "server": "orders",
        "level": "write",
        "tables": 'public.orders\n"odd.one".lines',
    }
    response = send(world.erin, "settings_role_add", new)
    assert response["Location"] == reverse("settings_role", args=["orders-fix"])
    role = AccessRole.objects.get(slug="orders-fix")
    assert role.tables == [["public", "orders"], ["odd.one", "lines"]]
    text = see(world.erin, "settings_role", "orders-fix")
    assert "&quot;odd.one&quot;.lines" in text
    kept = {**ROLE, "level": "write", "tables": 'public.orders\n"odd.one".lines', "is_enabled": ""}
    assert send(world.erin, "settings_role", kept, "orders-fix").status_code == 302
    role.refresh_from_db()
    assert (role.is_enabled, role.tables) == (False, [["public", "orders"], ["odd.one", "lines"]])
    assert Entry.objects.get(event="role.changed").after == {"is_enabled": False, "revision": 2}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"databases": " \n"}, "Name at least one database."),
        ({"tables": "orders"}, "Write schema.table: “orders” has no schema."),
        ({"level": "member"}, "Name the database roles to join."),
        ({"database_roles": "reporting"}, "They go with the level member only."),
        ({"longest": ""}, "Say how long access may last."),
        ({"connections": "0"}, "greater than or equal to 1"),
        ({"databases": "a\x0bb\x85c\x07"}, "unprintable"),
    ],
)
def test_what_is_wrong_with_a_role_is_said_and_nothing_is_lost(
    world: World, change: dict[str, str], words: str
) -> None:
    response = send(world.erin, "settings_role", {**ROLE, "name": "Typed", **change}, "orders-read")
    assert response.status_code == 422
    assert words in response.content.decode()
    assert 'value="Typed"' in response.content.decode()


def test_the_preview_of_a_role_follows_the_policy_that_is_chosen(world: World) -> None:
    world.two_steps()
    client = signed_in(world.erin)
    address = reverse("settings_role", args=["orders-read"])
    text = client.get(address, {**ROLE, "policy": "two-steps", "part": "who"}, HTTP_HX_REQUEST="true").content.decode()
    assert "Step 2: 1 of Security must approve" in text
    text = client.get(address, {**ROLE, "policy": "", "part": "who"}, HTTP_HX_REQUEST="true").content.decode()
    assert "Nobody can request it: it has no policy, or it is switched off." in text
    assert '<span class="unseen">no longer: </span>Alice' in text


def test_the_preview_of_a_server_follows_its_environment_and_whether_it_is_on(world: World) -> None:
    changes = {"self_approved_environments": ["staging"]}
    assert send(world.erin, "settings_policy", {**POLICY, **changes}, "one-dba").status_code == 302
    client = signed_in(world.erin)
    address = reverse("server_edit", args=["orders"])
    assert "May ask (1)" in client.get(address).content.decode()

    def preview(**sent: str) -> str:
        return client.get(address, {**sent, "part": "who"}, HTTP_HX_REQUEST="true").content.decode()

    text = preview(environment="staging", is_enabled="on")
    assert "Get it without an approval (1)" in text
    assert '<span class="unseen">newly: </span>Alice' in text
    assert "Nobody can request it: it has no policy, or it is switched off." in preview(environment="production")
    assert "Differs from what is saved" not in preview(environment="production", is_enabled="on")


def test_a_server_is_changed_without_its_secret_being_shown_or_lost(world: World) -> None:
    assert "TEST_SERVER_PASSWORD" not in see(world.erin, "server_edit", "orders")
    response = send(world.erin, "server_edit", {**SERVER, "host": "elsewhere.test"}, "orders")
    assert response.status_code == 302
    world.server.refresh_from_db()
    assert (world.server.host, world.server.admin_secret) == ("elsewhere.test", "env:TEST_SERVER_PASSWORD")
    text = see(world.auditor, "server", "orders")
    assert "elsewhere.test</ins>" in text
    response = send(world.erin, "server_edit", {**SERVER, "admin_secret": "hunter2", "revision": "2"}, "orders")
    assert response.status_code == 422
    assert "It begins with a scheme, such as env:NAME or file:PATH." in response.content.decode()


def test_a_right_of_ones_own_making_is_confirmed_by_another_administrator(world: World) -> None:
    own = Team.objects.get(capability=Capability.ADMINISTRATOR).slug
    other = fred(world)
    helped = {**POLICY, "requesters": ["backend", own], "self_approved_environments": [Environment.PRODUCTION.value]}
    assert send(world.erin, "settings_policy", helped, "one-dba").status_code == 302
    held = HeldBack.objects.get(person=world.erin)
    for name, args in (("settings", ()), ("settings_policy", ("one-dba",)), ("settings_role", ("orders-read",))):
        assert "Confirm it" not in see(world.erin, name, *args)
        assert "Confirm it" in see(other, name, *args)
        assert "Confirm it" not in see(world.auditor, name, *args)
    refused = signed_in(world.erin).post(reverse("settings_right_confirm", args=[held.pk]), follow=True)
    assert "Another administrator has to confirm this" in refused.content.decode()
    told = signed_in(other).post(reverse("settings_right_confirm", args=[held.pk]), follow=True)
    assert "Confirmed: Erin may use Orders, read" in told.content.decode()
    assert not HeldBack.objects.exists()


def test_names_are_text_and_never_markup(world: World) -> None:
    hostile = "<script>alert(1)</script>"
    Team.objects.filter(slug="dba").update(name=hostile)
    User.objects.filter(pk=world.alice.pk).update(display_name=hostile)
    assert send(world.erin, "settings_policy", {**POLICY, "name": hostile}, "one-dba").status_code == 302
    for name, args in (("settings", ()), ("settings_policy", ("one-dba",)), ("settings_role", ("orders-read",))):
        assert hostile not in see(world.erin, name, *args)
