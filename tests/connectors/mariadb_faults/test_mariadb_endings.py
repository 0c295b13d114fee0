"""What somebody on a server can do to an account of Lockgate's or to a role, each with how its grant ends all the same."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import MySQLdb
import pytest

from connectors.base import ExtendRequest, Level, Scope, Target
from connectors.mariadb.session import _CACHE
from connectors.registry import open_connector
from tests.connectors.conftest import Notebook
from tests.connectors.labs.mariadb import run_in_client, wait_until
from tests.connectors.labs.private_mariadb import (
    DDL,
    READ,
    Alice,
    PrivateServer,
    administrator,
    check,
    checking_passwords,
    is_alive,
    set_globally,
    set_up,
)

pytestmark = pytest.mark.xdist_group("private MariaDB")

_SLEEPING = "SELECT id FROM information_schema.processlist WHERE state = 'User sleep'"


# --- A revocation goes on, whatever the server says to a login


def test_a_server_whose_init_connect_fails_lets_an_account_be_taken_away(server: PrivateServer, alice: Alice) -> None:
    session = alice.log_in()
    with set_globally(server, "init_connect", "'INSERT INTO nosuch.audit VALUES (1)'", "''"):
        receipt = alice.revoke()
    assert receipt.is_clean, receipt
    assert not receipt.errors
    assert not is_alive(session)


def test_a_session_inside_a_routine_is_still_counted_where_init_connect_fails(
    server: PrivateServer, target: Target
) -> None:
    server.run("CREATE PROCEDURE shop.wait() SELECT SLEEP(30); CREATE ROLE IF NOT EXISTS waiters")
    server.run("GRANT EXECUTE ON PROCEDURE shop.wait TO waiters; GRANT waiters TO lockgate@'%' WITH ADMIN OPTION")
    alice = Alice(
        target, Scope(Level.MEMBER, ("shop",), database_roles=("waiters",), group="lockgate_wait")
    ).provision()
    session = alice.log_in(database="")
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(session.query, "CALL shop.wait()")
        try:
            wait_until(lambda: bool(server.rows(_SLEEPING)))
            with set_globally(server, "init_connect", "'INSERT INTO nosuch.audit VALUES (1)'", "''"):
                receipt = alice.revoke()
            assert not receipt.is_clean
        finally:
            server.run(
                "KILL HARD "
                + server.rows("SELECT id FROM information_schema.processlist WHERE state = 'User sleep'")[0]
            )
            call.exception(timeout=20)
    assert alice.revoke().is_clean
    server.run("DROP PROCEDURE shop.wait")


def test_a_server_that_checks_passwords_by_now_lets_an_account_be_taken_away(
    server: PrivateServer, alice: Alice
) -> None:
    session = alice.log_in()
    with checking_passwords(server):
        receipt = alice.revoke()
    assert receipt.is_clean, receipt
    assert not is_alive(session)


def test_however_long_a_server_wants_passwords_to_be(server: PrivateServer, alice: Alice) -> None:
    with checking_passwords(server):
        server.run(
            "SET GLOBAL simple_password_check_minimal_length = 100; SET GLOBAL simple_password_check_digits = 10;"
            " SET GLOBAL simple_password_check_letters_same_case = 10; SET GLOBAL simple_password_check_other_characters = 10"
        )
        receipt = alice.revoke()
    assert receipt.is_clean, receipt


def test_sessions_end_while_a_backup_holds_the_account_tables(server: PrivateServer, alice: Alice) -> None:
    """Nobody can be locked meanwhile; what is left to do is done when it has let go."""
    session = alice.log_in()
    backup = administrator(server)
    try:
        backup.query("FLUSH TABLES WITH READ LOCK")
        began = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            revoking = pool.submit(alice.revoke, statement_timeout=timedelta(seconds=4))
            wait_until(lambda: not is_alive(session))
            assert time.monotonic() - began < 4
            assert not revoking.result().is_clean
    finally:
        backup.close()
    assert alice.revoke().is_clean


# --- Another name


@pytest.mark.parametrize("name", ["bob", "lg_somebody_else"])
@pytest.mark.parametrize("scope", [READ, DDL], ids=["read", "ddl"])
def test_an_account_that_somebody_renamed_ends_with_its_grant(
    server: PrivateServer, target: Target, name: str, scope: Scope
) -> None:
    alice = Alice(target, scope).provision()
    before = alice.log_in()
    server.run(f"RENAME USER {alice.principal}@'%' TO {name}@'%'")
    after = alice.log_in(name)
    # It may change its password, which is why it is not known by that.
    after.query("SET PASSWORD = PASSWORD('another')")
    with open_connector(target) as connector:
        found = {each.name: each for each in connector.list_principals()}[name]
    assert found.identifier == alice.identifier

    receipt = alice.revoke()

    assert receipt.is_clean, receipt
    assert not is_alive(before)
    assert not is_alive(after)
    assert not server.rows(f"SELECT User FROM mysql.global_priv WHERE User IN ('{name}', '{alice.principal}')")


def test_who_has_the_new_name_of_an_account_already_keeps_their_sessions(server: PrivateServer, alice: Alice) -> None:
    server.run("CREATE USER carol@'localhost' IDENTIFIED BY 'hers'")
    carol = MySQLdb.connect(host="127.0.0.1", port=server.port, user="carol", password="hers", ssl_mode="DISABLED")
    server.run(f"RENAME USER {alice.principal}@'%' TO carol@'%'")
    receipt = alice.revoke()
    assert is_alive(carol)
    assert not server.rows("SELECT Host FROM mysql.global_priv WHERE User = 'carol' AND Host = '%'")
    assert receipt.is_clean
    server.run("DROP USER carol@'localhost'")


def test_a_renamed_account_can_have_more_time(server: PrivateServer, alice: Alice) -> None:
    server.run(f"RENAME USER {alice.principal}@'%' TO bob@'%'")
    with open_connector(alice.target) as connector:
        later = datetime.now(UTC) + timedelta(hours=2)
        connector.extend(ExtendRequest(alice.principal, later, alice.identifier), Notebook())
    assert server.rows(f"SELECT User FROM mysql.global_priv WHERE User = '{alice.principal}'")
    assert alice.revoke().is_clean


def test_who_is_in_a_group_of_ours_without_a_grant_is_told(server: PrivateServer, alice: Alice) -> None:
    server.run("CREATE USER dave@'%' IDENTIFIED BY 'his'")
    run_as(alice.target, "GRANT lockgate_shop_read TO dave@'%'")
    with open_connector(alice.target) as connector:
        found = {each.name: each for each in connector.list_principals()}
    assert found["dave"].is_foreign
    assert found["dave"].memberships == ("lockgate_shop_read",)
    assert not found[alice.principal].is_foreign
    server.run("DROP USER dave@'%'")
    assert alice.revoke().is_clean


# --- Roles of ours in other hands


def run_as(target: Target, sql: str) -> None:
    run_in_client(target, sql)


def test_an_account_of_ours_that_was_made_anew_goes_on(server: PrivateServer, alice: Alice) -> None:
    session = alice.log_in()
    server.run("DROP USER lockgate@'%'")
    _CACHE.close_all()
    # Without the part of the setup that mends it.
    server.run(
        "CREATE USER lockgate@'%' IDENTIFIED BY 'chosen';"
        " GRANT CREATE USER, CONNECTION ADMIN, PROCESS, SHOW DATABASES ON *.* TO lockgate@'%';"
        " GRANT SELECT ON mysql.* TO lockgate@'%'; GRANT EVENT ON lockgate.* TO lockgate@'%';"
        " GRANT ALL ON shop.* TO lockgate@'%' WITH GRANT OPTION"
    )
    told = [remedy for remedy in check(alice.target).remedies if "not the administrator" in remedy.problem]
    assert len(told) == 1
    bob = Alice(alice.target).provision()
    assert alice.log_in()
    assert is_alive(session)
    run_in_client(server.root, told[0].what_to_do)
    assert not [remedy for remedy in check(alice.target).remedies if "not the administrator" in remedy.problem]
    assert bob.revoke().is_clean
    assert alice.revoke().is_clean


def test_the_setup_makes_a_new_account_of_ours_the_administrator_of_what_is_there(
    server: PrivateServer, alice: Alice
) -> None:
    server.run("DROP USER lockgate@'%'")
    _CACHE.close_all()
    other = set_up(server, "lockgate_two")
    assert not [remedy for remedy in check(other).remedies if "administrator" in remedy.problem]
    ddl = Alice(other, DDL).provision()
    connection = ddl.log_in()
    connection.query("CREATE OR REPLACE VIEW shop.mine AS SELECT 1 AS one")
    receipt = ddl.revoke()
    assert receipt.is_clean, receipt
    assert not receipt.errors
    assert replace_target(alice, other).revoke().is_clean
    server.run("DROP VIEW shop.mine; DROP USER lockgate_two@'%'")


def replace_target(alice: Alice, target: Target) -> Alice:
    return Alice(target, alice.scope, alice.principal, alice.password, alice.identifier)


def test_a_group_that_was_given_what_lockgate_has_not_is_emptied_and_filled_again(
    server: PrivateServer, alice: Alice
) -> None:
    server.run("GRANT ALL ON shop.* TO lockgate_shop_read")
    Alice(alice.target).provision().revoke()
    granted = server.rows("SHOW GRANTS FOR lockgate_shop_read")
    assert any("GRANT SELECT, SHOW VIEW ON `shop`" in line for line in granted), granted
    assert alice.revoke().is_clean


# --- A group that somebody has dropped


MEMBER = Scope(Level.MEMBER, ("shop",), database_roles=("readers",), group="lockgate_of_readers")


def dropped(server: PrivateServer, scope: Scope, alice: Alice) -> None:
    """Who is out of their group may do nothing, and is still there."""
    server.run(f"DROP ROLE {scope.group}")
    with pytest.raises(MySQLdb.OperationalError, match="denied"):
        alice.log_in(database="").query("SELECT COUNT(*) FROM shop.orders")


@pytest.mark.parametrize("scope", [READ, DDL, MEMBER], ids=["read", "ddl", "member"])
def test_a_group_that_was_dropped_is_made_anew_for_whoever_was_granted_it(
    server: PrivateServer, target: Target, scope: Scope
) -> None:
    server.run("CREATE ROLE IF NOT EXISTS readers; GRANT SELECT ON shop.* TO readers")
    server.run("GRANT readers TO lockgate@'%' WITH ADMIN OPTION")
    alice = Alice(target, scope).provision()
    with open_connector(target) as connector:
        dropped(server, scope, alice)
        journal = Notebook()
        connector.keep_group(scope, journal, [alice.principal])
        assert any(sql.startswith("CREATE ROLE") for _, sql in journal.sql)
        alice.log_in(database="").query("SELECT COUNT(*) FROM shop.orders")
        # And nothing is done where nothing is amiss.
        connector.keep_group(scope, again := Notebook(), [alice.principal])
        assert not again
        dropped(server, scope, alice)
        later = datetime.now(UTC) + timedelta(hours=2)
        connector.extend(ExtendRequest(alice.principal, later, alice.identifier, scope), Notebook())
        alice.log_in(database="").query("SELECT COUNT(*) FROM shop.orders")
    dropped(server, scope, alice)
    session = alice.log_in(database="")
    receipt = alice.revoke()
    assert receipt.is_clean, receipt
    assert not receipt.errors
    assert not is_alive(session)


# --- Locks, names, limits


def test_nobody_holds_the_lock_of_a_group_but_lockgate(server: PrivateServer, alice: Alice) -> None:
    session = alice.log_in()
    guessed = "lockgate.group." + hashlib.sha256(READ.group.encode()).hexdigest()[:40]
    session.query(f"SELECT GET_LOCK('{guessed}', 0)")
    session.store_result()
    server.run("GRANT INSERT ON shop.* TO lockgate_shop_read")
    began = datetime.now(UTC)
    Alice(alice.target).provision().revoke()
    assert datetime.now(UTC) - began < timedelta(seconds=10)
    session.close()
    assert alice.revoke().is_clean


def test_rows_that_a_read_account_has_locked_hold_up_no_grant(server: PrivateServer, alice: Alice) -> None:
    server.run("INSERT INTO shop.orders VALUES (1)")
    session = alice.log_in()
    session.autocommit(False)
    session.query("SELECT * FROM shop.orders FOR UPDATE")
    session.store_result()
    one_table = Scope(Level.READ, ("shop",), tables=(("shop", "orders"),), group="lockgate_orders")
    began = datetime.now(UTC)
    bob = Alice(alice.target, one_table).provision()
    assert bob.revoke().is_clean
    assert alice.revoke().is_clean
    assert datetime.now(UTC) - began < timedelta(seconds=10)


# --- Transactions that somebody has prepared


WRITE = Scope(Level.WRITE, ("shop",), group="lockgate_shop_write")


def prepare(session: Any, branch: str, table: str = "orders") -> None:
    for sql in (
        f"XA START {branch}",
        f"INSERT INTO shop.{table} VALUES (7)",
        f"XA END {branch}",
        f"XA PREPARE {branch}",
    ):
        session.query(sql)


def branches(server: PrivateServer) -> set[str]:
    return {line.split("\t")[-1] for line in server.rows("XA RECOVER FORMAT='SQL'")}


@pytest.fixture
def no_branches(server: PrivateServer) -> None:
    """Whatever was left by a test that failed would be in the way of the next."""
    for branch in branches(server):
        server.run(f"XA ROLLBACK {branch}")


@pytest.mark.usefixtures("no_branches")
def test_what_a_session_has_prepared_is_rolled_back_with_its_end(server: PrivateServer, target: Target) -> None:
    alice = Alice(target, WRITE).provision()
    rows = server.rows("SELECT COUNT(*) FROM shop.orders")
    sessions = alice.log_in(), alice.log_in()
    prepare(sessions[0], "'mine'")
    prepare(sessions[1], "x'00ff27',x'27',7")
    receipt = alice.revoke()
    assert receipt.is_clean, receipt
    assert not receipt.errors
    assert not any(is_alive(session) for session in sessions)
    assert not branches(server)
    assert any("'mine'" in line and "rolled back" in line for line in receipt.handed_over)
    assert server.rows("SELECT COUNT(*) FROM shop.orders LOCK IN SHARE MODE") == rows


@pytest.mark.usefixtures("no_branches")
def test_a_prepared_transaction_that_could_be_somebody_elses_is_left_and_no_receipt_is_clean(
    server: PrivateServer, target: Target
) -> None:
    server.run("CREATE TABLE IF NOT EXISTS shop.others (id INT)")
    other = administrator(server)
    prepare(other, "'theirs'", "others")
    other.close()
    alice = Alice(target, WRITE).provision()
    session = alice.log_in()
    prepare(session, "'mine'")
    for _ in range(2):
        receipt = alice.revoke()
        assert any("'mine'" in line for finding in receipt.findings for line in finding.found)
    assert branches(server) == {"'mine'", "'theirs'"}
    assert not is_alive(session)
    server.run("XA ROLLBACK 'mine'")
    receipt = alice.revoke()
    assert receipt.is_clean, receipt
    assert any("'theirs'" in line for line in receipt.not_seen)
    server.run("XA ROLLBACK 'theirs'")


@pytest.mark.usefixtures("no_branches")
def test_a_prepared_transaction_of_a_session_that_is_gone_is_said(server: PrivateServer, target: Target) -> None:
    alice = Alice(target, WRITE).provision()
    session = alice.log_in()
    prepare(session, "'mine'")
    session.close()
    wait_until(
        lambda: not server.rows(f"SELECT 1 FROM information_schema.processlist WHERE user = '{alice.principal}'")
    )
    receipt = alice.revoke()
    assert receipt.is_clean
    assert any("'mine'" in line for line in receipt.not_seen)
    server.run("XA ROLLBACK 'mine'")
