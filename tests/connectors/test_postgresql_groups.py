"""The group role of a scope: what stands in its way, what is taken from it, and whose it is not."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import psycopg
import pytest

from connectors.base import ExtendRequest, Level, Remedy
from connectors.errors import AdminLacksPrivilege, GrantedByOthers
from connectors.postgresql.session import Sessions
from connectors.postgresql.statements import command
from connectors.quoting import postgresql_name as name
from connectors.quoting import postgresql_text as text
from tests.connectors.conftest import Account, Accounts, Notebook, lab_of
from tests.connectors.labs.base import Lab, NotPermitted, Place, random_token, scope_of
from tests.connectors.labs.postgresql import PostgreSQLLab


@pytest.fixture
def lab(labs: dict[str, Lab]) -> PostgreSQLLab:
    """PostgreSQL alone."""
    return cast(PostgreSQLLab, lab_of("postgresql", labs))


def table(place: Place) -> str:
    """As SQL names it."""
    return f"{name(place.schema)}.{name(place.name)}"


def held_by(lab: PostgreSQLLab, group: str, database: str) -> set[str]:
    """What a group holds in a database, as the catalogue has it."""
    rows = lab.run(
        "SELECT format('%s on %s', a.privilege_type, c.oid::regclass) FROM pg_class c, aclexplode(c.relacl) a"
        f" WHERE a.grantee = {text(name(group))}::regrole"
        " UNION ALL SELECT format('%s on a column of %s', a.privilege_type, c.attrelid::regclass)"
        f" FROM pg_attribute c, aclexplode(c.attacl) a WHERE a.grantee = {text(name(group))}::regrole",
        database=database,
    )
    return {row[0] for row in rows}


# --- What a living account has made


@pytest.mark.parametrize("level", [Level.READ, Level.WRITE, Level.DDL])
@pytest.mark.parametrize("whole", [True, False])
def test_what_a_living_account_has_made_blocks_nobody(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, level: Level, whole: bool
) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    made = orders.sibling("mine")
    session = alice.log_in()
    session.create_table(made)
    session.run(f"CREATE SEQUENCE {name(orders.schema)}.numbers")
    session.run(f"CREATE VIEW {name(orders.schema)}.looking AS SELECT * FROM {table(orders)}")
    session.run(f"CREATE FUNCTION {name(orders.schema)}.helping() RETURNS int LANGUAGE sql AS 'SELECT 1'")

    bobs = scope_of(level, orders) if whole else replace(scope_of(level, orders), schemas=(orders.schema,))
    bob = accounts.provisioned(bobs)

    reading = bob.log_in()
    assert reading.count(orders) == 3
    with pytest.raises(NotPermitted):
        reading.count(made)
    told = [entry.statement for entry in bob.journal if entry.statement.sql.startswith("-- Left out")]
    assert told
    assert all(alice.principal in each.sql for each in told)
    assert any("mine" in each.sql for each in told)

    assert alice.revoke().is_clean
    assert reading.count(made) == 0
    accounts.provisioned(bobs)
    assert reading.count(made) == 0


def test_what_was_handed_over_is_reached_by_no_more_than_its_place_says(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    """A living access to another schema, or to named tables, does not grow; nor does one that its maker favoured."""
    other = lab.make_table(orders.database, lab.make_schema(orders.database, "hr"))
    bob = accounts.provisioned(replace(scope_of(Level.WRITE, other), schemas=(other.schema,))).log_in()
    carol = accounts.provisioned(scope_of(Level.READ, orders, named=True))
    dave = accounts.provisioned(replace(scope_of(Level.READ, orders), schemas=(orders.schema,))).log_in()
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    made, session = orders.sibling("mine"), alice.log_in()
    session.run(f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {name(carol.request.scope.group)}")
    session.create_table(made)
    session.run(f"REVOKE ALL ON {table(made)} FROM {name(carol.request.scope.group)}")
    assert alice.revoke().is_clean
    for nobody in (bob, carol.log_in()):
        with pytest.raises(NotPermitted):
            nobody.count(made)
    assert dave.count(made) == 0
    dave.run("SET default_transaction_read_only = off")
    with pytest.raises(NotPermitted):
        dave.insert(made)


def test_what_a_renamed_account_has_made_blocks_nobody(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    alice.log_in().create_table(orders.sibling("mine"))
    renamed = f"somebody_{random_token()}"
    lab.run(f"ALTER ROLE {name(alice.principal)} RENAME TO {renamed}")
    assert accounts.provisioned(scope_of(Level.READ, orders)).log_in().count(orders) == 3
    lab.run(f"ALTER ROLE {renamed} RENAME TO {name(alice.principal)}")
    assert alice.revoke().is_clean


def test_a_named_table_of_a_living_account_is_granted(accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    made = orders.sibling("mine")
    alice.log_in().create_table(made)
    bob = accounts.provisioned(scope_of(Level.WRITE, orders, made, named=True))
    session = bob.log_in()
    session.insert(made)
    assert session.count(orders) == 3
    assert alice.revoke().is_clean
    assert session.count(made) == 1


def test_a_reader_who_makes_a_table_where_everybody_may_blocks_nobody(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    """As in `public` on PostgreSQL 13 and 14."""
    lab.run("GRANT CREATE ON SCHEMA public TO PUBLIC", database=orders.database)
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    session = alice.log_in()
    session.run("SET default_transaction_read_only = off")
    session.run("CREATE TABLE public.mine (id serial)")
    for level in (Level.READ, Level.WRITE, Level.DDL):
        accounts.provisioned(scope_of(level, orders)).log_in().count(orders)
    assert alice.revoke().is_clean
    accounts.provisioned(scope_of(Level.READ, orders)).log_in().count(Place(orders.database, "public", "mine"))


def test_a_check_says_where_everybody_may_create_and_what_ends_it(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    lab.run("GRANT CREATE ON SCHEMA public TO PUBLIC", database=orders.database)
    scope = scope_of(Level.READ, orders)

    def remedies() -> list[Remedy]:
        with lab.connector() as connector:
            told = connector.check([scope]).remedies
        return [each for each in told if f"In database {orders.database}, everybody may create" in each.problem]

    (remedy,) = remedies()
    assert not remedy.blocking
    lab.run(remedy.what_to_do.splitlines()[1], database=orders.database)
    assert remedies() == []
    session = accounts.provisioned(scope).log_in()
    session.run("SET default_transaction_read_only = off")
    with pytest.raises(NotPermitted):
        session.run("CREATE TABLE public.mine (id serial)")


# --- What somebody else granted


def test_what_a_superuser_granted_on_a_table_of_his_own_is_refused_and_named(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    """Taking it away is a warning of the server's and changes nothing."""
    scope = scope_of(Level.READ, orders, named=True)
    living = accounts.provisioned(scope).log_in()
    payroll = f"payroll_{random_token()}"
    lab.run(
        f"CREATE TABLE public.{payroll} (id int, salary int)",
        f"GRANT SELECT ON public.{payroll} TO {name(scope.group)}",
        database=orders.database,
    )
    bob = accounts.new(scope)
    with pytest.raises(GrantedByOthers) as refused:
        bob.provision()
    for part in (payroll, "SELECT", lab.superuser.user, scope.group, f"REVOKE ALL ON TABLE public.{payroll}"):
        assert part in str(refused.value)
    assert not refused.value.transient
    assert not lab.account_exists(bob.principal)
    assert living.count(orders) == 3

    lab.run(f"REVOKE ALL ON TABLE public.{payroll} FROM {name(scope.group)} CASCADE", database=orders.database)
    assert bob.provision().log_in().count(orders) == 3


@pytest.mark.parametrize(
    "granting",
    [
        "GRANT UPDATE (id) ON public.payroll TO {}",
        "GRANT EXECUTE ON FUNCTION public.paying(int) TO {}",
        "ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES TO {}",
        "GRANT USAGE ON TYPE public.paid TO {}",
        "GRANT USAGE ON FOREIGN DATA WRAPPER elsewhere TO {}",
        "GRANT CREATE ON DATABASE {database} TO {}",
        "GRANT SET ON PARAMETER log_statement TO {}",
    ],
)
def test_whatever_a_superuser_granted_is_named(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, granting: str
) -> None:
    if "PARAMETER" in granting and lab.version < 150000:
        pytest.skip("privileges on parameters came with PostgreSQL 15")
    scope = scope_of(Level.READ, orders, named=True)
    accounts.provisioned(scope)
    lab.run(
        "CREATE TABLE public.payroll (id int)",
        "CREATE FUNCTION public.paying(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE public.paid AS ENUM ('yes')",
        "CREATE FOREIGN DATA WRAPPER elsewhere",
        f"ALTER DATABASE {name(orders.database)} OWNER TO CURRENT_USER",
        granting.format(name(scope.group), database=name(orders.database)),
        database=orders.database,
    )
    with pytest.raises(GrantedByOthers, match=scope.group):
        accounts.new(scope).provision()
    if "PARAMETER" in granting:  # It belongs to the whole server, and would outlive the database of this test.
        lab.run(f"REVOKE SET ON PARAMETER log_statement FROM {name(scope.group)}")


@pytest.mark.parametrize(
    "granting",
    [
        "GRANT TRIGGER, REFERENCES ON {mine} TO {group}",
        "GRANT SELECT (note) ON {mine} TO {group}",
        "GRANT EXECUTE ON FUNCTION {schema}.helping() TO {group}",
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {group}",
        "GRANT USAGE ON TYPE {schema}.kind TO {group} WITH GRANT OPTION",
    ],
)
def test_what_a_living_account_gave_its_group_blocks_nobody(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, granting: str
) -> None:
    scope = scope_of(Level.DDL, orders)
    alice = accounts.provisioned(scope)
    session = alice.log_in()
    mine, schema = orders.sibling("mine"), name(orders.schema)
    session.create_table(mine)
    session.run(f"CREATE FUNCTION {schema}.helping() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    session.run(f"CREATE TYPE {schema}.kind AS ENUM ('a')")
    session.run(granting.format(mine=table(mine), group=name(scope.group), schema=schema))
    bob = accounts.provisioned(scope)
    assert bob.log_in().count(orders) == 3
    assert not {each for each in held_by(lab, scope.group, orders.database) if "mine" in each}
    assert lab.run(
        f"SELECT count(*) FROM pg_auth_members WHERE roleid = {text(name(alice.principal))}::regrole"
        f" AND member = {text(name(lab.target.user))}::regrole AND grantor = {text(name(lab.target.user))}::regrole"
    ) == [(0,)]
    assert alice.revoke().is_clean


def test_a_group_that_owns_something_is_set_right_all_the_same(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    """Up to version 15 a member can act as the group and make things in its name."""
    scope = scope_of(Level.DDL, orders)
    accounts.provisioned(scope)
    lab.run(
        f"CREATE TABLE {table(orders.sibling('in_its_name'))} (id int)",
        f"ALTER TABLE {table(orders.sibling('in_its_name'))} OWNER TO {name(scope.group)}",
        f"GRANT TRIGGER ON {table(orders)} TO {name(scope.group)}",
        database=orders.database,
    )
    accounts.provisioned(scope).log_in().insert(orders)
    held = held_by(lab, scope.group, orders.database)
    assert not {each for each in held if each.startswith("TRIGGER") and orders.name in each}
    assert lab.table_exists(orders.sibling("in_its_name"))


@pytest.mark.parametrize("lock", ["pg_advisory_lock", "pg_advisory_lock_shared"])
def test_an_account_that_holds_the_lock_of_the_groups_holds_up_no_grant(
    accounts: Accounts, orders: Place, lock: str
) -> None:
    """The number is no secret: whoever looks into `pg_locks` at the right moment reads it."""
    alice = accounts.provisioned(scope_of(Level.READ, orders))
    alice.log_in().run(f"SELECT {lock}(5507730182244496485)")
    bob = accounts.provisioned(scope_of(Level.READ, orders))
    assert bob.log_in().count(orders) == 3


def test_how_transactions_are_by_default_is_not_for_ours(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    """Who waits for their turn in a serializable transaction sees the server as it was before."""
    database = name(orders.database)
    lab.run(
        f"ALTER DATABASE {database} SET default_transaction_isolation = 'serializable'",
        f"ALTER DATABASE {database} SET client_min_messages = 'error'",
    )
    sessions = Sessions(lab.target)
    try:
        settings = sessions.on(orders.database)
        assert settings.rows("SHOW transaction_isolation") == [("read committed",)]
        assert settings.rows("SHOW client_min_messages") == [("warning",)]
    finally:
        sessions.close()
    at_once = [accounts.new(scope_of(Level.READ, orders)) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(Account.provision, at_once))
    assert [each.log_in().count(orders) for each in at_once] == [3, 3, 3]


def test_living_accounts_keep_their_privileges_while_the_group_is_set_right(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    scope = scope_of(Level.READ, orders)
    living = accounts.provisioned(scope).log_in()
    refused: list[Exception] = []
    done = threading.Event()

    def read_all_the_time() -> None:
        while not done.is_set():
            try:
                living.count(orders)
            except NotPermitted as error:
                refused.append(error)

    reader = threading.Thread(target=read_all_the_time)
    reader.start()
    try:
        for _ in range(10):
            lab.run(f"GRANT TRIGGER, UPDATE ON {table(orders)} TO {name(scope.group)}", database=orders.database)
            _set_right(accounts.new(scope))
    finally:
        done.set()
        reader.join()
    assert not refused


def _set_right(account: Account) -> None:
    account.provision()
    taken = [entry for entry in account.journal if entry.statement.sql.startswith("REVOKE ALL ON TABLE")]
    assert len(taken) == 1


def test_a_warning_of_the_server_is_in_the_journal(lab: PostgreSQLLab, orders: Place) -> None:
    """PostgreSQL has no error for a privilege that could not be passed on or taken away, only a warning."""
    role = lab.make_role("reporting")
    notebook = Notebook()
    lab.run(
        "CREATE TABLE public.payroll (id int)",
        f"GRANT SELECT ON public.payroll TO {name(lab.target.user)} WITH GRANT OPTION",
        database=orders.database,
    )
    sessions = Sessions(lab.target)
    giving = command(f"GRANT SELECT, UPDATE ON public.payroll TO {name(role)}", orders.database, "As asked.")
    sessions.on(orders.database).run(giving, notebook)
    sessions.close()
    (entry,) = notebook
    assert entry.statement.note.startswith("As asked. The server warned: ")
    assert "[01007]" in entry.statement.note
    assert not entry.error


# --- What belongs to strangers


def test_tables_of_strangers_are_named_with_their_owner(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    stranger = lab.make_role("stranger")
    foreign = orders.sibling(f"foreign_{random_token()}")
    lab.run(
        f"CREATE TABLE {table(foreign)} (id int)",
        f"ALTER TABLE {table(foreign)} OWNER TO {name(stranger)}",
        database=orders.database,
    )
    bob = accounts.new(scope_of(Level.READ, orders))
    with pytest.raises(AdminLacksPrivilege) as refused:
        bob.provision()
    for part in (foreign.name, stranger, orders.database):
        assert part in str(refused.value)
    assert not lab.account_exists(bob.principal)
    lab.join_ourselves(stranger)
    bob.provision().log_in().count(foreign)


def test_a_group_that_was_dropped_is_made_anew_for_whoever_was_granted_it(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    scope = scope_of(Level.READ, orders)
    alice = accounts.provisioned(scope)
    for ways in ("sweep", "extension"):
        for database in lab.run("SELECT datname FROM pg_database WHERE datallowconn AND datname !~ '^template'"):
            # Another test's database may have gone meanwhile.
            with suppress(psycopg.OperationalError):
                lab.run(f"DROP OWNED BY {name(scope.group)}", database=str(database[0]))
        lab.run(f"DROP ROLE {name(scope.group)}")
        with pytest.raises(NotPermitted):
            alice.log_in().count(orders)
        with lab.connector() as connector:
            if ways == "sweep":
                connector.keep_group(scope, Notebook(), [alice.principal])
                connector.keep_group(scope, again := Notebook(), [alice.principal])
                assert not again
            else:
                end = datetime.now(UTC) + timedelta(hours=2)
                connector.extend(ExtendRequest(alice.principal, end, scope=scope), Notebook())
        assert alice.log_in().count(orders) == 3
