"""SQLAlchemy's ORM on asyncpg, as a FastAPI service has it."""

from __future__ import annotations

import asyncio
import os

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from tests.clients.programs.telling import LEVEL, MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version
from tests.clients.programs.use_sqlalchemy import Order, Thing


async def write(engine: AsyncEngine) -> None:
    with does("batch", "add_all of 600 objects"):
        async with AsyncSession(engine) as session:
            session.add_all([Thing(name=f"n{number}") for number in range(600)])
            await session.commit()
            same(await session.scalar(sa.select(sa.func.count()).select_from(Thing)), 600)
    with does("bulk", "insert() of 5,000 rows"):
        async with AsyncSession(engine) as session:
            await session.execute(sa.insert(Thing), [{"name": f"c{number}"} for number in range(5000)])
            await session.commit()


async def main() -> None:
    version(sa.__version__)
    address = sa.URL.create(
        "postgresql+asyncpg",
        os.environ["PGUSER"],
        os.environ["PGPASSWORD"],
        os.environ["PGHOST"],
        int(os.environ["PGPORT"]),
        os.environ["PGDATABASE"],
    )
    engine = create_async_engine(address, pool_size=2, pool_pre_ping=True)
    with does("connects", "create_async_engine, pool_pre_ping"):
        async with AsyncSession(engine) as session:
            same(await session.scalar(sa.select(sa.func.count()).select_from(Order)), 3)
    with does("prepared", "by asyncpg"):
        for number in (1, 2, 3):
            async with AsyncSession(engine) as session:
                same((await session.get_one(Order, number)).id, number)
    with does("arrays, enums", "a table reflected"):
        async with engine.connect() as connection:
            visits = await connection.run_sync(lambda own: sa.Table("visits", sa.MetaData(), autoload_with=own))
            row = (await connection.execute(sa.select(visits.c.tags, visits.c.feels))).one()
            same(list(row), [["a", "b"], "calm"])
    with does("cancel", "asyncio.timeout"):
        async with engine.connect() as connection:
            try:
                async with asyncio.timeout(0.3):
                    await connection.execute(sa.text("SELECT pg_sleep(30)"))
            except TimeoutError:
                pass
        async with engine.connect() as connection:
            same(await connection.scalar(sa.text("SELECT 1")), 1)
    if MAY_WRITE:
        await write(engine)
    else:
        with does("batch", "IN with 500 values"):
            async with AsyncSession(engine) as session:
                same(len((await session.scalars(sa.select(Order).where(Order.id.in_(range(500))))).all()), 3)
        with does("bulk", "stream, a cursor on the server"):
            async with engine.connect() as connection:
                result = await connection.stream(sa.text("SELECT generate_series(1, 5000)"))
                same(sum([1 async for _ in result]), 5000)
    if LEVEL == "ddl":
        with does("migration", "create_all, drop_all"):
            made = sa.MetaData()
            sa.Table(
                "made",
                made,
                sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("kind", sa.Enum("a", "b", name="k")),
            )
            async with engine.begin() as connection:
                await connection.run_sync(made.create_all)
                await connection.run_sync(made.drop_all)
    with refused():
        async with AsyncSession(engine) as session:
            await session.execute(sa.text(NOT_ALLOWED_SQL))
    with does("goes on", "after a refusal"):
        async with AsyncSession(engine) as session:
            same(await session.scalar(sa.text("SELECT 1")), 1)
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
