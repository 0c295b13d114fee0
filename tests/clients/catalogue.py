"""Every client that is tried, and what is expected of it; what it did is for the run to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from glob import glob

from connectors.base import Level
from deploy.local import clients as installed
from tests.clients.place import LEVELS

_PROGRAMS = installed.FOLDER / "programs"

#: The columns of the table that each client has to fill, unless it says otherwise.
COLUMNS = ("connects", "prepared", "batch", "bulk", "cancel")
#: What each client has to show of a refusal.
REFUSED_IN_WORDS = "The access role does not allow this statement."
#: What a program tries that its role does not allow.
NOT_ALLOWED = {Level.READ: ("INSERT",), Level.WRITE: ("CREATE TABLE",), Level.DDL: ("GRANT",)}


@dataclass(frozen=True, eq=False)
class Client:
    """One row of the table."""

    name: str
    """As ONLY names it."""
    label: str
    """As the page has it; no two are alike."""
    command: Callable[[], list[str]]
    """What runs its program; what it needs is there by then."""
    lacks: tuple[str, ...] = ()
    """Columns that it has nothing for."""
    besides: tuple[str, ...] = ()
    """What it does on every level besides the columns."""
    on_write: tuple[str, ...] = ()
    """What it does besides on every level that may write."""
    on_ddl: tuple[str, ...] = ("migration",)
    levels: tuple[Level, ...] = LEVELS
    refused: dict[Level, tuple[str, ...]] = field(default_factory=lambda: dict(NOT_ALLOWED))
    sqlstate: str = "42501"
    """Of a refusal, as the client shows it; empty for one that does not."""
    words: str = REFUSED_IN_WORDS
    environment: Callable[[], dict[str, str]] = dict

    def expected(self, level: Level) -> set[str]:
        """What it has to do on this level."""
        does = {*COLUMNS, *self.besides, "goes on"} - set(self.lacks)
        does |= set() if level is Level.READ else set(self.on_write)
        return does | set(self.on_ddl) if level is Level.DDL else does


def _python(program: str) -> Callable[[], list[str]]:
    return lambda: [str(installed.PYTHON), "-m", f"tests.clients.programs.{program}"]


def _node(program: str) -> Callable[[], list[str]]:
    return lambda: [installed.node(), str(_PROGRAMS / f"{program}.mjs")]


def _java(part: str) -> Callable[[], list[str]]:
    jars = ":".join(f"/usr/share/java/{jar}.jar" for jar in ("postgresql", "HikariCP", "slf4j-api", "slf4j-nop"))
    options = ["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", jars]
    return lambda: ["java", *options, str(_PROGRAMS / "Java.java"), part]


def _psql(major: str, *besides: str) -> Client:
    def environment() -> dict[str, str]:
        return {"PSQL": str(installed.postgresql_client(major) / "psql"), "PSQL_MAJOR": major}

    return Client(
        f"psql-{major}",
        f"psql {major}",
        _python("use_psql"),
        besides=("describes", "channel binding", *besides),
        environment=environment,
    )


def _pg_dump(major: str) -> Client:
    return Client(
        f"pg_dump-{major}",
        f"pg_dump {major}",
        _python("use_pg_dump"),
        lacks=("prepared", "cancel", "goes on"),
        besides=("one table", "in parallel"),
        on_ddl=(),
        refused={},
        environment=lambda: {"PG_DUMP": str(installed.postgresql_client(major) / "pg_dump")},
    )


CLIENTS = (
    _psql("15"),
    _psql("17", "direct TLS"),
    _psql("18", "direct TLS", "protocol 3.2", "pipeline", "named statements"),
    _pg_dump("15"),
    _pg_dump("17"),
    _pg_dump("18"),
    Client(
        "pgbench",
        "pgbench",
        _python("use_pgbench"),
        lacks=("bulk", "cancel", "goes on"),
        on_write=("transactions",),
        on_ddl=(),
        sqlstate="",
    ),
    Client(
        "asyncpg",
        "asyncpg",
        _python("use_asyncpg"),
        besides=("arrays", "enums, ranges, rows", "cursors"),
        on_write=("savepoints",),
    ),
    Client(
        "psycopg", "psycopg 3", _python("use_psycopg"), besides=("arrays", "types", "cursors", "pipeline", "read-only")
    ),
    Client(
        "psycopg2",
        "psycopg2",
        _python("use_psycopg2"),
        lacks=("prepared",),
        besides=("arrays", "types", "cursors", "read-only"),
    ),
    Client("pg8000", "pg8000", _python("use_pg8000"), lacks=("cancel",), besides=("arrays",)),
    Client(
        "sqlalchemy-psycopg",
        "SQLAlchemy on psycopg",
        _python("use_sqlalchemy"),
        lacks=("cancel",),
        besides=("reflection", "read-only"),
        on_write=("updates",),
    ),
    Client(
        "sqlalchemy-asyncpg", "SQLAlchemy on asyncpg", _python("use_sqlalchemy_asyncpg"), besides=("arrays, enums",)
    ),
    Client(
        "django",
        "Django",
        _python("use_django"),
        lacks=("prepared", "cancel"),
        besides=("inspectdb",),
        on_write=("transactions",),
    ),
    Client(
        "alembic",
        "Alembic",
        _python("use_alembic"),
        lacks=("prepared", "batch", "bulk", "cancel", "goes on"),
        levels=(Level.DDL,),
    ),
    Client(
        "psqlpy",
        "psqlpy (tokio-postgres, deadpool)",
        _python("use_psqlpy"),
        lacks=("bulk", "cancel"),
        besides=("types", "takes back", "cursors"),
        on_write=("bulk",),
        sqlstate="",
    ),
    Client("adbc", "ADBC (Arrow)", _python("use_adbc"), lacks=("cancel",), besides=("describes",), on_ddl=()),
    Client(
        "liquibase",
        "Liquibase",
        _python("use_liquibase"),
        lacks=("prepared", "batch", "bulk", "cancel", "goes on"),
        levels=(Level.DDL,),
        sqlstate="",
    ),
    Client(
        "activerecord",
        "Rails (ActiveRecord)",
        lambda: ["ruby", str(_PROGRAMS / "use_activerecord.rb")],
        besides=("types", "transactions", "locks"),
        on_write=("updates",),
    ),
    Client(
        "jdbc",
        "JDBC (pgjdbc)",
        _java("jdbc"),
        besides=("describes", "arrays", "cursors", "schema", "read-only", "query modes", "named later", "checked TLS"),
    ),
    Client(
        "hikaricp",
        "HikariCP on pgjdbc",
        _java("hikari"),
        lacks=("batch", "bulk", "cancel"),
        besides=("takes back",),
        on_write=("batch",),
        on_ddl=(),
        environment=lambda: {"HIKARI_VERSION": installed.debian_version("libhikaricp-java")},
    ),
    Client("pg", "node-postgres", _node("use_pg"), besides=("arrays", "cursors")),
    Client("postgres-js", "postgres.js", _node("use_postgres_js"), besides=("arrays", "cursors", "transactions")),
    Client(
        "knex",
        "Knex",
        _node("use_knex"),
        lacks=("prepared", "bulk"),
        besides=("describes", "transactions"),
        on_write=("bulk",),
    ),
    Client(
        "sequelize",
        "Sequelize",
        _node("use_sequelize"),
        lacks=("bulk", "cancel"),
        besides=("describes", "transactions"),
        # It makes the type in a DO block.
        refused=NOT_ALLOWED | {Level.DDL: ("sync of an ENUM", "GRANT")},
    ),
    Client("typeorm", "TypeORM", _node("use_typeorm"), lacks=("bulk", "cancel"), besides=("describes", "transactions")),
    Client(
        "odbc",
        "psqlODBC",
        _python("use_odbc"),
        lacks=("bulk",),
        besides=("describes", "cursors", "read-only"),
        environment=lambda: {"ODBC_DRIVER": glob("/usr/lib/*/odbc/psqlodbcw.so")[0]},
    ),
    Client(
        "pgx",
        "Go pgx",
        lambda: [str(installed.go_program(_PROGRAMS / "pgx.go"))],
        besides=("arrays",),
        environment=lambda: {"PGX_VERSION": installed.debian_version("golang-github-jackc-pgx-v4-dev")},
    ),
    Client(
        "dbd-pg", "Perl DBD::Pg", lambda: ["perl", str(_PROGRAMS / "use_dbd_pg.pl")], besides=("arrays", "describes")
    ),
    Client(
        "pdo",
        "PHP PDO",
        lambda: ["php", str(_PROGRAMS / "use_pdo.php")],
        lacks=("cancel",),
        besides=("cursors", "kept connections"),
    ),
)
