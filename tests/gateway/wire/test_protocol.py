"""The protocol itself: any split of a stream is the same stream, garbage ends one session alone, and TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import ssl
import struct
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import asyncpg
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.wire import arrivals
from tests.gateway.wire.gateways import TOKEN, Gateway, packed, startup
from tests.gateway.wire.sockets import SYNC, Wire, bind, errors, execute, field, parse, query, values

Start = Callable[..., Gateway]

STREAM = b"".join(
    [
        query("SELECT 1; SELECT 'two'"),
        *(parse("a", "SELECT item FROM orders WHERE id < 3 ORDER BY id"), bind("", "a"), execute(rows=1)),
        *(execute(), SYNC, query("CREATE TEMP TABLE t (x text)"), query("COPY t FROM STDIN"), packed(b"d", b"x\ny\n")),
        *(packed(b"c"), query("SELECT count(*) FROM t"), parse("", "SELECT nonsense"), bind("", ""), execute(), SYNC),
        *(bind("", "a"), execute(), SYNC, query("DROP TABLE t"), query("SELECT 'end'")),
    ]
)
READY_TIMES = 9
#: With the one that shows that the session is in step.
RECORDS = 11


def answers_to(gateway: Gateway, pieces: list[bytes]) -> tuple[list[tuple[bytes, bytes]], list[tuple[str, ...]]]:
    """What a client gets for the stream in these pieces, and what is recorded of it."""
    with Wire(gateway) as wire:
        for piece in pieces:
            wire.send(piece)
        said = wire.until(b"Z", READY_TIMES)
        assert wire.query("SELECT 'over'")[1][0] == b"D"
    records = [(one.sha256, one.verdict, one.code, str(one.rows)) for one in gateway.all_settled()]
    return said, records


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, len(STREAM) - 1), max_size=60, unique=True))
def test_any_split_of_a_clients_stream_is_the_same_stream(gateway: Gateway, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    whole, before = answers_to(gateway, [STREAM])
    split, after = answers_to(gateway, [STREAM[a:b] for a, b in pairwise(edges)])
    assert split == whole
    new = after[len(before) :]
    assert len(new) == RECORDS
    assert new == before[-RECORDS:]


# --- Garbage


def garbage(dice: random.Random) -> bytes:
    """Something that no client sends."""
    kind = dice.randrange(5)
    if kind == 0:
        return dice.randbytes(dice.randrange(5, 200))
    if kind == 1:
        return bytes([dice.choice(b"QPBEDC")]) + struct.pack("!I", dice.choice([0, 3, 1 << 27, 0xFFFFFFFF])) + b"x" * 50
    if kind == 2:
        return packed(bytes([dice.choice(b"PBEC")]), dice.randbytes(dice.randrange(30)))
    if kind == 3:
        return packed(bytes([dice.choice(b"RKZTAp1!")]), b"out of place\0")
    return packed(b"Q", b"SELECT 1")[: dice.randrange(1, 12)]


@pytest.mark.parametrize("is_inside", [False, True])
def test_garbage_ends_its_own_session_alone(gateway: Gateway, is_inside: bool) -> None:
    dice = random.Random(7)
    with Wire(gateway) as bystander:
        for number in range(60):
            with Wire(gateway, logs_in=is_inside) as wire:
                wire.send(garbage(dice))
                # Whatever it was, a client that hangs up is gone.
                wire.socket.shutdown(1)
                codes = errors(wire.rest())
            assert set(codes) <= {"08P01", "42601", "26000", "34000", "42501", "22021", "XX000", "42P05", "54000"}, (
                codes
            )
            assert "XX000" not in codes
            assert values(bystander.query(f"SELECT {number}")) == [str(number)]


@pytest.mark.parametrize(
    "sent",
    [
        packed(b"!", b""),
        b"Q" + struct.pack("!I", 3),
        b"Q" + struct.pack("!I", 1 << 30),
        packed(b"P", b"no end"),
        packed(b"B", b""),
        packed(b"Z", b"I"),
    ],
)
def test_what_is_no_message_is_told_and_ends_the_session(gateway: Gateway, sent: bytes) -> None:
    with Wire(gateway) as wire:
        wire.send(sent)
        (said,) = wire.rest()
        assert [field(said[1], letter) for letter in "SC"] == ["FATAL", "08P01"]


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack("!II", 4, 196608),
        struct.pack("!II", 1 << 24, 196608),
        struct.pack("!II", 8, 131072),
        struct.pack("!II", 13, 196608) + b"user\0",
        startup() + packed(b"Q", b"SELECT 1\0"),
        startup() + b"p" + struct.pack("!I", 1 << 20) + b"x",
        struct.pack("!II", 8, 80877103) + startup(),
    ],
)
def test_what_is_no_login_is_refused(gateway: Gateway, sent: bytes) -> None:
    with Wire(gateway, logs_in=False) as wire:
        wire.send(sent)
        said = wire.rest()
    assert errors(said) == ["08P01"]
    assert gateway.door.attempts == []


def test_replication_is_refused(gateway: Gateway) -> None:
    with Wire(gateway, logs_in=False) as wire:
        wire.send(startup(replication="database"))
        assert errors(wire.rest()) == ["0A000"]


def test_a_wrong_token_is_refused(gateway: Gateway) -> None:
    with Wire(gateway, logs_in=False) as wire:
        wire.send(startup(), packed(b"p", b"wrong\0"))
        assert errors(wire.rest()) == ["28P01"]
    assert not any(entry["kind"] == "opened" for entry in gateway.entries())


def test_a_slow_login_is_given_up(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "LOGIN_SECONDS", 0.4)
    began = time.monotonic()
    with Wire(gateway, logs_in=False) as silent, Wire(gateway, logs_in=False) as half:
        half.send(startup()[:-3])
        assert errors(silent.rest()) == errors(half.rest()) == ["57P01"]
    assert time.monotonic() - began < 2


# --- Encryption


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_psycopg_over_tls(encrypted: Gateway, certificate: Path, mode: str) -> None:
    with psycopg.connect(encrypted.conninfo, sslmode=mode, sslrootcert=str(certificate)) as connection:
        assert connection.pgconn.ssl_in_use
        assert len(connection.execute("SELECT repeat('x', 1000) FROM generate_series(1, 5000)").fetchall()) == 5000


def test_asyncpg_over_tls(encrypted: Gateway, certificate: Path) -> None:
    async def use() -> None:
        tls = ssl.create_default_context(cafile=str(certificate))
        connection = await asyncpg.connect(encrypted.url(), ssl=tls)
        assert await connection.fetchval("SELECT 'in'") == "in"
        await connection.close()

    asyncio.run(use())


def test_encryption_that_there_is_none_of_is_refused_and_the_client_may_go_on(gateway: Gateway) -> None:
    with Wire(gateway, logs_in=False) as wire:
        for asked in (80877104, 80877103):
            wire.send(struct.pack("!II", 8, asked))
            assert wire.socket.recv(10) == b"N"
        wire.send(startup(), packed(b"p", TOKEN.encode() + b"\0"))
        assert wire.until(b"Z")


def test_garbage_in_the_place_of_tls_ends_that_connection_alone(encrypted: Gateway) -> None:
    with Wire(encrypted, logs_in=False) as wire:
        wire.send(struct.pack("!II", 8, 80877103))
        assert wire.socket.recv(1) == b"S"
        wire.send(b"this is no handshake" * 20)
        wire.socket.settimeout(5)
        try:
            while wire.socket.recv(4096):
                pass
        except ConnectionResetError:
            pass
    with psycopg.connect(encrypted.conninfo, sslmode="require") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_from_elsewhere_no_token_is_asked_for_without_tls(start: Start) -> None:
    """A balancer on this machine tells where from: another machine need not be there."""
    gateway = start(balancers=(ipaddress.ip_network("127.0.0.0/8"),))
    with Wire(gateway, logs_in=False) as wire:
        wire.send(b"PROXY TCP4 192.0.2.7 127.0.0.1 5000 6432\r\n", startup(), packed(b"p", TOKEN.encode() + b"\0"))
        (said,) = wire.rest()
        assert said[0] == b"E"
        assert "sslmode=require" in field(said[1], "M")
    assert gateway.door.attempts == []
