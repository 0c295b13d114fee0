"""What an account of MariaDB may do, to the letter: names in grants, groups in step, limits, and what is refused."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from connectors.base import Connector, Level, Limits, Scope, Secret
from connectors.errors import (
    AdminLacksPrivilege,
    LimitNotSupported,
    ScopeNotOnServer,
    ServerRefused,
    ServerUnreachable,
)
from connectors.mariadb.session import SQL_MODE, Session
from connectors.mariadb.statements import MOST_CONNECTIONS, password_hash
from tests.connectors.conftest import Account, Accounts, lab_of
from tests.connectors.labs.base import Lab, LoginRefused, NotPermitted, Place, make_password, random_token, scope_of
from tests.connectors.labs.mariadb import MariaDBLab, at, pattern, quoted


@pytest.fixture
def lab(labs: dict[str, Lab]) -> MariaDBLab:
    return cast(MariaDBLab, lab_of("mariadb", labs))


@pytest.fixture
def orders(lab: MariaDBLab) -> Place:
    return lab.make_table(lab.make_database("orders"), "")


@pytest.fixture
def group() -> str:
    return f"lockgate_test_{random_token()}"


def grants_of(lab: MariaDBLab, role: str) -> list[str]:
    return [row[0] for row in lab.rows(f"SHOW GRANTS FOR {quoted(role)}")]


def refusal(account: Account) -> str:
    """What a provisioning is refused with, having made nothing."""
    with pytest.raises(ScopeNotOnServer) as refused:
        account.provision()
    assert not account.journal
    return str(refused.value)


# --- Names


@pytest.mark.parametrize(("wild", "other"), [("a_b", "aXb"), ("a%b", "aXXb"), ("a\\_b", "a\\Xb")])
def test_a_name_is_no_pattern(lab: MariaDBLab, accounts: Accounts, wild: str, other: str) -> None:
    token = random_token()
    granted, neighbour = (lab.make_table(_database(lab, name + token), "") for name in (wild, other))
    session = accounts.provisioned(scope_of(Level.READ, granted)).log_in()
    assert session.count(granted) == 3
    with pytest.raises(NotPermitted):
        session.count(neighbour)


def _database(lab: MariaDBLab, name: str) -> str:
    """A database with just this name."""
    lab.rows(f"CREATE DATABASE {quoted(name)}")
    lab.adopt(name)
    return name


def test_a_name_too_long_to_be_granted_exactly_is_refused(lab: MariaDBLab, accounts: Accounts) -> None:
    """With a backslash before each `_` it has more than the 64 characters that a grant can hold."""
    name = f"{random_token()}_____".ljust(62, "x")
    _database(lab, name)
    place = lab.make_table(name, "")
    assert "longer than 64" in refusal(accounts.new(scope_of(Level.READ, place)))
    session = accounts.provisioned(scope_of(Level.READ, place, named=True)).log_in()
    assert session.count(place) == 3


@pytest.mark.parametrize("database", ["mysql", "sys", "information_schema", "performance_schema", "lockgate", "MySQL"])
def test_the_servers_own_databases_are_never_given(accounts: Accounts, database: str) -> None:
    assert database in refusal(accounts.new(Scope(Level.READ, (database,), group="lockgate_x")))
    tables = Scope(Level.READ, (database,), tables=((database, "global_priv"),), group="lockgate_x")
    assert database in refusal(accounts.new(tables))


def test_schemas_are_no_part_of_mariadb(accounts: Accounts, orders: Place) -> None:
    scope = replace(scope_of(Level.READ, orders), schemas=("public",))
    assert "no schemas" in refusal(accounts.new(scope))


def test_tables_outside_the_databases_are_refused(lab: MariaDBLab, accounts: Accounts, orders: Place) -> None:
    elsewhere = lab.make_table(lab.make_database("salaries"), "")
    scope = replace(scope_of(Level.READ, orders), tables=(elsewhere.pair,))
    assert elsewhere.name in refusal(accounts.new(scope))


@pytest.mark.parametrize("odd", ["ORDERS", "ordérs", "orders "])
def test_a_name_that_is_only_alike_is_missing(lab: MariaDBLab, accounts: Accounts, odd: str) -> None:
    """The server's own catalog compares without case and accents."""
    database = lab.make_database("orders")
    scope = Scope(Level.READ, (database.replace("orders", odd),), group="lockgate_x")
    refusal(accounts.new(scope))


@pytest.mark.parametrize("name", ["smile \U0001f600", "", "nul\0", "x" * 65, "half \ud800"])
def test_a_name_that_no_server_can_hold_is_missing(accounts: Accounts, orders: Place, name: str) -> None:
    refusal(accounts.new(replace(scope_of(Level.READ, orders), databases=(orders.database, name))))
    named = replace(scope_of(Level.READ, orders), tables=((orders.database, name),))
    refusal(accounts.new(named))
    refusal(accounts.new(Scope(Level.MEMBER, (orders.database,), database_roles=(name,), group="lockgate_x")))


def test_words_of_mariadbs_own_are_no_roles(accounts: Accounts, orders: Place) -> None:
    for word in ("NONE", "public", "CURRENT_USER"):
        refusal(accounts.new(Scope(Level.MEMBER, (orders.database,), database_roles=(word,), group="lockgate_x")))


# --- Levels


def test_only_who_may_define_may_call(lab: MariaDBLab, accounts: Accounts, orders: Place) -> None:
    """A routine runs with the rights of whoever wrote it."""
    routine = f"{quoted(orders.database)}.purge"
    lab.rows(f"CREATE PROCEDURE {routine}() DELETE FROM {at(orders)}")
    for level in (Level.READ, Level.WRITE):
        with pytest.raises(NotPermitted):
            accounts.provisioned(scope_of(level, orders)).log_in().run(f"CALL {routine}()")
    accounts.provisioned(scope_of(Level.DDL, orders)).log_in().run(f"CALL {routine}()")
    assert lab.rows(f"SELECT * FROM {at(orders)}") == []


def test_no_level_makes_events(accounts: Accounts, orders: Place) -> None:
    session = accounts.provisioned(scope_of(Level.DDL, orders)).log_in()
    with pytest.raises(NotPermitted):
        session.run("CREATE EVENT later ON SCHEDULE EVERY 1 DAY DO DO 1")


def test_nobody_passes_on_what_they_got(accounts: Accounts, orders: Place) -> None:
    session = accounts.provisioned(scope_of(Level.DDL, orders)).log_in()
    with pytest.raises(NotPermitted):
        session.run(f"GRANT SELECT ON {pattern(orders.database)} TO CURRENT_USER")
    with pytest.raises(NotPermitted):
        session.run("CREATE USER lg_helper IDENTIFIED BY 'x'")


def test_several_roles_work_at_once(lab: MariaDBLab, accounts: Accounts, orders: Place) -> None:
    """An account has one default role, which therefore holds the others."""
    second = lab.make_table(orders.database, "")
    roles = tuple(lab.make_role("reporting", reads=place) for place in (orders, second))
    alice = accounts.provisioned(Scope(Level.MEMBER, (orders.database,), database_roles=roles))
    session = alice.log_in()
    assert (session.count(orders), session.count(second)) == (3, 3)
    with lab.connector() as connector:
        listed = next(each for each in connector.list_principals() if each.name == alice.principal)
    assert len(listed.memberships) == 1


def test_a_role_that_we_may_not_give_is_told(lab: MariaDBLab, accounts: Accounts, orders: Place) -> None:
    role = f"theirs_{random_token()}"
    lab.rows(f"CREATE ROLE {quoted(role)}")
    alice = accounts.new(Scope(Level.MEMBER, (orders.database,), database_roles=(role,)))
    with pytest.raises(AdminLacksPrivilege):
        alice.provision()
    assert alice.revoke().is_clean
    lab.drop_role(role)


def test_a_database_that_we_may_not_give_is_told(lab: MariaDBLab, accounts: Accounts) -> None:
    name = random_token()
    lab.rows(f"CREATE DATABASE {quoted(name)}")
    alice = accounts.new(Scope(Level.READ, (name,), group=f"lockgate_test_{name}"))
    with pytest.raises(AdminLacksPrivilege):
        alice.provision()
    assert not lab.account_exists(alice.principal)
    lab.drop_database(name)


# --- Groups


def test_a_group_follows_its_scope(lab: MariaDBLab, accounts: Accounts, orders: Place, group: str) -> None:
    other = lab.make_table(lab.make_database("other"), "")
    read, write = (
        "SELECT, SHOW VIEW",
        "SELECT, INSERT, UPDATE, DELETE, CREATE TEMPORARY TABLES, LOCK TABLES, SHOW VIEW",
    )
    for scope, expected in (
        (scope_of(Level.READ, orders, group=group), {f"{read} ON {pattern(orders.database)}"}),
        (scope_of(Level.WRITE, orders, other, group=group), {
            f"{write} ON {pattern(orders.database)}", f"{write} ON {pattern(other.database)}"
        }),
        (scope_of(Level.READ, orders, named=True, group=group), {f"{read} ON {at(orders)}"}),
        (scope_of(Level.READ, other, group=group), {f"{read} ON {pattern(other.database)}"}),
    ):  # fmt: skip
        accounts.provisioned(scope)
        held = {line.removeprefix("GRANT ").partition(" TO ")[0] for line in grants_of(lab, group)}
        assert held == expected | {"USAGE ON *.*"}


def test_a_group_loses_what_no_scope_gives(lab: MariaDBLab, accounts: Accounts, orders: Place, group: str) -> None:
    scope = scope_of(Level.READ, orders, group=group)
    accounts.provisioned(scope)
    expected = grants_of(lab, group)
    lab.rows(f"CREATE PROCEDURE {quoted(orders.database)}.added() DO 1")
    role = lab.make_role("added")
    for added in (
        "RELOAD ON *.*",
        f"UPDATE (note) ON {at(orders)}",
        f"EXECUTE ON PROCEDURE {quoted(orders.database)}.added",
        f"DELETE ON {pattern(orders.database)}",
        f"INSERT ON {at(orders)}",
        f"{quoted(role)}",
    ):
        lab.rows(f"GRANT {added} TO {quoted(group)}")
        assert grants_of(lab, group) != expected
        accounts.provisioned(scope)
        assert grants_of(lab, group) == expected, added


def test_whoever_is_at_work_loses_nothing_that_stays(
    lab: MariaDBLab, accounts: Accounts, orders: Place, group: str
) -> None:
    working = accounts.provisioned(scope_of(Level.WRITE, orders, group=group)).log_in()
    journal = accounts.provisioned(scope_of(Level.READ, orders, group=group)).journal
    assert not any("REVOKE" in sql and "SELECT" in sql for _, sql in journal.sql)
    assert working.count(orders) == 3


def test_a_repeated_call_with_another_scope_leaves_the_first_group(
    lab: MariaDBLab, accounts: Accounts, orders: Place
) -> None:
    other = lab.make_table(lab.make_database("other"), "")
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    alice.provision(scope=scope_of(Level.DDL, other))
    session = alice.log_in()
    assert session.count(other) == 3
    with pytest.raises(NotPermitted):
        session.count(orders)
    alice.provision(scope=scope_of(Level.READ, orders))
    session = alice.log_in()
    assert session.count(orders) == 3
    with pytest.raises(NotPermitted):
        session.count(other)
    assert alice.revoke().is_clean
    assert not lab.privileges_of(alice.principal)


def test_two_scopes_of_one_group_at_the_same_instant(
    lab: MariaDBLab, accounts: Accounts, orders: Place, group: str
) -> None:
    scopes = [scope_of(level, orders, group=group) for level in (Level.READ, Level.WRITE)]
    everybody = [accounts.new(scopes[number % 2]) for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(Account.provision, everybody))
    held = "".join(grants_of(lab, group))
    # Whichever came last: one of the two, whole, and no mixture.
    last = "INSERT, UPDATE, DELETE, CREATE TEMPORARY TABLES, LOCK TABLES, "
    assert (last in held) == ("INSERT" in held) == ("LOCK TABLES" in held)


# --- Limits and passwords


def test_one_connection_is_enough_to_be_proved(accounts: Accounts, orders: Place) -> None:
    for _ in range(5):
        alice = accounts.provisioned(scope_of(Level.READ, orders), limits=Limits(connections=1))
        alice.log_in()
        with pytest.raises(LoginRefused):
            alice.log_in()


@pytest.mark.parametrize(
    "limits",
    [
        Limits(connections=0),
        Limits(connections=-1),
        Limits(connections=MOST_CONNECTIONS + 1),
        Limits(statement_timeout=timedelta(0)),
        Limits(statement_timeout=timedelta(seconds=-1)),
        Limits(statement_timeout=timedelta(days=366)),
    ],
)
def test_a_limit_that_means_something_else_is_refused(
    lab: MariaDBLab, accounts: Accounts, orders: Place, limits: Limits
) -> None:
    """Zero is no limit, in MariaDB."""
    alice = accounts.new(scope_of(Level.READ, orders), limits=limits)
    with pytest.raises(LimitNotSupported):
        alice.provision()
    assert not alice.journal


def test_no_limit_is_still_counted(lab: MariaDBLab, accounts: Accounts, orders: Place) -> None:
    """An account without a limit would not be counted, and a hidden session of it not found."""
    alice = accounts.provisioned(scope_of(Level.READ, orders), limits=Limits(None, None, None))
    shown = lab.rows(f"SHOW CREATE USER {quoted(alice.principal)}@`%`")[0][0]
    assert f"MAX_USER_CONNECTIONS {MOST_CONNECTIONS}" in shown
    assert "MAX_STATEMENT_TIME" not in shown


@pytest.mark.parametrize("password", ["plain", "o'clock", 'q"', "back\\slash", "100%", "é世\U0001f600", " "])
def test_the_hash_is_the_servers_own(lab: MariaDBLab, password: str) -> None:
    assert lab.rows("SELECT PASSWORD(%s)", password) == [(password_hash(Secret(password)).reveal(),)]


def test_the_log_holds_neither_password_nor_what_would_do_for_it(
    lab: MariaDBLab, accounts: Accounts, orders: Place
) -> None:
    """To log in takes the password or its single SHA-1; the log has the double one."""
    alice = accounts.provisioned(scope_of(Level.WRITE, orders))
    alice.log_in()
    alice.revoke()
    password = alice.request.password.reveal()
    log = lab.server_log()
    assert alice.principal in log
    assert password not in log
    assert hashlib.sha1(password.encode()).hexdigest() not in log.lower()


def test_a_locked_account_works_again_after_a_repeated_call(lab: MariaDBLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    lab.rows(f"ALTER USER {quoted(alice.principal)}@`%` ACCOUNT LOCK")
    alice.provision(password=make_password())
    assert alice.log_in()


def test_a_name_too_long_for_an_account_is_refused_in_a_plan_too(
    lab: MariaDBLab, connector: Connector, orders: Place
) -> None:
    alice = Accounts(lab).new(scope_of(Level.READ, orders), principal="lg_".ljust(76, "x"))
    with pytest.raises(ServerRefused, match="longer than 75"):
        connector.plan(alice.request, alice.revocation)


def test_a_session_of_ours_is_as_we_found_it(lab: MariaDBLab, accounts: Accounts, orders: Place) -> None:
    """Sessions are shared in a process; what is handed over needs a role, a mode and a database of its own."""
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    session = alice.log_in()
    session.run("SET sql_mode = 'ORACLE'")
    session.run(f"CREATE VIEW shown AS SELECT * FROM {at(orders)}")
    session.run("CREATE PROCEDURE tidy AS BEGIN NULL; END")
    assert alice.revoke().errors == ()
    for opened in [Session(lab.target) for _ in range(5)]:
        assert opened.rows("SELECT CURRENT_ROLE(), DATABASE(), @@sql_mode, @@time_zone") == [
            (None, None, SQL_MODE, "+00:00")
        ]
        opened.close()


def test_a_server_that_goes_away_in_the_middle_is_told(lab: MariaDBLab, orders: Place) -> None:
    with lab.connector() as connector:
        assert connector.check().ok
        lab.rows(f"KILL USER {quoted(lab.target.user)}")
        with pytest.raises(ServerUnreachable):
            connector.list_principals()
        # The next call begins anew.
        connector.list_principals()


def test_the_account_is_the_principal_and_nobody_else(lab: MariaDBLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.WRITE, orders))
    assert alice.log_in().run("SELECT CURRENT_USER()") == [(f"{alice.principal}@%",)]
    with pytest.raises(NotPermitted):
        lab.log_in(alice.principal, alice.request.password, orders.database).run("SELECT * FROM mysql.global_priv")


def test_a_routine_of_somebody_else_is_not_replaced(lab: MariaDBLab, accounts: Accounts, orders: Place) -> None:
    """Whoever calls it would run the account's text, with rights of their own."""
    routine = f"{quoted(orders.database)}.refresh"
    lab.rows(f"CREATE PROCEDURE {routine}() SELECT 1")
    session = accounts.provisioned(scope_of(Level.DDL, orders)).log_in()
    for attempt in (
        f"CREATE OR REPLACE PROCEDURE {routine}() SQL SECURITY INVOKER SELECT 2",
        f"ALTER PROCEDURE {routine} SQL SECURITY INVOKER",
        f"DROP PROCEDURE {routine}",
    ):
        with pytest.raises(NotPermitted):
            session.run(attempt)
    session.run(f"CREATE PROCEDURE {quoted(orders.database)}.mine() SQL SECURITY INVOKER SELECT 1")
    session.run(f"DROP PROCEDURE {quoted(orders.database)}.mine")
