"""*Test connection* is true: whatever makes a grant or a revocation fail is found by it, with a remedy that helps.

A table: how the server is broken, what the check says of it, and that what it says mends it. The server is one of this
module's own, since it is broken as a whole.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
import pytest

from connectors.base import CheckReport, Level, Remedy, Scope
from connectors.errors import ConnectorError
from connectors.postgresql import session as sessions
from connectors.postgresql.setup import DEFAULT_HEIR
from connectors.quoting import postgresql_name as name
from deploy.local import versions
from deploy.local.servers import PostgreSQL
from tests.connectors.conftest import Account, Accounts
from tests.connectors.labs.base import Place, random_token, scope_of
from tests.connectors.labs.postgresql import PostgreSQLLab

pytestmark = pytest.mark.xdist_group("postgresql-remedies")

_SINCE_16, _SINCE_17 = 160000, 170000


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A server of this module's own, of the version that the run is about, with few connections."""
    folder = Path(tempfile.mkdtemp(prefix="lockgate-remedies-"))
    folder.chmod(0o755)
    wanted = os.environ.get("LOCKGATE_TEST_POSTGRESQL_VERSION")
    private = PostgreSQL(folder / "server", durable=False, programs=versions.postgresql(wanted) if wanted else None)
    private.most_sessions = 40
    private.start()
    with psycopg.connect(private.url, autocommit=True) as connection:
        if connection.info.server_version >= _SINCE_16:
            connection.execute("ALTER SYSTEM SET reserved_connections = 5")
    private.stop()
    private.start()
    yield private
    sessions._CACHE.close_all()
    private.stop()
    shutil.rmtree(folder)


@dataclass
class World:
    """A customer's server with one access role of each kind, and Alice, who has made a table with hers."""

    server: PostgreSQL
    lab: PostgreSQLLab
    place: Place
    reporting: str
    accounts: Accounts
    held: ExitStack
    scopes: dict[str, Scope] = field(default_factory=dict)
    alice: Account = field(init=False)

    def __post_init__(self) -> None:
        self.scopes = {
            "read": scope_of(Level.READ, self.place),
            "ddl": scope_of(Level.DDL, self.place),
            "member": Scope(Level.MEMBER, (self.place.database,), database_roles=(self.reporting,)),
        }
        self.alice = self.accounts.provisioned(self.scopes["ddl"])
        self.alice.log_in().create_table(self.place.sibling(f"by_alice_{random_token()}"))

    @property
    def version(self) -> int:
        """`150018` for 15.18."""
        with self.lab.as_superuser("postgres") as connection:
            return connection.info.server_version

    @property
    def admin(self) -> str:
        """Lockgate's own account, quoted."""
        return name(self.lab.target.user)

    def check(self) -> CheckReport:
        with self.lab.connector() as connector:
            return connector.check(list(self.scopes.values()))

    def run(self, *statements: str) -> None:
        self.lab.run(*statements, database=self.place.database)

    def paste(self, remedy: Remedy) -> None:
        """What the remedy says, pasted into psql."""
        self.lab.paste(remedy.what_to_do)

    def grant(self, scope: str) -> None:
        """Bob is granted something, uses it, and it ends."""
        bob = self.accounts.new(self.scopes[scope]).provision()
        session = bob.log_in()
        if scope != "member":
            assert session.count(self.place) == 3
        assert bob.revoke().is_clean

    def restart(self) -> None:
        sessions._CACHE.close_all()
        self.server.stop()
        self.server.start()

    def hba(self, change: Callable[[str], str]) -> None:
        """Change who is let in."""
        path = self.server.folder / "data" / "pg_hba.conf"
        path.write_text(change(path.read_text()))
        self.lab.run("SELECT pg_reload_conf()")
        # The postmaster reads it after the answer.
        with self.lab.as_superuser("postgres") as connection:
            while not connection.execute("SELECT pg_conf_load_time() > now() - interval '5s'").fetchone()[0]:  # type: ignore[index]
                pass


@pytest.fixture(scope="module")
def lab(server: PostgreSQL) -> Iterator[PostgreSQLLab]:
    """Lockgate's account on that server."""
    opened = PostgreSQLLab(server.url)
    yield opened
    sessions._CACHE.close_all()
    opened.close()


@pytest.fixture
def world(server: PostgreSQL, lab: PostgreSQLLab, accounts: Accounts) -> Iterator[World]:
    """The server before it is broken."""
    database = lab.make_database("orders")
    place = lab.make_table(database, lab.make_schema(database))
    reporting = lab.make_role("reporting", place)
    lab.run(f"CREATE ROLE stranger_{database} NOLOGIN")
    with ExitStack() as held:
        yield World(server, lab, place, reporting, accounts, held)
    sessions._CACHE.close_all()
    lab.drop_database(database)
    lab.run(f"DROP ROLE stranger_{database}")


@dataclass(frozen=True)
class Failure:
    """One way in which a server can be broken."""

    what: str
    breaks: Callable[[World], None]
    told: str
    """Words of the problem that the check names."""
    fails: str
    """What then fails: `read`, `ddl`, `member` for a grant of that access role, `revocation` for the end of Alice's."""
    mend: Callable[[World, Remedy], None] = World.paste
    since: int = 0
    before: int = 999999

    def __str__(self) -> str:
        return self.what.replace(" ", "-")


def sql(*statements: str) -> Callable[[World], None]:
    """Run by a superuser in the database of the orders."""

    def run(world: World) -> None:
        place = world.place
        known = {
            "admin": world.admin,
            "heir": DEFAULT_HEIR,
            "group": name(world.scopes["ddl"].group),
            "alice": name(world.alice.principal),
            "owner": name(world.lab.owner),
            "reporting": name(world.reporting),
            "database": name(place.database),
            "schema": name(place.schema),
            "stranger": f"stranger_{place.database}",
        }
        world.run(*(statement.format(**known) for statement in statements))

    return run


def part_2(world: World, _: Remedy) -> None:
    world.lab.set_up(world.place.database)


def while_signed_in(breaks: Callable[[World], None]) -> Callable[[World], None]:
    def run(world: World) -> None:
        world.alice.log_in()
        breaks(world)

    return run


def fill(world: World) -> None:
    """Nobody else gets in; Lockgate does, where connections are reserved."""
    world.run("DO $$ BEGIN CREATE ROLE crowd LOGIN PASSWORD 'crowd'; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    while True:
        try:
            world.held.enter_context(
                psycopg.connect(
                    host="127.0.0.1",
                    port=world.server.port,
                    dbname="postgres",
                    user="crowd",
                    password="crowd",
                )
            )
        except psycopg.OperationalError:
            return


def turn_away(world: World) -> None:
    admin = world.lab.target.user
    world.hba(
        lambda text: (
            f"host all {admin} all scram-sha-256\nhost all lockgate_root all scram-sha-256\nhost all all all reject\n{text}"
        )
    )


def let_in(world: World, remedy: Remedy) -> None:
    world.hba(lambda text: f"{remedy.what_to_do}\n{text}")


def make_standby(world: World) -> None:
    (world.server.folder / "data" / "standby.signal").touch()
    world.restart()


def promote(world: World, _: Remedy) -> None:
    """The address of the primary is this one's, as soon as it is one."""
    world.lab.run("SELECT pg_promote()")


_GUARD = (
    "CREATE FUNCTION public.guard() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
    " IF session_user <> 'lockgate_root' THEN RAISE EXCEPTION 'Only by the pipeline.'; END IF; END $$",
    "CREATE EVENT TRIGGER guard ON ddl_command_start EXECUTE FUNCTION public.guard()",
)
_UNQUALIFIED = (
    "CREATE TABLE public.ddl_log (who text)",
    "GRANT ALL ON public.ddl_log TO PUBLIC",
    "CREATE FUNCTION public.note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
    " INSERT INTO ddl_log VALUES (session_user); END $$",
    "CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION public.note()",
)
_AT_LOGIN = (
    "CREATE TABLE public.logins (who text)",
    "GRANT ALL ON public.logins TO PUBLIC",
    "CREATE FUNCTION public.on_login() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
    " INSERT INTO public.logins VALUES (session_user); END $$",
    "CREATE EVENT TRIGGER at_login ON login EXECUTE FUNCTION public.on_login()",
)

FAILURES = (
    Failure("no CREATEROLE", sql("ALTER ROLE {admin} NOCREATEROLE"), "may not make accounts", "read"),
    Failure("NOINHERIT", sql("ALTER ROLE {admin} NOINHERIT"), "does not inherit", "revocation", before=_SINCE_16),
    Failure(
        "no right to end sessions",
        while_signed_in(sql("REVOKE pg_signal_backend FROM {admin}")),
        "may not end sessions",
        "revocation",
    ),
    Failure("no ADMIN on a group", sql("REVOKE {group} FROM {admin} CASCADE"), "to administer", "ddl", since=_SINCE_16),
    Failure(
        "no ADMIN on an account",
        sql("REVOKE {alice} FROM {admin} CASCADE"),
        "to administer",
        "revocation",
        since=_SINCE_16,
    ),
    Failure(
        "no ADMIN on a role to join",
        sql("REVOKE {reporting} FROM {admin} CASCADE"),
        "Access roles join",
        "member",
        since=_SINCE_16,
    ),
    Failure(
        "no member of the heir",
        sql("REVOKE {heir} FROM {admin} CASCADE"),
        f"cannot hand anything over to {DEFAULT_HEIR}",
        "revocation",
        since=_SINCE_16,
    ),
    Failure("an heir with attributes", sql("ALTER ROLE {heir} CREATEDB"), "attributes or memberships", "revocation"),
    Failure("an heir with memberships", sql("GRANT {stranger} TO {heir}"), "attributes or memberships", "revocation"),
    Failure("no member of the owner", sql("REVOKE {owner} FROM {admin} CASCADE"), "may not grant", "read", part_2),
    Failure(
        "a table of a stranger's",
        sql("CREATE TABLE {schema}.strange (id int)", "ALTER TABLE {schema}.strange OWNER TO {stranger}"),
        "may not grant",
        "read",
        part_2,
    ),
    Failure(
        "a table of a superuser's",
        sql("CREATE TABLE {schema}.of_root (id int)"),
        "may not grant",
        "read",
        part_2,
    ),
    Failure(
        "a schema of a superuser's",
        sql("CREATE SCHEMA of_root", "CREATE TABLE of_root.of_root (id int)"),
        "may not grant",
        "read",
        part_2,
    ),
    Failure(
        "no CONNECT to pass on",
        sql(
            "ALTER DATABASE {database} OWNER TO CURRENT_USER",
            "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC, {admin}",
        ),
        "may not let anybody connect",
        "read",
        lambda world, _: (part_2(world, _), sql("GRANT CONNECT ON DATABASE {database} TO {reporting}")(world)),  # type: ignore[func-returns-value]
    ),
    Failure(
        "a database that is closed to a role to join",
        sql("REVOKE CONNECT ON DATABASE {database} FROM PUBLIC"),
        "None of the roles",
        "member",
    ),
    Failure("an event trigger that refuses", sql(*_GUARD), "event trigger guard fails", "revocation"),
    Failure("an event trigger without schemas", sql(*_UNQUALIFIED), "event trigger note fails", "revocation"),
    Failure("a login trigger that writes", sql(*_AT_LOGIN), "refuses accounts that only read", "read", since=_SINCE_17),
    Failure("a full server", fill, "The server is full", "read", lambda world, _: world.held.close(), since=_SINCE_16),
    Failure("pg_hba.conf", turn_away, "turns Lockgate's accounts away", "read", let_in),
    Failure("a standby", make_standby, "is a standby", "read", promote),
    Failure(
        "a role to join that is gone",
        lambda world: world.scopes.update(
            member=replace(world.scopes["member"], database_roles=(f"stranger_{world.place.database}_2",))
        ),
        "would fail",
        "member",
        lambda world, _: world.lab.run(
            f"CREATE ROLE stranger_{world.place.database}_2",
            *(
                [f"GRANT stranger_{world.place.database}_2 TO {world.admin} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"]
                if world.version >= _SINCE_16
                else []
            ),
        ),
    ),
)


@contextmanager
def as_it_was(world: World) -> Iterator[None]:
    """Whatever a failure leaves that outlives its database."""
    path = world.server.folder / "data" / "pg_hba.conf"
    kept = path.read_text()
    try:
        yield
    finally:
        world.held.close()
        path.write_text(kept)
        world.lab.run("SELECT pg_reload_conf()", f"ALTER ROLE {DEFAULT_HEIR} NOCREATEDB")
        if world.version >= _SINCE_17:
            world.lab.run(f"ALTER ROLE {world.admin} RESET event_triggers")
        sessions._CACHE.close_all()


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_what_fails_is_found_and_its_remedy_helps(world: World, failure: Failure) -> None:
    if not failure.since <= world.version < failure.before:
        pytest.skip("cannot happen on this version")
    before = world.check()
    assert before.ok, before.remedies
    with as_it_was(world):
        failure.breaks(world)

        report = world.check()
        named = [remedy for remedy in report.remedies if remedy.blocking and failure.told in remedy.problem]
        assert named, [(remedy.problem, remedy.what_to_do) for remedy in report.remedies]
        assert fails(world, failure.fails)

        failure.mend(world, named[0])
        sessions._CACHE.close_all()
        after = world.check()
        assert after.ok, [(remedy.problem, remedy.what_to_do) for remedy in after.remedies]
        assert world.alice.revoke().is_clean
        for scope in world.scopes:
            world.grant(scope)


def fails(world: World, what: str) -> bool:
    """Whether it really does."""
    if what == "revocation":
        try:
            return not world.alice.revoke().is_clean
        except ConnectorError:
            return True
    bob = world.accounts.new(world.scopes[what])
    try:
        bob.provision()
    except ConnectorError:
        return True
    finally:
        with_nothing_left(bob)
    return False


def with_nothing_left(account: Account) -> None:
    """What is left will be taken away when the server is mended."""
    with suppress(ConnectorError):
        account.revoke()


def test_a_check_leaves_nothing_behind(world: World) -> None:
    asked = (
        "SELECT (SELECT array_agg(rolname::text ORDER BY 1) FROM pg_roles), (SELECT count(*) FROM pg_auth_members),"
        " (SELECT array_agg(nspacl::text ORDER BY oid) FROM pg_namespace), (SELECT count(*) FROM pg_default_acl),"
        " (SELECT array_agg(relacl::text ORDER BY oid) FROM pg_class)"
    )
    world.scopes["new"] = scope_of(Level.WRITE, world.place)
    before = world.lab.run(asked, database=world.place.database)
    assert world.check().ok
    assert world.lab.run(asked, database=world.place.database) == before


def test_what_no_access_role_needs_does_not_block(world: World) -> None:
    world.run("CREATE TABLE public.of_root (id int)")
    with world.lab.connector() as connector:
        report = connector.check()
    assert report.ok
    assert any("may not grant on the tables of lockgate_root" in remedy.problem for remedy in report.remedies)


def test_old_passwords_are_in_nobodys_way(world: World) -> None:
    """Lockgate sends SCRAM verifiers, whatever `password_encryption` says."""
    with as_it_was(world):
        world.run("ALTER SYSTEM SET password_encryption = 'md5'", "SELECT pg_reload_conf()")
        world.hba(lambda text: text.replace("scram-sha-256", "md5"))
        assert world.check().ok
        world.grant("read")
        world.run("ALTER SYSTEM RESET password_encryption")
