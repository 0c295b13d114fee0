"""Fixtures for the tests of the wire."""

from __future__ import annotations

import os
import secrets
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from tests.gateway.wire.certificates import own_authority
from tests.gateway.wire.gateways import Gateway, Shop


@pytest.fixture(scope="session")
def shop() -> Iterator[Shop]:
    """One for every test of this process."""
    yield from databases()


def databases() -> Iterator[Shop]:
    """A database of its own with a table `orders` of three rows, gone at the end."""
    url = urlsplit(os.environ["LOCKGATE_TEST_POSTGRESQL_URL"])
    name, password = f"wire_{secrets.token_hex(4)}", secrets.token_hex(12)
    made = Shop(url.hostname or "", url.port or 5432, name, name, password)
    root = psycopg.connect(
        host=made.host,
        port=made.port,
        user=url.username,
        password=unquote(url.password or ""),
        dbname="postgres",
        autocommit=True,
    )
    with root:
        root.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'".encode())
        root.execute(f"CREATE DATABASE {name} OWNER {name}".encode())
        with psycopg.connect(made.conninfo, autocommit=True) as own:
            own.execute("CREATE TABLE orders (id int PRIMARY KEY, item varchar(50) CHECK (item <> 'gin'))")
            own.execute("INSERT INTO orders VALUES (1, 'tea'), (2, 'milk'), (3, 'sugar')")
        yield made
        root.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        root.execute(f"DROP ROLE {name}".encode())


@pytest.fixture
def start(shop: Shop, tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts workers; they are stopped at the end."""
    (tmp_path / "journal").mkdir()
    with ExitStack() as stack:

        def one(**settings: Any) -> Gateway:
            started = Gateway(tmp_path / "journal", settings.pop("shop", shop), **settings)
            stack.callback(started.stop)
            return started

        yield one


@pytest.fixture
def gateway(start: Callable[..., Gateway]) -> Gateway:
    """A worker that allows everything."""
    return start()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that is its own authority, with its key, for localhost and 127.0.0.1."""
    return own_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    return tls


@pytest.fixture
def encrypted(start: Callable[..., Gateway], server_tls: ssl.SSLContext) -> Gateway:
    return start(tls=server_tls)
