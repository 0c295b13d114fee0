"""Limits hold for each statement, however its rows are fetched and whatever is sent with it; and what a session keeps."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from gateway.wire.postgresql import answers
from gateway.wire.postgresql.relay import Relay
from tests.gateway.wire.gateways import EVERYTHING, Gateway, packed
from tests.gateway.wire.sockets import SYNC, Wire, bind, close, errors, execute, parse, query, values

Start = Callable[..., Gateway]

FLUSH = packed(b"H")
SERIES = "SELECT generate_series(1, 23)"


def portal_of(wire: Wire, name: str, sql: str = SERIES) -> None:
    wire.send(query("BEGIN"), parse("s", sql), bind(name, "s"), SYNC)
    wire.until(b"Z", 2)


# --- Rows, by whatever fetches


@pytest.mark.parametrize("at_a_time", [1, 2, 5, 6])
@pytest.mark.parametrize("sent_at_once", [False, True])
def test_a_portal_gives_as_many_rows_as_one_statement_may(start: Start, at_a_time: int, sent_at_once: bool) -> None:
    gateway = start(rules=replace(EVERYTHING, most_rows=5))
    with Wire(gateway) as wire:
        portal_of(wire, "c")
        found: list[str] = []
        codes: list[str] = []
        if sent_at_once:
            wire.send(*[execute("c", at_a_time)] * 12, SYNC)
            said = wire.until(b"Z")
            found, codes = values(said), errors(said)
        while not codes:
            wire.send(execute("c", at_a_time), SYNC)
            said = wire.until(b"Z")
            found += values(said)
            codes = errors(said)
        # What was sent with it has run when the first row too many comes: each of them is told so.
        assert (found, set(codes)) == (["1", "2", "3", "4", "5"], {"54000"})
        wire.query("ROLLBACK")
        # A portal made anew is another execution of the statement.
        for _ in range(2):
            wire.send(parse("", "SELECT generate_series(1, 5)"), bind("", ""), execute(), SYNC)
            assert len(values(wire.until(b"Z"))) == 5
    told = [
        (one.verdict, one.rows)
        for one in gateway.all_settled()
        if "generate_series" in one.shape and one.verdict != "skipped"
    ]
    whole = [("done", at_a_time)] * (5 // at_a_time)
    assert told[: len(whole)] == whole
    assert told[len(whole)] == ("limited", 5 % at_a_time)
    assert told[-2:] == [("done", 5)] * 2


def test_a_portals_bytes_count_together_too(start: Start) -> None:
    gateway = start(rules=replace(EVERYTHING, most_bytes=400))
    with Wire(gateway) as wire:
        portal_of(wire, "c", "SELECT repeat('x', 90) FROM generate_series(1, 9)")
        sizes = []
        for _ in range(5):
            wire.send(execute("c", 1), SYNC)
            said = wire.until(b"Z")
            if errors(said):
                break
            sizes.append(len(values(said)[0]))
    assert sizes == [90] * 4


def test_portals_beside_each_other_count_each_for_itself(start: Start) -> None:
    with Wire(start(rules=replace(EVERYTHING, most_rows=5))) as wire:
        portal_of(wire, "a")
        wire.send(bind("b", "s"), execute("a", 3), execute("b", 4), execute("a", 2), execute("b", 1), SYNC)
        said = wire.until(b"Z")
        assert (len(values(said)), errors(said)) == (10, [])
        wire.send(query("SELECT generate_series(1, 5)"))
        assert len(values(wire.until(b"Z"))) == 5
        wire.send(close("P", "a"), bind("a", "s"), execute("a", 5), execute("b", 1), SYNC)
        said = wire.until(b"Z")
        assert (len(values(said)), errors(said)) == (5, ["54000"])


def test_each_fetch_of_a_cursor_made_in_sql_is_a_statement_of_its_own(start: Start) -> None:
    with Wire(start(rules=replace(EVERYTHING, most_rows=5))) as wire:
        wire.query(f"BEGIN; DECLARE c CURSOR FOR {SERIES}")
        assert len(values(wire.query("FETCH 5 FROM c"))) == 5
        assert len(values(wire.query("FETCH 5 FROM c"))) == 5
        said = wire.query("FETCH ALL FROM c")
        assert (len(values(said)), errors(said)) == (5, ["54000"])


def test_behind_an_error_of_ours_a_batch_is_silent_as_behind_one_of_the_servers(start: Start) -> None:
    gateway = start(rules=replace(EVERYTHING, most_rows=5))
    one = [parse("", "SELECT generate_series(1, 100)"), bind("", ""), execute()]
    with Wire(gateway) as wire:
        wire.send(*one * 3, SYNC, query("SELECT 3"))
        said = wire.until(b"Z")
        assert b"".join(kind for kind, _ in said) == b"12DDDDDEZ"
        assert values(wire.until(b"Z")) == ["3"]
        said = wire.query("SELECT generate_series(1, 9); SELECT 1")
        assert b"".join(kind for kind, _ in said) == b"TDDDDDEZ"
    with psycopg.connect(gateway.conninfo, autocommit=True) as connection:
        with suppress(psycopg.errors.ProgramLimitExceeded), connection.pipeline():
            for _ in range(3):
                connection.execute("SELECT generate_series(1, 100)")
        assert connection.execute("SELECT 7").fetchone() == (7,)
    told = [(one.verdict, one.rows) for one in gateway.all_settled() if "generate_series" in one.shape]
    assert told[:3] == [("limited", 5), ("done", 100), ("done", 100)]


# --- Time


def test_short_statements_of_one_pipeline_are_not_cut_as_a_long_one(start: Start) -> None:
    gateway = start(rules=replace(EVERYTHING, longest_statement=timedelta(seconds=0.6)))
    with Wire(gateway) as wire:
        short = [parse("", "SELECT pg_sleep(0.2)"), bind("", ""), execute()]
        wire.send(*short * 5, SYNC)
        said = wire.until(b"Z")
        assert (errors(said), len(values(said))) == ([], 5)
        long = [parse("", "SELECT pg_sleep(20)"), bind("", ""), execute()]
        began = time.monotonic()
        wire.send(*short * 2, *long, *short, SYNC)
        assert errors(wire.until(b"Z")) == ["54000"]
        assert time.monotonic() - began < 2
    ran = gateway.ran("SELECT pg_sleep(20)")
    assert (ran.verdict, ran.code) == ("limited", "time")


def test_what_the_servers_own_clock_cuts_at_the_roles_limit_is_told_in_our_words(start: Start) -> None:
    gateway = start(rules=replace(EVERYTHING, longest_statement=timedelta(seconds=0.4)))
    with psycopg.connect(gateway.conninfo, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match=r"has run for 0\.4 seconds"):
            connection.execute("SELECT pg_sleep(20)")
        connection.execute("SET statement_timeout = 50")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(10)")
    assert (gateway.ran("SELECT pg_sleep(20)").verdict, gateway.ran("SELECT pg_sleep(10)").verdict) == (
        "limited",
        "failed",
    )


def test_idling_begins_with_the_answer(start: Start) -> None:
    gateway = start(rules=replace(EVERYTHING, longest_idle=timedelta(seconds=0.6)))
    with Wire(gateway) as wire:
        assert errors(wire.query("SELECT pg_sleep(0.9)")) == []
        time.sleep(0.25)
        assert values(wire.query("SELECT 1")) == ["1"]
        began = time.monotonic()
        assert errors(wire.rest(3)) == ["57P01"]
        assert time.monotonic() - began > 0.5


# --- Length

_SENDS = """
import psycopg, sys
connection = psycopg.connect(sys.argv[1], autocommit=True)
assert connection.execute("SELECT length(%b)", (b"x" * (60 << 20),)).fetchone() == (60 << 20,)
for text, parameters in (("SELECT length(%b)", (b"x" * (65 << 20),)), ("SELECT 1 -- " + "x" * (65 << 20), None)):
    for prepare in (True, False):
        try:
            connection.execute(text, parameters, prepare=prepare)
        except psycopg.Error as error:
            print(error.sqlstate, error)
        assert connection.execute("SELECT 1").fetchone() == (1,)
"""


def test_a_message_that_is_too_long_is_refused_by_itself_and_told_the_limit(gateway: Gateway) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _SENDS, gateway.conninfo], check=True, timeout=60, capture_output=True, text=True
    )
    assert ran.stdout.count("54000 A single message") == 4
    assert ran.stdout.count("longer than the gateway takes") == 4
    assert ran.stdout.count("67108864 (64 MiB) are the most") == 4
    verdicts = [(one.verdict, one.code) for one in gateway.all_settled() if "length" in one.shape]
    assert verdicts == [("done", ""), ("skipped", ""), ("skipped", "")]


# --- What a session keeps


def test_what_is_sent_and_never_read_is_bounded(gateway: Gateway) -> None:
    one = parse("", "SELECT 1") + bind("", "") + execute()
    with Wire(gateway) as wire:
        wire.socket.settimeout(0.7)
        sent = 0
        with suppress(TimeoutError):
            while True:
                sent += wire.socket.send((one + SYNC) * 500)
        (client,) = gateway.worker.clients
        assert client.relay is not None
        # What came with one packet more is kept as well.
        assert client.relay.answers._sent.number < answers._MOST_SENT + 40_000
        assert sent > 100_000


@pytest.mark.parametrize("fails", [False, True])
def test_a_long_pipeline_before_one_sync_goes_through(gateway: Gateway, fails: bool) -> None:
    """Also where its first statement fails, and the server says nothing about all the others."""
    number = 10_000
    first = [parse("", "SELECT 1 / (id - 1) FROM orders"), bind("", ""), execute()] if fails else []
    with Wire(gateway) as wire:
        wire.send(*first, parse("s", "SELECT 1"))
        for _ in range(number // 1000):
            wire.send(*[bind("", "s"), execute()] * 1000)
        wire.send(SYNC, query("SELECT 'end'"))
        said = wire.until(b"Z", 2)
    assert errors(said) == (["22012"] if fails else [])
    assert values(said)[-1] == "end"
    assert len(values(said)) == (1 if fails else number + 1)
    verdicts = [one.verdict for one in gateway.all_settled(patience=20)]
    assert len(verdicts) == number + 1 + fails
    assert verdicts.count("skipped") == (number if fails else 0)


def test_a_closed_session_leaves_nothing_behind_for_the_collector(gateway: Gateway) -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            with Wire(gateway) as wire:
                wire.query("SELECT 'kept'")
                wire.send(parse("a", "SELECT 2"), bind("p", "a"), execute("p"), SYNC)
                wire.until(b"Z")
                (client,) = gateway.worker.clients
                known = [weakref.ref(client), weakref.ref(client.server)]
                assert any(isinstance(one, Relay) for one in gc.get_objects())
                del client
        with Wire(gateway, logs_in=False) as stranger:
            stranger.send(bytes(8))
            stranger.rest()
        deadline = time.monotonic() + 3
        while gateway.worker.connections or any(isinstance(one, Relay) for one in gc.get_objects()):
            assert time.monotonic() < deadline, "A relay is alive."
            time.sleep(0.02)
        assert [one() for one in known] == [None, None]
    finally:
        gc.enable()
