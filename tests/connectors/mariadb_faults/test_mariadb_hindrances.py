"""What stands in the way of a grant, is said before anybody asks for it, with a remedy that helps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.base import ExtendRequest, Level, Scope, Secret, Target
from connectors.errors import AdminLoginRefused, PrincipalCannotLogIn, ServerRefused
from connectors.mariadb.session import _CACHE
from connectors.registry import open_connector
from tests.connectors.conftest import Notebook
from tests.connectors.labs.mariadb import run_in_client, wait_until
from tests.connectors.labs.private_mariadb import (
    DDL,
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


# --- What stands in the way of a grant is found beforehand, and its remedy helps


@dataclass(frozen=True)
class Fault:
    """One thing that somebody has set on a server, so that no grant succeeds."""

    sql: str
    undo: str
    is_followed_by_words: bool = False
    """The remedy is one statement, with words behind it."""


def at_each_login(sql: str) -> Fault:
    return Fault(f"SET GLOBAL init_connect = '{sql}'", "SET GLOBAL init_connect = ''", is_followed_by_words=True)


FAULTS = {
    "init_connect fails": at_each_login("INSERT INTO nosuch.audit VALUES (1)"),
    "init_connect takes the role": at_each_login("SET ROLE NONE"),
    "init_connect takes the role of the next login": at_each_login("SET DEFAULT ROLE NONE"),
    "init_connect changes the password": at_each_login('SET PASSWORD = PASSWORD("another")'),
    "init_connect ends the session": at_each_login("KILL CONNECTION_ID()"),
    "passwords are checked": Fault(
        "INSTALL SONAME 'simple_password_check'", "UNINSTALL SONAME 'simple_password_check'", is_followed_by_words=True
    ),
    "an account without a name is in the way": Fault(
        "CREATE USER ''@'localhost'", "DROP USER IF EXISTS ''@'localhost'"
    ),
}
#: What can be set for everybody, and keeps sessions of Lockgate's from nothing.
SETTINGS = {
    "tx_read_only": ("ON", "OFF"),
    "sql_select_limit": ("0", "DEFAULT"),
    "max_join_size": ("1", "DEFAULT"),
    "autocommit": ("OFF", "ON"),
    "sql_mode": ("'ORACLE,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'", "DEFAULT"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_makes_a_grant_fail_blocks_and_its_remedy_helps(server: PrivateServer, target: Target, fault: str) -> None:
    assert check(target).ok
    server.run(FAULTS[fault].sql)
    try:
        with pytest.raises((ServerRefused, PrincipalCannotLogIn)):
            Alice(target).provision()
        (remedy,) = [each for each in check(target).remedies if each.blocking]
        what_to_do = remedy.what_to_do
        run_in_client(server.root, what_to_do.split(";")[0] if FAULTS[fault].is_followed_by_words else what_to_do)
        assert check(target).ok
        assert Alice(target).provision().revoke().is_clean
    finally:
        server.run(f"{FAULTS[fault].undo}; SET GLOBAL strict_password_validation = ON")


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.startswith("init_connect")])
def test_what_a_server_runs_at_each_login_keeps_no_account_from_ending(
    server: PrivateServer, alice: Alice, fault: str
) -> None:
    session = alice.log_in()
    server.run(FAULTS[fault].sql)
    try:
        receipt = alice.revoke()
    finally:
        server.run(FAULTS[fault].undo)
    assert receipt.is_clean, receipt
    assert not is_alive(session)


def test_a_member_of_roles_gets_nothing_that_does_not_work(server: PrivateServer, target: Target) -> None:
    """No database is promised, so nothing but the role itself can be proved."""
    server.run("CREATE ROLE IF NOT EXISTS readers; GRANT readers TO lockgate@'%' WITH ADMIN OPTION")
    alice = Alice(target, Scope(Level.MEMBER, ("shop",), database_roles=("readers",), group="lockgate_readers"))
    without_roles = set_globally(server, "init_connect", "'SET ROLE NONE'", "''")
    with without_roles, pytest.raises(PrincipalCannotLogIn, match="without its role"):
        alice.provision()
    assert alice.provision().revoke().is_clean


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_is_set_for_everybody_keeps_nothing_of_lockgates_from_working(
    server: PrivateServer, target: Target, setting: str
) -> None:
    before = Alice(target).provision()
    _CACHE.close_all()
    with set_globally(server, setting, *SETTINGS[setting]):
        assert check(target).ok
        during = Alice(target, DDL).provision()
        assert before.revoke().is_clean
        _CACHE.close_all()
    assert during.revoke().is_clean


def test_the_switch_strikes_where_everybody_only_reads(server: PrivateServer, alice: Alice) -> None:
    with set_globally(server, "tx_read_only", "ON", "OFF"):
        with open_connector(alice.target) as connector:
            soon = datetime.now(UTC) + timedelta(seconds=1)
            connector.extend(ExtendRequest(alice.principal, soon, alice.identifier), Notebook())
        locked = f"SELECT 1 FROM mysql.global_priv WHERE User = '{alice.principal}' AND Priv LIKE '%locked\":true%'"
        wait_until(lambda: bool(server.rows(locked)))
    assert alice.revoke().is_clean


def test_a_trial_leaves_nothing_behind(server: PrivateServer, target: Target) -> None:
    server.run("CREATE USER lockgate_trial_0123@'%'; CREATE ROLE lockgate_trial_0123_role")
    server.run(
        "UPDATE mysql.global_priv SET Priv = JSON_SET(Priv, '$.password_last_changed', 1)"
        " WHERE User = 'lockgate_trial_0123'; FLUSH PRIVILEGES"
    )
    assert check(target).ok
    assert not server.rows("SELECT User FROM mysql.global_priv WHERE User LIKE 'lockgate\\_trial%'")


def test_a_server_that_takes_tls_alone_is_told_with_what_to_choose(server: PrivateServer, target: Target) -> None:
    # Whoever is in already stays: nobody could undo it without TLS.
    inside = administrator(server)
    with open_connector(target) as connector:
        assert connector.check().ok
        inside.query("SET GLOBAL require_secure_transport = ON")
        try:
            (remedy,) = [each for each in connector.check().remedies if each.blocking]
        finally:
            inside.query("SET GLOBAL require_secure_transport = OFF")
            inside.close()
    assert "require_secure_transport" in remedy.problem
    assert "verify-full" in remedy.what_to_do


def test_a_server_that_checks_passwords_is_told_and_not_retried(server: PrivateServer, target: Target) -> None:
    with checking_passwords(server), pytest.raises(ServerRefused, match="refuses hashes") as refused:
        Alice(target).provision()
    assert not refused.value.transient


# --- Everybody


def test_what_public_may_is_told_and_public_is_no_role_to_join(server: PrivateServer, target: Target) -> None:
    server.run("CREATE DATABASE secret; CREATE TABLE secret.plans (id INT); GRANT SELECT ON secret.* TO PUBLIC")
    try:
        told = [remedy for remedy in check(target).remedies if "PUBLIC" in remedy.problem]
        assert len(told) == 1
        assert "SELECT on secret.*" in told[0].problem
        assert "lockgate_heir" in told[0].problem
        with open_connector(target) as connector:
            assert "PUBLIC" not in connector.describe().roles
        run_in_client(server.root, told[0].what_to_do.split(";")[0])
        assert not [remedy for remedy in check(target).remedies if "PUBLIC" in remedy.problem]
    finally:
        server.run("DROP DATABASE secret")


# --- A refusal is told as what it is


def test_an_account_that_is_blocked_is_told_as_that(server: PrivateServer, target: Target) -> None:
    _CACHE.close_all()
    with set_globally(server, "max_password_errors", "1", "4294967295"):
        for _ in range(3):
            with pytest.raises(AdminLoginRefused):
                check(replace(target, password=Secret("wrong")))
        with pytest.raises(AdminLoginRefused, match="max_password_errors") as refused:
            check(target)
    server.run("FLUSH PRIVILEGES")
    assert refused.value.code == "4150"


def test_an_account_whose_plugin_is_not_loaded_is_told_as_that(server: PrivateServer, target: Target) -> None:
    server.run("INSTALL SONAME 'auth_ed25519'")
    server.run("CREATE USER other@'%' IDENTIFIED VIA ed25519 USING PASSWORD('chosen')")
    server.run("UNINSTALL SONAME 'auth_ed25519'")
    try:
        with pytest.raises(AdminLoginRefused, match="plugin") as refused:
            check(replace(target, user="other"))
    finally:
        server.run("DROP USER other@'%'")
    assert refused.value.code == "1524"


# --- As the server is started


def test_a_server_without_a_scheduler_blocks_and_what_lives_there_still_ends(
    server: PrivateServer, alice: Alice
) -> None:
    session = alice.log_in()
    _CACHE.close_all()
    server.start("--event-scheduler=DISABLED")
    try:
        blocking = [remedy for remedy in check(alice.target).remedies if remedy.blocking]
        assert ["scheduler" in remedy.problem for remedy in blocking] == [True]
        with pytest.raises(ServerRefused, match="event_scheduler"):
            Alice(alice.target).provision()
        # The setup can be run all the same.
        set_up(server)
        receipt = alice.revoke()
        assert receipt.is_clean, receipt
        assert any("switch" in line for line in receipt.not_seen)
    finally:
        _CACHE.close_all()
        server.start("--event-scheduler=ON")
    assert not is_alive(session)


def test_names_arrive_as_they_are_where_the_server_overrules_the_client(server: PrivateServer, target: Target) -> None:
    server.run("CREATE DATABASE IF NOT EXISTS `naïve`; CREATE TABLE IF NOT EXISTS `naïve`.`t` (id INT)")
    _CACHE.close_all()
    server.start(
        "--event-scheduler=ON",
        "--skip-character-set-client-handshake",
        "--character-set-server=latin1",
    )
    try:
        set_up(server)
        server.run("SET NAMES utf8mb4; GRANT ALL ON `naïve`.* TO lockgate@'%' WITH GRANT OPTION")
        alice = Alice(target, Scope(Level.READ, ("naïve",), group="lockgate_naive")).provision()
        connection = alice.log_in(database="")
        connection.query("SET NAMES utf8mb4")
        connection.select_db("naïve")
        assert alice.revoke().is_clean
    finally:
        _CACHE.close_all()
        server.start("--event-scheduler=ON")
