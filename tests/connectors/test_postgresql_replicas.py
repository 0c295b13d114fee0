"""A standby has accounts and sessions of its own: what Lockgate ends there, and what it says of one that it cannot see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from connectors.base import Level, Receipt
from connectors.postgresql.connector import PostgreSQLConnector
from tests.connectors.conftest import Account, Accounts
from tests.connectors.labs.base import Place, random_token, scope_of
from tests.connectors.labs.postgresql import PostgreSQLLab
from tests.connectors.labs.standby import Standby
from tests.connectors.test_postgresql_revocation import lab
from tests.connectors.test_postgresql_who_can_act import lives

__all__ = ["lab"]

#: Two standbys at once would each find the other among those that follow the server.
pytestmark = pytest.mark.xdist_group("postgresql-standby")


@pytest.fixture(scope="module")
def standby(labs: dict[str, PostgreSQLLab]) -> Iterator[Standby]:
    """One for all the tests here."""
    from tests.connectors.conftest import lab_of

    made = Standby(lab_of("postgresql", labs), f"standby_{random_token()}")  # type: ignore[arg-type]
    yield made
    made.stop()


def log_in(standby: Standby, account: Account) -> psycopg.Connection[tuple[object, ...]]:
    """As the account, on the standby."""
    return psycopg.connect(
        host="127.0.0.1",
        port=standby.port,
        user=account.principal,
        password=account.request.password.reveal(),
        dbname=account.request.scope.databases[0],
        sslmode="disable",
        autocommit=True,
    )


def revoke(lab: PostgreSQLLab, account: Account, *replicas: tuple[str, int]) -> Receipt:
    """With these addresses of standbys."""
    with PostgreSQLConnector(replace(lab.target, replicas=replicas)) as connector:
        return connector.revoke(account.revocation, account.journal)


def test_sessions_on_a_standby_are_ended(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, standby: Standby
) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    standby.catch_up()
    with log_in(standby, alice) as there:
        receipt = revoke(lab, alice, ("127.0.0.1", standby.port))
        assert receipt.is_clean, receipt
        assert receipt.not_seen == ()
        assert receipt.sessions_ended == 1
        assert any(str(standby.port) in finding.question for finding in receipt.findings)
        assert not lives(there)
    with pytest.raises(psycopg.OperationalError):
        log_in(standby, alice)


def test_a_standby_without_an_address_is_in_the_receipt(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, standby: Standby
) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    receipt = revoke(lab, alice)
    assert receipt.is_clean
    assert len(receipt.not_seen) == 1
    assert standby.name in receipt.not_seen[0]


def test_a_standby_that_cannot_be_reached_is_in_the_receipt(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, standby: Standby
) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    receipt = revoke(lab, alice, ("127.0.0.1", standby.port), ("127.0.0.1", 1))
    assert [line for line in receipt.not_seen if "127.0.0.1:1 " in line] == list(receipt.not_seen)


def test_another_server_is_not_taken_for_a_standby(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, standby: Standby
) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    receipt = revoke(lab, alice, ("127.0.0.1", lab.target.port))
    assert any("follows no server" in line for line in receipt.not_seen)


def test_a_standby_that_lags_keeps_the_receipt_unclean(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, standby: Standby
) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    standby.catch_up()
    standby.run("SELECT pg_wal_replay_pause()")
    try:
        with log_in(standby, alice) as there:
            receipt = revoke(lab, alice, ("127.0.0.1", standby.port))
            assert not receipt.is_clean, "Whoever was let in there may be let in again."
            assert not lives(there)
    finally:
        standby.run("SELECT pg_wal_replay_resume()")
    assert revoke(lab, alice, ("127.0.0.1", standby.port)).is_clean


def test_the_check_names_who_follows(lab: PostgreSQLLab, standby: Standby) -> None:
    with lab.connector() as connector:
        unreached = connector.check().replicas
    assert [(replica.name, replica.is_reached) for replica in unreached] == [(standby.name, False)]
    with PostgreSQLConnector(replace(lab.target, replicas=(("127.0.0.1", standby.port),))) as connector:
        reached = connector.check().replicas
    assert [(replica.name, replica.is_reached) for replica in reached] == [(f"127.0.0.1:{standby.port}", True)]
