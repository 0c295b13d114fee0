"""A part of what `python -m tests.gateway.differential` does at length: our reading beside the server's, text by text."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from tests.gateway import differential
from tests.gateway.differential import SETUP, Did, by_server, by_us, compare, texts
from tests.gateway.wire.conftest import databases
from tests.gateway.wire.gateways import Shop


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """Another database than the wire's tests have: these tables are thrown away."""
    yield from databases()


def test_no_text_is_to_us_another_one_than_to_the_server(shop: Shop) -> None:
    with psycopg.connect(shop.conninfo, autocommit=True) as connection:
        connection.execute(SETUP)

        @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
        @given(texts)
        def run(text: str) -> None:
            compare(connection, text)

        run()


def test_a_difference_is_found(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(shop.conninfo, autocommit=True) as connection:
        connection.execute(SETUP)
        assert by_server(connection, "SELECT 1 FROM orders; DELETE FROM customers") == Did(
            2, frozenset({"orders", "customers"}), writes=True
        )
        monkeypatch.setattr(differential, "by_us", lambda text: by_us(text.partition(";")[0]))
        with pytest.raises(AssertionError):
            compare(connection, "SELECT 1 FROM orders; DELETE FROM customers")
