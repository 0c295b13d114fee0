"""What every connector promises, shown on a real server of each engine and on the fake.

Alice is the person whose account it is. The proof is always the same: a login that works, and then fails.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.base import PRINCIPAL_PREFIX, Connector, ExtendRequest, Level, Limits, RevokeRequest, Scope
from connectors.errors import (
    AdminLoginRefused,
    PrincipalCannotLogIn,
    ScopeNotOnServer,
    ServerRefused,
    ServerUnreachable,
)
from connectors.registry import open_connector
from tests.connectors.conftest import Account, Accounts, Notebook, assert_gone, assert_without, most, need
from tests.connectors.labs.base import (
    ENDS_BY_ITSELF,
    LEAST_ACCOUNT,
    OWNERS,
    Lab,
    LoginRefused,
    NotPermitted,
    Place,
    SessionEnded,
    Stopped,
    make_password,
    random_token,
    scope_of,
)


class Killed(Exception):
    """Stands for a worker that dies between two statements."""


class DyingNotebook(Notebook):
    """A journal whose worker dies right after the n-th statement."""

    def __init__(self, dies_after: int) -> None:
        super().__init__()
        self._dies_after = dies_after

    def __call__(self, entry: object) -> None:
        super().__call__(entry)  # type: ignore[arg-type]
        if len(self) == self._dies_after:
            raise Killed


# --- An account works, and then it does not


@pytest.mark.parametrize("level", [Level.READ, Level.WRITE, Level.DDL])
def test_a_login_works_and_then_fails(lab: Lab, accounts: Accounts, orders: Place, level: Level) -> None:
    alice = accounts.provisioned(scope_of(level, orders))
    session = alice.log_in()
    assert session.count(orders) == 3

    receipt = alice.revoke()

    assert receipt.is_clean
    assert receipt.sessions_ended == 1
    assert receipt.errors == ()
    assert not session.is_alive()
    assert_gone(lab, alice)


def test_a_receipt_tells_what_was_asked_and_when(lab: Lab, accounts: Accounts, orders: Place) -> None:
    receipt = accounts.provisioned(scope_of(Level.READ, orders)).revoke()
    assert all(finding.question and finding.sql and not finding.found for finding in receipt.findings)
    assert receipt.server_time.utcoffset() == timedelta(0)
    assert abs(receipt.server_time - datetime.now(UTC)) < timedelta(minutes=1)


def test_reading_is_not_writing(accounts: Accounts, orders: Place) -> None:
    session = accounts.provisioned(scope_of(Level.READ, orders)).log_in()
    with pytest.raises(NotPermitted):
        session.insert(orders)
    with pytest.raises(NotPermitted):
        session.create_table(orders.sibling("of_alice"))
    assert session.count(orders) == 3
    session.close()


def test_writing_numbers_its_rows_and_does_not_define(accounts: Accounts, orders: Place) -> None:
    session = accounts.provisioned(scope_of(Level.WRITE, orders)).log_in()
    session.insert(orders)
    assert session.count(orders) == 4
    with pytest.raises(NotPermitted):
        session.create_table(orders.sibling("of_alice"))
    session.close()


def test_defining_makes_tables_that_stay(lab: Lab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    session = alice.log_in()
    made = orders.sibling("of_alice")
    session.create_table(made)
    session.insert(made)
    assert session.count(made) == 1
    session.close()

    assert alice.revoke().is_clean
    assert lab.table_exists(made)


def test_named_tables_are_all_there_is(lab: Lab, accounts: Accounts, orders: Place) -> None:
    other = lab.make_table(orders.database, orders.schema, "salaries")
    session = accounts.provisioned(scope_of(Level.WRITE, orders, named=True)).log_in()
    session.insert(orders)
    assert session.count(orders) == 4
    with pytest.raises(NotPermitted):
        session.count(other)
    session.close()


def test_tables_made_later_are_covered(lab: Lab, accounts: Accounts, orders: Place) -> None:
    session = accounts.provisioned(scope_of(Level.WRITE, orders)).log_in()
    later = lab.make_table(orders.database, orders.schema, "later")
    session.insert(later)
    assert session.count(later) == 4
    session.close()


def test_a_member_joins_existing_roles_and_nothing_besides(lab: Lab, accounts: Accounts, orders: Place) -> None:
    other = lab.make_table(orders.database, orders.schema, "salaries")
    role = lab.make_role("reporting", reads=orders)
    alice = accounts.provisioned(Scope(Level.MEMBER, (orders.database,), database_roles=(role,)))
    session = alice.log_in()
    assert session.count(orders) == 3
    with pytest.raises(NotPermitted):
        session.count(other)

    assert alice.revoke().is_clean
    assert_gone(lab, alice)
    assert lab.role_exists(role)


def test_two_databases_and_not_a_third(lab: Lab, accounts: Accounts, orders: Place) -> None:
    second = lab.make_database("stock")
    stock = lab.make_table(second, lab.make_schema(second), "stock")
    third = lab.make_database("salaries")
    lab.lock_out_of(third)
    alice = accounts.provisioned(scope_of(Level.READ, orders, stock))
    sessions = [alice.log_in(place.database) for place in (orders, stock)]
    assert [session.count(place) for session, place in zip(sessions, (orders, stock), strict=True)] == [3, 3]
    with pytest.raises(LoginRefused):
        alice.log_in(third)

    receipt = alice.revoke()

    assert receipt.is_clean
    assert receipt.sessions_ended == 2
    assert not any(session.is_alive() for session in sessions)
    assert_gone(lab, alice)


def test_a_database_where_not_everybody_may_connect(lab: Lab, accounts: Accounts, orders: Place) -> None:
    lab.lock_out_of(orders.database)
    session = accounts.provisioned(scope_of(Level.READ, orders)).log_in()
    assert session.count(orders) == 3
    session.close()


# --- Again, and again


def test_a_second_provision_leaves_one_account_with_the_second_password(accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    first = alice.request.password
    alice.provision(password=make_password())
    alice.log_in().close()
    with pytest.raises(LoginRefused):
        alice.lab.log_in(alice.principal, first, orders.database)


def test_a_second_provision_is_no_sum_of_both(accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.WRITE, orders))
    alice.provision(scope=scope_of(Level.READ, orders))
    session = alice.log_in()
    assert session.count(orders) == 3
    with pytest.raises(NotPermitted):
        session.insert(orders)
    session.close()


def test_absent_is_a_success(accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    assert alice.revoke().is_clean
    assert alice.revoke().is_clean
    assert accounts.new(scope_of(Level.READ, orders)).revoke().is_clean


def test_a_group_that_holds_more_than_the_scope_is_cut_back(lab: Lab, accounts: Accounts, orders: Place) -> None:
    group = f"lockgate_test_{random_token()}"
    accounts.provisioned(scope_of(Level.WRITE, orders, group=group)).revoke()
    session = accounts.provisioned(scope_of(Level.READ, orders, named=True, group=group)).log_in()
    assert session.count(orders) == 3
    with pytest.raises(NotPermitted):
        session.insert(orders)
    with pytest.raises(NotPermitted):
        session.count(lab.make_table(orders.database, orders.schema, "later"))
    session.close()


@pytest.mark.parametrize("dies_after", range(1, 12))
def test_killed_while_making(lab: Lab, accounts: Accounts, orders: Place, dies_after: int) -> None:
    alice = accounts.new(scope_of(Level.WRITE, orders))
    with lab.connector() as connector:
        try:
            connector.provision(alice.request, DyingNotebook(dies_after))
        except Killed:
            pass
        else:
            assert dies_after > 3, "The test never got as far as killing anything."
    if dies_after % 2:
        alice.provision()
        session = alice.log_in()
        session.insert(orders)
        session.close()
    assert alice.revoke().is_clean
    assert_gone(lab, alice)


@pytest.mark.parametrize("dies_after", range(1, 12))
def test_killed_while_taking_away(lab: Lab, accounts: Accounts, orders: Place, dies_after: int) -> None:
    alice = accounts.provisioned(scope_of(most(lab, orders), orders))
    session = alice.log_in()
    if alice.request.scope.level is Level.DDL:
        lab.plant_residue(session, orders)
    with lab.connector() as connector:
        try:
            connector.revoke(alice.revocation, DyingNotebook(dies_after))
        except Killed:
            pass
        else:
            assert dies_after > 3, "The test never got as far as killing anything."
    assert alice.revoke().is_clean
    assert not session.is_alive()
    assert_gone(lab, alice)


# --- What people leave open


def test_open_sessions_transactions_and_queries_are_ended(lab: Lab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.WRITE, orders))
    idle, in_transaction, running = (alice.log_in() for _ in range(3))
    in_transaction.begin()
    in_transaction.insert(orders)
    query = running.sleep_in_thread(60)
    began = time.monotonic()

    receipt = alice.revoke()

    assert time.monotonic() - began < 60, "It must be ended, not waited for."
    assert receipt.is_clean
    assert receipt.sessions_ended == 3
    with pytest.raises(SessionEnded):
        query.result(timeout=5)
    assert not idle.is_alive()
    assert not in_transaction.is_alive()
    assert_gone(lab, alice)
    bob = accounts.provisioned(scope_of(Level.WRITE, orders)).log_in()
    assert bob.count(orders) == 3, "What was not committed must not stay."
    bob.close()


def test_what_was_committed_stays(accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.WRITE, orders))
    session = alice.log_in()
    session.begin()
    session.insert(orders)
    session.commit()
    assert alice.revoke().is_clean
    bob = accounts.provisioned(scope_of(Level.READ, orders)).log_in()
    assert bob.count(orders) == 4
    bob.close()


def test_what_outlives_its_maker_is_handed_over_and_told(lab: Lab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    need(lab, OWNERS)
    planted = lab.plant_residue(alice.log_in(), orders)
    assert planted

    receipt = alice.revoke()

    assert receipt.is_clean
    for text in planted:
        assert any(text in line for line in receipt.handed_over), (text, receipt.handed_over)
    assert_gone(lab, alice)


# --- What happens behind our back


def test_an_account_that_somebody_dropped_already(lab: Lab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    session = alice.log_in()
    lab.drop_role(alice.principal)
    receipt = alice.revoke()
    assert receipt.is_clean
    assert not session.is_alive(), "A session outlives its account; it must not outlive the revocation."
    assert_gone(lab, alice)


def test_a_group_that_somebody_dropped(lab: Lab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    lab.drop_role(alice.request.scope.group)
    assert alice.revoke().is_clean
    assert_gone(lab, alice)
    bob = accounts.provisioned(alice.request.scope).log_in()
    assert bob.count(orders) == 3
    bob.close()


def test_a_role_that_disappeared_meanwhile(lab: Lab, accounts: Accounts, orders: Place) -> None:
    role = lab.make_role("reporting", reads=orders)
    alice = accounts.provisioned(Scope(Level.MEMBER, (orders.database,), database_roles=(role,)))
    lab.drop_role(role)
    assert alice.revoke().is_clean
    assert_gone(lab, alice)


def test_a_database_that_was_dropped_meanwhile(lab: Lab, accounts: Accounts, orders: Place) -> None:
    second = lab.make_database("stock")
    stock = lab.make_table(second, lab.make_schema(second), "stock")
    alice = accounts.provisioned(scope_of(most(lab, orders), orders, stock))
    session = alice.log_in(second)
    if alice.request.scope.level is Level.DDL:
        lab.plant_residue(session, stock)
    session.close()
    lab.drop_database(second)
    assert alice.revoke().is_clean
    assert_gone(lab, alice)


def test_what_cannot_be_taken_away_is_told_and_taken_away_later(lab: Lab, accounts: Accounts, orders: Place) -> None:
    need(lab, LEAST_ACCOUNT)
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    with lab.without_rights():
        receipt = alice.revoke()
        assert not receipt.is_clean
        assert receipt.errors
        assert any(alice.principal in line for finding in receipt.findings for line in finding.found)
    assert lab.account_exists(alice.principal)
    assert alice.revoke().is_clean
    assert_gone(lab, alice)


# --- What is refused


def test_everything_that_is_missing_is_named_before_anything_is_made(
    lab: Lab, accounts: Accounts, orders: Place
) -> None:
    whole = scope_of(Level.READ, orders, named=True)
    scope = replace(whole, tables=(*whole.tables, (orders.schema or orders.database, "no_such_table")))
    alice = accounts.new(scope)
    with pytest.raises(ScopeNotOnServer, match="no_such_table"):
        alice.provision()
    alice.request = replace(alice.request, scope=replace(scope, databases=(orders.database, "no_such_database")))
    with pytest.raises(
        ScopeNotOnServer, match=r"no_such_database(.|\n)*no_such_table|no_such_table(.|\n)*no_such_database"
    ):
        alice.provision()
    assert not alice.journal
    assert not lab.account_exists(alice.principal)
    assert not lab.role_exists(scope.group)


def test_a_role_to_join_that_is_missing(lab: Lab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.new(Scope(Level.MEMBER, (orders.database,), database_roles=("no_such_role",)))
    with pytest.raises(ScopeNotOnServer, match="no_such_role"):
        alice.provision()
    assert not lab.account_exists(alice.principal)


def test_an_account_that_is_not_ours_is_never_touched(lab: Lab, connector: Connector, orders: Place) -> None:
    theirs = lab.make_role("nightly")
    request = Accounts(lab).new(scope_of(Level.READ, orders), principal=theirs).request
    assert not theirs.startswith(PRINCIPAL_PREFIX)
    journal = Notebook()
    with pytest.raises(ServerRefused):
        connector.provision(request, journal)
    with pytest.raises(ServerRefused):
        connector.revoke(RevokeRequest(theirs, request.scope), journal)
    with pytest.raises(ServerRefused):
        connector.extend(ExtendRequest(theirs, request.valid_until), journal)
    assert not journal
    assert lab.role_exists(theirs)


def test_nobody_at_home(lab: Lab, orders: Place) -> None:
    request = Accounts(lab).new(scope_of(Level.READ, orders)).request
    with open_connector(lab.unreachable()) as connector:
        with pytest.raises(ServerUnreachable) as refused:
            connector.provision(request, Notebook())
        assert refused.value.transient
        with pytest.raises(ServerUnreachable):
            connector.revoke(RevokeRequest(request.principal, request.scope), Notebook())
        with pytest.raises(ServerUnreachable):
            connector.check()


def test_our_own_password_is_wrong(lab: Lab) -> None:
    target = lab.wrong_password()
    with open_connector(target) as connector, pytest.raises(AdminLoginRefused) as refused:
        connector.check()
    assert refused.value.__cause__ is not None
    assert_without(target.password, str(refused.value), repr(refused.value), repr(refused.value.__cause__))


# --- The end of the window


def test_the_server_itself_ends_what_nobody_ends(lab: Lab, accounts: Accounts, orders: Place) -> None:
    need(lab, ENDS_BY_ITSELF)
    short = accounts.new(scope_of(Level.READ, orders), lasts=timedelta(seconds=2)).provision()
    extended = accounts.new(scope_of(Level.READ, orders), lasts=timedelta(seconds=2)).provision()
    with extended.lab.connector() as connector:
        later = datetime.now(UTC) + timedelta(hours=1)
        connector.extend(ExtendRequest(extended.principal, later), extended.journal)
    short.log_in().close()

    assert _is_refused_within(short, 6)
    session = extended.log_in()
    assert session.count(orders) == 3
    session.close()


def test_what_is_gone_is_not_extended(lab: Lab, connector: Connector, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    alice.revoke()
    with pytest.raises(PrincipalCannotLogIn):
        connector.extend(ExtendRequest(alice.principal, datetime.now(UTC) + timedelta(hours=1)), Notebook())
    assert not lab.account_exists(alice.principal)


def _is_refused_within(account: Account, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            account.log_in().close()
        except LoginRefused:
            return True
        time.sleep(0.2)
    return False


# --- Limits


def test_the_limits_bite(lab: Lab, accounts: Accounts, orders: Place) -> None:
    need(lab, ENDS_BY_ITSELF)
    limits = Limits(connections=2, statement_timeout=timedelta(seconds=1), idle_in_transaction_timeout=None)
    alice = accounts.provisioned(scope_of(Level.READ, orders), limits=limits)
    sessions = [alice.log_in(), alice.log_in()]
    with pytest.raises(LoginRefused):
        alice.log_in()
    began = time.monotonic()
    with pytest.raises(Stopped):
        sessions[0].sleep(30)
    assert 0.5 < time.monotonic() - began < 5
    for session in sessions:
        session.close()


def test_no_limits_are_no_limits(accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders), limits=Limits(None, None, None))
    sessions = [alice.log_in() for _ in range(7)]
    sessions[0].sleep(1.2)
    for session in sessions:
        session.close()
