"""Rules at the gateway: what allows more than what, what is possible at all, and how the audit trail tells them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from access.errors import BadRequest
from access.gateway_rules import (
    ALWAYS,
    CHOSEN,
    Durability,
    Keep,
    Rules,
    StatementClass,
    Unparsed,
    as_recorded,
    in_words,
    loosens,
    rules_for,
    rules_to_json,
)
from access.services import catalogue, requests
from access.services.catalogue.gateway import (
    ByteLimitNotPossible,
    FunctionPatternNotPossible,
    IdleLimitNotPossible,
    NoStatementClass,
    ReadsAreReadOnly,
    RowLimitNotPossible,
    StatementLimitNotPossible,
    TablePatternNotPossible,
    check_gateway,
)
from audit.redaction import is_declared
from connectors.base import Level
from tests.access.test_catalogue import change_role
from tests.access.world import NOW, World

TIGHT = Rules(
    classes=ALWAYS | {StatementClass.READ},
    tables=("shop.*",),
    denied_functions=("pg_sleep",),
    read_only=True,
    longest_statement=timedelta(seconds=5),
    longest_idle=timedelta(minutes=1),
    most_rows=10,
    most_bytes=1000,
    keep=Keep.TEXT,
)
LOOSER: list[dict[str, Any]] = [
    {"classes": TIGHT.classes | {StatementClass.WRITE}},
    {"tables": None},
    {"tables": ("shop.*", "note")},
    {"denied_functions": ()},
    {"denied_functions": ("dblink",)},
    {"where_required": False},
    {"unparsed": Unparsed.PASS},
    {"read_only": False},
    {"longest_statement": None},
    {"longest_statement": timedelta(seconds=6)},
    {"longest_idle": None},
    {"most_rows": 11},
    {"most_rows": None},
    {"most_bytes": None},
    {"keep": Keep.SHAPE},
    {"keep": Keep.FINGERPRINT},
    {"durability": Durability.BATCHED},
]


@pytest.mark.parametrize("change", LOOSER)
def test_what_allows_more_or_records_less_is_looser_and_the_way_back_is_not(change: dict[str, Any]) -> None:
    looser = replace(TIGHT, **change)
    assert loosens(TIGHT, looser)
    # Other functions that must not be called are looser both ways.
    assert loosens(looser, TIGHT) == (change.get("denied_functions") == ("dblink",))


def test_the_same_rules_are_not_looser_and_every_rule_is_tried_above() -> None:
    assert not loosens(TIGHT, TIGHT)
    assert {name for change in LOOSER for name in change} == set(Rules.__dataclass_fields__)


@pytest.mark.parametrize("level", list(Level))
def test_what_a_level_gives_is_possible(level: Level) -> None:
    check_gateway(level, rules_for(level))
    check_gateway(level, None)
    assert rules_for(level).classes >= ALWAYS
    assert StatementClass.UNKNOWN not in CHOSEN


@pytest.mark.parametrize("pattern", ["item", "shop.item", "*", "shop.*", "*.item", "shop.item_*", "Größe", "a-b.c$1"])
def test_a_pattern_of_tables_that_is_possible(pattern: str) -> None:
    check_gateway(Level.READ, replace(TIGHT, tables=(pattern,)))


@pytest.mark.parametrize(
    "pattern",
    ["", ".", "shop.", ".item", "a.b.c", '"shop".item', "shop item", "shop.[ab]", "item?", "a;b", "x" * 201, "a\u200b"],
)
def test_a_pattern_of_tables_that_is_not(pattern: str) -> None:
    with pytest.raises(TablePatternNotPossible):
        check_gateway(Level.READ, replace(TIGHT, tables=(pattern,)))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"classes": ALWAYS}, NoStatementClass),
        ({"classes": frozenset()}, NoStatementClass),
        ({"classes": ALWAYS | {StatementClass.READ, StatementClass.UNKNOWN}}, NoStatementClass),
        ({"read_only": False}, ReadsAreReadOnly),
        ({"denied_functions": ("pg_catalog.pg_sleep",)}, FunctionPatternNotPossible),
        ({"denied_functions": ("f",) * 201}, FunctionPatternNotPossible),
        ({"longest_statement": timedelta()}, StatementLimitNotPossible),
        ({"longest_statement": timedelta(days=25)}, StatementLimitNotPossible),
        ({"longest_idle": timedelta(milliseconds=1)}, IdleLimitNotPossible),
        ({"most_rows": 0}, RowLimitNotPossible),
        ({"most_rows": -1}, RowLimitNotPossible),
        ({"most_bytes": 10**16}, ByteLimitNotPossible),
    ],
)
def test_what_is_not_possible_is_refused_and_changes_nothing(
    world: World, change: dict[str, Any], error: type[BadRequest]
) -> None:
    with pytest.raises(error):
        change_role(world, world.read, gateway=replace(TIGHT, **change))
    with pytest.raises(error):
        catalogue.define_role(
            person=world.erin,
            slug="another",
            name="Another",
            server=world.server,
            policy=None,
            level=Level.READ,
            databases=["orders"],
            gateway=replace(TIGHT, **change),
        )
    world.read.refresh_from_db()
    assert (world.read.gateway, world.read.revision) == ({}, 1)


def test_what_is_saved_is_what_the_next_request_carries(world: World) -> None:
    before = world.ask(person=world.alice)
    assert change_role(world, world.read, gateway=TIGHT).gateway_rules == TIGHT
    assert before.frozen.gateway == rules_for(Level.READ)
    before.refresh_from_db()
    assert before.content["gateway"] == rules_to_json(rules_for(Level.READ))
    other = world.role("orders-write", world.policy)
    assert world.ask(role=other).frozen.gateway == rules_for(Level.WRITE)
    changed = change_role(world, other, gateway=replace(TIGHT, read_only=False))
    requests.cancel(person=world.alice, request=world.alice.requests.get(role=other), now=NOW)
    assert world.ask(role=changed).frozen.gateway == replace(TIGHT, read_only=False)


def test_every_rule_is_told_under_a_declared_name_of_its_own() -> None:
    recorded = as_recorded(TIGHT, are_own=True)
    assert recorded["gateway_rules"] == "its own"
    assert as_recorded(TIGHT, are_own=False)["gateway_rules"] == "those of the level"
    assert len(recorded) == len(rules_to_json(TIGHT)) + 1
    assert [name for name in recorded if not is_declared(name)] == []


def test_limits_of_time_are_in_the_words_that_an_approver_reads() -> None:
    words = in_words(replace(TIGHT, longest_statement=timedelta(seconds=90)))
    assert "up to 1 minute 30 seconds and 10 rows and 1000 bytes each" in words
    assert "a session ends after 1 minute without a statement" in words
    assert "up to" not in in_words(Rules(classes=ALWAYS, longest_statement=None, longest_idle=None))
