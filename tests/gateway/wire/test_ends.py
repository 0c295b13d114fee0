"""Sessions that end, requests to cancel, clients that do not read, and a record that cannot be written."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from access.gateway_rules import Durability
from gateway.errors import NotRecorded
from gateway.journal.journal import Journal, Limits
from gateway.recording import Recorder
from tests.gateway.wire.gateways import EVERYTHING, Gateway, packed
from tests.gateway.wire.sockets import Wire, cancel, errors, field, query, values

Start = Callable[..., Gateway]
_PAGE = 4096


def resident() -> int:
    """Bytes of memory that this process, in which the worker runs as well, has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


# --- Clients that do not read


def test_a_client_that_does_not_read_fills_no_memory(gateway: Gateway) -> None:
    with Wire(gateway) as wire, Wire(gateway) as other:
        before = resident()
        wire.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 200000)"))
        time.sleep(1.0)
        assert resident() - before < 20 << 20
        assert values(other.query("SELECT 'still here'")) == ["still here"]
        kinds = [kind for kind, _ in wire.until(b"Z")]
        assert kinds.count(b"D") == 200_000


def test_a_server_that_does_not_read_fills_no_memory(gateway: Gateway) -> None:
    with psycopg.connect(gateway.shop.conninfo, autocommit=True) as own, Wire(gateway) as wire:
        own.execute("CREATE TABLE IF NOT EXISTS slow (x text)")
        with own.transaction():
            own.execute("LOCK TABLE slow IN ACCESS EXCLUSIVE MODE")
            data = packed(b"d", b"x" * 999 + b"\n") * 60_000 + packed(b"c")
            before = resident()
            wire.send(query("COPY slow FROM STDIN"))
            sending = threading.Thread(target=wire.send, args=[data])
            sending.start()
            time.sleep(1.0)
            # The test's own packet is in this once more.
            assert resident() - before < len(data) + (20 << 20)
            assert sending.is_alive()
        sending.join(20)
        tags = [content for kind, content in wire.until(b"Z") if kind == b"C"]
        assert tags == [b"COPY 60000\0"]
        own.execute("DROP TABLE slow")


# --- Cancelling


def test_a_cancel_request_reaches_its_own_session_alone_also_through_another_worker(start: Start) -> None:
    first, second = start(number=1), start(number=2)
    with Wire(first) as wire, Wire(first) as bystander, Wire(second) as stranger:
        wire.send(query("SELECT pg_sleep(20)"))
        for session in (bystander, stranger):
            session.send(query("SELECT pg_sleep(3), 'slept'"))
        sleeping(first, 3)
        pid, secret = wire.key
        flipped = bytes([secret[0] ^ 1]) + secret[1:]
        for wrong in ((pid, flipped), (pid + 1, secret), (0, bytes(4)), (pid, secret + bytes(28)), (pid, b"")):
            cancel(second, *wrong)
        cancel(second, pid, secret)
        assert errors(wire.until(b"Z")) == ["57014"]
        for session in (bystander, stranger):
            assert errors(session.until(b"Z")) == []


@pytest.mark.parametrize("number", [1, 2])
def test_a_cancel_just_before_the_next_statement_does_not_hit_it(start: Start, number: int) -> None:
    """As on a direct connection, whichever worker takes the request."""
    gateways = {one: start(number=one) for one in (1, 2)}
    with Wire(gateways[1]) as wire:
        for _ in range(20):
            wire.cancel(gateways[number])
            assert errors(wire.query("SELECT pg_sleep(0.005)")) == []


_CANCELS = """
import psycopg, sys
connection = psycopg.connect(sys.argv[1], autocommit=True)
for _ in range(40):
    connection.cancel()
    connection.execute("SELECT pg_sleep(0.005)")
"""


def test_a_driver_that_cancels_and_goes_on_is_not_hit(gateway: Gateway) -> None:
    """In a process of its own: libpq's request holds up the whole of Python, and the worker here with it."""
    subprocess.run([sys.executable, "-c", _CANCELS, gateway.conninfo], check=True, timeout=30)


def test_a_client_sees_the_process_of_the_server(gateway: Gateway) -> None:
    with (
        psycopg.connect(gateway.conninfo, autocommit=True) as one,
        psycopg.connect(gateway.conninfo, autocommit=True) as two,
    ):
        for connection in (one, two):
            row = connection.execute("SELECT pg_backend_pid()").fetchone()
            assert row == (connection.info.backend_pid,)
        assert two.execute("SELECT pg_terminate_backend(%s)", (one.info.backend_pid,)).fetchone() == (True,)
        with pytest.raises(psycopg.OperationalError):
            one.execute("SELECT 1")


# --- Ends


def test_whoever_may_not_go_on_is_cut_within_a_second_idle_or_busy(gateway: Gateway) -> None:
    with Wire(gateway) as idle, Wire(gateway) as busy, Wire(gateway) as reads_not:
        busy.send(query("SELECT pg_sleep(20)"))
        reads_not.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"))
        sleeping(gateway, 1)
        gateway.door.ended_because = "Its token was revoked."
        began = time.monotonic()
        for wire in (idle, busy):
            (said,) = wire.rest()
            assert [field(said[1], letter) for letter in "SC"] == ["FATAL", "57P01"]
            assert "Its token was revoked." in field(said[1], "M")
        assert time.monotonic() - began < 1
        deadline = began + 2
        while backends(gateway):
            assert time.monotonic() < deadline, "The server still runs something."
            time.sleep(0.02)
    assert gateway.ran("SELECT pg_sleep(20)").verdict == "cut"
    closed = [entry["reason"] for entry in gateway.entries() if entry["kind"] == "closed"]
    assert len(closed) == 3
    assert all("Its token was revoked." in reason for reason in closed)


def backends(gateway: Gateway, *, that: str = "true") -> int:
    """How many sessions the server has, besides the one that asks."""
    with psycopg.connect(gateway.shop.conninfo, autocommit=True) as own:
        row = own.execute(
            "SELECT count(*) FROM pg_stat_activity"
            f" WHERE usename = current_user AND pid <> pg_backend_pid() AND {that}".encode()
        ).fetchone()
        assert row is not None
        return int(row[0])


def sleeping(gateway: Gateway, number: int) -> None:
    """Wait until so many sessions are in the middle of `pg_sleep`."""
    deadline = time.monotonic() + 10
    while backends(gateway, that="wait_event = 'PgSleep'") < number:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_many_sessions_end_at_the_same_instant(gateway: Gateway) -> None:
    """As many as the tests' server has room for; half of them are busy."""
    with ExitStack() as stack:
        with ThreadPoolExecutor(8) as beside:
            wires = list(beside.map(lambda _: Wire(gateway), range(40)))
        for number, wire in enumerate(wires):
            stack.enter_context(wire)
            if number % 2:
                wire.send(query("SELECT pg_sleep(20)"))
        sleeping(gateway, 20)
        began = time.monotonic()
        gateway.door.ended_because = "The access ended."
        for wire in wires:
            (said,) = wire.rest()
            assert field(said[1], "C") == "57P01"
        assert time.monotonic() - began < 1


def test_a_session_whose_server_goes_away_is_closed_and_the_statement_is_cut(gateway: Gateway) -> None:
    with Wire(gateway) as wire, psycopg.connect(gateway.shop.conninfo, autocommit=True) as own:
        (pid,) = values(wire.query("SELECT pg_backend_pid()"))
        wire.send(query("SELECT pg_sleep(20)"))
        sleeping(gateway, 1)
        own.execute("SELECT pg_terminate_backend(%s)", (int(pid),))
        assert errors(wire.rest()) == ["57P01"]
    assert gateway.ran("SELECT pg_sleep(20)").verdict in ("failed", "cut")


def test_a_worker_that_is_stopped_while_it_asks_ends_all_the_same(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks all the time, so that the order to stop comes at any moment of the asking."""
    monkeypatch.setattr("gateway.worker.ASK_SECONDS", 0.0)
    for number in range(8):
        gateway = start(number=number)
        with Wire(gateway) as wire:
            time.sleep(0.005 * number)
            gateway.stop()
            assert [field(content, "C") for _, content in wire.rest()] == ["57P01"]


# --- A record that cannot be written


@pytest.mark.parametrize("durability", list(Durability))
def test_at_its_bound_nothing_runs_and_then_it_goes_on(start: Start, durability: Durability) -> None:
    gateway = start(rules=replace(EVERYTHING, durability=durability), limits=Limits(unshipped_entries=60))
    with Wire(gateway) as wire:
        codes = [errors(wire.query("SELECT 1")) for _ in range(60)]
        assert codes[0] == []
        assert codes[-1] == ["58030"]
        said = wire.query("SELECT 1")
        (hint,) = (field(content, "H") for kind, content in said if kind == b"E")
        assert "journal is full" in hint
    with pytest.raises(psycopg.OperationalError, match="journal holds as much as it may"):
        psycopg.connect(gateway.conninfo)


class Failing(Recorder):
    """A journal whose disk fails while the test says so."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.fails = False

    def opened(self, *about: Any, **more: Any) -> int:
        return self._journal.opened(*about, **more)

    def intent(self, *about: Any) -> int:
        if self.fails:
            raise NotRecorded("The journal cannot be written: No space left on device.")
        return self._journal.intent(*about)

    def outcome(self, *about: Any, **more: Any) -> None:
        self._journal.outcome(*about, **more)

    def closed(self, *about: Any) -> None:
        self._journal.closed(*about)

    def write(self) -> None:
        self._journal.write()


@pytest.mark.parametrize("is_extended", [False, True])
def test_what_cannot_be_recorded_is_refused_and_the_session_goes_on(start: Start, is_extended: bool) -> None:
    failing: list[Failing] = []

    def wrap(journal: Journal) -> Failing:
        failing.append(Failing(journal))
        return failing[0]

    gateway = start(records=wrap)
    with psycopg.connect(gateway.conninfo, autocommit=True) as connection:
        failing[0].fails = True
        with pytest.raises(psycopg.errors.IoError, match="could not be recorded"):
            connection.execute("INSERT INTO orders VALUES (9, 'rum')", prepare=is_extended)
        failing[0].fails = False
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (3,)


def fill(ballast: Path) -> None:
    """Leave no room on its disk."""
    with ballast.open("wb", buffering=0) as filled, suppress(OSError):
        while True:
            filled.write(bytes(4096))


def test_a_disk_that_is_full_refuses_and_the_worker_goes_on(start: Start, small_disk: Path) -> None:
    gateway = start()
    ballast = small_disk / "ballast"
    small = Gateway(small_disk, gateway.shop, number=3)
    try:
        with Wire(small) as wire:
            assert errors(wire.query("SELECT 1")) == []
            fill(ballast)
            codes: list[str] = []
            for _ in range(200):
                wire.send(query("SELECT 1"))
                first = wire.read()
                assert first is not None
                codes = errors([first])
                if codes:
                    break
                wire.until(b"Z")
            assert codes == ["58030"]
        ballast.unlink()
        deadline = time.monotonic() + 10
        while True:
            try:
                with psycopg.connect(small.conninfo, autocommit=True) as connection:
                    assert connection.execute("SELECT 1").fetchone() == (1,)
                break
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
    finally:
        ballast.unlink(missing_ok=True)
        small.stop()
