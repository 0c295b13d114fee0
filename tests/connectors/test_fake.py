"""The fake does what tests tell it to; that it keeps the contract is shown by `test_contract`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors.base import Level, Limits, ProvisionRequest, RevokeRequest, Scope, Secret, Target, Tls
from connectors.errors import ServerRefused, ServerUnreachable, UnknownEngine
from connectors.fake.server import FakeLoginRefused, FakeServer
from connectors.registry import ENGINE_LABELS, open_connector
from tests.connectors.conftest import Notebook
from tests.connectors.labs.base import random_token

SCOPE = Scope(Level.READ, ("orders",), group="lockgate_orders_read")
PASSWORD = Secret("of-alice")
REQUEST = ProvisionRequest("lg_abc_alice", PASSWORD, SCOPE, datetime(2100, 1, 1, tzinfo=UTC))
REVOCATION = RevokeRequest("lg_abc_alice", SCOPE)


@pytest.fixture
def target() -> Target:
    """A server of this test's own, with one table."""
    target = Target("fake", f"fake-{random_token()}", 1, "lockgate", Secret("x"), tls=Tls.DISABLE)
    FakeServer.named(target.host).make_table("orders", "app", "orders")
    return target


@pytest.fixture
def server(target: Target) -> FakeServer:
    """The server behind the target."""
    return FakeServer.named(target.host)


def test_it_can_be_down_and_come_back(target: Target, server: FakeServer) -> None:
    with open_connector(target) as connector:
        connector.provision(REQUEST, Notebook())
        server.is_down = True
        with pytest.raises(ServerUnreachable):
            connector.revoke(REVOCATION, Notebook())
        server.is_down = False
        assert connector.revoke(REVOCATION, Notebook()).is_clean


@pytest.mark.parametrize("number", [1, 2, 3])
def test_it_fails_at_the_nth_statement_once(target: Target, server: FakeServer, number: int) -> None:
    journal = Notebook()
    server.fail_statement(number)
    with open_connector(target) as connector:
        with pytest.raises(ServerRefused):
            connector.provision(REQUEST, journal)
        assert [bool(entry.error) for entry in journal] == [False] * (number - 1) + [True]
        connector.provision(REQUEST, journal)
        server.log_in(REQUEST.principal, PASSWORD, "orders").end()


def test_sessions_that_do_not_end_leave_an_unclean_receipt(target: Target, server: FakeServer) -> None:
    with open_connector(target) as connector:
        connector.provision(REQUEST, Notebook())
        server.log_in(REQUEST.principal, PASSWORD, "orders")
        server.has_stubborn_sessions = True
        receipt = connector.revoke(REVOCATION, Notebook())
        assert not receipt.is_clean
        assert receipt.sessions_ended == 0
        server.has_stubborn_sessions = False
        receipt = connector.revoke(REVOCATION, Notebook())
        assert receipt.is_clean
        assert receipt.sessions_ended == 1


def test_its_clock_is_the_tests(target: Target, server: FakeServer) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    server.clock = lambda: now
    request = ProvisionRequest("lg_abc_alice", PASSWORD, SCOPE, now + timedelta(hours=1), Limits())
    with open_connector(target) as connector:
        connector.provision(request, Notebook())
    server.log_in(request.principal, PASSWORD, "orders").end()
    server.clock = lambda: now + timedelta(hours=1)
    with pytest.raises(FakeLoginRefused):
        server.log_in(request.principal, PASSWORD, "orders")


def test_two_servers_know_nothing_of_each_other(target: Target, server: FakeServer) -> None:
    assert FakeServer.named(f"{target.host}-other") is not server
    assert FakeServer.named(target.host) is server


def test_it_is_offered_to_nobody(target: Target) -> None:
    assert "fake" not in ENGINE_LABELS
    with pytest.raises(UnknownEngine, match="oracle"):
        open_connector(Target("oracle", "localhost", 1, "lockgate", Secret("x")))
