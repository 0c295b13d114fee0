"""What the rules refuse: said as the server would say it, in every form of the protocol, and never run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from access.gateway_rules import Rules, StatementClass, Unparsed
from tests.gateway.wire.gateways import EVERYTHING, Gateway, packed
from tests.gateway.wire.sockets import SYNC, Wire, bind, errors, execute, field, parse, query, values

READING = replace(
    EVERYTHING, classes=frozenset({StatementClass.READ, StatementClass.SESSION, StatementClass.TRANSACTION})
)
DELETE = "DELETE FROM orders WHERE id = 1"

Start = Callable[..., Gateway]


@pytest.fixture
def reading(start: Start) -> Gateway:
    return start(rules=READING)


def orders(gateway: Gateway) -> int:
    """How many there are, as the database itself has it."""
    with psycopg.connect(gateway.shop.conninfo) as own:
        row = own.execute("SELECT count(*) FROM orders").fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.parametrize("is_prepared", [False, True])
def test_a_refusal_names_the_rule_and_a_way(reading: Gateway, is_prepared: bool) -> None:
    with psycopg.connect(reading.conninfo, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
            connection.execute(DELETE, prepare=is_prepared)
        assert refused.value.diag.sqlstate == "42501"
        assert "class write" in (refused.value.diag.message_primary or "")
        assert "Ask in the console" in (refused.value.diag.message_hint or "")
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert (reading.ran(DELETE).rule, reading.ran("SELECT 1").verdict) == ("class", "done")
    assert orders(reading) == 3


@pytest.mark.parametrize("is_prepared", [False, True])
def test_a_refusal_aborts_the_transaction(reading: Gateway, is_prepared: bool) -> None:
    with psycopg.connect(reading.conninfo) as connection:
        connection.execute("SELECT 1")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(DELETE, prepare=is_prepared)
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 2")
        connection.rollback()
        assert connection.execute("SELECT 3").fetchone() == (3,)
    ran = reading.ran("SELECT 2")
    assert (ran.verdict, ran.code) == ("failed", "25P02")


def test_a_refusal_in_a_pipeline_comes_in_its_place(reading: Gateway) -> None:
    with Wire(reading) as wire:
        batch = [parse("", "SELECT 1"), bind("", ""), execute(), parse("", DELETE), bind("", ""), execute()]
        behind = [parse("", "SELECT 2"), bind("", ""), execute(), SYNC]
        wire.send(*batch, *behind, query("SELECT 3"))
        said = wire.until(b"Z", 2)
        assert [kind for kind, _ in said if kind in b"DEZ"] == [b"D", b"E", b"Z", b"D", b"Z"]
        assert errors(said) == ["42501"]
        assert values(said) == ["1", "3"]
    assert [(one.verdict, one.rule) for one in reading.all_settled()] == [
        *(("done", ""), ("", "class"), ("skipped", ""), ("done", ""))
    ]


def test_many_statements_in_one_query_are_refused_whole(reading: Gateway) -> None:
    with Wire(reading) as wire:
        said = wire.query(f"SELECT 1; {DELETE}")
        assert errors(said) == ["42501"]
        assert values(said) == []
    assert orders(reading) == 3


def test_a_refused_statement_that_was_prepared_before_is_refused_each_time(reading: Gateway) -> None:
    with Wire(reading) as wire:
        for _ in range(2):
            wire.send(parse("one", DELETE), SYNC)
            assert errors(wire.until(b"Z")) == ["42501"]
        wire.send(bind("", "one"), execute(), SYNC)
        assert errors(wire.until(b"Z")) == ["26000"]
    assert orders(reading) == 3


def test_a_call_of_a_function_by_its_number_is_refused(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        wire.send(packed(b"F", b"\x00\x00\x05\x75" + b"\x00\x00" * 3))
        (code,) = errors(wire.until(b"Z"))
        assert code == "0A000"
        assert values(wire.query("SELECT 1")) == ["1"]


# --- Limits


@pytest.mark.parametrize("most", [{"most_rows": 50}, {"most_bytes": 800}])
def test_more_than_a_limit_is_cut_with_an_error(start: Start, most: dict[str, int]) -> None:
    gateway = start(rules=replace(EVERYTHING, **most))  # type: ignore[arg-type]
    with psycopg.connect(gateway.conninfo, autocommit=True) as connection:
        for count in (100, 3_000_000):
            with pytest.raises(psycopg.errors.ProgramLimitExceeded) as cut:
                connection.execute(f"SELECT generate_series(1, {count})".encode())
            assert "Ask for less" in (cut.value.diag.message_hint or "") or "not all" in (
                cut.value.diag.message_hint or ""
            )
            ran = gateway.ran(f"SELECT generate_series(1, {count})")
            assert (ran.verdict, ran.code) == ("limited", "rows" if "most_rows" in most else "bytes")
            assert 0 < ran.rows <= 200
        assert connection.execute("SELECT generate_series(1, 40)").rowcount == 40


def test_exactly_the_limit_is_whole(start: Start) -> None:
    gateway = start(rules=replace(EVERYTHING, most_rows=50))
    with psycopg.connect(gateway.conninfo, autocommit=True) as connection:
        assert connection.execute("SELECT generate_series(1, 50)").rowcount == 50
    assert gateway.ran("SELECT generate_series(1, 50)").verdict == "done"


def test_a_statement_that_runs_too_long_is_stopped(start: Start) -> None:
    gateway = start(rules=replace(EVERYTHING, longest_statement=timedelta(seconds=0.5)))
    with psycopg.connect(gateway.conninfo, autocommit=True) as connection:
        began = time.monotonic()
        # Also by who turns the server's own clock off.
        connection.execute("SET statement_timeout = 0")
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="has run for"):
            connection.execute("SELECT pg_sleep(20)")
        assert time.monotonic() - began < 2
        assert connection.execute("SELECT 1").fetchone() == (1,)
    ran = gateway.ran("SELECT pg_sleep(20)")
    assert (ran.verdict, ran.code) == ("limited", "time")


def test_an_idle_session_is_ended(start: Start) -> None:
    gateway = start(rules=replace(EVERYTHING, longest_idle=timedelta(seconds=1)))
    with Wire(gateway) as wire:
        wire.query("SELECT 1")
        (said,) = wire.rest(3)
        assert (field(said[1], "S"), field(said[1], "C")) == ("FATAL", "57P01")
        assert "Nothing was sent for 1 seconds" in field(said[1], "M")


# --- Only reading


def reads_only(rules: Rules = EVERYTHING) -> Rules:
    return replace(rules, read_only=True, unparsed=Unparsed.PASS)


def test_the_server_is_told_that_it_is_read_only(start: Start) -> None:
    gateway = start(rules=reads_only())
    with psycopg.connect(gateway.conninfo, autocommit=True) as connection:
        assert connection.execute("SHOW transaction_read_only").fetchone() == ("on",)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute(DELETE)


@pytest.mark.parametrize(
    "text",
    [
        "SET default_transaction_read_only = off; SELECT 1",
        "SELECT set_config('default_transaction_read_only', 'off', false)",
        "BEGIN READ WRITE; SELECT 1",
        "BEGIN; SET transaction_read_only TO off",
    ],
)
def test_nobody_turns_that_off(start: Start, text: str) -> None:
    gateway = start(rules=reads_only())
    with Wire(gateway) as wire:
        assert errors(wire.query(text)) == ["42501"]
    assert gateway.ran(text).rule == "read_only"


def test_nobody_connects_with_that_off(start: Start) -> None:
    gateway = start(rules=reads_only())
    with pytest.raises(
        psycopg.OperationalError, match="'default_transaction_read_only' cannot be given when connecting"
    ):
        psycopg.connect(gateway.conninfo, options="-c default_transaction_read_only=off")
    assert orders(gateway) == 3
