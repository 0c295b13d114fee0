"""What PostgreSQL lets an account do, and the customers' servers on which that is not obvious."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import psycopg
import pytest

from connectors.base import Level, Limits, Scope, Secret, Tls
from connectors.errors import (
    AdminLacksPrivilege,
    AdminLoginRefused,
    ScopeNotOnServer,
    ServerRefused,
    ServerUnreachable,
)
from connectors.postgresql import databases_checked
from connectors.postgresql.connector import PostgreSQLConnector
from connectors.quoting import postgresql_name as name
from connectors.quoting import postgresql_text as text
from tests.connectors.conftest import Accounts, Notebook, blocking, lab_of
from tests.connectors.labs.base import HOSTILE, Lab, NotPermitted, Place, SessionEnded, random_token, scope_of
from tests.connectors.labs.postgresql import PostgreSQLLab


@pytest.fixture
def lab(labs: dict[str, Lab]) -> PostgreSQLLab:
    """PostgreSQL alone."""
    return cast(PostgreSQLLab, lab_of("postgresql", labs))


def table(place: Place) -> str:
    """As SQL names it."""
    return f"{name(place.schema)}.{name(place.name)}"


# --- What the levels mean


def test_the_wall_of_reading_is_the_privilege_not_the_setting(accounts: Accounts, orders: Place) -> None:
    session = accounts.provisioned(scope_of(Level.READ, orders)).log_in()
    assert session.run("SHOW default_transaction_read_only") == [("on",)]
    session.run("SET default_transaction_read_only = off")
    with pytest.raises(NotPermitted, match="permission denied"):
        session.insert(orders)


def test_named_schemas_and_what_is_made_there_later(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    other = lab.make_table(orders.database, lab.make_schema(orders.database, "hr"), "salaries")
    scope = replace(scope_of(Level.WRITE, orders), schemas=(orders.schema,))
    session = accounts.provisioned(scope).log_in()
    later = lab.make_table(orders.database, orders.schema, "later")
    for place in (orders, later):
        session.insert(place)
    with pytest.raises(NotPermitted):
        session.count(other)


def test_schemas_made_later_are_covered(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    session = accounts.provisioned(scope_of(Level.READ, orders)).log_in()
    lab.run(
        f"GRANT CREATE ON DATABASE {name(orders.database)} TO {name(lab.owner)}",
        f"SET ROLE {name(lab.owner)}",
        "CREATE SCHEMA made_later",
        database=orders.database,
    )
    assert session.count(lab.make_table(orders.database, "made_later", "orders")) == 3


def test_tables_that_another_role_may_make_are_covered(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    deployer = lab.make_role("deployer")
    lab.run(f"GRANT USAGE, CREATE ON SCHEMA {name(orders.schema)} TO {name(deployer)}", database=orders.database)
    lab.join_ourselves(deployer)
    session = accounts.provisioned(scope_of(Level.READ, orders)).log_in()
    later = orders.sibling("by_deployer")
    lab.run(f"SET ROLE {name(deployer)}", f"CREATE TABLE {table(later)} (id int)", database=orders.database)
    assert session.count(later) == 0


def test_defining_gives_no_trigger_on_the_tables_of_others(accounts: Accounts, orders: Place) -> None:
    session = accounts.provisioned(scope_of(Level.DDL, orders)).log_in()
    schema = name(orders.schema)
    session.run(f"CREATE FUNCTION {schema}.spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    with pytest.raises(NotPermitted):
        session.run(f"CREATE TRIGGER spy BEFORE INSERT ON {table(orders)} EXECUTE FUNCTION {schema}.spy()")
    with pytest.raises(NotPermitted):
        session.run(f"DROP TABLE {table(orders)}")


@pytest.mark.parametrize("named", [False, True])
def test_defining_gives_no_foreign_key_to_the_tables_of_others(accounts: Accounts, orders: Place, named: bool) -> None:
    """It would be checked with the rights of their owner, by operators that the account may have made."""
    session = accounts.provisioned(scope_of(Level.DDL, orders, named=named)).log_in()
    assert session.run(f"SELECT has_table_privilege({text(table(orders))}, 'REFERENCES, TRIGGER')") == [(False,)]
    if not named:
        session.create_table(orders.sibling("of_alice"))
        with pytest.raises(NotPermitted):
            session.run(f"CREATE TABLE {table(orders.sibling('pointing'))} (id int REFERENCES {table(orders)})")
        mine = table(orders.sibling("of_alice"))
        session.run(f"CREATE TABLE {table(orders.sibling('among_my_own'))} (id int REFERENCES {mine})")


@pytest.mark.parametrize("by_the_sweep", [False, True])
def test_a_group_of_before_loses_references_at_the_next_grant_or_sweep(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, by_the_sweep: bool
) -> None:
    scope = scope_of(Level.DDL, orders)
    session = accounts.provisioned(scope).log_in()
    lab.run(
        f"GRANT CREATE ON SCHEMA {name(orders.schema)} TO {name(lab.owner)}",
        f"SET ROLE {name(lab.owner)}",
        f"GRANT REFERENCES, TRIGGER ON {table(orders)} TO {name(scope.group)}",
        f"ALTER DEFAULT PRIVILEGES GRANT REFERENCES ON TABLES TO {name(scope.group)}",
        database=orders.database,
    )
    if by_the_sweep:
        with lab.connector() as connector:
            connector.keep_group(scope, Notebook())
    else:
        accounts.provisioned(scope)
    with pytest.raises(NotPermitted):
        session.run(f"CREATE TABLE {table(orders.sibling('pointing'))} (id int REFERENCES {table(orders)})")
    later = lab.make_table(orders.database, orders.schema, "later")
    session.insert(later)
    held = (
        "SELECT 1 FROM pg_class c, aclexplode(c.relacl) a"
        f" WHERE a.grantee = {text(name(scope.group))}::regrole AND a.privilege_type = 'REFERENCES'"
        " UNION ALL SELECT 1 FROM pg_default_acl d, aclexplode(d.defaclacl) a"
        f" WHERE a.grantee = {text(name(scope.group))}::regrole AND a.privilege_type = 'REFERENCES'"
    )
    assert not lab.run(held, database=orders.database)


def test_defining_on_named_tables_defines_nothing_else(accounts: Accounts, orders: Place) -> None:
    session = accounts.provisioned(scope_of(Level.DDL, orders, named=True)).log_in()
    with pytest.raises(NotPermitted):
        session.create_table(orders.sibling("of_alice"))
    session.run(f"TRUNCATE {table(orders)}")


def test_identity_columns_and_serials_of_named_tables(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    identity = orders.sibling("identity")
    lab.run(
        f"SET ROLE {name(lab.owner)}",
        f"CREATE TABLE {table(identity)} (id bigint GENERATED ALWAYS AS IDENTITY, note text)",
        database=orders.database,
    )
    session = accounts.provisioned(scope_of(Level.WRITE, orders, identity, named=True)).log_in()
    session.insert(orders)
    session.insert(identity)


@pytest.mark.parametrize("named", [False, True])
def test_a_reader_sees_where_a_sequence_stands_and_draws_no_number(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, named: bool
) -> None:
    session = accounts.provisioned(scope_of(Level.READ, orders, named=named)).log_in()
    numbers = session.run(f"SELECT pg_get_serial_sequence('{table(orders)}', 'id')")[0][0]
    assert session.run(f"SELECT last_value IS NOT NULL FROM {numbers}") == [(True,)]
    for drawing in ("nextval({})", "setval({}, 1)"):
        with pytest.raises(NotPermitted):
            session.run(f"SELECT {drawing.format(text(numbers))}")


def test_an_idle_transaction_is_ended(accounts: Accounts, orders: Place) -> None:
    limits = Limits(idle_in_transaction_timeout=timedelta(milliseconds=300))
    session = accounts.provisioned(scope_of(Level.WRITE, orders), limits=limits).log_in()
    session.begin()
    session.insert(orders)
    time.sleep(1)
    with pytest.raises(SessionEnded):
        session.count(orders)


def test_the_account_cannot_lift_its_own_bounds(accounts: Accounts, orders: Place) -> None:
    session = accounts.provisioned(scope_of(Level.WRITE, orders)).log_in()
    for wish in ("CONNECTION LIMIT 100", "VALID UNTIL 'infinity'", "CREATEROLE", "SUPERUSER"):
        with pytest.raises(NotPermitted):
            session.run(f"ALTER ROLE CURRENT_USER {wish}")


# --- Other people's servers


def test_a_database_of_a_superusers(lab: PostgreSQLLab, accounts: Accounts) -> None:
    """As customers have them who never made a role of their own: everything belongs to postgres."""
    database = lab.make_database("roots")
    lab.run(f"ALTER DATABASE {name(database)} OWNER TO CURRENT_USER")
    place = Place(database, "public", "of_root")
    lab.run(f"CREATE TABLE {table(place)} (id serial, note text)", database=database)
    lab.lock_out_of(database)
    scope = scope_of(Level.WRITE, place)
    with pytest.raises(AdminLacksPrivilege):
        accounts.new(scope).provision()

    lab.set_up(database)

    session = accounts.provisioned(scope).log_in()
    session.insert(place)
    later = place.sibling("later")
    lab.run(f"CREATE TABLE {table(later)} (id serial, note text)", database=database)
    with pytest.raises(NotPermitted):
        session.insert(later)
    accounts.provisioned(scope)
    session.insert(later)


def test_setting_up_twice_changes_nothing(lab: PostgreSQLLab, orders: Place) -> None:
    asked = (
        "SELECT (SELECT array_agg(datacl::text ORDER BY datname) FROM pg_database WHERE datname = current_database()),"
        " (SELECT array_agg(relacl::text ORDER BY oid) FROM pg_class),"
        " (SELECT array_agg(nspacl::text ORDER BY oid) FROM pg_namespace),"
        " (SELECT array_agg(defaclacl::text ORDER BY oid) FROM pg_default_acl)"
    )
    before = lab.run(asked, database=orders.database)
    lab.set_up(orders.database)
    assert lab.run(asked, database=orders.database) == before


def test_the_least_account_is_no_superuser(lab: PostgreSQLLab) -> None:
    asked = f"SELECT rolsuper, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = {text(lab.target.user)}"
    assert lab.run(asked) == [(False, False, False, False)]


def test_what_belongs_to_an_extension_is_left_alone(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    lab.run(f"CREATE EXTENSION pg_buffercache SCHEMA {name(orders.schema)}", database=orders.database)
    session = accounts.provisioned(scope_of(Level.READ, orders)).log_in()
    assert session.count(orders) == 3
    with pytest.raises(NotPermitted):
        session.count(orders.sibling("pg_buffercache"))


def test_no_function_of_others_runs_with_our_rights(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    """A schema in front of the catalogue, full of functions that Lockgate calls."""
    schema = name(orders.schema)
    lab.run(
        f"SET ROLE {name(lab.owner)}",
        f"CREATE FUNCTION {schema}.has_table_privilege(name, oid, text) RETURNS boolean LANGUAGE plpgsql"
        " AS 'BEGIN RAISE ''trapped''; END'",
        f"CREATE FUNCTION {schema}.format(text, name, name, name) RETURNS text LANGUAGE plpgsql"
        " AS 'BEGIN RAISE ''trapped''; END'",
        f"ALTER DATABASE {name(orders.database)} SET search_path = {schema}, pg_catalog",
        database=orders.database,
    )
    alice = accounts.provisioned(scope_of(Level.WRITE, orders))
    assert alice.revoke().is_clean


def test_a_group_that_is_no_plain_group(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    group = lab.make_role("lockgate_test")
    lab.run(f"GRANT {name(lab.make_role('powerful'))} TO {name(group)}")
    alice = accounts.new(scope_of(Level.READ, orders, group=group))
    with pytest.raises(ServerRefused, match=group):
        alice.provision()
    assert not lab.account_exists(alice.principal)


@pytest.mark.parametrize("privilege", ["SELECT", "TRIGGER", "UPDATE (note)", "DELETE WITH GRANT OPTION"])
def test_what_somebody_else_granted_to_the_group_goes(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, privilege: str
) -> None:
    scope = scope_of(Level.READ, orders, named=True)
    accounts.provisioned(scope)
    other = lab.make_table(orders.database, orders.schema, "salaries")
    what, _, option = privilege.partition(" WITH ")
    lab.run(
        f"SET ROLE {name(lab.owner)}",
        f"GRANT {what} ON {table(other)} TO {name(scope.group)} {option and f'WITH {option}'}",
        database=orders.database,
    )
    session = accounts.provisioned(scope).log_in()
    assert session.count(orders) == 3
    held = (
        "SELECT 1 FROM pg_class c, aclexplode(c.relacl) a"
        f" WHERE c.relkind <> 'S' AND a.grantee = {text(name(scope.group))}::regrole"
    )
    columns = (
        f"SELECT 1 FROM pg_attribute c, aclexplode(c.attacl) a WHERE a.grantee = {text(name(scope.group))}::regrole"
    )
    assert len(lab.run(f"{held} UNION ALL {columns}", database=orders.database)) == 1


def test_a_group_is_emptied_in_databases_that_left_the_scope(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    second = lab.make_table(lab.make_database("stock"), "public", "stock")
    group = f"lockgate_test_{random_token()}"
    accounts.provisioned(scope_of(Level.READ, orders, second, group=group))
    accounts.provisioned(scope_of(Level.READ, orders, group=group))
    where = lab.run(
        "SELECT DISTINCT d.datname FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid"
        f" WHERE s.refobjid = {text(name(group))}::regrole"
    )
    assert where == [(orders.database,)]


@pytest.mark.parametrize("is_told", [True, False])
def test_a_plan_has_the_handing_over_of_what_is_left(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, is_told: bool
) -> None:
    """Whether or not a check has told the server's version: the right to receive, its end and all."""
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    lab.plant_residue(alice.log_in(), orders)
    revoking = Notebook()
    with lab.connector() as connector:
        told = replace(lab.target, version=connector.check().version if is_told else "")
    with PostgreSQLConnector(told) as connector:
        plan = connector.plan(alice.request, alice.revocation)
        assert connector.revoke(alice.revocation, revoking).is_clean
    planned = [(each.database, each.sql) for each in plan.revoke]
    assert [each for each in planned if each in revoking.sql] == revoking.sql
    assert any("GRANT CREATE ON SCHEMA" in sql for _, sql in revoking.sql)
    assert ("server_version_num" in repr(plan)) != is_told
    held = "SELECT 1 FROM pg_namespace n, aclexplode(n.nspacl) a WHERE a.grantee = 'lockgate_heir'::regrole"
    assert not lab.run(held, database=orders.database)


# --- Joining roles


def test_nobody_joins_a_superuser_or_ourselves(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    for role in (lab.superuser.user, lab.target.user):
        alice = accounts.new(Scope(Level.MEMBER, (orders.database,), database_roles=(role,)))
        with pytest.raises(ServerRefused, match=role):
            alice.provision()
        assert not lab.account_exists(alice.principal)


def test_joined_roles_that_may_not_connect(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    role = lab.make_role("reporting", reads=orders)
    lab.lock_out_of(orders.database)
    alice = accounts.new(Scope(Level.MEMBER, (orders.database,), database_roles=(role,)))
    with pytest.raises(ScopeNotOnServer, match=orders.database):
        alice.provision()
    assert not lab.account_exists(alice.principal)
    lab.run(f"GRANT CONNECT ON DATABASE {name(orders.database)} TO {name(role)}")
    assert alice.provision().log_in().count(orders) == 3


# --- What cannot be


def test_names_that_no_server_can_have(accounts: Accounts, orders: Place) -> None:
    for broken in ("", "nul\0", "x" * 64, "é" * 32):
        for scope in (
            Scope(Level.READ, (broken,), group="lockgate_x"),
            scope_of(Level.READ, orders, group=broken or "\0"),
        ):
            with pytest.raises(ScopeNotOnServer):
                accounts.new(scope).provision()


def test_a_moment_needs_a_time_zone(accounts: Accounts, orders: Place) -> None:
    alice = accounts.new(scope_of(Level.READ, orders))
    with pytest.raises(ValueError, match="time zone"):
        alice.provision(valid_until=datetime(2030, 1, 1))  # noqa: DTZ001


# --- What the server says, in our words


def test_no_connection_left_is_worth_another_try(lab: PostgreSQLLab) -> None:
    role = f"lockgate_{random_token()}"
    lab.run(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0 PASSWORD 'x'")
    target = replace(lab.target, user=role, password=Secret("x"))
    with PostgreSQLConnector(target) as connector, pytest.raises(ServerUnreachable) as refused:
        connector.check()
    assert refused.value.code == "53300"
    lab.run(f"DROP ROLE {role}")


def test_an_account_that_may_not_log_in_is_a_login_refused(lab: PostgreSQLLab) -> None:
    role = f"lockgate_{random_token()}"
    lab.run(f"CREATE ROLE {role} NOLOGIN PASSWORD 'x'")
    target = replace(lab.target, user=role, password=Secret("x"))
    with PostgreSQLConnector(target) as connector, pytest.raises(AdminLoginRefused) as refused:
        connector.check()
    assert refused.value.code == "28000"
    lab.run(f"DROP ROLE {role}")


def test_a_home_database_that_is_not_there(lab: PostgreSQLLab) -> None:
    with PostgreSQLConnector(replace(lab.target, database="no_such")) as connector, pytest.raises(ScopeNotOnServer):
        connector.check()


def test_tls_that_the_server_does_not_speak(lab: PostgreSQLLab) -> None:
    assert lab.run("SHOW ssl") == [("off",)]
    for tls in (Tls.REQUIRE, Tls.VERIFY_FULL):
        with PostgreSQLConnector(replace(lab.target, tls=tls)) as connector, pytest.raises(ServerUnreachable):
            connector.check()


# --- Looking


def test_a_check_names_what_is_not_set_up(lab: PostgreSQLLab, orders: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # The server has the databases of other tests as well, and the machine may be busy.
    monkeypatch.setattr(databases_checked, "_PATIENCE_SECONDS", 60.0)
    closed = lab.make_database("closed")
    lab.lock_out_of(closed)
    lab.run(f"ALTER DATABASE {name(closed)} OWNER TO CURRENT_USER")
    foreign = lab.make_role("foreign")
    lab.run(
        "CREATE TABLE public.foreign_table (id int)",
        f"ALTER TABLE public.foreign_table OWNER TO {name(foreign)}",
        database=orders.database,
    )
    with lab.connector() as connector:
        report = connector.check()
    problems = "\n".join(remedy.problem for remedy in report.remedies)
    assert not blocking(lab, report)
    assert not report.encrypted
    assert closed in problems
    assert f"In database {orders.database}, Lockgate's account may not grant on the tables of {foreign}" in problems
    assert "Everybody may connect to" in problems
    with PostgreSQLConnector(lab.superuser) as connector:
        assert any("superuser" in remedy.problem for remedy in connector.check().remedies)


def test_an_account_without_an_end_is_listed(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    until = alice.request.valid_until
    with lab.connector() as connector:
        assert {each.name: each.valid_until for each in connector.list_principals()}[alice.principal] == until
        lab.run(f"ALTER ROLE {name(alice.principal)} VALID UNTIL 'infinity' NOLOGIN")
        found = {each.name: each for each in connector.list_principals()}[alice.principal]
    assert found.valid_until is None
    assert not found.can_log_in


def test_the_hints_work_as_they_are(lab: PostgreSQLLab, accounts: Accounts) -> None:
    database = lab.make_database(HOSTILE)
    alice = accounts.provisioned(Scope(Level.READ, (database,), group=f"lockgate_test_{random_token()}"))
    with lab.connector() as connector:
        hints = {hint.label: hint.text for hint in connector.connection_hints(alice.principal, database)}
    password = alice.request.password.reveal()
    psql = subprocess.run(
        ["sh", "-c", f"{hints['psql']} -X -A -t -c 'SELECT current_database()'"],
        env={**os.environ, "PGPASSWORD": password},
        capture_output=True,
        text=True,
        check=True,
    )
    assert psql.stdout.rstrip("\n") == database
    # The passwords of real grants are URL-safe; this one is not.
    alice.provision(password=Secret("url-safe_123"))
    with psycopg.connect(hints["libpq URI"].format(password="url-safe_123")) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (database,)
    assert hints[".env"] == f"DATABASE_URL={hints['libpq URI']}"
    assert hints["SQLAlchemy"].startswith("postgresql+psycopg://")
    assert hints["JDBC"].startswith(f"jdbc:postgresql://{lab.target.host}:{lab.target.port}/")


@pytest.mark.parametrize(
    ("tls", "authority", "expected"),
    [
        (Tls.VERIFY_FULL, "", "sslmode=verify-full sslrootcert=system"),
        (Tls.VERIFY_FULL, "/etc/lockgate/orders-ca.pem", "sslmode=verify-full sslrootcert=orders-ca.pem"),
        (Tls.VERIFY_CA, "/etc/lockgate/orders-ca.pem", "sslmode=verify-ca sslrootcert=orders-ca.pem"),
        (Tls.REQUIRE, "", "sslmode=require"),
        (Tls.DISABLE, "", "sslmode=disable"),
    ],
)
def test_the_hints_have_the_tls_of_the_target(lab: PostgreSQLLab, tls: Tls, authority: str, expected: str) -> None:
    target = replace(lab.target, host="::1", tls=tls, tls_ca_file=authority)
    hints = {hint.label: hint.text for hint in PostgreSQLConnector(target).connection_hints("lg_a_b", "orders")}
    assert expected in hints["psql"]
    assert expected.replace(" ", "&") in hints["libpq URI"]
    assert "@[::1]:" in hints["libpq URI"]
    assert f"sslmode={tls.value}" in hints["JDBC"]
    assert "system" not in hints["JDBC"]
    assert "/etc/lockgate" not in "".join(hints.values())


def test_the_journal_of_a_grant_on_everything(accounts: Accounts, orders: Place) -> None:
    """Read by a person: no statement without a database, and nothing twice."""
    journal: Notebook = accounts.provisioned(scope_of(Level.WRITE, orders)).journal
    assert all(entry.statement.database in {"postgres", orders.database} for entry in journal)
    assert len(set(journal.sql)) == len(journal)
    assert journal[0].at <= journal[-1].at <= datetime.now(UTC)
