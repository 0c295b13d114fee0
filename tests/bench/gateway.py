"""`make bench-gateway`: what the gateway costs, beside the server alone and beside PgBouncer, in one run on loopback.

pgbench sends the same prepared statement over the same number of connections to the server itself, to PgBouncer in session
mode, and to the gateway with full recording: once with the intents written first and fsynced every few milliseconds
(`batched`), once with every intent fsynced first (`strict`). They take turns, and each figure is the median of its turns, so
that what else the machine does meets all of them.

There are two statements. `page` is what a service asks all day: the latest orders of a customer with their lines, some
forty rows of a join. `cheapest` is one row by its primary key: the server itself has hardly anything to do, so that it shows
what stands in between at its worst. The ratios that have no other name are those of `page`.

Everything shares the machine: pgbench, PostgreSQL, PgBouncer or the gateway with its workers and the shipper, which sends
the records into the console's own PostgreSQL meanwhile. Afterwards the records are compared with what pgbench counted.

The last line is one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from deploy.local import demo, installed
from deploy.local.processes import find, server_user, spawn
from deploy.local.servers import PostgreSQL, free_port
from deploy.local.stack import Stack

TURNS = 5
SECONDS = 5
CONNECTIONS = 32
CUSTOMERS = 10_000
IDLE_SESSIONS = 300
STATEMENTS_FOR_GROWTH = 1_000_000
HTTP_CONNECTIONS = 16
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
_CHOICE = f"\\set id random(1, {CUSTOMERS})\n"
#: The statements, as pgbench's scripts.
STATEMENTS = {
    "page": _CHOICE
    + "SELECT p.id, p.at, p.state, l.number, l.item, l.price FROM placed p JOIN line l ON l.placed = p.id"
    " WHERE p.customer = :id AND p.at > '2026-01-01' ORDER BY p.at DESC, l.number LIMIT 40;\n",
    "cheapest": _CHOICE + "SELECT name, balance FROM customer WHERE id = :id;\n",
}


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


# --- The house


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
    process = spawn([_program("pgbouncer"), str(inside / "pgbouncer.ini")], log=inside / "log", user=user)
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


def _program(name: str) -> str:
    found = find(name)
    if found is None:
        raise SystemExit(f"There is no program {name!r} on this machine; make bench-gateway installs it.")
    return found


def _pgbench() -> str:
    return str(max(Path("/usr/lib/postgresql").glob("*/bin/pgbench"), key=lambda path: int(path.parts[4])))


# --- Throughput and latency


def _load(way: Way, statement: str, *options: str) -> str:
    """Run pgbench, and give what it says."""
    environment = {**os.environ, "PGPASSWORD": way.password}
    where = ["-h", "127.0.0.1", "-p", str(way.port), "-U", way.user]
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(STATEMENTS[statement])
        script.flush()
        command = [_pgbench(), *where, "-n", "-f", script.name, "-M", "prepared", *options, way.database]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or "number of failed transactions: 0 " not in done.stdout:
        raise SystemExit(f"pgbench failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"pgbench says nothing of {pattern}:\n{text}")
    return float(found[1])


def throughput(ways: Ways, statement: str) -> tuple[dict[str, float], int]:
    """Statements a second over 32 connections, and how many went through the gateway."""
    rates: dict[str, list[float]] = {name: [] for name in ways.named()}
    recorded = 0
    for turn in range(TURNS):
        for name, way in ways.named().items():
            said = _load(way, statement, "-c", str(CONNECTIONS), "-j", "1", "-T", str(SECONDS))
            rates[name].append(_number(r"tps = ([\d.]+)", said))
            if name in ("batched", "strict"):
                recorded += int(_number(r"transactions actually processed: (\d+)", said))
        print(
            f"turn {turn + 1}:", ", ".join(f"{name} {values[-1]:.0f}/s" for name, values in rates.items()), flush=True
        )
    return {name: statistics.median(values) for name, values in rates.items()}, recorded


def latency(ways: Ways, folder: Path) -> tuple[dict[str, float], int]:
    """Milliseconds at one connection, at the median of all statements of all turns, and how many were recorded."""
    taken: dict[str, list[int]] = {name: [] for name in ways.named()}
    for turn in range(TURNS):
        for name, way in ways.named().items():
            prefix = folder / f"{name}-{turn}"
            _load(way, "cheapest", "-c", "1", "-j", "1", "-T", "2", "--log", f"--log-prefix={prefix}")
            for log in folder.glob(f"{prefix.name}.*"):
                taken[name] += [int(line.split()[2]) for line in log.read_text().splitlines()]
    medians = {name: statistics.median(values) / 1000 for name, values in taken.items()}
    print("p50 at one connection:", ", ".join(f"{name} {value:.3f} ms" for name, value in medians.items()), flush=True)
    return medians, len(taken["batched"]) + len(taken["strict"])


# --- A service


def service_rates(ways: Ways) -> tuple[float, float, int]:
    """Requests a second of a FastAPI service on asyncpg, connected directly and through the gateway."""
    rates: dict[str, list[float]] = {"direct": [], "batched": []}
    recorded = 0
    for _ in range(3):
        for name, taken in rates.items():
            with _service(ways.named()[name]) as port:
                count = asyncio.run(_ask_for(port, float(SECONDS)))
            taken.append(count / SECONDS)
            recorded += count if name == "batched" else 0
    direct, through = (statistics.median(taken) for taken in rates.values())
    print(f"FastAPI on asyncpg: direct {direct:.0f}/s, through the gateway {through:.0f}/s", flush=True)
    return direct, through, recorded


@contextmanager
def _service(way: Way) -> Iterator[int]:
    port = free_port()
    command = [str(installed.PYTHON), "-m", "uvicorn", "tests.bench.service:service", f"--port={port}"]
    process = subprocess.Popen(
        [*command, "--log-level=warning"], cwd=installed.ROOT, env={**os.environ, "BENCH_DSN": way.dsn}
    )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                asyncio.run(_ask_for(port, 0.0))
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                break
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


async def _ask_for(port: int, seconds: float) -> int:
    """How many requests are answered in this time over connections that stay open; at least one each."""
    until = time.monotonic() + seconds
    counts = await asyncio.gather(*(_ask(port, until) for _ in range(HTTP_CONNECTIONS)))
    return sum(counts)


async def _ask(port: int, until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = 0
    while not answered or time.monotonic() < until:
        writer.write(b"GET /customers/%d HTTP/1.1\r\nHost: bench\r\n\r\n" % (answered % 1000 + 1))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"The service answers {head[:200]!r}")
        size = re.search(rb"content-length: (\d+)", head)
        await reader.readexactly(int(size[1]) if size else 0)
        answered += 1
    writer.close()
    return answered


# --- Memory


def _workers(gateway: int) -> list[int]:
    """The processes that carry sessions: the supervisor's children but for the shipper."""
    children = Path(f"/proc/{gateway}/task/{gateway}/children").read_text().split()
    return [int(pid) for pid in children if b"--worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _memory_kib(gateway: int) -> int:
    """What the workers have to themselves."""
    total = 0
    for pid in _workers(gateway):
        private = re.findall(r"Private_(?:Clean|Dirty):\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())
        total += sum(map(int, private))
    return total


def memory(ways: Ways) -> tuple[float, int, int]:
    """KiB for each idle session, KiB of growth over a million statements, and how many statements that were."""
    before = _memory_kib(ways.gateway)
    idle = [psycopg.connect(ways.batched.dsn) for _ in range(IDLE_SESSIONS)]
    each = (_memory_kib(ways.gateway) - before) / len(idle)
    for connection in idle:
        connection.close()
    print(f"memory: {each:.1f} KiB for each of {len(idle)} idle sessions", flush=True)
    share = STATEMENTS_FOR_GROWTH // CONNECTIONS
    options = ("-c", str(CONNECTIONS), "-j", "1", "-t")
    _load(ways.batched, "cheapest", *options, str(share // 10))
    warm = _memory_kib(ways.gateway)
    _load(ways.batched, "cheapest", *options, str(share))
    growth = _memory_kib(ways.gateway) - warm
    print(f"memory: {growth} KiB more after {share * CONNECTIONS} statements", flush=True)
    return each, growth, (share // 10 + share) * CONNECTIONS


# --- The record


def recorded_statements(ways: Ways, expected: int) -> int:
    """How many of pgbench's statements are in the console's audit tables; waits for those that are on their way."""
    sql = "SELECT count(*) FROM audit_statement_entry WHERE kind = 'outcome'"
    deadline = time.monotonic() + 10 * PATIENCE_SECONDS
    with psycopg.connect(ways.state_url, autocommit=True) as connection:
        while True:
            row = connection.execute(sql).fetchone()
            found = int(row[0]) if row else 0
            if found >= expected or time.monotonic() > deadline:
                return found
            time.sleep(1)


def main() -> int:
    """Run everything and print what came out."""
    with running_house() as ways, tempfile.TemporaryDirectory() as folder:
        for way in ways.named().values():
            _load(way, "page", "-c", "4", "-j", "1", "-T", "1")
        rates, sent = throughput(ways, "page")
        cheapest, sent_cheapest = throughput(ways, "cheapest")
        medians, sent_one = latency(ways, Path(folder))
        direct_http, through_http, sent_http = service_rates(ways)
        idle_kib, growth_kib, sent_memory = memory(ways)
        expected = sent + sent_cheapest + sent_one + sent_http + sent_memory
        recorded = recorded_statements(ways, expected)
        print(
            f"record: pgbench and the service sent {expected} statements or a few more, {recorded} are in the audit tables"
        )
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=installed.ROOT, capture_output=True, text=True, check=False
    )
    result = {
        "throughput_ratio_batched": round(rates["batched"] / rates["pgbouncer"], 3),
        "throughput_ratio_strict": round(rates["strict"] / rates["pgbouncer"], 3),
        "added_p50_ms_batched": round(medians["batched"] - medians["direct"], 3),
        "added_p50_ms_strict": round(medians["strict"] - medians["direct"], 3),
        "fastapi_ratio": round(through_http / direct_http, 3),
        "cheapest_ratio_batched": round(cheapest["batched"] / cheapest["pgbouncer"], 3),
        "cheapest_ratio_strict": round(cheapest["strict"] / cheapest["pgbouncer"], 3),
        "idle_session_kib": round(idle_kib, 1),
        "growth_kib_per_million": growth_kib,
        "statements_sent": expected,
        "statements_recorded": recorded,
        **{f"{name}_per_s": round(rate) for name, rate in rates.items()},
        **{f"cheapest_{name}_per_s": round(rate) for name, rate in cheapest.items()},
        "commit": commit.stdout.strip(),
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
