"""Lockgate's own connections are used again, but never by two, after a fork, or when they are out of order."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from connectors import session as cache
from connectors.base import Target
from connectors.errors import ConnectorError, ServerRefused
from connectors.postgresql.session import Session
from connectors.session import IDLE_AT_MOST
from tests.connectors.conftest import lab_of
from tests.connectors.labs.base import Lab
from tests.connectors.labs.postgresql import PostgreSQLLab

_numbers = itertools.count(1)


@pytest.fixture
def lab(labs: dict[str, Lab]) -> PostgreSQLLab:
    """PostgreSQL alone."""
    return cast(PostgreSQLLab, lab_of("postgresql", labs))


@pytest.fixture
def target(lab: PostgreSQLLab) -> Target:
    """One whose connections no other test shares."""
    return replace(lab.target, statement_timeout=timedelta(seconds=10, milliseconds=next(_numbers)))


def pid_of(session: Session) -> int:
    """The server's process behind a session."""
    pid: int = session.rows("SELECT pg_backend_pid()")[0][0]
    return pid


def used_once(target: Target) -> int:
    """The process behind a session that was opened and left."""
    session = Session(target, "postgres")
    pid = pid_of(session)
    session.close()
    return pid


def lives(lab: PostgreSQLLab, pid: int) -> bool:
    """Whether the server has that process."""
    return bool(lab.run(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"))


def test_a_connection_is_used_again(target: Target) -> None:
    assert used_once(target) == used_once(target)


def test_two_at_once_have_one_each(target: Target) -> None:
    first, second = Session(target, "postgres"), Session(target, "postgres")
    assert pid_of(first) != pid_of(second)
    first.close()
    second.close()


def test_another_password_is_another_connection(lab: PostgreSQLLab, target: Target) -> None:
    used_once(target)
    wrong = replace(target, password=lab.wrong_password().password)
    with pytest.raises(ConnectorError):
        Session(wrong, "postgres")


def test_only_a_few_wait(lab: PostgreSQLLab, target: Target) -> None:
    sessions = [Session(target, "postgres") for _ in range(IDLE_AT_MOST + 2)]
    pids = [pid_of(each) for each in sessions]
    for each in sessions:
        each.close()
    time.sleep(0.2)
    assert sum(lives(lab, pid) for pid in pids) == IDLE_AT_MOST


def test_who_waits_longest_makes_room(lab: PostgreSQLLab, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "IDLE_IN_ALL", 2)
    first, second, third = (
        used_once(replace(target, connect_timeout=timedelta(seconds=5, milliseconds=number))) for number in range(3)
    )
    time.sleep(0.2)
    assert [lives(lab, pid) for pid in (first, second, third)] == [False, True, True]


def test_what_the_server_has_ended_is_not_used_again(lab: PostgreSQLLab, target: Target) -> None:
    pid = used_once(target)
    lab.run(f"SELECT pg_terminate_backend({pid})")
    assert used_once(target) != pid


def test_what_is_out_of_order_is_not_used_again(lab: PostgreSQLLab, target: Target) -> None:
    in_transaction = Session(target, "postgres")
    pid = pid_of(in_transaction)
    in_transaction.rows("BEGIN")
    in_transaction.close()
    assert used_once(target) != pid

    spoiled = Session(target, "postgres")
    pid = pid_of(spoiled)
    spoiled.spoil()
    spoiled.close()
    assert used_once(target) != pid
    assert not lives(lab, pid)


def test_an_error_does_not_cost_the_connection(target: Target) -> None:
    session = Session(target, "postgres")
    pid = pid_of(session)
    with pytest.raises(ServerRefused):
        session.rows("SELECT 1 / 0")
    session.close()
    assert used_once(target) == pid


def test_nothing_waits_for_long(lab: PostgreSQLLab, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "IDLE_SECONDS", 0.3)
    pid = used_once(target)
    deadline = time.monotonic() + 15
    while lives(lab, pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not lives(lab, pid)


def test_a_fork_leaves_the_parents_connections_alone(lab: PostgreSQLLab, target: Target) -> None:
    pid = used_once(target)
    child = os.fork()
    if child == 0:
        # In the child: no exception may get out, since the rest of the test run is here too.
        status = 1
        try:
            status = 0 if used_once(target) != pid else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert lives(lab, pid)
    assert used_once(target) == pid


def test_no_statement_is_kept_by_the_debug_log(target: Target, settings: object) -> None:
    settings.DEBUG = True  # type: ignore[attr-defined]
    session = Session(target, "postgres")
    session.rows("SELECT 'SCRAM-SHA-256'")
    assert not session._backend.queries
    session.close()
