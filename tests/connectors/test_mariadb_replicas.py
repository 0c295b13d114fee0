"""A server with one that follows it: who reads there, reads there no longer than here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import MySQLdb
import pytest

from connectors.base import Target
from connectors.mariadb.session import _CACHE
from connectors.registry import open_connector
from tests.connectors.labs.mariadb import wait_until
from tests.connectors.labs.private_mariadb import Alice, PrivateServer, check, is_alive, set_up

pytestmark = pytest.mark.xdist_group("private MariaDB")


def _started(*options: str) -> PrivateServer:
    made = PrivateServer(Path(tempfile.mkdtemp(prefix="lockgate-mariadb-")))
    made.start("--event-scheduler=ON", *options)
    return made


@pytest.fixture(scope="module")
def primary() -> Iterator[PrivateServer]:
    made = _started("--log-bin=log", "--server-id=1")
    made.run(
        "RESET MASTER; CREATE USER follower@'%' IDENTIFIED BY 'follows'; GRANT REPLICATION SLAVE ON *.* TO follower@'%'"
    )
    yield made
    made.stop()
    shutil.rmtree(made.folder)


@pytest.fixture(scope="module")
def replica(primary: PrivateServer) -> Iterator[PrivateServer]:
    made = _started("--server-id=2", "--read-only")
    made.run(
        f"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {primary.port}, MASTER_USER = 'follower',"
        " MASTER_PASSWORD = 'follows', MASTER_USE_GTID = slave_pos; START SLAVE"
    )
    yield made
    made.stop()
    shutil.rmtree(made.folder)


@pytest.fixture
def target(primary: PrivateServer, replica: PrivateServer) -> Iterator[Target]:
    primary.run("CREATE DATABASE IF NOT EXISTS shop; CREATE TABLE IF NOT EXISTS shop.orders (id INT)")
    target = set_up(primary)
    with open_connector(target) as connector:
        connector.identify()
    wait_until(lambda: replica.rows("SELECT name FROM mysql.event WHERE db = 'lockgate'") != [])
    yield target
    _CACHE.close_all()


def _on(replica: PrivateServer, alice: Alice) -> MySQLdb.Connection:
    """A session of the account's on the replica, once it has come there."""
    there = Alice(replace(alice.target, port=replica.port), alice.scope, alice.principal, alice.password)
    known = f"SELECT 1 FROM mysql.global_priv WHERE User = '{alice.principal}' AND Priv LIKE '%default_role%'"
    wait_until(lambda: replica.rows(known) != [])
    return there.log_in()


def test_a_replica_without_an_address_is_named_and_the_receipt_says_what_it_did_not_see(
    target: Target, replica: PrivateServer
) -> None:
    (known,) = check(target).replicas
    assert (known.name, known.is_reached) == ("follower", False)
    alice = Alice(target).provision()
    session = _on(replica, alice)
    receipt = alice.revoke()
    assert receipt.is_clean
    assert any("no address that Lockgate knows" in line and "follower" in line for line in receipt.not_seen)
    assert is_alive(session)
    session.close()


def test_sessions_on_a_replica_with_an_address_are_ended_too(target: Target, replica: PrivateServer) -> None:
    reached = replace(target, replicas=(("127.0.0.1", replica.port),))
    assert [each.is_reached for each in check(reached).replicas] == [True]
    alice = Alice(reached).provision()
    session = _on(replica, alice)
    receipt = alice.revoke()
    assert receipt.is_clean, receipt
    assert not receipt.not_seen
    assert not is_alive(session)
    assert any("replica" in finding.question for finding in receipt.findings)
    assert receipt.sessions_ended >= 1


def test_a_replica_that_does_not_answer_is_said(target: Target) -> None:
    alice = Alice(replace(target, replicas=(("127.0.0.1", 1),))).provision()
    receipt = alice.revoke()
    assert any("127.0.0.1:1 were neither seen nor ended" in line for line in receipt.not_seen)


def test_a_replica_that_took_the_place_of_its_primary_tells_that_its_switches_are_off(
    target: Target, replica: PrivateServer
) -> None:
    alice = Alice(target).provision()
    _on(replica, alice).close()
    replica.run("STOP SLAVE; SET GLOBAL read_only = OFF")
    try:
        promoted = replace(target, port=replica.port)
        told = [remedy for remedy in check(promoted).remedies if "switches" in remedy.problem]
        assert len(told) == 1
        replica.run(told[0].what_to_do)
        assert not [remedy for remedy in check(promoted).remedies if "switches" in remedy.problem]
    finally:
        replica.run("SET GLOBAL read_only = ON; START SLAVE")
    assert alice.revoke().is_clean
