"""How long a session may be, how many there may be, and a thousand of them that end at the same instant."""

from __future__ import annotations

import os
import re
import resource
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from deploy.local.servers import PostgreSQL
from gateway import worker
from tests.gateway.wire.gateways import Gateway, Shop, packed, startup
from tests.gateway.wire.sockets import Wire, errors, field, query, values
from tests.gateway.wire.test_ends import backends

Start = Callable[..., Gateway]
MANY = 1000


def root(url: str) -> psycopg.Connection[tuple[object, ...]]:
    at = urlsplit(url)
    password = unquote(at.password or "")
    return psycopg.connect(
        host=at.hostname, port=at.port, user=at.username, password=password, dbname="postgres", autocommit=True
    )


# --- One session


def test_the_window_ends_in_the_middle_of_a_query_with_a_word_that_says_when(gateway: Gateway) -> None:
    gateway.door.ends_at = ends_at = datetime.now(UTC) + timedelta(seconds=1.5)
    with Wire(gateway) as busy, Wire(gateway) as idle:
        busy.send(query("SELECT pg_sleep(20)"))
        for wire in (busy, idle):
            (said,) = wire.rest()
            assert [field(said[1], letter) for letter in "SC"] == ["FATAL", "57P01"]
            assert f"The window of the access ended at {ends_at:%Y-%m-%d %H:%M:%S} UTC." in field(said[1], "M")
        late = datetime.now(UTC) - ends_at
        assert timedelta() < late < timedelta(seconds=1)
    assert gateway.ran("SELECT pg_sleep(20)").verdict == "cut"


def test_an_extension_moves_the_end_of_a_session_that_is_open(gateway: Gateway) -> None:
    gateway.door.ends_at = datetime.now(UTC) + timedelta(seconds=1.5)
    with Wire(gateway) as wire:
        gateway.door.ends_at += timedelta(hours=1)
        time.sleep(2.2)
        assert values(wire.query("SELECT 'still here'")) == ["still here"]


def test_a_console_that_does_not_answer_ends_sessions_after_a_while(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LONGEST_SILENCE", 1.5)

    def away(sessions: object) -> None:
        raise OSError("The console's database is away.")

    with Wire(gateway) as wire:
        monkeypatch.setattr(gateway.door, "ended", away)
        began = time.monotonic()
        time.sleep(0.7)
        assert values(wire.query("SELECT 'for a while'")) == ["for a while"]
        (said,) = wire.rest()
        assert time.monotonic() - began > 1
        assert [field(said[1], letter) for letter in "SC"] == ["FATAL", "57P01"]
        assert "cannot be asked any more" in field(said[1], "M")


def test_whoever_guesses_waits_for_each_answer(gateway: Gateway) -> None:
    began = time.monotonic()
    with Wire(gateway, logs_in=False) as wire:
        wire.send(startup(), packed(b"p", b"lgt_guessed\0"))
        assert errors(wire.rest()) == ["28P01"]
    assert time.monotonic() - began > 0.5


# --- Several


def test_more_sessions_than_the_role_allows_are_refused_in_words(gateway: Gateway) -> None:
    shop = gateway.shop
    # Those of the test before may still be on their way out.
    _wait(lambda: backends(gateway) == 0)
    with root(os.environ["LOCKGATE_TEST_POSTGRESQL_URL"]) as server:
        server.execute(f"ALTER ROLE {shop.user} CONNECTION LIMIT 2".encode())
        try:
            with Wire(gateway) as first, Wire(gateway):
                with pytest.raises(psycopg.OperationalError, match="as many sessions open as this access role allows"):
                    psycopg.connect(gateway.conninfo)
                with Wire(gateway, logs_in=False) as third:
                    third.send(startup(), packed(b"p", b"lgt_of_the_test\0"))
                    assert errors(third.rest()) == ["53300"]
                assert values(first.query("SELECT 'goes on'")) == ["goes on"]
        finally:
            server.execute(f"ALTER ROLE {shop.user} CONNECTION LIMIT -1".encode())
    with psycopg.connect(gateway.conninfo) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


# --- A thousand


class Roomy(PostgreSQL):
    """A server with room for all of them."""

    most_sessions = MANY + 50


@pytest.fixture
def roomy() -> Iterator[Shop]:
    """A database on a server of its own."""
    with tempfile.TemporaryDirectory(prefix="lockgate-test-") as folder:
        Path(folder).chmod(0o755)  # the server runs as another user
        server = Roomy(Path(folder) / "roomy", durable=False)
        server.start()
        try:
            name, password = "crowd", secrets.token_hex(12)
            with root(server.url) as own:
                own.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'".encode())
                own.execute(f"CREATE DATABASE {name} OWNER {name}".encode())
            yield Shop("127.0.0.1", server.port, name, name, password)
        finally:
            server.stop()


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for three of them for each session: the client, and both sides of the worker, are in one process here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * MANY)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.wide(one_in=0)
@pytest.mark.usefixtures("many_files")
def test_a_thousand_sessions_end_at_the_same_instant(start: Start, roomy: Shop) -> None:
    gateway = start(shop=roomy)
    with ExitStack() as stack:
        with ThreadPoolExecutor(16) as beside:
            wires = list(beside.map(lambda _: stack.enter_context(Wire(gateway)), range(MANY)))
        busy = wires[::2]
        for wire in busy:
            wire.send(query("SELECT pg_sleep(600)"))
        _wait(lambda: _running(gateway) == len(busy))
        ends_at = datetime.now(UTC) + timedelta(seconds=3)
        gateway.door.ends_at = ends_at
        for wire in wires:
            (said,) = wire.rest(60)
            assert field(said[1], "C") == "57P01"
            assert re.search(r"ended at [0-9-]{10} [0-9:]{8} UTC\.", field(said[1], "M"))
        _wait(lambda: _running(gateway) == 0)
    closed = [entry["at"] for entry in gateway.entries() if entry["kind"] == "closed"]
    assert len(closed) == MANY
    late = [at / 1_000_000 - ends_at.timestamp() for at in closed]
    assert 0 <= min(late) <= max(late) < 1, (min(late), max(late))
    ran = gateway.all_settled()
    assert [one.verdict for one in ran] == ["cut"] * len(busy)


def _running(gateway: Gateway) -> int:
    with psycopg.connect(gateway.shop.conninfo, autocommit=True) as own:
        row = own.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600%'"
        )
        return int((row.fetchone() or (0,))[0]) - 1


def _wait(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "It did not come to pass."
        time.sleep(0.2)
