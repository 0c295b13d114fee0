"""What every connector promises about names, secrets, plans, journals and what it tells of a server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.base import PRINCIPAL_PREFIX, Connector, ExtendRequest, Level, Scope, Secret
from connectors.errors import ConnectorError, PrincipalCannotLogIn, ServerRefused
from connectors.registry import open_connector
from tests.connectors.conftest import Account, Accounts, Notebook, assert_gone, assert_without, blocking, lacking, need
from tests.connectors.labs.base import (
    BACKSLASHES,
    BRACKETS,
    HASHES,
    HOSTILE,
    LEAST_ACCOUNT,
    LONG_NAMES,
    SERVER_LOG,
    TELLS_PERMISSIONS,
    WIDE_DATABASES,
    Lab,
    Place,
    make_password,
    make_principal,
    random_token,
    scope_of,
)

# --- Names


@pytest.mark.parametrize("piece", [HOSTILE, "o'brien", 'd"artagnan', "back\\slash", "100%s", "a;b--c", "жан łukasz"])
def test_an_account_with_an_odd_name(lab: Lab, accounts: Accounts, orders: Place, piece: str) -> None:
    principal = make_principal(piece).rstrip()
    if never_in_accounts(lab) & set(piece):
        with pytest.raises(ServerRefused):
            Accounts(lab).new(scope_of(Level.WRITE, orders), principal=principal).provision()
        assert not lab.account_exists(principal)
        return
    alice = accounts.provisioned(scope_of(Level.WRITE, orders), principal=principal)
    session = alice.log_in()
    session.insert(orders)
    assert alice.revoke().is_clean
    assert not session.is_alive()
    assert_gone(lab, alice)


def never_in_accounts(lab: Lab) -> frozenset[str]:
    """Characters that the engine takes in any name but that of an account with a password."""
    return getattr(lab, "not_in_accounts", frozenset())


def test_everything_has_a_hostile_name(lab: Lab, accounts: Accounts) -> None:
    database = lab.make_database(HOSTILE)
    places = [lab.make_table(database, lab.make_schema(database, HOSTILE), HOSTILE) for _ in range(2)]
    role = lab.make_role(HOSTILE, reads=places[0])
    piece = "".join(character for character in HOSTILE if character not in never_in_accounts(lab))
    group = f"lockgate_{piece}_{random_token()}"
    scopes = (
        scope_of(Level.DDL, places[0], group=group),
        scope_of(Level.WRITE, *places, named=True, group=group),
        Scope(Level.MEMBER, (database,), database_roles=(role,)),
    )
    for scope in [scope for scope in scopes if not lacking(lab, scope)]:
        alice = accounts.provisioned(scope, principal=make_principal(piece))
        session = alice.log_in()
        assert session.count(places[0]) == 3
        if scope.level is Level.DDL:
            lab.plant_residue(session, places[1])
        assert alice.revoke().is_clean
        assert_gone(lab, alice)
    # Shown so far: every character but these.
    need(lab, BRACKETS, BACKSLASHES, WIDE_DATABASES)


def test_a_name_as_long_as_the_engine_allows(lab: Lab, accounts: Accounts, orders: Place) -> None:
    need(lab, LONG_NAMES)
    short = make_principal("")
    longest = short + "é" * ((lab.longest_principal - len(short)) // 2)
    alice = accounts.provisioned(scope_of(Level.READ, orders), principal=longest)
    assert alice.revoke().is_clean
    assert_gone(lab, alice)
    with pytest.raises(ServerRefused):
        Accounts(lab).new(scope_of(Level.READ, orders), principal=longest + "éé").provision()
    assert not lab.account_exists(longest)


# --- Secrets


def test_the_password_is_nowhere(lab: Lab, connector: Connector, accounts: Accounts, orders: Place) -> None:
    alice = accounts.new(scope_of(Level.WRITE, orders))
    plan = connector.plan(alice.request, alice.revocation)
    alice.provision()
    alice.log_in().close()
    alice.provision(password=make_password())
    receipt = alice.revoke()
    for password in (alice.request.password, lab.target.password):
        assert_without(password, repr(plan), repr(alice.journal), repr(receipt), connector.setup_sql())
        assert_without(password, lab.server_log())
    assert "********" in repr(plan.provision)


def test_the_log_of_the_server_would_have_told(lab: Lab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    need(lab, SERVER_LOG)
    assert alice.principal in lab.server_log()


def test_a_refusal_tells_no_password(lab: Lab, connector: Connector, secret: Secret, orders: Place) -> None:
    with pytest.raises(PrincipalCannotLogIn) as refused:
        connector.prove_login(make_principal(), secret, orders.database)
    assert refused.value.__cause__ is not None
    assert_without(secret, str(refused.value), repr(refused.value), repr(refused.value.__cause__))


# --- Plans and journals


@pytest.mark.parametrize("level", [Level.READ, Level.WRITE, Level.DDL, Level.MEMBER])
@pytest.mark.parametrize("named", [False, True])
def test_a_plan_is_what_then_runs(
    lab: Lab, connector: Connector, accounts: Accounts, orders: Place, level: Level, named: bool
) -> None:
    role = lab.make_role("reporting", reads=orders)
    scope = scope_of(level, orders, named=named)
    if level is Level.MEMBER:
        scope = Scope(level, (orders.database,), database_roles=(role,))
    need(lab, HASHES, TELLS_PERMISSIONS)
    alice = accounts.new(scope)
    plan = connector.plan(alice.request, alice.revocation)
    alice.provision()
    assert [(each.database, each.sql) for each in plan.provision] == alice.journal.sql
    revoking = Notebook()
    assert alice.revoke(revoking).is_clean
    planned = [(each.database, each.sql) for each in plan.revoke]
    assert [each for each in planned if each in revoking.sql] == revoking.sql


def test_a_plan_is_the_one_for_the_version_that_a_check_has_told(lab: Lab, accounts: Accounts, orders: Place) -> None:
    need(lab, HASHES, TELLS_PERMISSIONS)
    alice = accounts.new(scope_of(Level.READ, orders))
    with lab.connector() as connector:
        checked = replace(lab.target, version=connector.check().version)
    with open_connector(checked) as connector:
        plan = connector.plan(alice.request, alice.revocation)
        connector.provision(alice.request, alice.journal)
    assert [(each.database, each.sql) for each in plan.provision] == alice.journal.sql
    assert "server_version_num" not in repr(plan)


def test_a_plan_of_more_time_is_what_then_runs(
    lab: Lab, connector: Connector, accounts: Accounts, orders: Place
) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    later = ExtendRequest(alice.principal, alice.request.valid_until + timedelta(hours=1))
    with open_connector(lab.unreachable()) as away:
        plan = away.plan_extension(later)
    ran = Notebook()
    connector.extend(later, ran)
    assert [(each.database, each.sql) for each in plan] == ran.sql


def test_a_plan_needs_no_server(lab: Lab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.new(scope_of(Level.READ, orders))
    with open_connector(lab.unreachable()) as connector:
        assert connector.plan(alice.request, alice.revocation).provision
        assert connector.connection_hints(alice.principal, orders.database)
        assert connector.setup_sql()


def test_a_journal_tells_when_and_what_went_wrong(lab: Lab, accounts: Accounts, orders: Place) -> None:
    need(lab, LEAST_ACCOUNT)
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    assert all(entry.at.utcoffset() == timedelta(0) and not entry.error for entry in alice.journal)
    with lab.without_rights():
        journal = Notebook()
        alice.revoke(journal)
    assert any(entry.error for entry in journal)


# --- Many at once


def test_many_join_one_group_at_the_same_instant(lab: Lab, accounts: Accounts, orders: Place) -> None:
    scope = scope_of(Level.WRITE, orders)
    everybody = [accounts.new(scope) for _ in range(16)]
    with ThreadPoolExecutor(len(everybody)) as pool:
        list(pool.map(_provision_as_a_worker, everybody))
        for account in everybody:
            account.log_in().close()
        assert all(receipt.is_clean for receipt in pool.map(Account.revoke, everybody))
    for account in everybody:
        assert_gone(lab, account)


def _provision_as_a_worker(account: Account) -> None:
    """Again, where the server says that it was only too busy: as it may with sixteen at once and two cores."""
    for tries_left in reversed(range(4)):
        try:
            account.provision()
        except ConnectorError as error:
            if not error.transient or not tries_left:
                raise
        else:
            return


def test_a_group_in_step_is_left_alone(lab: Lab, accounts: Accounts, orders: Place) -> None:
    need(lab, TELLS_PERMISSIONS)
    scope = scope_of(Level.WRITE, orders)
    first = accounts.provisioned(scope)
    second = accounts.provisioned(scope)
    about_the_group = set(first.journal.sql) & set(second.journal.sql)
    assert not about_the_group


# --- Looking


def test_a_server_is_fit(lab: Lab, connector: Connector) -> None:
    report = connector.check()
    assert not blocking(lab, report)
    assert report.version
    assert timedelta(0) < report.latency < timedelta(seconds=5)
    assert abs(report.server_time - datetime.now(UTC)) < timedelta(minutes=1)


def test_one_look_tells_when_the_server_was_started_and_which_accounts_it_has(
    lab: Lab, accounts: Accounts, connector: Connector, orders: Place
) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    first = connector.signs_of_life()
    assert first.started_at < connector.check().server_time
    assert alice.principal in first.accounts
    alice.revoke()
    second = connector.signs_of_life()
    assert alice.principal not in second.accounts
    # Some servers tell in whole seconds for how long they have run.
    assert abs(second.started_at - first.started_at) < timedelta(seconds=3)


def test_a_server_is_known_by_what_it_is_whatever_its_address(connector: Connector) -> None:
    known_by = connector.identify()
    assert known_by
    assert connector.check().identity == known_by
    host = "localhost" if connector.target.host == "127.0.0.1" else connector.target.host
    with open_connector(replace(connector.target, host=host)) as by_another_name:
        assert by_another_name.identify() == known_by


def test_a_missing_right_is_named_with_its_remedy(lab: Lab, connector: Connector) -> None:
    with lab.without_rights():
        report = connector.check()
    assert not report.ok
    assert all(remedy.problem and remedy.what_to_do for remedy in report.remedies)


def test_what_can_be_named_is_listed(lab: Lab, connector: Connector, orders: Place) -> None:
    role = lab.make_role("reporting")
    description = connector.describe()
    assert orders.database in description.databases
    assert (orders.database, orders.schema, orders.name) in description.tables
    assert role in description.roles
    assert lab.target.user not in description.roles
    if lab.has_schemas:
        assert (orders.database, orders.schema) in description.schemas


def test_the_sweep_sees_every_account_of_ours(connector: Connector, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    session = alice.log_in()
    found = {each.name: each for each in connector.list_principals()}
    assert all(name.startswith(PRINCIPAL_PREFIX) for name in found)
    seen = found[alice.principal]
    assert seen.can_log_in
    assert seen.sessions == 1
    assert alice.request.scope.group in seen.memberships
    alice.revoke()
    assert not session.is_alive()
    assert alice.principal not in {each.name for each in connector.list_principals()}


def test_hints_hold_no_password_and_the_right_address(lab: Lab, connector: Connector, orders: Place) -> None:
    hints = connector.connection_hints("lg_abc_alice", orders.database)
    assert len({hint.label for hint in hints}) == len(hints) >= 3
    for hint in hints:
        assert "lg_abc_alice" in hint.text
        assert lab.target.host in hint.text
        assert_without(lab.target.password, hint.text)


def test_an_error_is_one_of_ours(connector: Connector, secret: Secret) -> None:
    with pytest.raises(ConnectorError) as refused:
        connector.prove_login(make_principal(), secret, "no_such_database")
    assert refused.value.sentence
