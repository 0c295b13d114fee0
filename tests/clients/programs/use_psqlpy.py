"""psqlpy: Rust's tokio-postgres in a pool of deadpool, with each way in which that takes a connection back."""

from __future__ import annotations

import asyncio
import os
from importlib.metadata import version as version_of
from typing import Any

import psqlpy

from tests.clients.programs.telling import LEVEL, MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version


def pool(**settings: Any) -> psqlpy.ConnectionPool:
    return psqlpy.ConnectionPool(
        username=os.environ["PGUSER"],
        password=os.environ["PGPASSWORD"],
        host=os.environ["PGHOST"],
        port=int(os.environ["PGPORT"]),
        db_name=os.environ["PGDATABASE"],
        max_db_pool_size=2,
        **settings,
    )


async def one(own: psqlpy.ConnectionPool, sql: str, values: list[Any] | None = None) -> Any:
    async with own.acquire() as connection:
        return await connection.fetch_val(sql, values)


async def write(own: psqlpy.ConnectionPool) -> None:
    with does("batch", "execute_many"):
        async with own.acquire() as connection:
            await connection.execute_many("INSERT INTO things (name) VALUES ($1)", [[f"n{n}"] for n in range(500)])
        same(await one(own, "SELECT count(*) FROM things"), 500)
    with does("bulk", "copy_records_to_table"):
        async with own.acquire() as connection:
            await connection.copy_records_to_table(
                "things", records=[(f"c{n}",) for n in range(5000)], columns=["name"]
            )


async def main() -> None:
    version(version_of("psqlpy"))
    own = pool()
    with does("connects", "ConnectionPool"):
        same(await one(own, "SELECT count(*) FROM orders"), 3)
    with does("prepared", "by itself"):
        for _ in range(5):
            same(await one(own, "SELECT item FROM orders WHERE id = $1", [2]), "milk")
    with does("types", "enums, arrays, rows, looked up"):
        async with own.acquire() as connection:
            row = (await connection.fetch("SELECT feels::text, tags, place FROM visits")).result()[0]
            same((row["feels"], row["tags"], row["place"]["number"]), ("calm", ["a", "b"], 7))
    with does("takes back", "Fast, Verified, Clean"):
        ways = psqlpy.ConnRecyclingMethod
        for way in (ways.Fast, ways.Verified, ways.Clean):
            other = pool(conn_recycling_method=way)
            for _ in range(4):
                same(await one(other, "SELECT count(*) FROM orders"), 3)
            other.close()
    with does("cursors", "cursor"):
        async with (
            own.acquire() as connection,
            connection.transaction(),
            connection.cursor("SELECT generate_series(1, 1000)", array_size=100) as cursor,
        ):
            same(len((await cursor.fetchmany(100)).result()), 100)
    if MAY_WRITE:
        await write(own)
    else:
        with does("batch", "execute_batch"):
            async with own.acquire() as connection:
                await connection.execute_batch("SELECT 1; SELECT 2")
    if LEVEL == "ddl":
        with does("migration", "execute_batch"):
            async with own.acquire() as connection:
                await connection.execute_batch(
                    "CREATE TABLE made (id serial PRIMARY KEY); ALTER TABLE made ADD name text"
                )
    with refused():
        await one(own, NOT_ALLOWED_SQL)
    with does("goes on", "after a refusal"):
        same(await one(own, "SELECT 1"), 1)
    own.close()


if __name__ == "__main__":
    asyncio.run(main())
