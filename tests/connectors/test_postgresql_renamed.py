"""An account that somebody gave another name is found all the same, and nobody else is taken for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.base import Level, Receipt
from connectors.quoting import postgresql_name as name
from tests.connectors.conftest import Account, Accounts
from tests.connectors.labs.base import LoginRefused, Place, random_token, scope_of
from tests.connectors.labs.postgresql import PostgreSQLLab
from tests.connectors.test_postgresql_revocation import lab, session_of

__all__ = ["lab"]


def renamed(lab: PostgreSQLLab, account: Account) -> str:
    """Its new name."""
    new = f"batch_{random_token()}"
    lab.run(f"ALTER ROLE {name(account.principal)} RENAME TO {name(new)}")
    return new


def provision(account: Account) -> str:
    """Makes it; its identifier."""
    with account.lab.connector() as connector:
        return connector.provision(account.request, account.journal)


def revoke(account: Account, identifier: str) -> Receipt:
    with account.lab.connector() as connector:
        return connector.revoke(replace(account.revocation, identifier=identifier), account.journal)


def forget_comment(lab: PostgreSQLLab, role: str) -> None:
    lab.run(f"COMMENT ON ROLE {name(role)} IS NULL")


@pytest.mark.parametrize("is_known_by_number", [True, False], ids=["by its number", "by its comment"])
def test_a_renamed_account_ends(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, is_known_by_number: bool
) -> None:
    alice = accounts.new(scope_of(Level.DDL, orders))
    identifier = provision(alice)
    session = session_of(alice)
    made = orders.sibling("of_alice")
    session.create_table(made)
    new = renamed(lab, alice)
    if is_known_by_number:
        forget_comment(lab, new)
    receipt = revoke(alice, identifier if is_known_by_number else "")
    assert receipt.is_clean, receipt
    assert any(new in line for line in receipt.errors)
    assert not session.is_alive()
    assert not lab.role_exists(new)
    assert lab.owner_of(made) == "lockgate_heir"
    with pytest.raises(LoginRefused):
        lab.log_in(new, alice.request.password, orders.database)


def test_an_account_that_was_made_anew_and_the_renamed_one_end_both(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    alice = accounts.new(scope_of(Level.READ, orders))
    provision(alice)
    new = renamed(lab, alice)
    identifier = provision(alice)
    assert revoke(alice, identifier).is_clean
    assert not lab.role_exists(new)
    assert not lab.account_exists(alice.principal)


def test_a_number_that_somebody_else_has_now_is_nobodys_end(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    """After a restore a role may get a number that had been an account's."""
    stranger = lab.make_role("stranger")
    number = str(lab.run(f"SELECT oid FROM pg_roles WHERE rolname = '{stranger}'")[0][0])
    bob = accounts.provisioned(scope_of(Level.READ, orders))
    of_bob = str(lab.run(f"SELECT oid FROM pg_roles WHERE rolname = '{bob.principal}'")[0][0])
    alice = accounts.new(scope_of(Level.READ, orders))
    assert revoke(alice, number).is_clean
    assert revoke(alice, of_bob).is_clean
    assert lab.role_exists(stranger)
    assert lab.account_exists(bob.principal)


def test_the_sweep_is_told_the_old_name(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.new(scope_of(Level.READ, orders))
    identifier = provision(alice)
    new = renamed(lab, alice)
    with lab.connector() as connector:
        found = {each.name: each for each in connector.list_principals()}
    assert (found[new].principal, found[new].identifier, found[new].is_foreign) == (alice.principal, identifier, False)
    revoke(alice, identifier)


def test_the_sweep_is_told_who_else_is_in_a_group(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    guest = lab.make_role("guest")
    group = f"lockgate_orders_{random_token()[:8]}"
    lab.run(f"CREATE ROLE {name(group)}", f"GRANT {name(group)} TO {name(guest)}")
    with lab.connector() as connector:
        found = {each.name: each for each in connector.list_principals()}
    assert found[guest].is_foreign
    assert found[guest].memberships == (group,)
    assert not found[alice.principal].is_foreign
    assert lab.target.user not in found
    lab.drop_role(group)


def test_the_end_of_a_renamed_account_can_be_moved(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    from datetime import timedelta

    from connectors.base import ExtendRequest

    alice = accounts.new(scope_of(Level.READ, orders))
    identifier = provision(alice)
    new = renamed(lab, alice)
    later = alice.request.valid_until + timedelta(hours=2)
    with lab.connector() as connector:
        connector.extend(ExtendRequest(alice.principal, later, identifier=identifier), alice.journal)
    assert lab.run(f"SELECT rolvaliduntil FROM pg_roles WHERE rolname = '{new}'") == [
        (later.replace(microsecond=later.microsecond),)
    ]
    revoke(alice, identifier)


def test_a_renamed_account_that_is_not_ours_to_administer_any_more_ends_once_the_setup_sql_was_run(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    """As after an upgrade to 16 or later, which leaves whoever made a role without ADMIN on it."""
    alice = accounts.new(scope_of(Level.WRITE, orders))
    identifier = provision(alice)
    session = session_of(alice)
    new = renamed(lab, alice)
    if lab.version >= 160000:
        lab.run(f"REVOKE {name(new)} FROM {name(lab.target.user)} GRANTED BY {name(lab.superuser.user)}")
        with lab.connector() as connector:
            remedies = [each for each in connector.check([alice.request.scope]).remedies if each.blocking]
        assert any(new in each.what_to_do for each in remedies), remedies
        assert not revoke(alice, identifier).is_clean
    lab.set_up("postgres")
    receipt = revoke(alice, identifier)
    assert receipt.is_clean, receipt
    assert not lab.role_exists(new)
    assert not session.is_alive()
