"""What outlives an account on PostgreSQL, and how a revocation finds it all the same."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import cast

import psycopg
import pytest

from connectors.base import Level, Receipt, RevokeRequest
from connectors.postgresql.connector import PostgreSQLConnector
from connectors.postgresql.reading_back import LOGINS_UNDER_WAY
from connectors.quoting import postgresql_name as name
from tests.connectors.conftest import Account, Accounts, Notebook, lab_of
from tests.connectors.labs.base import Lab, LoginRefused, NotPermitted, Place, random_token, scope_of
from tests.connectors.labs.postgresql import PostgreSQLLab, PostgreSQLSession


@pytest.fixture
def lab(labs: dict[str, Lab]) -> PostgreSQLLab:
    """PostgreSQL alone."""
    return cast(PostgreSQLLab, lab_of("postgresql", labs))


def _log_in(
    lab: PostgreSQLLab, role: str, password: str, database: str, **options: str
) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=lab.target.host,
        port=lab.target.port,
        user=role,
        password=password,
        dbname=database,
        sslmode="disable",
        autocommit=True,
        **options,  # type: ignore[arg-type]
    )


def wait_for_login_under_way(lab: PostgreSQLLab, clients: int = 1) -> None:
    """Until so many clients are past the check of NOLOGIN and no sessions yet."""
    deadline = time.monotonic() + 20
    while len(lab.run(LOGINS_UNDER_WAY)) < clients:
        assert time.monotonic() < deadline, "No login had begun."
        time.sleep(0.02)


def table(place: Place) -> str:
    """As SQL names it."""
    return f"{name(place.schema)}.{name(place.name)}"


def let_switch(lab: PostgreSQLLab, account: Account) -> None:
    """From 16 on an account cannot turn into its group, unless somebody else lets it."""
    if lab.version >= 160000:
        lab.run(f"GRANT {name(account.request.scope.group)} TO {name(account.principal)} WITH SET TRUE")


def session_of(account: Account) -> PostgreSQLSession:
    """A session, typed as this engine's."""
    return cast(PostgreSQLSession, account.log_in())


# --- Roles that were switched, lent, or acted for


def test_a_session_that_switched_to_the_group_is_ended(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    let_switch(lab, alice)
    session = session_of(alice)
    session.run(f"SET ROLE {name(alice.request.scope.group)}")
    assert session.count(orders) == 3
    receipt = alice.revoke()
    assert receipt.is_clean
    assert receipt.sessions_ended == 1
    assert not session.is_alive()


def test_a_function_in_the_name_of_the_group_loses_its_rights(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    let_switch(lab, alice)
    session = session_of(alice)
    schema = name(orders.schema)
    session.run(f"SET ROLE {name(alice.request.scope.group)}")
    session.run(
        f"CREATE FUNCTION {schema}.back_door() RETURNS bigint LANGUAGE sql SECURITY DEFINER"
        f" AS 'SELECT count(*) FROM {table(orders)}'"
    )
    other = lab.make_table(orders.database, orders.schema, "catalogue")
    carol = session_of(accounts.provisioned(scope_of(Level.READ, other, named=True)))
    assert carol.run(f"SELECT {schema}.back_door()") == [(3,)], "The door is open as long as Alice is."

    receipt = alice.revoke()

    assert receipt.is_clean
    assert any("back_door" in line for line in receipt.handed_over)
    with pytest.raises(NotPermitted):
        carol.run(f"SELECT {schema}.back_door()")


def test_a_view_of_the_account_reads_nothing_afterwards(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    session = session_of(alice)
    view = f"{name(orders.schema)}.peephole"
    session.run(f"CREATE VIEW {view} AS SELECT * FROM {table(orders)}")
    session.run(f"GRANT SELECT ON {view} TO PUBLIC")
    other = lab.make_table(orders.database, orders.schema, "catalogue")
    carol = session_of(accounts.provisioned(scope_of(Level.READ, other, named=True)))
    assert carol.run(f"SELECT count(*) FROM {view}") == [(3,)]
    assert alice.revoke().is_clean
    with pytest.raises(NotPermitted):
        carol.run(f"SELECT count(*) FROM {view}")


def test_who_borrowed_the_account_does_not_read_on(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    """Up to version 14 a role may make others members of itself; later, an administrator still may."""
    borrower = lab.make_role("bob")
    lab.run(f"ALTER ROLE {name(borrower)} LOGIN PASSWORD 'x'")
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    let_switch(lab, alice)
    lab.run(f"GRANT {name(alice.principal)} TO {name(borrower)}")
    bob = _log_in(lab, borrower, "x", orders.database)
    bob.execute(f"SET ROLE {name(alice.request.scope.group)}")
    assert bob.execute(f"SELECT count(*) FROM {table(orders)}").fetchone() == (3,)

    receipt = alice.revoke()

    assert receipt.is_clean
    assert any(borrower in error for error in receipt.errors)
    with pytest.raises(psycopg.OperationalError):
        bob.execute(f"SELECT count(*) FROM {table(orders)}")
    bob.close()
    with _log_in(lab, borrower, "x", orders.database) as again, pytest.raises(psycopg.errors.InsufficientPrivilege):
        again.execute(f"SELECT count(*) FROM {table(orders)}")


# --- Logins that had begun


def test_a_login_that_had_begun_does_not_end_as_a_session(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    """The client itself chooses how long it stays past the check of NOLOGIN, shown in no list of sessions."""
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    bob = accounts.provisioned(scope_of(Level.READ, orders))

    def begin(account: Account) -> PostgreSQLSession:
        # Seconds: longer than a busy machine needs to look at both.
        options = "-c post_auth_delay=6"
        return lab.log_in(account.principal, account.request.password, orders.database, options=options)

    with ThreadPoolExecutor(2) as pool:
        of_alice, of_bob = pool.submit(begin, alice), pool.submit(begin, bob)
        wait_for_login_under_way(lab, clients=2)
        assert lab.sessions_of(alice.principal) == 0, "It is not shown, which is the point."
        receipt = alice.revoke()
        assert receipt.is_clean
        assert receipt.sessions_ended == 1
        with suppress(LoginRefused):
            # The server may say welcome before it notices; the first word after that is the last.
            session = of_alice.result(timeout=30)
            assert not session.is_alive()
            session.close()
        session = of_bob.result(timeout=30)
    assert session.count(orders) == 3, "Nobody else's login was ended."
    session.close()


# --- Transactions that nobody holds


def test_a_prepared_transaction_is_rolled_back(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.WRITE, orders))
    session = session_of(alice)
    session.begin()
    session.insert(orders)
    gid = f"it's 100% {random_token()}"
    session.run(f"PREPARE TRANSACTION '{gid.replace(chr(39), chr(39) * 2)}'")
    session.close()

    assert alice.revoke().is_clean

    assert lab.run(f"SELECT count(*) FROM {table(orders)}", database=orders.database) == [(3,)]
    assert gid not in {row[0] for row in lab.run("SELECT gid FROM pg_prepared_xacts")}


# --- Privileges from elsewhere


def test_what_others_granted_to_the_account_goes_too(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    principal, owner = name(alice.principal), name(lab.owner)
    lab.run(
        f"SET ROLE {owner}",
        f"GRANT UPDATE ON {table(orders)} TO {principal}",
        f"GRANT CREATE ON SCHEMA {name(orders.schema)} TO {principal}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT DELETE ON TABLES TO {principal}",
        f"GRANT CREATE ON DATABASE {name(orders.database)} TO {principal}",
        f"CREATE POLICY of_alice ON {table(orders)} TO {principal} USING (true)",
        database=orders.database,
    )
    elsewhere = lab.make_table(lab.make_database("elsewhere"), "public", "elsewhere")
    lab.run(f"SET ROLE {owner}", f"GRANT SELECT ON {table(elsewhere)} TO {principal}", database=elsewhere.database)
    receipt = alice.revoke()
    assert receipt.is_clean, receipt
    assert not lab.account_exists(alice.principal)


def test_a_schema_of_the_account_is_handed_over(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    lab.run(f"GRANT CREATE ON DATABASE {name(orders.database)} TO {name(alice.principal)}")
    session = session_of(alice)
    schema = f"of_alice_{random_token()}"
    session.run(f"CREATE SCHEMA {schema}")
    session.run(f"CREATE TABLE {schema}.t (id int)")
    session.run(f"CREATE FUNCTION {schema}.f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    receipt = alice.revoke()
    assert receipt.is_clean, receipt
    assert {"schema", "table", "function"} <= {line.split()[0] for line in receipt.handed_over}
    assert lab.owner_of(Place(orders.database, schema, "t")) == "lockgate_heir"


def test_the_heir_may_nothing_afterwards(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    lab.plant_residue(session_of(alice), orders)
    assert alice.revoke().is_clean
    granted = lab.run(
        f"SELECT has_schema_privilege('lockgate_heir', '{orders.schema}', 'CREATE'),"
        f" has_table_privilege('lockgate_heir', '{table(orders)}', 'SELECT')",
        database=orders.database,
    )
    assert granted == [(False, False)]


# --- What cannot be done is told


def test_what_a_superuser_granted_is_told_until_he_takes_it_back(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    theirs = f"public.of_root_{random_token()}"
    lab.run(
        f"CREATE TABLE {theirs} (id int)",
        f"GRANT SELECT ON {theirs} TO {name(alice.principal)}",
        database=orders.database,
    )
    receipt = alice.revoke()
    assert not receipt.is_clean
    told = f"has a privilege on table {theirs} in {orders.database}"
    assert told in [line for finding in receipt.findings for line in finding.found]
    assert receipt.errors
    with pytest.raises(LoginRefused):
        alice.log_in()

    lab.run(f"REVOKE SELECT ON {theirs} FROM {name(alice.principal)}", database=orders.database)

    assert alice.revoke().is_clean


def test_a_database_that_takes_no_connections_is_read_all_the_same(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    lab.plant_residue(session_of(alice), orders)
    lab.run(
        f"ALTER DATABASE {name(orders.database)} ALLOW_CONNECTIONS false",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{orders.database}'",
    )
    receipt = alice.revoke()
    assert not receipt.is_clean
    assert any(orders.database in line for finding in receipt.findings for line in finding.found)
    lab.run(f"ALTER DATABASE {name(orders.database)} ALLOW_CONNECTIONS true")
    assert alice.revoke().is_clean


def test_nothing_is_dropped_when_it_cannot_be_handed_over(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    heir = lab.make_role("heir")
    lab.run(f"ALTER ROLE {name(heir)} LOGIN", f"GRANT {name(heir)} TO {name(lab.target.user)}")
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    made = orders.sibling("of_alice")
    session_of(alice).create_table(made)

    receipt = _revoke_with_heir(lab, alice, heir)

    assert not receipt.is_clean
    assert any(heir in error for error in receipt.errors)
    assert lab.owner_of(made) == alice.principal
    lab.run(f"ALTER ROLE {name(heir)} NOLOGIN")
    receipt = _revoke_with_heir(lab, alice, heir)
    assert receipt.is_clean, receipt
    assert lab.owner_of(made) == heir


def test_an_heir_is_made_where_missing(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    heir = f"lockgate_heir_{random_token()}"
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    made = orders.sibling("of_alice")
    session_of(alice).create_table(made)
    assert _revoke_with_heir(lab, alice, heir).is_clean
    assert lab.owner_of(made) == heir
    lab.drop_role(heir)


def _revoke_with_heir(lab: PostgreSQLLab, account: Account, heir: str) -> Receipt:
    with lab.connector() as connector:
        return connector.revoke(RevokeRequest(account.principal, account.request.scope, heir), account.journal)


# --- Others at the same moment


def test_a_collision_is_tried_again(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    journal = Notebook()
    with lab.as_superuser("postgres") as administrator, ThreadPoolExecutor(1) as pool:
        with administrator.transaction():
            administrator.execute(f"ALTER ROLE {name(alice.principal)} CONNECTION LIMIT 3")
            revoking = pool.submit(alice.revoke, journal)
            time.sleep(0.5)
            assert not revoking.done()
        receipt = revoking.result(timeout=30)
    assert receipt.is_clean
    assert receipt.errors == ()
    assert any("XX000" in entry.error for entry in journal), "The collision did not happen: nothing was shown."


def test_a_locked_table_is_waited_for(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    made = orders.sibling("of_alice")
    session_of(alice).create_table(made)
    with lab.as_superuser(orders.database) as administrator, ThreadPoolExecutor(1) as pool:
        with administrator.transaction():
            administrator.execute(f"LOCK TABLE {table(made)}")
            revoking = pool.submit(alice.revoke)
            time.sleep(2.5)
        receipt = revoking.result(timeout=30)
    assert receipt.is_clean
    assert lab.owner_of(made) == "lockgate_heir"


def test_a_superuser_as_our_own_account(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.new(scope_of(Level.DDL, orders))
    with PostgreSQLConnector(replace(lab.superuser, database="postgres")) as connector:
        connector.provision(alice.request, alice.journal)
        session = session_of(alice)
        planted = lab.plant_residue(session, orders)
        session.begin()
        session.insert(orders)
        session.run("PREPARE TRANSACTION 'of_alice_" + alice.principal + "'")
        receipt = connector.revoke(alice.revocation, alice.journal)
    assert receipt.is_clean, receipt
    assert receipt.errors == ()
    assert all(any(text in line for line in receipt.handed_over) for text in planted)
    assert not session.is_alive()
