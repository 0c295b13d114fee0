"""A FastAPI service on asyncpg, for the gateway's benchmark: only its DSN changes.

`/customers/7/orders` is what such a service does all day, a page of rows as validated JSON; `/customers/7` is the cheapest
request there is. Both send the statements that the benchmark sends itself.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal

import asyncpg
from fastapi import FastAPI
from pydantic import BaseModel

_CUSTOMER = "SELECT name, balance FROM customer WHERE id = $1"
_ORDERS = (
    "SELECT p.id, p.at, p.state, l.number, l.item, l.price FROM placed p JOIN line l ON l.placed = p.id"
    " WHERE p.customer = $1 AND p.at > '2026-01-01' ORDER BY p.at DESC, l.number LIMIT 40"
)


class Customer(BaseModel):
    """One row."""

    name: str
    balance: int


class OrderLine(BaseModel):
    """One row of the page."""

    id: int
    at: datetime
    state: str
    number: int
    item: str
    price: Decimal


@asynccontextmanager
async def _pool(service: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=8, max_size=8) as pool:
        service.state.pool = pool
        yield


service = FastAPI(lifespan=_pool)


@service.get("/customers/{number}")
async def customer(number: int) -> Customer:
    """The cheapest."""
    return Customer(**await service.state.pool.fetchrow(_CUSTOMER, number))


@service.get("/customers/{number}/orders")
async def orders(number: int) -> list[OrderLine]:
    """The page."""
    return [OrderLine(**row) for row in await service.state.pool.fetch(_ORDERS, number)]
