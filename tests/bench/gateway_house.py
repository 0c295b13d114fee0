"""What the gateway's benchmark runs on: the demo's servers and world, PgBouncer and the gateway, in a folder that is gone
afterwards; and the ways that lead to one and the same database.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from deploy.local import demo, installed
from deploy.local.processes import find, server_user, spawn
from deploy.local.servers import PostgreSQL, free_port
from deploy.local.stack import Stack

CUSTOMERS = 10_000
PATIENCE_SECONDS = 60.0

_TABLES = f"""
    CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, balance int NOT NULL);
    CREATE TABLE placed (id int PRIMARY KEY, customer int NOT NULL, at timestamptz NOT NULL, state text NOT NULL);
    CREATE TABLE line (placed int NOT NULL, number int NOT NULL, item text NOT NULL, price numeric(10, 2) NOT NULL);
    INSERT INTO customer SELECT n, 'customer ' || n, n % 1000 FROM generate_series(1, {CUSTOMERS}) n;
    INSERT INTO placed SELECT n, n % {CUSTOMERS} + 1, timestamptz '2026-01-01' + n * interval '1 minute', 'sent'
        FROM generate_series(1, {CUSTOMERS} * 15) n;
    INSERT INTO line SELECT n, k, 'item ' || (n * k) % 997, (n * k) % 9973 / 100.0
        FROM generate_series(1, {CUSTOMERS} * 15) n, generate_series(1, 4) k;
    CREATE INDEX ON placed (customer, at);
    CREATE INDEX ON line (placed);
"""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the server."""

    port: int
    user: str
    password: str
    database: str

    @property
    def dsn(self) -> str:
        """As asyncpg and psycopg take it."""
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{self.database}"


@dataclass(frozen=True, slots=True)
class Ways:
    """All of them, and the gateway's processes."""

    direct: Way
    pgbouncer: Way
    batched: Way
    strict: Way
    gateway: int
    state_url: str

    def named(self) -> dict[str, Way]:
        """In the order in which they take turns."""
        return {name: getattr(self, name) for name in ("direct", "pgbouncer", "batched", "strict")}


@contextmanager
def running_house() -> Iterator[Ways]:
    """Servers, the demo's world, PgBouncer and the gateway, in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="lockgate-bench-"))
    folder.chmod(0o755)
    stack = Stack(folder)
    with ExitStack() as house:
        house.callback(shutil.rmtree, folder, ignore_errors=True)
        house.callback(stack.forget)
        house.callback(stack.stop)
        stack.start()
        gateway_port = free_port()
        environment = {
            **demo.environment_of(stack, free_port()),
            "LOCKGATE_GATEWAY_LISTEN": f"127.0.0.1:{gateway_port}",
            "LOCKGATE_GATEWAY_JOURNAL": str(folder / "journal"),
            "LOCKGATE_LOG_LEVEL": "WARNING",
        }
        for arguments in (["migrate", "--verbosity=0"], ["load_demo"]):
            _python(environment, "manage.py", *arguments)
        _fill(stack.orders)
        made = json.loads(_python(environment, "-m", "tests.bench.gateway_grants"))
        direct = _direct(stack.orders, made)
        pgbouncer = house.enter_context(_pgbouncer(folder, stack.orders, direct))
        gateway = house.enter_context(_gateway(environment, folder))
        ways = {name: Way(gateway_port, "alice", grant["token"], grant["role"]) for name, grant in made.items()}
        for way in ways.values():
            _wait_for(way)
        yield Ways(direct, pgbouncer, ways["batched"], ways["strict"], gateway, environment["DATABASE_URL"])


def _python(environment: dict[str, str], *words: str) -> str:
    command = [str(installed.PYTHON), *words]
    done = subprocess.run(command, cwd=installed.ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def _fill(server: PostgreSQL) -> None:
    """Tables in a database of their own, which Lockgate's account may give access to."""
    server.create_database("bench")
    from connectors.base import Secret, Target, Tls
    from connectors.postgresql.setup import database_part

    target = Target("postgresql", "127.0.0.1", server.port, "lockgate", Secret(""), tls=Tls.DISABLE)
    with psycopg.connect(f"{server.url.rpartition('/')[0]}/bench", autocommit=True) as connection:
        connection.execute(_TABLES.encode())
        connection.execute(database_part(target).encode())
        connection.execute("VACUUM ANALYZE")


def _direct(server: PostgreSQL, made: dict[str, dict[str, str]]) -> Way:
    grant = made["batched"]
    return Way(server.port, grant["principal"], grant["password"], "bench")


@contextmanager
def _pgbouncer(folder: Path, server: PostgreSQL, direct: Way) -> Iterator[Way]:
    port, password = free_port(), secrets.token_urlsafe(16)
    inside = folder / "pgbouncer"
    inside.mkdir()
    (inside / "users").write_text(f'"bench" "{password}"\n')
    (inside / "pgbouncer.ini").write_text(
        f"[databases]\nbench = host=127.0.0.1 port={server.port} dbname=bench user={direct.user}"
        f" password={direct.password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"pool_mode = session\nauth_type = scram-sha-256\nauth_file = {inside / 'users'}\nmax_client_conn = 500\n"
        "default_pool_size = 100\nignore_startup_parameters = extra_float_digits\n"
    )
    user = server_user("postgres")
    for path in (inside, *inside.iterdir()):
        if user:
            shutil.chown(path, user, user)
    process = spawn([program("pgbouncer"), str(inside / "pgbouncer.ini")], log=inside / "log", user=user)
    way = Way(port, "bench", password, "bench")
    try:
        _wait_for(way)
        yield way
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _gateway(environment: dict[str, str], folder: Path) -> Iterator[int]:
    process = spawn(
        [str(installed.PYTHON), "-m", "gateway"],
        log=folder / "gateway.log",
        environment=environment,
        folder=installed.ROOT,
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        if process.wait():
            sys.stdout.write((folder / "gateway.log").read_text()[-3000:])


def _wait_for(way: Way) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            psycopg.connect(way.dsn, connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def program(name: str) -> str:
    """Where a program is."""
    found = find(name)
    if found is None:
        raise SystemExit(f"There is no program {name!r} on this machine; make bench-gateway installs it.")
    return found


def wait_for_page(address: str) -> None:
    """Until it is there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
