"""The rules that an administrator gives to a role, on the wire: what each refuses or lets through, and what it leaves in
the record.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from access.gateway_rules import Durability, Keep, Unparsed, rules_for, rules_from_json, rules_to_json
from access.statement_sealing import opened_text
from connectors.base import Level
from gateway import examining
from gateway.examining import Examiner
from gateway.statements import Understood, understand
from tests.gateway.recording import journals
from tests.gateway.wire.gateways import Gateway
from tests.gateway.wire.sockets import SYNC, Wire, errors, execute, field, parse, query, values

Start = Callable[..., Gateway]

WRITE = replace(rules_for(Level.WRITE), durability=Durability.BATCHED)


@pytest.mark.parametrize(
    ("change", "text", "rule", "word"),
    [
        ({"tables": ("shop.*",)}, "SELECT * FROM public.orders", "table", "the table public.orders"),
        ({"tables": ("orders",)}, "DELETE FROM parcels WHERE id = 1", "table", "the table parcels"),
        ({"denied_functions": ("pg_*",)}, "SELECT pg_backend_pid()", "function", "the function pg_backend_pid"),
        ({}, "UPDATE orders SET item = 'x'", "where", "a WHERE that chooses by a column"),
        ({}, "TRUNCATE orders", "where", "changes every row"),
        (
            {},
            "CREATE TABLE mine (id int)",
            "class",
            "of the class ddl; the role allows read, session, transaction, write",
        ),
        ({"read_only": True}, "BEGIN READ WRITE; SELECT 1", "read_only", "read-only"),
    ],
)
@pytest.mark.parametrize("is_extended", [False, True])
def test_a_rule_of_its_own_refuses_in_words_and_is_recorded(
    start: Start, change: dict[str, Any], text: str, rule: str, word: str, is_extended: bool
) -> None:
    # As they come out of what was approved.
    gateway = start(rules=rules_from_json(rules_to_json(replace(WRITE, **change))))
    with Wire(gateway) as wire:
        wire.send(*((parse("", text), SYNC) if is_extended else (query(text),)))
        said = wire.until(b"Z")
        assert errors(said) == ["42501"]
        (error,) = (content for kind, content in said if kind == b"E")
        assert word in field(error, "M")
        assert "Ask in the console" in field(error, "H")
        assert values(wire.query("SELECT count(*) FROM orders" if "tables" not in change else "SELECT 3")) == ["3"]
    assert gateway.ran(text).rule == rule


@pytest.mark.parametrize("is_extended", [False, True])
def test_what_the_grammar_does_not_take_is_refused_in_the_servers_words(start: Start, is_extended: bool) -> None:
    gateway = start(rules=WRITE)
    text = "SELECT item FORM orders"
    with Wire(gateway) as wire, psycopg.connect(gateway.shop.conninfo) as direct:
        with pytest.raises(psycopg.errors.SyntaxError) as said_by_server:
            direct.execute(text)
        wire.send(*((parse("", text), SYNC) if is_extended else (query(text),)))
        (error,) = (content for kind, content in wire.until(b"Z") if kind == b"E")
        assert field(error, "C") == "42601"
        assert field(error, "M") == said_by_server.value.diag.message_primary
        assert field(error, "P") == said_by_server.value.diag.statement_position
    assert gateway.ran(text).rule == "syntax"


@pytest.mark.parametrize(
    "text", ["SELECT 1 'zq'", "SELECT 1, 'zq", "SELECT 'it's zq'", "SELECT U&'\\zq'", "SELECT 1zq"]
)
def test_the_record_of_what_is_no_sql_has_nothing_of_its_literals(start: Start, text: str) -> None:
    gateway = start(rules=WRITE)
    with Wire(gateway) as wire:
        assert errors(wire.query(text)) == ["42601"]
    assert gateway.ran(text).rule == "syntax"
    assert "zq" not in str(gateway.entries())


@pytest.mark.parametrize("is_extended", [False, True])
def test_a_reader_who_asks_to_write_reads_on(start: Start, is_extended: bool) -> None:
    gateway = start(rules=replace(rules_for(Level.READ), durability=Durability.BATCHED))
    with Wire(gateway) as wire:
        for text in (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "SET default_transaction_read_only TO 'off'",  # psycopg2's set_session(readonly=False) with autocommit
            "BEGIN READ WRITE",
        ):
            steps = (
                (parse("", text), b"B\0\0\0\x0c\0\0\0\0\0\0\0\0", execute(), SYNC) if is_extended else (query(text),)
            )
            wire.send(*steps)
            assert errors(wire.until(b"Z")) == []
        assert values(wire.query("SHOW transaction_read_only")) == ["on"]
        wire.query("COMMIT")
        assert values(wire.query("SHOW default_transaction_read_only")) == ["on"]
    assert gateway.ran("BEGIN READ ONLY").verdict == "done"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"tables": ("public.*",)}, "SELECT item FROM public.orders WHERE id = 1"),
        ({"tables": ("ord*",)}, "SELECT item FROM orders WHERE id = 1"),
        ({"denied_functions": ("pg_*",)}, "SELECT lower('TEA')"),
        ({"where_required": False}, "UPDATE orders SET item = item"),
    ],
)
def test_what_the_rule_allows_runs(start: Start, change: dict[str, Any], text: str) -> None:
    gateway = start(rules=replace(WRITE, **change))
    with Wire(gateway) as wire:
        assert errors(wire.query(text)) == []
    assert gateway.ran(text).verdict == "done"


def test_what_is_not_understood_and_passed_is_marked(start: Start) -> None:
    gateway = start(rules=replace(WRITE, unparsed=Unparsed.PASS))
    with Wire(gateway) as wire:
        assert errors(wire.query("SELECT item FORM orders")) == ["42601"]  # the server's own
        assert values(wire.query("SELECT 1")) == ["1"]
    marks = [(entry["parsed"], entry["classes"]) for entry in gateway.entries() if entry["kind"] == "intent"]
    assert marks == [(False, ["unknown"]), (True, ["read"])]


@pytest.mark.parametrize("keep", list(Keep))
def test_of_a_statement_and_its_parameters_is_kept_what_the_rule_says(start: Start, keep: Keep) -> None:
    gateway = start(rules=replace(WRITE, keep=keep))
    with psycopg.connect(gateway.conninfo, autocommit=True) as connection:
        connection.execute("SELECT item FROM orders WHERE item = %s", ("a secret",), prepare=True)
        connection.execute("SELECT 'another secret'")
    gateway.all_settled()
    first, second = (entry for entry in gateway.entries() if entry["kind"] == "intent")
    assert "secret" not in str(gateway.entries())
    assert ("shape" in first, "sealed" in first) == (keep is Keep.SHAPE, keep is Keep.TEXT)
    if keep is Keep.SHAPE:
        assert (first["shape"], second["shape"]) == ("SELECT item FROM orders WHERE item = ?", "SELECT ?")
    if keep is Keep.TEXT:
        (folder,) = journals(gateway.folder)
        key = bytes.fromhex((folder / "key").read_text())
        text, parameters = opened_text(key, stream=gateway.journal.stream.bytes, sealed=first["sealed"])
        assert text == "SELECT item FROM orders WHERE item = $1"
        assert struct.pack("!I", 8) + b"a secret" in parameters
        assert opened_text(key, stream=gateway.journal.stream.bytes, sealed=second["sealed"])[0].endswith("secret'")


def test_what_a_prepared_statement_does_is_asked_again_each_time_that_it_is_sent(start: Start) -> None:
    gateway = start(rules=replace(WRITE, most_rows=2))
    with Wire(gateway) as wire:
        for _ in range(2):
            wire.send(parse("", "SELECT generate_series(1, 3)"), b"B\0\0\0\x0c\0\0\0\0\0\0\0\0", execute(), SYNC)
            assert errors(wire.until(b"Z")) == ["54000"]
    assert {(one.verdict, one.code) for one in gateway.all_settled()} == {("limited", "rows")}


def test_a_text_is_parsed_once_for_all_that_differ_in_literals(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def counting(text: str, dialect: str, *, bare: str = "") -> Understood:
        parsed.append(text)
        return understand(text, dialect, bare=bare)

    monkeypatch.setattr(examining, "understand", counting)
    examine = Examiner(WRITE, "postgres")
    told = {examine(f"SELECT item FROM orders WHERE id = {number}").fingerprint for number in range(50)}
    assert (len(told), len(parsed)) == (1, 1)
    examine("SELECT item FROM orders WHERE item = 'tea'")
    assert len(parsed) == 2


def test_a_text_whose_literals_matter_is_parsed_each_time() -> None:
    examine = Examiner(rules_for(Level.READ), "postgres")
    assert [
        examine(f"SELECT set_config('{name}', 'off', false)").rule for name in ("jit", "transaction_read_only", "jit")
    ] == [
        "",
        "read_only",
        "",
    ]
