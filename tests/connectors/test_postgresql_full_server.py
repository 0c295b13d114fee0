"""A server without room: who fills it does not keep Lockgate out, and what the server sets for idle sessions neither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors import session as cache
from connectors.base import Level, Target
from connectors.errors import ServerFull
from connectors.postgresql.connector import PostgreSQLConnector
from connectors.postgresql.session import Session
from tests.connectors.conftest import Accounts
from tests.connectors.labs.base import LoginRefused, Place, scope_of
from tests.connectors.labs.postgresql import PostgreSQLLab
from tests.connectors.test_postgresql_revocation import lab

__all__ = ["lab"]


@pytest.fixture
def alone(lab: PostgreSQLLab) -> Iterator[Target]:
    """Lockgate's own account may have two connections, which is what a full server comes to; nobody else notices."""
    yield replace(lab.target, statement_timeout=timedelta(seconds=9, milliseconds=77))
    lab.run(f'ALTER ROLE "{lab.target.user}" CONNECTION LIMIT -1')


def test_a_full_server_is_told_as_that(lab: PostgreSQLLab, alone: Target) -> None:
    lab.run(f'ALTER ROLE "{lab.target.user}" CONNECTION LIMIT 0')
    with pytest.raises(ServerFull) as told:
        PostgreSQLConnector(alone).check()
    assert told.value.code == "53300"
    assert told.value.transient
    assert "no connection left" in str(told.value)


def test_sessions_end_on_a_server_that_gives_no_connection(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, alone: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer after the last work of Lockgate's than an ordinary connection waits."""
    monkeypatch.setattr(cache, "IDLE_SECONDS", 0.1)
    alice = accounts.new(scope_of(Level.READ, orders))
    with PostgreSQLConnector(alone) as connector:
        connector.provision(alice.request, alice.journal)
    sessions = [alice.log_in() for _ in range(3)]
    lab.run("SELECT pg_sleep(0.5)", f'ALTER ROLE "{lab.target.user}" CONNECTION LIMIT 0')
    with PostgreSQLConnector(alone) as connector:
        receipt = connector.revoke(alice.revocation, alice.journal)
    assert receipt.is_clean, receipt
    assert receipt.sessions_ended == 3
    assert not any(session.is_alive() for session in sessions)
    with pytest.raises(LoginRefused):
        alice.log_in()


def test_what_the_server_sets_for_idle_sessions_is_not_for_ours(lab: PostgreSQLLab) -> None:
    settings = {"idle_session_timeout": 140000, "transaction_timeout": 170000}
    known = [setting for setting, since in settings.items() if lab.version >= since]
    if not known:
        pytest.skip("could not be shown on this server: timeouts of idle sessions and of transactions")
    target = replace(lab.target, statement_timeout=timedelta(seconds=9, milliseconds=78))
    lab.run(*(f"ALTER ROLE \"{lab.target.user}\" SET {setting} = '150ms'" for setting in known))
    try:
        session = Session(target, "postgres")
        with session.transaction():
            session.rows("SELECT pg_sleep(0.4)")
        lab.run("SELECT pg_sleep(0.4)")
        assert [session.rows(f"SHOW {setting}") for setting in known] == [[("0",)]] * len(known)
        session.close()
    finally:
        lab.run(*(f'ALTER ROLE "{lab.target.user}" RESET {setting}' for setting in known))


def test_a_session_that_the_server_ended_for_idling_is_passing(lab: PostgreSQLLab) -> None:
    if lab.version < 140000:
        pytest.skip("could not be shown on this server: idle_session_timeout")
    session = Session(replace(lab.target, statement_timeout=timedelta(seconds=9, milliseconds=79)), "postgres")
    session.rows("SET idle_session_timeout = '50ms'")
    lab.run("SELECT pg_sleep(0.3)")
    with pytest.raises(Exception) as told:
        session.rows("SELECT 1")
    assert getattr(told.value, "transient", False), told.value
    session.close()
