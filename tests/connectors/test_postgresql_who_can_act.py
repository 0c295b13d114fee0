"""Who is a member of an account is not who can act as it: whose sessions a revocation ends, and whose it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from connectors.base import Level
from connectors.quoting import postgresql_name as name
from tests.connectors.conftest import Accounts
from tests.connectors.labs.base import Place, scope_of
from tests.connectors.labs.postgresql import PostgreSQLLab
from tests.connectors.test_postgresql_revocation import _log_in, lab, session_of, table, wait_for_login_under_way

__all__ = ["lab"]

OPTIONS_SINCE = 160000


@contextmanager
def logged_in(lab: PostgreSQLLab, role: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A session of somebody who has nothing to do with an access."""
    lab.run(f"ALTER ROLE {name(role)} LOGIN PASSWORD 'x'")
    with _log_in(lab, role, "x", "postgres") as connection:
        yield connection


def lives(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Whether the server still answers on it."""
    try:
        return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.Error:
        return False


def only_may_pass_on(lab: PostgreSQLLab, role: str, member: str) -> None:
    """What the maker of a role has from version 16 on. Before, ADMIN came with everything else."""
    if lab.version < OPTIONS_SINCE:
        pytest.skip("could not be shown on this server: a membership that only lets one pass it on")
    lab.run(f"GRANT {name(role)} TO {name(member)} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")


def test_who_made_lockgates_account_keeps_its_sessions(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    """Managed servers have a master that makes roles; from 16 on it is a member of what it made, to pass it on."""
    master, operator = lab.make_role("master", is_joined=False), lab.make_role("operator", is_joined=False)
    only_may_pass_on(lab, lab.target.user, master)
    lab.run(f"GRANT {name(master)} TO {name(operator)}")
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    with logged_in(lab, master) as of_master, logged_in(lab, operator) as of_operator:
        receipt = alice.revoke()
        assert receipt.is_clean
        assert receipt.errors == ()
        assert lives(of_master)
        assert lives(of_operator)


def test_who_can_become_lockgates_account_keeps_its_sessions(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    """It has the rights of all accounts of ours, always: no one account has lent it anything."""
    operator = lab.make_role("operator", is_joined=False)
    lab.run(f"GRANT {name(lab.target.user)} TO {name(operator)}")
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    with logged_in(lab, operator) as of_operator:
        assert alice.revoke().errors == ()
        assert lives(of_operator)


def test_who_may_only_pass_an_account_on_keeps_its_sessions(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    carol, of_carols_team = lab.make_role("carol"), lab.make_role("team")
    lab.run(f"GRANT {name(carol)} TO {name(of_carols_team)}")
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    only_may_pass_on(lab, alice.principal, carol)
    with logged_in(lab, carol) as one, logged_in(lab, of_carols_team) as other:
        assert alice.revoke().is_clean
        assert lives(one)
        assert lives(other)


@pytest.mark.parametrize("options", ["INHERIT TRUE, SET FALSE", "INHERIT FALSE, SET TRUE"])
def test_who_can_act_as_the_account_does_not(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, options: str
) -> None:
    carol, through_carol = lab.make_role("carol"), lab.make_role("dave")
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    clause = f" WITH {options}" if lab.version >= OPTIONS_SINCE else ""
    lab.run(f"GRANT {name(alice.principal)} TO {name(carol)}{clause}", f"GRANT {name(carol)} TO {name(through_carol)}")
    with logged_in(lab, carol) as one, logged_in(lab, through_carol) as other:
        receipt = alice.revoke()
        assert receipt.is_clean
        assert not lives(one)
        assert not lives(other)
        assert {carol, through_carol} <= {line.split()[0] for line in receipt.errors}


def test_the_walk_ends_at_a_superuser(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    root, operator = lab.make_role("root"), lab.make_role("operator")
    lab.run(f"ALTER ROLE {name(root)} SUPERUSER", f"GRANT {name(root)} TO {name(operator)}")
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    lab.run(f"GRANT {name(alice.principal)} TO {name(root)}")
    with logged_in(lab, operator) as of_operator:
        assert alice.revoke().is_clean
        assert lives(of_operator)


def test_a_membership_of_somebody_elses_making_ends_with_the_account(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    extra = lab.make_role("extra", reads=orders)
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    lab.run(f"GRANT {name(extra)} TO {name(alice.principal)}")
    receipt = alice.revoke()
    assert receipt.is_clean
    assert receipt.errors == ()


def test_what_an_account_passed_on_ends_with_it(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    """Up to version 15 a membership remembered who gave it after that account was gone, and kept the receipt unclean."""
    reporting, bob = lab.make_role("reporting", reads=orders), lab.make_role("bob")
    alice = accounts.provisioned(scope_of(Level.WRITE, orders))
    lab.run(f"GRANT {name(reporting)} TO {name(alice.principal)} WITH ADMIN OPTION")
    session_of(alice).run(f"GRANT {name(reporting)} TO {name(bob)}")
    lab.run(f"ALTER ROLE {name(bob)} LOGIN PASSWORD 'x'")
    with _log_in(lab, bob, "x", orders.database) as of_bob:
        of_bob.execute(f"SET ROLE {name(reporting)}")
        receipt = alice.revoke()
        assert receipt.is_clean, receipt
        assert any(bob in line and reporting in line for line in receipt.errors)
        assert not lives(of_bob), "It had got to the role by what Alice passed on."
    with _log_in(lab, bob, "x", orders.database) as again, pytest.raises(psycopg.errors.InsufficientPrivilege):
        again.execute(f"SELECT count(*) FROM {table(orders)}")


def test_a_login_under_way_of_somebody_else_goes_on(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    """A superuser's GRANT is his to take back from 16 on: until the account is gone it may end that role's processes."""
    other = lab.make_role("other")
    lab.run(f"ALTER ROLE {name(other)} LOGIN PASSWORD 'x'")
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    lab.run(f"GRANT {name(other)} TO {name(alice.principal)}")
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(_log_in, lab, other, "x", "postgres", options="-c post_auth_delay=2")
        wait_for_login_under_way(lab)
        receipt = alice.revoke()
        with begun.result(timeout=15) as connection:
            assert lives(connection)
    assert receipt.is_clean
