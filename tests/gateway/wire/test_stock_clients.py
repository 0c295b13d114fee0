"""What tools, drivers and pools send by themselves, under the rules that a role has when nobody has changed them.

The texts are ours, written after what the clients' public sources send.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest
from psycopg.types import TypeInfo
from psycopg.types.enum import EnumInfo

from access.gateway_rules import Durability, Rules, rules_for
from connectors.base import Level
from tests.clients.openings import OPENINGS
from tests.gateway.wire.gateways import TOKEN, Gateway
from tests.gateway.wire.sockets import Wire, errors, query, values

Start = Callable[..., Gateway]


def rules(level: Level, tables: tuple[str, ...] | None = None) -> Rules:
    return replace(rules_for(level), durability=Durability.BATCHED, tables=tables)


@pytest.mark.parametrize("level", [Level.READ, Level.WRITE, Level.DDL])
def test_what_tools_say_first_passes_on_every_level(start: Start, level: Level) -> None:
    gateway = start(rules=rules(level))
    said = {}
    for client, texts in OPENINGS.items():
        with Wire(gateway) as wire:
            said[client] = [error for text in texts for error in errors(wire.query(text))]
    assert {client: found for client, found in said.items() if found} == {}


def test_what_tools_look_up_passes_where_tables_are_named(start: Start) -> None:
    gateway = start(rules=rules(Level.READ, ("public.orders",)))
    for client in ("pgAdmin", "DBeaver", "Rails", "Django", "asyncpg", "Hasura", "PostgREST", "Prisma", "Superset"):
        with Wire(gateway) as wire:
            assert [error for text in OPENINGS[client] for error in errors(wire.query(text))] == [], client


def test_psycopg_looks_up_types(start: Start) -> None:
    gateway = start(rules=rules(Level.READ, ("public.orders",)))
    with psycopg.connect(gateway.shop.conninfo, autocommit=True) as own:
        own.execute("DROP TYPE IF EXISTS colour")
        own.execute("CREATE TYPE colour AS ENUM ('red', 'green')")
    with psycopg.connect(gateway.conninfo) as connection:
        assert TypeInfo.fetch(connection, "hstore") is None
        info = EnumInfo.fetch(connection, "colour")
        assert info is not None
        assert list(info.labels) == ["red", "green"]
    with psycopg.connect(gateway.shop.conninfo, autocommit=True) as own:
        own.execute("DROP TYPE colour")


@pytest.mark.parametrize("options", [["--schema-only"], ["--table=orders"], ["--data-only", "--inserts"]], ids=" ".join)
def test_a_reader_dumps(start: Start, options: list[str]) -> None:
    gateway = start(rules=rules(Level.READ))
    own = subprocess.run(["pg_dump", "--version"], capture_output=True, text=True, check=True).stdout
    with psycopg.connect(gateway.shop.conninfo) as connection:
        if int(own.split()[2].split(".")[0]) < connection.info.server_version // 10_000:
            pytest.skip("pg_dump refuses a server that is newer than itself; `make clients` has a newer one")
    done = subprocess.run(
        ["pg_dump", *options, "-h", gateway.host, "-p", str(gateway.port), "-U", "alice", "orders-read"],
        env={**os.environ, "PGPASSWORD": TOKEN},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "orders" in done.stdout
    assert {one.verdict for one in gateway.all_settled()} == {"done"}


def test_a_reader_asks_for_read_write_and_goes_on(start: Start) -> None:
    gateway = start(rules=rules(Level.READ))
    with psycopg.connect(gateway.conninfo) as connection:
        connection.read_only = False
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (3,)
        connection.rollback()
        connection.read_only = True
        assert connection.execute("SHOW transaction_read_only").fetchone() == ("on",)


def test_a_migration_tool_puts_back_the_role_that_it_found(start: Start) -> None:
    gateway = start(rules=rules(Level.DDL))
    with Wire(gateway) as wire:
        (account,) = values(wire.query("SELECT current_user"))
        assert errors(wire.query(f"SET ROLE '{account}'")) == []
        assert errors(wire.query(f"SELECT set_config('role', '{account}', false)")) == []
        for text in ("SET ROLE 'postgres'", "SELECT set_config('role', 'postgres', false)", 'SET "role" = postgres'):
            assert errors(wire.query(text)) == ["42501"]
        assert errors(wire.query("CREATE TEMP TABLE mine (id int)")) == []


@pytest.mark.parametrize(
    "text",
    [
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT nextval('some_seq')",
        "COPY (SELECT lo_unlink(1)) TO STDOUT",
    ],
)
def test_a_reader_writes_by_no_function_of_the_server(start: Start, text: str) -> None:
    gateway = start(rules=rules(Level.READ))
    with Wire(gateway) as wire:
        wire.send(query(text))
        assert errors(wire.until(b"Z")) == ["42501"]
    assert gateway.ran(text).rule == "class"
