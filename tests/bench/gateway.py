"""`make bench-gateway`: what the gateway costs, beside the server alone and beside PgBouncer, in one run on loopback.

pgbench sends the same prepared statement over the same number of connections to the server itself, to PgBouncer in session
mode, and to the gateway with full recording: once with the intents written first and fsynced every few milliseconds
(`batched`), once with every intent fsynced first (`strict`). They take turns, and each figure is the median of its turns, so
that what else the machine does meets all of them.

There are two statements. `page` is what a service asks all day: the latest orders of a customer with their lines, some
forty rows of a join. `cheapest` is one row by its primary key: the server itself has hardly anything to do, so that it shows
what stands in between at its worst. The ratios that have no other name are those of `page`. A FastAPI service on asyncpg
serves both, and is asked by wrk; PgBouncer stands beside it there too, since on a machine that is full any hop costs requests.

Everything shares the machine: pgbench, PostgreSQL, PgBouncer or the gateway with its worker and the shipper, which sends the
records into the console's own PostgreSQL. On a full machine the shipper lets statements go first, so each turn of the gateway
is followed by a wait until all of it has arrived: nobody else's turn pays for it. What that would be for ever is in
`sustained_ratio_…`: there the time of that wait counts as well.

Afterwards the records are compared with what pgbench and the service counted. The last line is one JSON object.
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from deploy.local import installed
from deploy.local.processes import end, spawn
from deploy.local.servers import free_port
from tests.bench.gateway_house import CUSTOMERS, PATIENCE_SECONDS, Way, Ways, program, running_house, wait_for_page
from tests.bench.gateway_texts import examined, neighbours

TURNS = 5
SERVICE_TURNS = 3
SECONDS = 5
CONNECTIONS = 32
IDLE_SESSIONS = 300
STATEMENTS_FOR_GROWTH = 1_000_000
HTTP_CONNECTIONS = 16

_RECORDED = ("batched", "strict")
_CHOICE = f"\\set id random(1, {CUSTOMERS})\n"
#: The statements, as pgbench's scripts.
STATEMENTS = {
    "page": _CHOICE
    + "SELECT p.id, p.at, p.state, l.number, l.item, l.price FROM placed p JOIN line l ON l.placed = p.id"
    " WHERE p.customer = :id AND p.at > '2026-01-01' ORDER BY p.at DESC, l.number LIMIT 40;\n",
    "cheapest": _CHOICE + "SELECT name, balance FROM customer WHERE id = :id;\n",
}
#: What the service is asked for.
PATHS = {"page": "/orders", "cheapest": ""}
#: wrk's script: each request asks for another customer.
_REQUESTS = 'request = function() return wrk.format("GET", "/customers/" .. math.random(1, 1000) .. "%s") end\n'


# --- The record


class Record:
    """What has arrived in the console's database, asked from outside."""

    def __init__(self, ways: Ways) -> None:
        self._connection = psycopg.connect(ways.state_url, autocommit=True)
        self.statements = 0
        """How many statements were sent through the gateway, as those who sent them counted."""

    def entries(self) -> int:
        """In all streams: each statement has two."""
        row = self._connection.execute("SELECT COALESCE(sum(seq), 0) FROM audit_stream").fetchone()
        return int(row[0]) if row else 0

    def outcomes(self) -> int:
        """Statements of which it is recorded what became of them."""
        sql = "SELECT count(*) FROM audit_statement_entry WHERE kind = 'outcome'"
        row = self._connection.execute(sql).fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def all_of(self, sent: list[int]) -> Iterator[None]:
        """Waits at the end until the statements that were put into `sent` have arrived, and adds them up."""
        before = self.entries()
        yield
        self.statements += sum(sent)
        deadline = time.monotonic() + 10 * PATIENCE_SECONDS
        while self.entries() < before + 2 * sum(sent):
            if time.monotonic() > deadline:
                raise SystemExit("The record does not arrive in the console's database.")
            time.sleep(0.05)


# --- Throughput and latency


@dataclass
class Rates:
    """Statements a second of each way, one figure a turn."""

    sent: dict[str, list[float]] = field(default_factory=dict)
    sustained: dict[str, list[float]] = field(default_factory=dict)
    """With the time until all of the record had arrived."""

    def of(self, name: str) -> float:
        """The median of the turns."""
        return statistics.median(self.sent[name])

    def ratio(self, name: str) -> float:
        """Beside PgBouncer."""
        return round(self.of(name) / self.of("pgbouncer"), 3)

    def sustained_ratio(self, name: str) -> float:
        """Beside PgBouncer, with the record's way into the database in the time."""
        return round(statistics.median(self.sustained[name]) / self.of("pgbouncer"), 3)


def throughput(ways: Ways, record: Record, statement: str) -> Rates:
    """Over 32 connections."""
    rates = Rates()
    for turn in range(TURNS):
        for name, way in ways.named().items():
            began, sent = time.monotonic(), [0]
            with record.all_of(sent):
                said = _load(way, statement, "-c", str(CONNECTIONS), "-j", "1", "-T", str(SECONDS))
                count = int(_number(r"transactions actually processed: (\d+)", said))
                sent[0] = count if name in _RECORDED else 0
            rates.sent.setdefault(name, []).append(_number(r"tps = ([\d.]+)", said))
            rates.sustained.setdefault(name, []).append(count / (time.monotonic() - began))
        print(
            f"{statement}, turn {turn + 1}:",
            _listed({name: taken[-1] for name, taken in rates.sent.items()}),
            flush=True,
        )
    return rates


def _listed(rates: dict[str, float]) -> str:
    return ", ".join(f"{name} {rate:.0f}/s" for name, rate in rates.items())


def latency(ways: Ways, record: Record, folder: Path) -> dict[str, float]:
    """Milliseconds at one connection, at the median of all statements of all turns."""
    taken: dict[str, list[int]] = {name: [] for name in ways.named()}
    for turn in range(TURNS):
        for name, way in ways.named().items():
            prefix, sent = folder / f"{name}-{turn}", [0]
            with record.all_of(sent):
                _load(way, "cheapest", "-c", "1", "-j", "1", "-T", "2", "--log", f"--log-prefix={prefix}")
                for log in folder.glob(f"{prefix.name}.*"):
                    times = [int(line.split()[2]) for line in log.read_text().splitlines()]
                    taken[name] += times
                    sent[0] += len(times) if name in _RECORDED else 0
    medians = {name: statistics.median(values) / 1000 for name, values in taken.items()}
    print("p50 at one connection:", ", ".join(f"{name} {value:.3f} ms" for name, value in medians.items()), flush=True)
    return medians


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


def _pgbench() -> str:
    return str(max(Path("/usr/lib/postgresql").glob("*/bin/pgbench"), key=lambda path: int(path.parts[4])))


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"Nothing is said of {pattern}:\n{text}")
    return float(found[1])


# --- A service


def service_rates(ways: Ways, record: Record, statement: str) -> dict[str, float]:
    """Requests a second of a FastAPI service on asyncpg: connected directly, through PgBouncer, through the gateway."""
    rates: dict[str, list[float]] = {"direct": [], "pgbouncer": [], "batched": []}
    for _ in range(SERVICE_TURNS):
        for name, taken in rates.items():
            sent = [0]
            with record.all_of(sent), _service(ways.named()[name]) as address:
                rate, count = _requests(address, PATHS[statement])
                # Each request is two statements: the query, and what asyncpg's pool sends when it takes a connection back.
                sent[0] = 2 * count if name in _RECORDED else 0
            taken.append(rate)
    medians = {name: statistics.median(taken) for name, taken in rates.items()}
    print(f"FastAPI on asyncpg, {statement}:", _listed(medians), flush=True)
    return medians


@contextmanager
def _service(way: Way) -> Iterator[str]:
    port = free_port()
    command = [str(installed.PYTHON), "-m", "uvicorn", "tests.bench.service:service", f"--port={port}"]
    with tempfile.NamedTemporaryFile() as log:
        process = spawn(
            [*command, "--log-level=warning"],
            log=Path(log.name),
            folder=installed.ROOT,
            environment={**os.environ, "BENCH_DSN": way.dsn},
        )
        try:
            wait_for_page(f"http://127.0.0.1:{port}/customers/1")
            yield f"http://127.0.0.1:{port}"
        finally:
            end(process.pid, signal.SIGTERM, PATIENCE_SECONDS)


def _requests(address: str, path: str) -> tuple[float, int]:
    """Requests a second, and how many there were, over connections that stay open."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_REQUESTS % path)
        script.flush()
        options = ["-t1", f"-c{HTTP_CONNECTIONS}", f"-d{SECONDS}s", "-s", script.name]
        done = subprocess.run([program("wrk"), *options, address], capture_output=True, text=True, check=False)
    if done.returncode or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(f"The service failed:\n{done.stdout}{done.stderr}")
    return _number(r"Requests/sec:\s+([\d.]+)", done.stdout), int(_number(r"(\d+) requests in", done.stdout))


# --- Memory


def idle_memory(ways: Ways) -> float:
    """KiB for each idle session, on a gateway that has served nobody yet but a few logins."""
    before = _memory_kib(ways.gateway)
    idle = [psycopg.connect(ways.batched.dsn) for _ in range(IDLE_SESSIONS)]
    each = (_memory_kib(ways.gateway) - before) / len(idle)
    for connection in idle:
        connection.close()
    print(f"memory: {each:.1f} KiB for each of {len(idle)} idle sessions", flush=True)
    return each


def growth(ways: Ways, record: Record) -> int:
    """KiB that the gateway has grown by over a million statements."""
    share = STATEMENTS_FOR_GROWTH // CONNECTIONS
    options = ("-c", str(CONNECTIONS), "-j", "1", "-t")
    with record.all_of([2 * share * CONNECTIONS]):
        _load(ways.batched, "cheapest", *options, str(share))
        warm = _memory_kib(ways.gateway)
        _load(ways.batched, "cheapest", *options, str(share))
        grown = _memory_kib(ways.gateway) - warm
    print(f"memory: {grown} KiB more after {share * CONNECTIONS} statements", flush=True)
    return grown


def _memory_kib(gateway: int) -> int:
    """What the workers have to themselves."""
    total = 0
    for pid in _workers(gateway):
        private = re.findall(r"Private_(?:Clean|Dirty):\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())
        total += sum(map(int, private))
    return total


def _workers(gateway: int) -> list[int]:
    """The processes that carry sessions: the supervisor's children but for the shipper."""
    children = Path(f"/proc/{gateway}/task/{gateway}/children").read_text().split()
    return [int(pid) for pid in children if b"--worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def main() -> int:
    """Run everything and print what came out."""
    with running_house() as ways, tempfile.TemporaryDirectory() as folder:
        record = Record(ways)
        idle_kib = idle_memory(ways)
        for way in ways.named().values():
            _load(way, "page", "-c", "4", "-j", "1", "-T", "1")
        page, cheapest = (throughput(ways, record, statement) for statement in STATEMENTS)
        medians = latency(ways, record, Path(folder))
        service = {statement: service_rates(ways, record, statement) for statement in PATHS}
        waits = neighbours(ways.batched)
        new_texts = examined()
        growth_kib = growth(ways, record)
        recorded = record.outcomes()
        print(f"record: {record.statements} statements or a few more were sent, {recorded} are in the audit tables")
    result = {
        "throughput_ratio_batched": page.ratio("batched"),
        "throughput_ratio_strict": page.ratio("strict"),
        "added_p50_ms_batched": round(medians["batched"] - medians["direct"], 3),
        "added_p50_ms_strict": round(medians["strict"] - medians["direct"], 3),
        "fastapi_ratio": _of_direct(service["page"], "batched"),
        "fastapi_ratio_pgbouncer": _of_direct(service["page"], "pgbouncer"),
        "fastapi_cheapest_ratio": _of_direct(service["cheapest"], "batched"),
        "fastapi_cheapest_ratio_pgbouncer": _of_direct(service["cheapest"], "pgbouncer"),
        "sustained_ratio_batched": page.sustained_ratio("batched"),
        "sustained_ratio_strict": page.sustained_ratio("strict"),
        "cheapest_ratio_batched": cheapest.ratio("batched"),
        "cheapest_ratio_strict": cheapest.ratio("strict"),
        "examined_ratio_new_texts": round(new_texts["before"] / new_texts["grammar"], 1),
        "neighbour_wait_p99_ms": round(waits["beside"], 2),
        "neighbour_wait_p99_ms_alone": round(waits["alone"], 2),
        "idle_session_kib": round(idle_kib, 1),
        "growth_kib_per_million": growth_kib,
        "statements_sent": record.statements,
        "statements_recorded": recorded,
        **{f"{name}_per_s": round(page.of(name)) for name in ways.named()},
        **{f"cheapest_{name}_per_s": round(cheapest.of(name)) for name in ways.named()},
        "commit": _commit(),
    }
    print(json.dumps(result))
    return 0


def _of_direct(rates: dict[str, float], name: str) -> float:
    return round(rates[name] / rates["direct"], 3)


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=installed.ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
