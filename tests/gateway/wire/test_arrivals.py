"""How connections arrive: behind a balancer that tells whose they are, with TLS at once, and in a newer protocol."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

import asyncpg
import psycopg
import pytest

from gateway.wire import arrivals
from tests.gateway.wire.gateways import TOKEN, Gateway, packed, startup
from tests.gateway.wire.sockets import Wire, errors, field, values

Start = Callable[..., Gateway]

LOOPBACK = (ip_network("127.0.0.0/8"),)
SSL_REQUEST = struct.pack("!II", 8, 80877103)
PASSWORD = packed(b"p", TOKEN.encode() + b"\0")


def version_2(source: str, *, command: int = 1, more: bytes = b"", family: int | None = None) -> bytes:
    """A header as a balancer writes it, with room for what it adds."""
    address = ip_address(source)
    addresses = address.packed * 2 + struct.pack("!HH", 5000, 6432)
    kind = ((1 if address.version == 4 else 2) if family is None else family) << 4 | 1
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x20 | command, kind, len(addresses + more)) + addresses + more


# --- Balancers


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (b"PROXY TCP4 127.0.0.9 127.0.0.1 5000 6432\r\n", ("127.0.0.9", 5000)),
        (b"PROXY TCP6 ::1 ::1 5000 6432\r\n", ("::1", 5000)),
        (b"PROXY TCP6 ::ffff:127.0.0.9 ::1 5000 6432\r\n", ("127.0.0.9", 5000)),
        (version_2("127.0.0.9"), ("127.0.0.9", 5000)),
        (version_2("::1", more=b"\x03\0\4abcd" * 9), ("::1", 5000)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
        (version_2("192.0.2.7", command=0), None),
        (version_2("192.0.2.7", family=3), None),
    ],
)
@pytest.mark.parametrize("is_in_pieces", [False, True])
def test_a_balancer_tells_whose_connection_it_is(
    start: Start, header: bytes, told: tuple[str, int] | None, is_in_pieces: bool
) -> None:
    gateway = start(balancers=LOOPBACK)
    with Wire(gateway, logs_in=False) as wire:
        if is_in_pieces:
            for at in range(0, len(header), 7):
                wire.send(header[at : at + 7])
                time.sleep(0.001)
        else:
            wire.send(header)
        wire.send(startup(), PASSWORD)
        wire.until(b"Z")
        own = wire.socket.getsockname()
    (attempt,) = gateway.door.attempts
    assert (attempt.client_ip, attempt.client_port) == (told or own)
    (opened,) = (entry for entry in gateway.entries() if entry["kind"] == "opened")
    assert opened["client_ip"] == attempt.client_ip


@pytest.mark.parametrize(
    "said",
    [
        startup(),
        SSL_REQUEST,
        b"\x16\x03\x01",
        b"PROXY TCP4 127.0.0.9 127.0.0.1 5000\r\n",
        b"PROXY TCP4 ::1 ::1 5000 6432\r\n",
        b"PROXY TCP4 127.0.0.9 127.0.0.1 70000 6432\r\n",
        b"PROXY TCP4 " + b"1" * 200,
        b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\4abcd",
    ],
)
def test_a_balancer_that_does_not_tell_is_turned_away_in_words(start: Start, said: bytes) -> None:
    gateway = start(balancers=LOOPBACK)
    with Wire(gateway, logs_in=False) as wire:
        wire.send(said)
        (answer,) = wire.rest()
    assert (field(answer[1], "C"), "PROXY header" in field(answer[1], "M")) == ("08P01", True)
    assert gateway.door.attempts == []


def test_a_balancer_that_looks_whether_anybody_is_there_does_no_harm(start: Start) -> None:
    gateway = start(balancers=LOOPBACK)
    for said in (b"", b"PROXY UNKNOWN\r\n", version_2("192.0.2.7", command=0)):
        with Wire(gateway, logs_in=False) as wire:
            wire.send(said)
            wire.socket.shutdown(socket.SHUT_WR)
            assert wire.rest() == []


def test_from_anybody_else_no_header_is_taken(start: Start) -> None:
    gateway = start(balancers=(ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")))
    with Wire(gateway, logs_in=False) as wire:
        wire.send(b"PROXY TCP4 127.0.0.9 127.0.0.1 5000 6432\r\n", startup(), PASSWORD)
        assert errors(wire.rest()) == ["08P01"]
    with Wire(gateway) as wire:
        assert values(wire.query("SELECT 1")) == ["1"]


def test_whoever_is_not_on_this_machine_needs_tls_also_behind_a_balancer_that_is(start: Start) -> None:
    gateway = start(balancers=LOOPBACK)
    with Wire(gateway, logs_in=False) as wire:
        wire.send(version_2("192.0.2.7"), startup(), PASSWORD)
        assert errors(wire.rest()) == ["28000"]


def test_silence_is_given_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "LOGIN_SECONDS", 0.3)
    gateway = start(balancers=LOOPBACK)
    with Wire(gateway, logs_in=False) as silent, Wire(gateway, logs_in=False) as half:
        half.send(b"PROXY TCP4 127.0.")
        assert errors(silent.rest()) == errors(half.rest()) == ["57P01"]


# --- TLS at once


def test_psycopg_begins_with_tls_without_asking_first(encrypted: Gateway, certificate: Path) -> None:
    with psycopg.connect(
        encrypted.conninfo,
        sslnegotiation="direct",
        sslmode="verify-full",
        sslrootcert=str(certificate),
        channel_binding="prefer",
    ) as connection:
        assert connection.pgconn.ssl_in_use
        assert len(connection.execute("SELECT repeat('x', 1000) FROM generate_series(1, 5000)").fetchall()) == 5000


def test_asyncpg_begins_with_tls_without_asking_first(encrypted: Gateway, certificate: Path) -> None:
    async def use() -> None:
        tls = ssl.create_default_context(cafile=str(certificate))
        tls.set_alpn_protocols(["postgresql"])
        connection = await asyncpg.connect(encrypted.url(), ssl=tls, direct_tls=True)
        assert await connection.fetchval("SELECT 'in'") == "in"
        await connection.close()

    asyncio.run(use())


@pytest.mark.parametrize(("alpn", "first"), [(["postgresql"], b"R"), (["http/1.1"], b"E"), ([], b"E")])
def test_direct_tls_needs_the_protocols_name_in_its_handshake_also_behind_a_header(
    start: Start, server_tls: ssl.SSLContext, certificate: Path, alpn: list[str], first: bytes
) -> None:
    gateway = start(tls=server_tls, balancers=LOOPBACK)
    tls = ssl.create_default_context(cafile=str(certificate))
    if alpn:
        tls.set_alpn_protocols(alpn)
    with Wire(gateway, logs_in=False) as wire:
        wire.send(version_2("192.0.2.7"))
        try:
            wire.socket = tls.wrap_socket(wire.socket, server_hostname="localhost")
        except ssl.SSLError:
            assert alpn == ["http/1.1"]
            return
        wire.send(startup())
        said = wire.read()
        assert said is not None
        assert said[0] == first
        if first == b"E":
            assert "ALPN" in field(said[1], "M")


def test_a_gateway_without_a_certificate_closes_at_a_handshake(gateway: Gateway) -> None:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(gateway.conninfo, sslnegotiation="direct", sslmode="require")
    with psycopg.connect(gateway.conninfo) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


# --- Versions of the protocol


@pytest.mark.parametrize(
    ("version", "options", "negotiated", "secret_bytes"),
    [
        (0x30000, [], None, 4),
        (0x30001, [], None, 4),
        (0x30002, [], None, 32),
        (0x30002, ["_pq_.colour"], (0x30002, ["_pq_.colour"]), 32),
        (0x3270F, ["_pq_.a", "_pq_.b"], (0x30002, ["_pq_.a", "_pq_.b"]), 32),
        (0x30000, ["_pq_.a"], (0x30000, ["_pq_.a"]), 4),
    ],
)
def test_a_newer_protocol_is_spoken_as_far_as_it_is_known(
    gateway: Gateway, version: int, options: list[str], negotiated: tuple[int, list[str]] | None, secret_bytes: int
) -> None:
    with Wire(gateway, logs_in=False) as wire:
        wire.send(startup(version=version, **dict.fromkeys(options, "1")), PASSWORD)
        said = dict(wire.until(b"Z"))
        assert len(said[b"K"]) == 4 + secret_bytes
        told = said.get(b"v")
        if negotiated is None:
            assert told is None
        else:
            assert told is not None
            assert struct.unpack_from("!II", told) == (negotiated[0], len(negotiated[1]))
            assert told[8:].decode().split("\0")[:-1] == negotiated[1]


@pytest.mark.skipif(psycopg.pq.version() < 180000, reason="libpq speaks 3.2 from version 18 on")
def test_psycopg_speaks_three_point_two_and_cancels_with_its_long_key(start: Start) -> None:
    first, second = start(number=1), start(number=2)
    given = {"min_protocol_version": "3.2", "max_protocol_version": "latest"}
    with psycopg.connect(first.conninfo, autocommit=True, **given) as connection:  # type: ignore[arg-type]
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert connection.execute("SELECT pg_backend_pid()").fetchone() == (connection.info.backend_pid,)
        with Wire(first, version=0x30002) as wire:
            wire.send(packed(b"Q", b"SELECT pg_sleep(20)\0"))
            time.sleep(0.2)
            wire.cancel(second)
            assert errors(wire.until(b"Z")) == ["57014"]
