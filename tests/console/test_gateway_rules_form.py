"""The rules at the gateway on the page of an access role: they start from the level, and nothing that is typed is lost."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from access.gateway_rules import Durability, Keep, Rules, StatementClass, Unparsed, rules_for, rules_to_json
from access.models import AccessRole, HeldBack
from audit.models import Entry
from connectors.base import Level
from console.forms.lines import SizeField
from people.models import Capability, Team
from tests.access.world import World
from tests.console.people_and_pages import signed_in
from tests.console.test_settings_pages import POLICY, ROLE, fred, see, send

OWN: dict[str, Any] = {
    **ROLE,
    "gateway_rules": "own",
    "gateway_classes": ["read"],
    "gateway_tables": "",
    "gateway_denied_functions": "",
    "gateway_where_required": "on",
    "gateway_read_only": "on",
    "gateway_unparsed": "refuse",
    "gateway_longest_statement": "5m",
    "gateway_longest_idle": "30m",
    "gateway_most_rows": "",
    "gateway_most_bytes": "",
    "gateway_keep": "shape",
    "gateway_durability": "strict",
}
NARROW = {
    "level": "write",
    "gateway_classes": ["read", "write", "call"],
    "gateway_tables": "shop.*\nNote\nshop.*",
    "gateway_denied_functions": "PG_sleep\ndblink*",
    "gateway_where_required": "",
    "gateway_read_only": "",
    "gateway_unparsed": "pass",
    "gateway_longest_statement": "90s",
    "gateway_longest_idle": "",
    "gateway_most_rows": "1000",
    "gateway_most_bytes": "64 MiB",
    "gateway_keep": "text",
    "gateway_durability": "batched",
}


def stored(world: World) -> dict[str, Any]:
    return AccessRole.objects.get(pk=world.read.pk).gateway


def as_shown(text: str, name: str) -> list[str]:
    """The values of the boxes that are ticked."""
    boxes = re.findall(rf'<input[^>]*name="{name}"[^>]*>', text)
    return [found[1] for box in boxes if " checked" in box and (found := re.search(r'value="([^"]*)"', box))]


def test_a_role_that_nobody_has_changed_shows_what_its_level_gives(world: World) -> None:
    text = see(world.erin, "settings_role", "orders-read")
    assert as_shown(text, "gateway_rules") == ["level"]
    assert as_shown(text, "gateway_classes") == ["read"]
    assert as_shown(text, "gateway_keep") == ["shape"]
    assert "The level read gives: statements of the classes read, session, transaction" in text
    assert "the last ten milliseconds of the record" in text
    assert "are at risk if the machine itself dies" in text


def test_every_rule_is_saved_and_shown_again(world: World) -> None:
    assert send(world.erin, "settings_role", {**OWN, **NARROW}, "orders-read").status_code == 302
    expected = Rules(
        classes=frozenset(
            {StatementClass.READ, StatementClass.WRITE, StatementClass.CALL}
            | {StatementClass.SESSION, StatementClass.TRANSACTION}
        ),
        tables=("shop.*", "Note"),
        denied_functions=("pg_sleep", "dblink*"),
        where_required=False,
        unparsed=Unparsed.PASS,
        read_only=False,
        longest_statement=timedelta(seconds=90),
        longest_idle=None,
        most_rows=1000,
        most_bytes=64 * 1024 * 1024,
        keep=Keep.TEXT,
        durability=Durability.BATCHED,
    )
    assert AccessRole.objects.get(pk=world.read.pk).gateway_rules == expected
    text = see(world.erin, "settings_role", "orders-read")
    assert as_shown(text, "gateway_rules") == ["own"]
    assert as_shown(text, "gateway_classes") == ["read", "write", "call"]
    for shown in ('value="1m30s"', 'value="64 MiB"', 'value="1000"', "shop.*\nNote</textarea>"):
        assert shown in text
    again = {**OWN, **NARROW, "revision": "2"}
    assert "Nothing was changed." in (
        signed_in(world.erin).post(reverse("settings_role", args=["orders-read"]), again, follow=True).content.decode()
    )


def test_rules_of_the_level_follow_it_and_own_ones_stay(world: World) -> None:
    assert send(world.erin, "settings_role", {**ROLE, "level": "ddl"}, "orders-read").status_code == 302
    world.read.refresh_from_db()
    assert (world.read.gateway, world.read.gateway_rules) == ({}, rules_for(Level.DDL))
    own = {**OWN, "level": "write", "revision": "2"}
    assert send(world.erin, "settings_role", own, "orders-read").status_code == 302
    world.read.refresh_from_db()
    assert world.read.gateway_rules == rules_for(Level.READ)


def test_back_to_the_level_whatever_stands_in_the_fields(world: World) -> None:
    send(world.erin, "settings_role", {**OWN, "gateway_keep": "text"}, "orders-read")
    assert stored(world)["keep"] == "text"
    wrong = {"gateway_rules": "level", "gateway_most_rows": "-5", "gateway_keep": "nonsense", "revision": "2"}
    assert send(world.erin, "settings_role", {**OWN, **wrong}, "orders-read").status_code == 302
    assert stored(world) == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gateway_rules": ""}, "Choose what the level gives, or rules of its own."),
        ({"gateway_classes": []}, "Tick at least one kind of statement"),
        (
            {"gateway_classes": ["read", "frobnicate"]},
            "“frobnicate” is no kind of statement. There are read, write, ddl, call, admin.",
        ),
        ({"gateway_classes": ["unknown"]}, "“unknown” is no kind of statement."),
        ({"gateway_tables": "shop.item\na.b.c"}, "Write each table as schema.table or table, without quotes"),
        ({"gateway_tables": "a.b.c"}, "This is none: a.b.c"),
        ({"gateway_tables": 'shop."item"'}, "without quotes"),
        ({"gateway_tables": "shop."}, "This is none: shop."),
        ({"gateway_tables": "shop.[ab]"}, "This is none: shop.[ab]"),
        ({"gateway_tables": "\n".join(f"t{n}" for n in range(201))}, "At most 200 of them."),
        ({"gateway_denied_functions": "pg_catalog.pg_sleep"}, "Write each function by its name alone"),
        ({"gateway_denied_functions": "pg_sleep()"}, "without schema and parentheses"),
        ({"gateway_most_rows": "-1"}, "Write 1 row or more, or leave it empty for no limit."),
        ({"gateway_most_rows": "0"}, "Write 1 row or more"),
        ({"gateway_most_rows": "many"}, "Write a whole number of rows"),
        ({"gateway_most_bytes": "-64 MiB"}, "Write a size such as 500 KiB, 64 MiB or 2 GiB."),
        ({"gateway_most_bytes": "0"}, "The largest result has to be 1 byte or more."),
        ({"gateway_most_bytes": "999999999 TiB"}, "The largest result has to be 1 byte or more"),
        ({"gateway_longest_statement": "-5m"}, "Write a duration such as 30s, 5m or 1h 30m."),
        ({"gateway_longest_statement": "0"}, "The longest statement has to lie between one second and 24 days."),
        ({"gateway_longest_idle": "25d"}, "The longest silence has to lie between one second and 24 days."),
        ({"gateway_read_only": ""}, "A role of the level read is read-only on the server as well."),
        ({"gateway_unparsed": "maybe"}, "“maybe” is no choice here. Choose one of the two."),
        ({"gateway_keep": ""}, "Choose one of the three."),
        ({"gateway_durability": "fast"}, "“fast” is no choice here."),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do_and_nothing_is_lost(
    world: World, change: dict[str, Any], words: str
) -> None:
    typed = {**OWN, "name": "Typed", "gateway_longest_idle": "7m", **change}
    response = send(world.erin, "settings_role", typed, "orders-read")
    text = response.content.decode()
    assert response.status_code == 422
    assert words in text
    assert text.count("field-error") == 1
    assert ('value="Typed"' in text, f'value="{typed["gateway_longest_idle"]}"' in text) == (True, True)
    assert stored(world) == {}


def test_what_an_approver_will_read_is_what_an_auditor_sees(world: World) -> None:
    send(world.erin, "settings_role", {**OWN, **NARROW}, "orders-read")
    text = see(world.auditor, "settings_role", "orders-read")
    assert "on the tables shop.*, Note, without the functions pg_sleep, dblink*" in text
    assert "up to 1 minute 30 seconds and 1000 rows and 67108864 bytes each" in text
    assert "the last ten milliseconds of the record are at risk if the machine itself dies" in text
    assert "gateway_keep" not in text


def test_the_history_tells_each_rule_before_and_after(world: World) -> None:
    change = {"gateway_keep": "text", "gateway_most_rows": "10", "gateway_tables": "shop.*"}
    send(world.erin, "settings_role", {**OWN, **change}, "orders-read")
    entry = Entry.objects.get(event="role.changed")
    names = {"gateway_rules", "gateway_keep", "gateway_most_rows", "gateway_tables"}
    assert (set(entry.before or {}), set(entry.after or {})) == (names, {*names, "revision"})
    text = see(world.auditor, "settings_role", "orders-read").replace('<span class="unseen">before: </span>', "")
    for shown in ("At the gateway: most rows", "no limit</del>", "whatever the account may</del>", "shape</del>"):
        assert shown in text


def test_a_new_role_has_rules_from_the_start(world: World) -> None:
    new = {**OWN, **NARROW, "slug": "orders-fix", "server": "orders"}
    assert send(world.erin, "settings_role_add", new).status_code == 302
    role = AccessRole.objects.get(slug="orders-fix")
    assert role.gateway_rules.tables == ("shop.*", "Note")
    assert (Entry.objects.get(event="role.added", subject_id="orders-fix").after or {})["gateway_keep"] == "text"
    plain = {**new, "gateway_rules": "level", "slug": "orders-plain"}
    assert send(world.erin, "settings_role_add", plain).status_code == 302
    assert AccessRole.objects.get(slug="orders-plain").gateway == {}
    added = Entry.objects.get(event="role.added", subject_id="orders-plain").after or {}
    assert [name for name in added if name.startswith("gateway_")] == ["gateway_rules"]


def fragment(world: World, *where: str, **sent: Any) -> str:
    response = signed_in(world.erin).get(
        reverse(where[0], args=where[1:]), {**sent, "part": "gateway"}, HTTP_HX_REQUEST="true"
    )
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("where", [("settings_role", "orders-read"), ("settings_role_add",)])
def test_another_level_brings_its_rules_as_long_as_the_role_has_none_of_its_own(
    world: World, where: tuple[str, ...]
) -> None:
    text = fragment(world, *where, **{**OWN, "gateway_rules": "level", "level": "write"})
    assert as_shown(text, "gateway_classes") == ["read", "write"]
    assert as_shown(text, "gateway_read_only") == []
    assert "The level write gives: statements of the classes read, session, transaction, write" in text
    text = fragment(world, *where, **{**OWN, "level": "ddl", "gateway_most_rows": "-7"})
    assert as_shown(text, "gateway_classes") == ["read"]
    assert ('value="-7"' in text, "field-error" in text, "<form" in text) == (True, False, False)
    assert "The level read gives" in fragment(world, *where, level="nonsense")


def test_two_administrators_who_change_different_rules_lose_neither(world: World) -> None:
    other = fred(world)
    theirs = {**OWN, "gateway_keep": "text", "gateway_most_rows": "10", "gateway_longest_statement": "30s"}
    assert send(other, "settings_role", theirs, "orders-read").status_code == 302
    mine = {**OWN, "gateway_denied_functions": "pg_sleep", "gateway_most_rows": "20"}
    response = send(world.erin, "settings_role", mine, "orders-read")
    text = response.content.decode()
    assert response.status_code == 409
    taken = "<strong>At the gateway: longest statement, At the gateway: kept of a statement</strong>"
    assert f"since you had not touched it: {taken}" in text
    assert "below as you typed it: <strong>At the gateway: most rows</strong>" in text
    assert as_shown(text, "gateway_keep") == ["text"]
    assert ('value="30s"' in text, 'value="20"' in text, "pg_sleep</textarea>" in text) == (True, True, True)


def test_what_the_level_gave_is_not_put_in_place_of_what_somebody_else_has_made_of_it(world: World) -> None:
    other = fred(world)
    assert send(other, "settings_role", {**OWN, "gateway_tables": "shop.*"}, "orders-read").status_code == 302
    # What was hidden below 'what the level gives' has never counted.
    mine = {**OWN, "gateway_rules": "level", "name": "Mine", "gateway_most_rows": "555", "gateway_keep": "text"}
    text = send(world.erin, "settings_role", mine, "orders-read").content.decode()
    assert "<strong>At the gateway: rules, At the gateway: tables</strong>" in text
    assert (as_shown(text, "gateway_rules"), as_shown(text, "gateway_keep")) == (["own"], ["shape"])
    assert ('value="Mine"' in text, 'value="555"' in text, "shop.*</textarea>" in text) == (True, False, True)


def test_the_content_of_an_open_request_stays_as_it_was_frozen(world: World) -> None:
    request = world.ask()
    before = (request.content, request.content_hash)
    assert request.content["gateway"] == rules_to_json(rules_for(Level.READ))
    send(world.erin, "settings_role", {**OWN, "gateway_keep": "text"}, "orders-read")
    request.refresh_from_db()
    assert (request.content, request.content_hash) == before
    world.read.refresh_from_db()
    assert replace(rules_for(Level.READ), keep=Keep.TEXT) == world.read.gateway_rules


def test_the_preview_says_that_more_at_the_gateway_waits_for_somebody_else(world: World) -> None:
    own = Team.objects.get(capability=Capability.ADMINISTRATOR).slug
    alone = {**POLICY, "requesters": ["backend", own], "self_approved_environments": ["production"]}
    send(world.erin, "settings_policy", alone, "one-dba")
    HeldBack.objects.all().delete()  # As if another administrator had confirmed.

    def preview(**changes: Any) -> str:
        sent = {**OWN, **changes, "part": "who"}
        client = signed_in(world.erin)
        address = reverse("settings_role", args=["orders-read"])
        return client.get(address, sent, HTTP_HX_REQUEST="true").content.decode()

    assert "You would need nobody" not in preview()
    assert "You would need nobody" not in preview(gateway_keep="text", gateway_most_rows="10")
    assert "You would need nobody" in preview(gateway_keep="fingerprint")
    assert send(world.erin, "settings_role", {**OWN, "gateway_keep": "text"}, "orders-read").status_code == 302
    assert not HeldBack.objects.exists()
    looser = {**OWN, "gateway_keep": "shape", "revision": "2"}
    assert send(world.erin, "settings_role", looser, "orders-read").status_code == 302
    assert HeldBack.objects.filter(person=world.erin, role=world.read).exists()


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1 bytes"),
        (1000, "1000 bytes"),
        (1024, "1 KiB"),
        (64 << 20, "64 MiB"),
        (3 << 40, "3 TiB"),
        (1 << 50, "1024 TiB"),
    ],
)
def test_sizes_read_as_they_were_typed(number: int, text: str) -> None:
    field = SizeField()
    assert field.prepare_value(number) == text
    assert field.clean(text) == number


@pytest.mark.parametrize(("text", "number"), [("2g", 2 << 30), ("10MB", 10 << 20), (" 7 ", 7), ("5 B", 5)])
def test_sizes_are_typed_in_several_ways(text: str, number: int) -> None:
    assert SizeField().clean(text) == number
