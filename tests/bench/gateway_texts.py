"""What texts that nobody has sent before cost: to be understood, beside how that was done before, and to those beside them."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

import asyncpg

from access.gateway_rules import rules_for
from connectors.base import Level
from gateway.examining import Examiner
from gateway.statements import other
from tests.bench.gateway_house import Way

TURNS = 5
TEXTS = 200
LONG_TEXTS = 30
NEIGHBOURS = 6
QUIET_SECONDS = 2.0

_READ = "SELECT name, balance AS b{n} FROM customer WHERE id = {n}"
_PAGE = (
    "SELECT p.id AS i{n}, p.at, p.state, c.name, sum(l.price * l.quantity) AS total FROM placed p JOIN customer c"
    " ON c.id = p.customer LEFT JOIN line l ON l.placed = p.id WHERE p.at > '2026-01-01' AND c.country IN ('DE', 'FR')"
    " GROUP BY p.id, p.at, p.state, c.name ORDER BY total DESC LIMIT {n}"
)


def examined() -> dict[str, float]:
    """Microseconds for a text whose names are new as well: by the server's grammar, and by skeleton and sqlglot as before."""
    taken: dict[str, list[float]] = {"grammar": [], "before": []}
    number = 0
    for _ in range(TURNS):
        for way, understand in (("grammar", Examiner(rules_for(Level.READ), "postgres").glance), ("before", _before)):
            for pattern in (_READ, _PAGE):
                texts = [pattern.format(n=number + one) for one in range(TEXTS)]
                number += TEXTS
                taken[way].append(_microseconds(understand, texts))
    found = {way: statistics.fmean(values) for way, values in taken.items()}
    print(f"a new text: {found['grammar']:.0f} us by the grammar, {found['before']:.0f} us before", flush=True)
    return found


def _before(text: str) -> object:
    return other.understand(text, "postgres")


def _microseconds(understand: Callable[[str], object], texts: list[str]) -> float:
    began = time.perf_counter()
    for text in texts:
        understand(text)
    return (time.perf_counter() - began) / len(texts) * 1e6


def neighbours(way: Way) -> dict[str, float]:
    """Milliseconds at the 99th percentile that a `SELECT 1` takes on six sessions: alone, and beside long new texts."""
    found = asyncio.run(_neighbours(way))
    print(
        f"SELECT 1 at p99: {found['alone']:.2f} ms alone, {found['beside']:.2f} ms beside new texts of 40 kB",
        flush=True,
    )
    return found


async def _neighbours(way: Way) -> dict[str, float]:
    # One worker has them all, or none would be beside the other.
    sessions = [await asyncpg.connect(way.dsn) for _ in range(NEIGHBOURS)]
    long = await asyncpg.connect(way.dsn)
    for session in sessions:
        await session.fetchval("SELECT 1")
    alone = await _waits(sessions, asyncio.sleep(QUIET_SECONDS))
    beside = await _waits(sessions, _long(long))
    for session in (*sessions, long):
        await session.close()
    return {"alone": _p99(alone), "beside": _p99(beside)}


async def _waits(sessions: list[Any], meanwhile: Any) -> list[float]:
    waits: list[float] = []
    task = asyncio.ensure_future(meanwhile)

    async def ask(session: Any) -> None:
        while not task.done():
            began = time.perf_counter()
            await session.fetchval("SELECT 1")
            waits.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.002)

    await asyncio.gather(task, *map(ask, sessions))
    return waits


async def _long(session: Any) -> None:
    for number in range(LONG_TEXTS):
        rows = ", ".join(f"('2024-01-01'::date, {one}), (now()::date, {one})" for one in range(800))
        await session.execute(f"SELECT count(*) AS c{number} FROM (VALUES {rows}) AS x{number} (a, b)")


def _p99(waits: list[float]) -> float:
    return statistics.quantiles(waits, n=100)[98]
