"""What a server, or somebody on it, can do to a grant or to its end, each with what Lockgate makes of it.

One MariaDB of this module's own: most of it is set for the server as a whole.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import MySQLdb
import pytest

from connectors.base import (
    CheckReport,
    ExtendRequest,
    Level,
    ProvisionRequest,
    Receipt,
    RevokeRequest,
    Scope,
    Secret,
    Target,
)
from connectors.errors import AdminLoginRefused, PrincipalCannotLogIn, ServerRefused
from connectors.mariadb.session import _CACHE
from connectors.registry import open_connector
from tests.connectors.conftest import Notebook
from tests.connectors.labs.base import make_password, make_principal
from tests.connectors.labs.mariadb import run_in_client, wait_until
from tests.connectors.test_mariadb_server import PrivateServer

pytestmark = pytest.mark.xdist_group("private MariaDB")
READ = Scope(Level.READ, ("shop",), group="lockgate_shop_read")


_SLEEPING = "SELECT id FROM information_schema.processlist WHERE state = 'User sleep'"


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateServer]:
    folder = Path(tempfile.mkdtemp(prefix="lockgate-mariadb-"))
    private = PrivateServer(folder)
    private.start("--event-scheduler=ON")
    yield private
    private.stop()
    shutil.rmtree(folder)


@pytest.fixture
def target(server: PrivateServer) -> Iterator[Target]:
    """Lockgate's account, as the setup makes it, with a database to give access to."""
    server.run("CREATE DATABASE IF NOT EXISTS shop; CREATE TABLE IF NOT EXISTS shop.orders (id INT)")
    yield set_up(server)
    _CACHE.close_all()


def set_up(server: PrivateServer, name: str = "lockgate") -> Target:
    target = replace(server.root, user=name, password=Secret("chosen"))
    server.run(open_connector(target).setup_sql())
    server.run(f"SET PASSWORD FOR {name}@'%' = PASSWORD('chosen')")
    return target


@dataclass
class Alice:
    """An account of a grant."""

    target: Target
    scope: Scope = READ
    principal: str = field(default_factory=make_principal)
    password: Secret = field(default_factory=make_password)
    identifier: str = ""

    def provision(self) -> Alice:
        ends = datetime.now(UTC) + timedelta(hours=1)
        with open_connector(self.target) as connector:
            request = ProvisionRequest(self.principal, self.password, self.scope, ends)
            self.identifier = connector.provision(request, Notebook())
        return self

    def revoke(self, **changes: Any) -> Receipt:
        with open_connector(replace(self.target, **changes)) as connector:
            request = RevokeRequest(self.principal, self.scope, identifier=self.identifier)
            return connector.revoke(request, Notebook())

    def log_in(self, name: str = "", database: str = "shop") -> Any:
        return MySQLdb.connect(
            host="127.0.0.1",
            port=self.target.port,
            user=name or self.principal,
            password=self.password.reveal(),
            database=database,
            ssl_mode="DISABLED",
            autocommit=True,
        )


@pytest.fixture
def alice(target: Target) -> Alice:
    return Alice(target).provision()


def administrator(server: PrivateServer) -> Any:
    root = server.root
    return MySQLdb.connect(host=root.host, port=root.port, user=root.user, passwd=root.password.reveal())


def check(target: Target) -> CheckReport:
    with open_connector(target) as connector:
        return connector.check()


def is_alive(connection: Any) -> bool:
    try:
        connection.query("DO 1")
    except MySQLdb.Error:
        return False
    return True


@contextmanager
def set_globally(server: PrivateServer, setting: str, value: str, back: str) -> Iterator[None]:
    server.run(f"SET GLOBAL {setting} = {value}")
    try:
        yield
    finally:
        server.run(f"SET GLOBAL {setting} = {back}")


@contextmanager
def checking_passwords(server: PrivateServer) -> Iterator[None]:
    server.run("INSTALL SONAME 'simple_password_check'")
    try:
        yield
    finally:
        server.run("UNINSTALL SONAME 'simple_password_check'")


# --- What stands in the way of a grant is found beforehand, and its remedy helps


def _break_init_connect(server: PrivateServer) -> None:
    server.run("SET GLOBAL init_connect = 'INSERT INTO nosuch.audit VALUES (1)'")


def _check_passwords(server: PrivateServer) -> None:
    server.run("INSTALL SONAME 'simple_password_check'")


def _stand_in_the_way(server: PrivateServer) -> None:
    server.run("CREATE USER ''@'localhost'")


FAULTS: dict[str, tuple[Callable[[PrivateServer], None], str]] = {
    "init_connect fails": (_break_init_connect, "SET GLOBAL init_connect = ''"),
    "passwords are checked": (_check_passwords, "UNINSTALL SONAME 'simple_password_check'"),
    "an account without a name is in the way": (_stand_in_the_way, "DROP USER IF EXISTS ''@'localhost'"),
}
#: Remedies that are one statement, with words behind it.
_FIRST_STATEMENT_ALONE = {"init_connect fails", "passwords are checked"}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_makes_a_grant_fail_blocks_and_its_remedy_helps(server: PrivateServer, target: Target, fault: str) -> None:
    break_it, undo = FAULTS[fault]
    assert check(target).ok
    break_it(server)
    try:
        with pytest.raises((ServerRefused, PrincipalCannotLogIn)):
            Alice(target).provision()
        blocking = [remedy for remedy in check(target).remedies if remedy.blocking]
        assert len(blocking) == 1
        what_to_do = blocking[0].what_to_do
        run_in_client(server.root, what_to_do.split(";")[0] if fault in _FIRST_STATEMENT_ALONE else what_to_do)
        assert check(target).ok
        alice = Alice(target).provision()
        assert alice.revoke().is_clean
    finally:
        server.run(undo + "; SET GLOBAL strict_password_validation = ON")


def test_a_trial_leaves_nothing_behind(server: PrivateServer, target: Target) -> None:
    server.run("CREATE USER lockgate_trial_0123@'%'")
    server.run(
        "UPDATE mysql.global_priv SET Priv = JSON_SET(Priv, '$.password_last_changed', 1)"
        " WHERE User = 'lockgate_trial_0123'; FLUSH PRIVILEGES"
    )
    assert check(target).ok
    assert not server.rows("SELECT User FROM mysql.global_priv WHERE User LIKE 'lockgate\\_trial%'")


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


# --- Another name


@pytest.mark.parametrize("name", ["bob", "lg_somebody_else"])
@pytest.mark.parametrize("scope", [READ, Scope(Level.DDL, ("shop",), group="lockgate_shop_ddl")], ids=["read", "ddl"])
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
    ddl = Alice(other, Scope(Level.DDL, ("shop",), group="lockgate_shop_ddl")).provision()
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
