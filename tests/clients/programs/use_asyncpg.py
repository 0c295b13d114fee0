"""asyncpg, as a service uses it: a pool, types of the database's own, rows in bulk."""

from __future__ import annotations

import asyncio
import os
from io import BytesIO

import asyncpg

from tests.clients.programs.telling import LEVEL, MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version


async def read(pool: asyncpg.Pool) -> None:
    with does("prepared", "prepare"):
        async with pool.acquire() as connection:
            statement = await connection.prepare("SELECT item FROM orders WHERE id = $1")
            same([await statement.fetchval(number) for number in (1, 2, 3)], ["tea", "milk", "sugar"])
    with does("arrays", "= ANY($1::int[])"):
        rows = await pool.fetch("SELECT item FROM orders WHERE id = ANY($1::int[]) ORDER BY id", [1, 2])
        same([row["item"] for row in rows], ["tea", "milk"])
    with does("enums, ranges, rows", "SELECT of such columns"):
        visit = await pool.fetchrow("SELECT * FROM visits WHERE feels = $1", "calm")
        same((visit["tags"], visit["place"]["number"], visit["during"].upper_inc), (["a", "b"], 7, False))
    with does("cursors", "cursor in a transaction"):
        async with pool.acquire() as connection, connection.transaction(readonly=LEVEL == "read"):
            cursor = await connection.cursor("SELECT n FROM generate_series(1, 1000) n")
            same(sum([row[0] for row in await cursor.fetch(100)]), 5050)
    with does("cancel", "timeout"):
        try:
            await pool.fetch("SELECT pg_sleep(30)", timeout=0.3)
        except TimeoutError:
            same(await pool.fetchval("SELECT 1"), 1)


async def write(pool: asyncpg.Pool) -> None:
    with does("batch", "executemany"):
        await pool.executemany("INSERT INTO things (name, price) VALUES ($1, $2)", [(f"n{n}", n) for n in range(500)])
        same(await pool.fetchval("SELECT count(*) FROM things"), 500)
    with does("bulk", "copy_records_to_table"):
        records = [(f"c{n}",) for n in range(5000)]
        same(await pool.copy_records_to_table("things", records=records, columns=["name"]), "COPY 5000")
    with does("savepoints", "nested transactions"):
        async with pool.acquire() as connection, connection.transaction():
            try:
                async with connection.transaction():
                    await connection.execute("INSERT INTO things (name) VALUES (NULL)")
            except asyncpg.NotNullViolationError:
                await connection.execute("INSERT INTO things (name) VALUES ('kept')")


async def main() -> None:
    version(asyncpg.__version__)
    async with asyncpg.create_pool(min_size=1, max_size=3) as pool:
        with does("connects", "create_pool"):
            same(await pool.fetchval("SELECT count(*) FROM orders"), 3)
        await read(pool)
        if MAY_WRITE:
            await write(pool)
        else:
            with does("batch", "executemany"):
                await pool.executemany("SELECT item FROM orders WHERE id = $1", [(n,) for n in range(100)])
            with does("bulk", "copy_from_query"):
                out = BytesIO()
                same(await pool.copy_from_query("SELECT * FROM generate_series(1, 5000)", output=out), "COPY 5000")
        if LEVEL == "ddl":
            with does("migration", "CREATE TABLE, ALTER TABLE, CREATE INDEX"):
                await pool.execute("CREATE TABLE made (id serial PRIMARY KEY); ALTER TABLE made ADD name text")
                await pool.execute("CREATE INDEX CONCURRENTLY made_name ON made (name)")
        with refused():
            await pool.execute(NOT_ALLOWED_SQL)
        with does("goes on", "after a refusal"):
            same(await pool.fetchval("SELECT 1"), 1)


if __name__ == "__main__":
    assert os.environ["PGHOST"]
    asyncio.run(main())
