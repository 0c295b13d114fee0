"""What an account leaves behind goes to the heir, closed to everybody; one thing that cannot go keeps no other back."""

from __future__ import annotations

import pytest

from connectors.base import Level
from connectors.quoting import postgresql_name as name
from tests.connectors.conftest import Accounts
from tests.connectors.labs.base import NotPermitted, Place, random_token, scope_of
from tests.connectors.labs.postgresql import PostgreSQLLab
from tests.connectors.test_postgresql_revocation import lab, session_of, table

__all__ = ["lab"]

HEIR = "lockgate_heir"


def test_a_publication_is_handed_over_with_the_rest(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    lab.run(f"GRANT CREATE ON DATABASE {name(orders.database)} TO {name(alice.principal)}")
    made = orders.sibling("of_alice")
    session = session_of(alice)
    session.create_table(made)
    session.run(f"CREATE PUBLICATION of_alice FOR TABLE {table(made)}")
    receipt = alice.revoke()
    assert receipt.is_clean, receipt
    assert receipt.errors == ()
    assert lab.owner_of(made) == HEIR
    assert any(line.startswith("publication of_alice ") for line in receipt.handed_over)
    may_create = f"SELECT has_database_privilege('{HEIR}', '{orders.database}', 'CREATE')"
    assert lab.run(may_create) == [(False,)]


def test_what_cannot_go_keeps_nothing_else_back(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    """A foreign server's new owner has to have USAGE on its wrapper, which is a superuser's to give."""
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    wrapper, server = f"wrapper_{random_token()}", f"server_{random_token()}"
    lab.run(
        f"CREATE FOREIGN DATA WRAPPER {wrapper}",
        f"GRANT USAGE ON FOREIGN DATA WRAPPER {wrapper} TO {name(alice.principal)}",
        database=orders.database,
    )
    made = orders.sibling("of_alice")
    session = session_of(alice)
    session.create_table(made)
    session.run(f"CREATE FUNCTION {name(orders.schema)}.of_alice() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    session.run(f"CREATE SERVER {server} FOREIGN DATA WRAPPER {wrapper}")

    receipt = alice.revoke()

    assert not receipt.is_clean
    assert lab.owner_of(made) == HEIR
    assert {line.split()[0] for line in receipt.handed_over} >= {"table", "function"}
    told = " ".join(receipt.errors)
    remedy = f'ALTER SERVER {server} OWNER TO "{HEIR}"'
    assert remedy in told
    assert f"owns server {server} in {orders.database}" in [line for each in receipt.findings for line in each.found]
    lab.run(remedy, database=orders.database)
    lab.run(f"REVOKE USAGE ON FOREIGN DATA WRAPPER {wrapper} FROM {name(alice.principal)}", database=orders.database)
    assert alice.revoke().is_clean


def test_what_is_handed_over_is_closed_to_public(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    session = session_of(alice)
    schema = name(orders.schema)
    made = orders.sibling("of_alice")
    session.create_table(made)
    for statement in (
        f"CREATE FUNCTION {schema}.of_alice() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        f"CREATE PROCEDURE {schema}.deed() LANGUAGE sql AS 'SELECT 1'",
        f"CREATE AGGREGATE {schema}.total(int) (sfunc = int4pl, stype = int)",
        f"CREATE TYPE {schema}.mood AS ENUM ('a')",
        f"CREATE DOMAIN {schema}.positive AS int CHECK (VALUE > 0)",
        f"CREATE TYPE {schema}.span AS RANGE (subtype = int)",
        f"CREATE VIEW {schema}.window AS SELECT 1 AS one",
        f"GRANT SELECT ON {schema}.window TO PUBLIC",
        f"GRANT ALL ON {table(made)} TO PUBLIC",
        f"GRANT SELECT (id) ON {table(made)} TO PUBLIC",
    ):
        session.run(statement)
    carol = session_of(accounts.provisioned(scope_of(Level.READ, orders, named=True)))
    assert carol.run(f"SELECT {schema}.of_alice()") == [(1,)]

    receipt = alice.revoke()

    assert receipt.is_clean, receipt
    assert receipt.errors == ()
    for statement in (
        f"SELECT {schema}.of_alice()",
        f"CALL {schema}.deed()",
        f"SELECT {schema}.total(1)",
        f"SELECT * FROM {schema}.window",
        f"SELECT id FROM {table(made)}",
    ):
        with pytest.raises(NotPermitted):
            carol.run(statement)
    open_types = (
        "SELECT t.typname FROM pg_type t JOIN pg_roles r ON r.oid = t.typowner JOIN pg_namespace n ON n.oid = typnamespace"
        f" WHERE r.rolname = '{HEIR}' AND n.nspname = '{orders.schema}' AND t.typname IN ('mood', 'positive', 'span')"
        " AND has_type_privilege('public', t.oid, 'USAGE')"
    )
    assert lab.run(open_types, database=orders.database) == []


def test_what_others_passed_on_to_everybody_is_closed_too(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    friend = lab.make_role("friend")
    made = orders.sibling("of_alice")
    session = session_of(alice)
    session.create_table(made)
    session.run(f"GRANT SELECT ON {table(made)} TO {name(friend)} WITH GRANT OPTION")
    lab.run(f"GRANT USAGE ON SCHEMA {name(orders.schema)} TO {name(friend)}", database=orders.database)
    lab.run(f"SET ROLE {name(friend)}", f"GRANT SELECT ON {table(made)} TO PUBLIC", database=orders.database)
    assert alice.revoke().is_clean
    everybody = f"SELECT has_table_privilege('public', '{table(made)}', 'SELECT')"
    assert lab.run(everybody, database=orders.database) == [(False,)]
    assert lab.run(everybody.replace("'public'", f"'{friend}'"), database=orders.database) == [(True,)]


def test_a_column_that_everybody_may_read_is_closed_too(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    """Opened by the account itself, and by whom it let pass that on, without a word about the table."""
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    friend = lab.make_role("friend")
    made = orders.sibling("of_alice")
    session = session_of(alice)
    session.create_table(made)
    session.run(f"GRANT SELECT (id) ON {table(made)} TO PUBLIC")
    session.run(f"GRANT SELECT (note) ON {table(made)} TO {name(friend)} WITH GRANT OPTION")
    lab.run(f"GRANT USAGE ON SCHEMA {name(orders.schema)} TO {name(friend)}", database=orders.database)
    lab.run(f"SET ROLE {name(friend)}", f"GRANT SELECT (note) ON {table(made)} TO PUBLIC", database=orders.database)
    receipt = alice.revoke()
    assert receipt.is_clean, receipt
    assert receipt.errors == ()
    reads = f"SELECT has_any_column_privilege('public', '{table(made)}', 'SELECT')"
    assert lab.run(reads, database=orders.database) == [(False,)]
    assert lab.run(reads.replace("'public'", f"'{friend}'"), database=orders.database) == [(True,)]


def test_a_privilege_on_a_parameter_has_a_name_in_the_receipt(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    if lab.version < 150000:
        pytest.skip("could not be shown on this server: privileges on parameters")
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    lab.run(f"GRANT SET ON PARAMETER log_statement TO {name(alice.principal)}")
    receipt = alice.revoke()
    assert "has a privilege on parameter ACL log_statement in the server" in [
        line for each in receipt.findings for line in each.found
    ]
    lab.run(f"REVOKE SET ON PARAMETER log_statement FROM {name(alice.principal)}")
    assert alice.revoke().is_clean


def test_findings_in_every_database_have_names(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    """Of each kind that a superuser may have given by hand, and that nobody but him can take back."""
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    principal, elsewhere = name(alice.principal), lab.make_database("elsewhere")
    for database in (orders.database, elsewhere):
        lab.run(
            "CREATE SCHEMA theirs",
            "CREATE TABLE theirs.t (id int, secret text)",
            "CREATE FUNCTION theirs.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            f"GRANT USAGE ON SCHEMA theirs TO {principal}",
            f"GRANT SELECT (secret) ON theirs.t TO {principal}",
            f"GRANT EXECUTE ON FUNCTION theirs.f(int) TO {principal}",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA theirs GRANT SELECT ON TABLES TO {principal}",
            database=database,
        )
    found = {line for each in alice.revoke().findings for line in each.found}
    for database in (orders.database, elsewhere):
        assert f"has a privilege on schema theirs in {database}" in found
        assert f"has a privilege on function theirs.f(integer) in {database}" in found
        assert f"has a privilege on table column theirs.t.secret in {database}" in found
        assert any("default acl" in line and line.endswith(database) for line in found)
    for database in (orders.database, elsewhere):
        lab.run(f"DROP OWNED BY {principal}", database=database)
    assert alice.revoke().is_clean


@pytest.mark.parametrize(("owned_by_a_stranger", "is_taken_back"), [(False, False), (True, False), (False, True)])
def test_a_column_passed_on_by_a_right_on_the_table_ends_with_the_account(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, owned_by_a_stranger: bool, is_taken_back: bool
) -> None:
    alice, bob = accounts.provisioned(scope_of(Level.WRITE, orders)), lab.make_role("bob")
    where = f"{name(orders.schema)}.{name(orders.name)}"
    if owned_by_a_stranger:
        lab.run(f"ALTER TABLE {where} OWNER TO CURRENT_USER", database=orders.database)
    lab.run(f"GRANT SELECT ON {where} TO {name(alice.principal)} WITH GRANT OPTION", database=orders.database)
    alice.log_in().run(f"GRANT SELECT (note) ON {where} TO {name(bob)}, PUBLIC")
    if is_taken_back:
        lab.run(f"REVOKE ALL ON {where} FROM {name(alice.principal)}", database=orders.database)

    receipt = alice.revoke()

    assert any("passed on to" in line and bob in line for line in receipt.handed_over)
    held = f"SELECT has_any_column_privilege('{bob}', '{where}', 'SELECT')"
    assert lab.run(held, database=orders.database) == [(False,)]
    if owned_by_a_stranger:
        # What the stranger gave is theirs to take back, and nothing else is in the way.
        assert not receipt.is_clean
        lab.run(f"REVOKE ALL ON {where} FROM {name(alice.principal)}", database=orders.database)
        receipt = alice.revoke()
    assert receipt.is_clean, receipt
