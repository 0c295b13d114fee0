"""What an access role names is compared with its server: letters, blanks, quotes and mistakes of every part of a scope."""

from __future__ import annotations

import pytest

from access.scope_names import Names, missing_in, nearest
from access.services import scopes
from access.services.catalogue import NotAnAdministrator
from connectors.base import ServerDescription
from connectors.fake.server import FakeServer
from tests.access.test_recognition import server
from tests.access.world import World

__all__ = ["server"]

THERE = ServerDescription(
    databases=("billing", "Orders", "closed"),
    schemas=(("billing", "public"), ("billing", "Sales"), ("Orders", "public")),
    tables=(("billing", "public", "invoice"), ("billing", "Sales", "item "), ("Orders", "public", "order")),
    roles=("reporting",),
    unlisted_roles=("pg_read_all_data",),
    unseen=("closed",),
)
WITHOUT_SCHEMAS = ServerDescription(("shop",), (), (("shop", "", "item"),), ())


def told(names: Names, there: ServerDescription = THERE) -> list[tuple[str, str, str]]:
    return [(each.field, each.name, each.meant) for each in missing_in(names, there)]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("biling", "billing"),
        ("Billing", "billing"),
        ("BILLING ", "billing"),
        ('"billing"', "billing"),
        ("`billing`", "billing"),
        ("[billing]", "billing"),
        ("orders", "Orders"),
        ("ｂilling", "billing"),
        ("quite-another", ""),
    ],
)
def test_a_database_that_is_not_there_is_told_with_the_one_that_was_meant(typed: str, meant: str) -> None:
    assert told(Names([typed])) == [("databases", typed, meant)]


def test_what_is_there_as_it_is_written_there_is_right() -> None:
    names = Names(
        ["billing"], ["Sales"], [("public", "invoice"), ("Sales", "item ")], ["reporting", "pg_read_all_data"]
    )
    assert told(names) == []


def test_every_part_of_a_scope_is_compared() -> None:
    names = Names(["billing"], ["sales"], [("public", "Invoice"), ("publc", "invoice")], ["reportin"])
    assert told(names) == [
        ("schemas", "sales", "Sales"),
        ("tables", "public.Invoice", "public.invoice"),
        ("tables", "publc.invoice", "public.invoice"),
        ("database_roles", "reportin", "reporting"),
    ]


def test_with_several_databases_it_is_said_where_something_is_not() -> None:
    found = missing_in(Names(["billing", "Orders"], ["Sales"]), THERE)
    assert [each.sentence for each in found] == ["“Sales” is not in Orders."]


def test_of_a_database_that_nobody_may_enter_nothing_is_said() -> None:
    assert told(Names(["closed"], ["whatever"], [("a", "b")], ["c"])) == []


def test_without_schemas_the_first_part_of_a_table_is_its_database() -> None:
    assert told(Names(["shop"], (), [("shop", "item")]), WITHOUT_SCHEMAS) == []
    assert told(Names(["shop"], (), [("shop", "itme")]), WITHOUT_SCHEMAS) == [("tables", "shop.itme", "shop.item")]


def test_what_resembles_nothing_is_not_guessed() -> None:
    assert nearest("customers", ["orders", "billing"]) == ""


# --- On a server


def test_a_server_that_is_away_forbids_nothing_and_says_so(world: World, server: FakeServer) -> None:
    server.is_down = True
    compared = scopes.compare(person=world.erin, server=world.server, names=Names(["biling"]))
    assert compared.missing == ()
    assert "does not answer" in compared.unchecked


def test_of_a_role_that_is_changed_only_what_is_new_has_to_be_there(world: World, server: FakeServer) -> None:
    server.databases.clear()
    kept = scopes.compare(person=world.erin, server=world.server, names=Names(["orders"]), saved=world.read)
    assert kept == scopes.Compared()
    more = scopes.compare(person=world.erin, server=world.server, names=Names(["orders", "biling"]), saved=world.read)
    assert [each.name for each in more.missing] == ["orders", "biling"]


def test_names_are_found_on_the_server_and_never_all_of_thousands(world: World, server: FakeServer) -> None:
    for number in range(2000):
        server.make_table("orders", "public", f"part_{number}")
    offered = scopes.offer(person=world.erin, server=world.server, kind="tables", databases=["orders"], like="PART_19")
    assert len(offered) == scopes.MOST_OFFERED
    assert offered[0] == ("public", "part_19")
    assert scopes.offer(person=world.erin, server=world.server, kind="databases", databases=[], like="ord") == [
        "orders"
    ]
    assert scopes.offer(person=world.erin, server=world.server, kind="nonsense", databases=[], like="") == []


def test_only_administrators_look(world: World, server: FakeServer) -> None:
    with pytest.raises(NotAnAdministrator):
        scopes.compare(person=world.auditor, server=world.server, names=Names(["orders"]))
