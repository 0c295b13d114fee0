"""The SQL that makes Lockgate's own account: by whomever it is run, how often, and whatever waits for it in the database."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from connectors.base import Level, Scope, Secret, Target, Tls
from connectors.postgresql import session as sessions
from connectors.postgresql.connector import PostgreSQLConnector
from connectors.postgresql.setup import database_part, server_part
from connectors.quoting import postgresql_name as name
from deploy.local import versions
from deploy.local.servers import PostgreSQL
from tests.connectors.conftest import Accounts
from tests.connectors.labs.base import Place, make_password, random_token, scope_of
from tests.connectors.labs.postgresql import PostgreSQLLab

pytestmark = pytest.mark.xdist_group("postgresql-setup")

_SINCE_16 = 160000


@dataclass
class Managed:
    """A server whose superuser is the provider's. The customer has `boss`, who may make roles and databases."""

    lab: PostgreSQLLab
    boss: Target
    place: Place

    def psql(self, script: str, database: str, who: Target | None = None) -> str:
        """Run a script as boss, and give what psql says about it."""
        user = who or self.boss
        environment = {**os.environ, "PGPASSWORD": user.password.reveal(), "PGSSLMODE": "disable"}
        address = [f"--host={user.host}", f"--port={user.port}", f"--username={user.user}", f"--dbname={database}"]
        done = subprocess.run(
            ["psql", "-X", "-q", *address], input=script, env=environment, capture_output=True, text=True, check=True
        )
        return done.stderr

    def as_boss(self, database: str, *statements: str) -> None:
        self.psql(";\n".join(statements) + ";", database)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A server of this module's own, of the version that the run is about, on which nobody has set anything up."""
    folder = Path(tempfile.mkdtemp(prefix="lockgate-setup-"))
    folder.chmod(0o755)
    wanted = os.environ.get("LOCKGATE_TEST_POSTGRESQL_VERSION")
    private = PostgreSQL(folder / "server", durable=False, programs=versions.postgresql(wanted) if wanted else None)
    private.start()
    yield private
    sessions._CACHE.close_all()
    private.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def managed(server: PostgreSQL) -> Managed:
    """Part 1 and part 2, run by boss."""
    with psycopg.connect(server.url, autocommit=True) as provider:
        provider.execute("CREATE ROLE boss LOGIN CREATEROLE CREATEDB PASSWORD 'boss'")
    boss = Target("postgresql", "127.0.0.1", server.port, "boss", Secret("boss"))
    lab = PostgreSQLLab.__new__(PostgreSQLLab)  # Of which the superuser has set up nothing.
    lab.superuser = replace(boss, user="lockgate_root", password=Secret(server.password))
    lab.target = replace(boss, user="lockgate", password=Secret(random_token()), tls=Tls.DISABLE)
    lab.owner = "boss"
    lab.version = int(lab.run("SHOW server_version_num")[0][0])
    world = Managed(lab, boss, Place("shop", "app", "orders"))
    world.as_boss("postgres", "CREATE DATABASE shop", "CREATE ROLE reporting NOLOGIN")
    world.as_boss(
        "shop",
        "CREATE SCHEMA app",
        "CREATE TABLE app.orders (id serial PRIMARY KEY, note text)",
        "INSERT INTO app.orders (note) SELECT 'row' FROM generate_series(1, 3)",
        "GRANT USAGE ON SCHEMA app TO reporting",
        "GRANT SELECT ON app.orders TO reporting",
    )
    # The provider's superuser owns an extension with views.
    lab.run("CREATE EXTENSION pg_buffercache SCHEMA public", database="shop")
    return world


@pytest.fixture
def lab(managed: Managed) -> PostgreSQLLab:
    """For the fixtures that want one."""
    return managed.lab


def test_an_administrator_who_is_no_superuser_sets_it_up_and_every_level_works(
    managed: Managed, accounts: Accounts
) -> None:
    lab = managed.lab
    said = managed.psql(server_part(lab.target), "postgres") + managed.psql(database_part(lab.target), "shop")
    assert "ERROR" not in said
    left = set(re.findall(r"Left, for somebody who may: (GRANT .*?);", said))
    since_16 = lab.version >= _SINCE_16
    assert left == (
        {
            "GRANT pg_signal_backend TO lockgate WITH INHERIT TRUE",
            "GRANT pg_use_reserved_connections TO lockgate WITH INHERIT TRUE",
        }
        if since_16
        else set()
    )
    managed.as_boss("postgres", f"ALTER ROLE lockgate PASSWORD '{lab.target.password.reveal()}'")
    if since_16:
        managed.as_boss("postgres", "GRANT reporting TO lockgate WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    scopes = [scope_of(level, managed.place) for level in (Level.READ, Level.WRITE, Level.DDL)]
    scopes.append(Scope(Level.MEMBER, ("shop",), database_roles=("reporting",)))
    with lab.connector() as connector:
        report = connector.check(scopes)
    for remedy in report.remedies:
        if remedy.blocking:
            assert "pg_signal_backend" in remedy.what_to_do, report.remedies
            lab.paste(remedy.what_to_do)  # By whoever may: the provider.
    with lab.connector() as connector:
        assert connector.check(scopes).ok

    for scope in scopes:
        alice = accounts.provisioned(scope)
        session = alice.log_in()
        assert session.count(managed.place) == 3
        if scope.level in (Level.WRITE, Level.DDL):
            session.begin()
            session.insert(managed.place)
            session.run("ROLLBACK")
        if scope.level is Level.DDL:
            session.create_table(managed.place.sibling("by_alice"))
        assert alice.revoke().is_clean
        assert not session.is_alive()


def test_what_the_administrator_makes_later_is_within_reach_of_the_next_grant(
    managed: Managed, accounts: Accounts
) -> None:
    managed.as_boss(
        "shop", "CREATE TABLE app.later (id int)", "CREATE SCHEMA newer", "CREATE TABLE newer.newest (id int)"
    )
    session = accounts.provisioned(scope_of(Level.READ, managed.place)).log_in()
    assert session.run("SELECT count(*) FROM app.later, newer.newest") == [(0,)]
    managed.as_boss("shop", "DROP TABLE app.later", "DROP SCHEMA newer CASCADE")


def test_whoever_runs_it_twice_changes_nothing_the_second_time(managed: Managed) -> None:
    asked = (
        "SELECT (SELECT array_agg(datacl::text ORDER BY datname) FROM pg_database),"
        " (SELECT array_agg(relacl::text ORDER BY oid) FROM pg_class),"
        " (SELECT array_agg(nspacl::text ORDER BY oid) FROM pg_namespace),"
        " (SELECT array_agg(defaclacl::text ORDER BY oid) FROM pg_default_acl),"
        " (SELECT array_agg(a::text ORDER BY a::text) FROM pg_auth_members a),"
        " (SELECT array_agg(a::text ORDER BY a::text) FROM pg_authid a)"
    )
    target = managed.lab.target
    before = managed.lab.run(asked, database="shop")
    said = managed.psql(server_part(target), "postgres") + managed.psql(database_part(target), "shop")
    assert "ERROR" not in said
    assert managed.lab.run(asked, database="shop") == before


def test_it_runs_statement_by_statement_as_well(managed: Managed) -> None:
    """As clients do that send what is between two semicolons, each for itself, on whatever connection is at hand."""
    target = replace(managed.lab.target, user=f"lockgate_{random_token()}")
    script = re.sub(r"^--.*\n", "", server_part(target) + database_part(target), flags=re.MULTILINE)
    statements = re.split(r";\n\s*(?=SET|DO|$)", script)
    assert len([statement for statement in statements if statement.strip()]) == 4
    for statement in statements:
        if statement.strip():
            managed.lab.run(statement, database="shop")
    granted = "SELECT rolcanlogin AND rolcreaterole AND NOT rolsuper FROM pg_roles WHERE rolname = "
    assert managed.lab.run(f"{granted}'{target.user}'") == [(True,)]
    managed.lab.run(f"DROP OWNED BY {name(target.user)}", database="shop")
    managed.lab.run(f"DROP OWNED BY {name(target.user)}", f"DROP ROLE {name(target.user)}")


_TRAPS = (
    "format(text, name, text)",
    "format(text, name)",
    "format(text, name, name)",
    "pg_has_role(text, oid, text)",
    "pg_has_role(oid, text, text)",
    "has_schema_privilege(text, oid, text)",
    "has_table_privilege(text, oid, text)",
    "has_database_privilege(text, oid, text)",
    "current_setting(text)",
    "set_config(text, text, boolean)",
    "current_database()",
)


def test_a_superuser_who_runs_it_again_runs_nobody_elses_functions(managed: Managed) -> None:
    """A function that fits better is taken before one that comes earlier in the search path: the catalogue's own."""
    planter = f"planter_{random_token()}"
    managed.lab.run(
        f"CREATE ROLE {planter} NOLOGIN", f"GRANT USAGE, CREATE ON SCHEMA public TO {planter}", database="shop"
    )
    returns = {"has": "boolean", "pg_": "boolean", "cur": "text", "set": "text", "for": "text"}
    for trap in _TRAPS:
        managed.lab.run(
            f"SET ROLE {planter}",
            f"CREATE FUNCTION public.{trap} RETURNS {returns[trap[:3]]} LANGUAGE plpgsql"
            " AS 'BEGIN RAISE EXCEPTION ''trapped''; END'",
            database="shop",
        )
    try:
        managed.lab.run("ALTER DATABASE shop SET search_path = public, pg_catalog")
        with pytest.raises(psycopg.errors.RaiseException, match="trapped"):
            managed.lab.run("SELECT format('%I %I', rolname, rolname) FROM pg_roles", database="shop")
        for script in (server_part(managed.lab.target), database_part(managed.lab.target)):
            said = managed.psql(script, "shop", managed.lab.superuser)
            assert "trapped" not in said
            assert "ERROR" not in said
        # And without the first line, as by a client that sends each statement on another connection.
        managed.lab.run(database_part(managed.lab.target).partition("\n")[2], database="shop")
    finally:
        managed.lab.run("ALTER DATABASE shop RESET search_path", f"DROP OWNED BY {planter} CASCADE", database="shop")
        managed.lab.run(f"DROP ROLE {planter}")


def test_a_renamed_account_of_ours_goes_on(managed: Managed, accounts: Accounts) -> None:
    alice = accounts.provisioned(scope_of(Level.READ, managed.place))
    managed.lab.run("ALTER ROLE lockgate RENAME TO lockgate_renamed")
    managed.lab.run(f"ALTER ROLE lockgate_renamed PASSWORD '{managed.lab.target.password.reveal()}'")
    sessions._CACHE.close_all()
    before = managed.lab.target
    managed.lab.target = replace(before, user="lockgate_renamed")
    try:
        said = managed.psql(server_part(managed.lab.target), "postgres", managed.lab.superuser)
        assert not said
        with managed.lab.connector() as connector:
            assert connector.check([alice.request.scope]).ok
        assert alice.revoke().is_clean
    finally:
        sessions._CACHE.close_all()
        managed.lab.run("ALTER ROLE lockgate_renamed RENAME TO lockgate")
        managed.lab.run(f"ALTER ROLE lockgate PASSWORD '{before.password.reveal()}'")
        managed.lab.target = before


def test_nobody_logs_in_before_a_password_was_set(managed: Managed) -> None:
    target = replace(managed.lab.target, user=f"lockgate_{random_token()}", password=make_password())
    said = managed.psql(server_part(target), "postgres")
    assert "ERROR" not in said, said
    for guess in ("********", "", "lockgate", target.user):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(
                host=target.host,
                port=target.port,
                user=target.user,
                password=guess or None,
                dbname="postgres",
                passfile="/",
            )
    assert PostgreSQLConnector(target).setup_sql() == server_part(target) + database_part(target)
    managed.lab.run(f"DROP ROLE {name(target.user)}")
