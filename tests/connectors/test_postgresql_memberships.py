"""What an account may be a member of, and what becomes of memberships that somebody else gave it."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import pytest

from connectors.base import ExtendRequest, Level, Scope
from connectors.errors import GrantedByOthers, ServerRefused
from connectors.quoting import postgresql_name as name
from connectors.quoting import postgresql_text as text
from tests.connectors.conftest import Account, Accounts, lab_of
from tests.connectors.labs.base import Lab, NotPermitted, Place, scope_of
from tests.connectors.labs.postgresql import PostgreSQLLab

OPTIONS_SINCE = 160000


@pytest.fixture
def lab(labs: dict[str, Lab]) -> PostgreSQLLab:
    """PostgreSQL alone."""
    return cast(PostgreSQLLab, lab_of("postgresql", labs))


def extended(lab: PostgreSQLLab, account: Account) -> Account:
    """An hour more."""
    later = account.request.valid_until + timedelta(hours=1)
    with lab.connector() as connector:
        connector.extend(ExtendRequest(account.principal, later, scope=account.request.scope), account.journal)
    return account


def unknown(lab: PostgreSQLLab, stem: str, reads: Place | None = None) -> str:
    """A role of the customer's that Lockgate's account has nothing to do with."""
    role = lab.make_role(stem, reads=reads)
    if lab.version >= OPTIONS_SINCE:
        lab.run(f"REVOKE {name(role)} FROM {name(lab.target.user)}")
    return role


def writers(lab: PostgreSQLLab, orders: Place) -> str:
    """One that writes."""
    role = unknown(lab, "writers", reads=orders)
    lab.run(
        f"GRANT INSERT ON ALL TABLES IN SCHEMA {name(orders.schema)} TO {name(role)}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {name(orders.schema)} TO {name(role)}",
        database=orders.database,
    )
    return role


@pytest.mark.parametrize("again", ["provisioned", "extended"])
def test_one_more_membership_is_taken_away_or_refused_and_named(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, again: str
) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    role = writers(lab, orders)
    lab.run(f"GRANT {name(role)} TO {name(alice.principal)}")

    def once_more() -> object:
        return alice.provision() if again == "provisioned" else extended(lab, alice)

    if lab.version >= OPTIONS_SINCE:
        with pytest.raises(GrantedByOthers) as refused:
            once_more()
        for part in (role, alice.principal, lab.superuser.user, "REVOKE"):
            assert part in str(refused.value)
        remedy = str(refused.value).split(": ")[-1].rstrip(".);")
        lab.run(remedy.split(" [")[0])
    once_more()
    session = alice.log_in()
    session.run("SET default_transaction_read_only = off")
    with pytest.raises(NotPermitted):
        session.insert(orders)
    assert session.count(orders) == 3


def test_one_more_membership_that_we_may_take_away_goes(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    role = lab.make_role("writers", reads=orders)
    alice = accounts.provisioned(Scope(Level.MEMBER, (orders.database,), database_roles=(role,)))
    alice.provision(scope=scope_of(Level.READ, orders))
    member_of = (
        "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid"
        f" WHERE m.member = {text(name(alice.principal))}::regrole"
    )
    assert lab.run(member_of) == [(alice.request.scope.group,)]


def test_nobody_passes_on_a_membership_that_was_opened_by_hand(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    """The same group, but with the right to let others in, or to act as the group."""
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    group = alice.request.scope.group
    lab.run(f"GRANT {name(group)} TO {name(alice.principal)} WITH ADMIN OPTION")
    if lab.version >= OPTIONS_SINCE:
        with pytest.raises(GrantedByOthers, match=group):
            alice.provision()
        return
    alice.provision()
    admin = f"SELECT bool_or(admin_option) FROM pg_auth_members WHERE member = {text(name(alice.principal))}::regrole"
    assert lab.run(admin) == [(False,)]


@pytest.mark.parametrize(
    "making",
    [
        "ALTER ROLE {role} CREATEROLE",
        "ALTER ROLE {role} REPLICATION",
        "GRANT pg_execute_server_program TO {role}",
        "GRANT pg_read_server_files TO {role}",
        "GRANT {superuser} TO {role}",
        "GRANT lockgate_heir TO {role}",
        "GRANT {ourselves} TO {role}",
        "GRANT {account} TO {role}",
    ],
)
@pytest.mark.parametrize("through", [False, True])
def test_nobody_joins_what_leads_to_more_than_a_role(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, making: str, through: bool
) -> None:
    living = accounts.provisioned(scope_of(Level.READ, orders))
    powerful = unknown(lab, "powerful")
    lab.run(
        making.format(
            role=name(powerful),
            superuser=name(lab.superuser.user),
            ourselves=name(lab.target.user),
            account=name(living.principal),
        )
    )
    joined = powerful
    if through:
        joined = unknown(lab, "innocent")
        lab.run(f"GRANT {name(powerful)} TO {name(joined)}")
    alice = accounts.new(Scope(Level.MEMBER, (orders.database,), database_roles=(joined,)))
    with pytest.raises(ServerRefused, match=joined):
        alice.provision()
    assert not lab.account_exists(alice.principal)
    lab.drop_role(powerful)
