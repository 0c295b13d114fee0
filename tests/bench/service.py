"""The smallest FastAPI service on asyncpg, for the gateway's benchmark: only its DSN changes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI

_SQL = "SELECT balance FROM customer WHERE id = $1"


@asynccontextmanager
async def _pool(service: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=8, max_size=8) as pool:
        service.state.pool = pool
        yield


service = FastAPI(lifespan=_pool)


@service.get("/customers/{number}")
async def customer(number: int) -> dict[str, int]:
    """One row."""
    return {"balance": await service.state.pool.fetchval(_SQL, number)}
