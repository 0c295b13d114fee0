"""`make bench-console`: what each page of the console costs in a big company, beside an earlier build in the same run.

3,000 people, 2,000 access roles, 100,000 requests and grants, 1,000,000 events (`console_world`), kept as a database from which
later runs copy theirs. Each build is served by gunicorn as in production, with a database of its own that its own migrations
brought up to date, and asked in turn over HTTP by people who are signed in, one request at a time.

Time and number of queries are the server's own, from pg_stat_statements: nothing is asked of the code that is measured.
`BASE` names the earlier build (a revision of this clone), `ROUNDS` how often each page is asked for; `ONLY=<part of a name>`
measures some of the pages. The last line is one JSON object.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from statistics import mean
from typing import Any

import psycopg
import requests

from deploy.local import demo, installed
from deploy.local.processes import spawn
from deploy.local.servers import PostgreSQL, free_port
from deploy.local.stack import Stack
from tests.bench.console import Person
from tests.bench.console_pages import NOBODY, PAGES, Page, words_of
from tests.bench.console_world import PERSONAS, WRITTEN_FOR, Sizes, load
from tests.bench.lifecycle import percentile

#: The commit before lists were paged and questions of state had their indexes.
BASE = os.environ.get("BASE", "3bf33b3872a70f4156e2d5d84bbb46e3bf73795f")
ROUNDS = int(os.environ.get("ROUNDS", "20"))
ONLY = os.environ.get("ONLY", "")
DATA = Path(os.environ.get("LOCKGATE_BENCH_DATA", str(installed.ROOT / ".lockgate-bench")))
PASSWORD = "lockgate-demo-of-a-big-company"
#: A page of the earlier build that takes seconds is not asked for twenty times.
PATIENCE_SECONDS = 3.0
SIZES = Sizes()
WANTED = {"max_queries": 12, "max_db_ms": 20, "max_p95_ms": 60, "pulse_db_ms": 3, "max_kb": 300, "db_time_ratio": 0.1}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one page for one person: per request, over all rounds."""

    queries: float
    db_ms: float
    p95_ms: float
    kb: float


@dataclass(slots=True)
class Build:
    """One build that is being served."""

    name: str
    base: str
    database: str
    people: dict[str, Person | requests.Session]


def main() -> int:
    """Measure every page, and print what came out."""
    with ExitStack() as house:
        stack = house.enter_context(_servers())
        world = _world(stack.state)
        builds = [house.enter_context(_serving(stack, world, "now", installed.ROOT))]
        tree = house.enter_context(_earlier())
        if tree is not None:
            builds.append(house.enter_context(_serving(stack, world, "earlier", tree)))
        words = words_of(SIZES)
        costs: dict[str, list[Cost | None]] = {}
        for page in PAGES:
            if ONLY in page.name:
                for who in page.people:
                    found = [_measured(stack.state, build, page, who, words) for build in builds]
                    costs[f"{page.name} as {who}"] = found
                    print(_line(f"{page.name} as {who}", found), flush=True)
    result = _summary(costs)
    for name, most in WANTED.items():
        if result[name] is not None and result[name] > most:
            print(f"{name} is {result[name]}; {most} was wanted: {_worst(costs, name)}")
    print(json.dumps(result))
    return 0


@contextmanager
def _servers() -> Iterator[Stack]:
    """A PostgreSQL that counts statements, and a Redis; their data stays for the next run."""
    stack = Stack(DATA)
    with stack.claimed():
        try:
            stack.state.start()
            _count_statements(stack.state)
            stack.queue.start()
            yield stack
        finally:
            stack.queue.stop()
            stack.state.stop()


_COUNTING = {
    "pg_stat_statements.track": "top",
    "pg_stat_statements.track_planning": "on",
    # What begins and ends a transaction is no query.
    "pg_stat_statements.track_utility": "off",
}


def _count_statements(server: PostgreSQL) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        row = connection.execute("SHOW shared_preload_libraries").fetchone()
        is_there = row is not None and "pg_stat_statements" in row[0]
        if not is_there:
            connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
    if not is_there:
        server.stop()
        server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        for setting, value in _COUNTING.items():
            connection.execute(f"ALTER SYSTEM SET {setting} = '{value}'".encode())
        connection.execute("SELECT pg_reload_conf()")


def _world(server: PostgreSQL) -> str:
    """Name of the database that others are copied from; loaded where it is not there yet."""
    made_from = Path(__file__).with_name("console_world.py").read_bytes()
    name = f"world_{hashlib.sha256(made_from + repr(SIZES).encode()).hexdigest()[:12]}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return name
        begun = time.monotonic()
        connection.execute("DROP DATABASE IF EXISTS loading WITH (FORCE)")
        connection.execute("CREATE DATABASE loading")
    url = _url(server, "loading")
    for app, migration in WRITTEN_FOR:
        _manage(installed.ROOT, {"DATABASE_URL": url}, "migrate", app, migration, "--verbosity=0")
    hashed = _manage(
        installed.ROOT, {"DATABASE_URL": url}, "shell", "--no-imports", "--command",
        f"from django.contrib.auth.hashers import make_password; print(make_password({PASSWORD!r}))",
    ).strip()  # fmt: skip
    with psycopg.connect(url) as connection:
        load(connection, SIZES, now=datetime.now(UTC), password=hashed)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE, FREEZE)")
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE loading RENAME TO "{name}"'.encode())
    print(f"the company was made in {time.monotonic() - begun:.0f} s; later runs copy it", flush=True)
    return name


@contextmanager
def _earlier() -> Iterator[Path | None]:
    """The files of the earlier build in a folder that is gone afterwards; None where this clone does not have it."""
    packed = subprocess.run(["git", "archive", BASE], cwd=installed.ROOT, capture_output=True, check=False)
    if packed.returncode != 0:
        print(f"Nothing is compared: the revision {BASE} is not in this clone. BASE=<revision> chooses another.")
        yield None
        return
    folder = DATA / "earlier"
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as files:
        files.extractall(folder, filter="data")
    (folder / "static" / "vendor").symlink_to((installed.ROOT / "static" / "vendor").resolve())
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _serving(stack: Stack, world: str, name: str, tree: Path) -> Iterator[Build]:
    """The build in `tree`, on a copy of the world that its own migrations have brought up to date."""
    with psycopg.connect(stack.state.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f'CREATE DATABASE {name} TEMPLATE "{world}" STRATEGY file_copy'.encode())
    port = free_port()
    environment = {
        **os.environ,
        **stack.environment(),
        "DATABASE_URL": _url(stack.state, name),
        "LOCKGATE_BASE_URL": f"http://127.0.0.1:{port}",
        "LOCKGATE_LOG_LEVEL": "WARNING",
        "BENCH_PASSWORD": "never used",
    }
    begun = time.monotonic()
    _manage(tree, environment, "migrate", "--verbosity=0")
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    print(f"{name}: migrated and analysed in {time.monotonic() - begun:.0f} s", flush=True)
    command = demo.commands(port, {"LOCKGATE_SSO_DEMO_ISSUER": "http://127.0.0.1:1"})["web"]
    process = spawn(command, log=DATA / f"{name}.log", environment=environment, folder=tree)
    base = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{base}/readyz")
        people: dict[str, Person | requests.Session] = {
            who: Person(base, f"{who}@example.com", PASSWORD) for who in PERSONAS
        }
        yield Build(name, base, name, {**people, NOBODY: requests.Session()})
    finally:
        process.terminate()
        process.wait()


def _measured(server: PostgreSQL, build: Build, page: Page, who: str, words: dict[str, str]) -> Cost | None:
    """Ask for the page `ROUNDS` times, or as often as patience allows; None where the build does not have it."""
    path = page.path.format(**words)
    headers = {"HX-Request": "true"} if page.part else {}
    times, sizes = [], []
    for _ in range(2):  # what is read once and kept: templates, icons, plans
        if _ask(build, who, path, headers).status_code != 200:
            return None
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database WHERE datname = %s", [build.database]
        )
        begun = time.monotonic()
        while len(times) < ROUNDS and (len(times) < 2 or time.monotonic() - begun < PATIENCE_SECONDS):
            asked = time.perf_counter()
            answer = _ask(build, who, path, headers)
            times.append((time.perf_counter() - asked) * 1000)
            sizes.append(len(answer.content) / 1000)
        calls, spent = connection.execute(_SPENT, [build.database]).fetchone() or (0, 0)
    return Cost(float(calls) / len(times), spent / len(times), percentile(times, 0.95), max(sizes))


_SPENT = """
    SELECT COALESCE(sum(calls), 0), COALESCE(sum(total_exec_time + total_plan_time), 0)
      FROM pg_stat_statements AS s JOIN pg_database AS d ON d.oid = s.dbid WHERE d.datname = %s
"""


def _ask(build: Build, who: str, path: str, headers: dict[str, str]) -> requests.Response:
    person = build.people[who]
    if isinstance(person, Person):
        return person.look(path, headers)
    return person.get(build.base + path, headers=headers, timeout=300)


def _line(name: str, found: list[Cost | None]) -> str:
    told = [
        f"{cost.queries:.1f} queries, {cost.db_ms:.1f} ms in the database, p95 {cost.p95_ms:.0f} ms, {cost.kb:.0f} kB"
        if cost
        else "not there"
        for cost in found
    ]
    return f"{name}: {told[0]}" + (f" | before: {told[1]}" if len(told) > 1 else "")


def _summary(costs: dict[str, list[Cost | None]]) -> dict[str, Any]:
    now = [found[0] for found in costs.values() if found[0] is not None]
    missing = [name for name, found in costs.items() if found[0] is None]
    if missing:
        raise SystemExit(f"These pages did not answer: {', '.join(missing)}")
    both = [(found[0].db_ms, found[1].db_ms) for found in costs.values() if len(found) > 1 and found[0] and found[1]]
    pulses = [found[0].db_ms for name, found in costs.items() if name.startswith("pulse") and found[0]]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=installed.ROOT, capture_output=True, text=True, check=False
    )
    return {
        "pages": len(now),
        "max_queries": round(max(cost.queries for cost in now), 1),
        "max_db_ms": round(max(cost.db_ms for cost in now), 1),
        "max_p95_ms": round(max(cost.p95_ms for cost in now), 1),
        "pulse_db_ms": round(max(pulses), 2) if pulses else None,
        "max_kb": round(max(cost.kb for cost in now)),
        "db_time_ratio": round(mean(now for now, _ in both) / mean(then for _, then in both), 4) if both else None,
        "commit": commit.stdout.strip(),
    }


def _worst(costs: dict[str, list[Cost | None]], name: str) -> str:
    """The pages that a maximum comes from, worst first."""
    key = {"max_queries": "queries", "max_db_ms": "db_ms", "max_p95_ms": "p95_ms", "max_kb": "kb"}.get(name, "db_ms")
    worst = sorted(costs, key=lambda page: getattr(costs[page][0], key), reverse=True)
    return ", ".join(f"{page} {getattr(costs[page][0], key):.1f}" for page in worst[:5])


def _url(server: PostgreSQL, database: str) -> str:
    return f"{server.url.rpartition('/')[0]}/{database}"


def _manage(tree: Path, environment: dict[str, str], *arguments: str) -> str:
    command = [str(installed.PYTHON), "manage.py", *arguments]
    whole = {**os.environ, "LOCKGATE_ENV": "development", **environment}
    done = subprocess.run(command, cwd=tree, env=whole, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + demo.READY_SECONDS
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
