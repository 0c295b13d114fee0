"""Long texts and many rows: they run, they are recorded as what they are, and they hold up nobody."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace

import asyncpg
import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from access.gateway_rules import Durability, Rules, rules_for
from connectors.base import Level
from gateway import reading
from gateway.statements import Understood
from tests.gateway.wire.gateways import Gateway
from tests.gateway.wire.sockets import SYNC, Wire, bind, errors, execute, field, parse, query, values

Start = Callable[..., Gateway]


def rules(level: Level) -> Rules:
    return replace(rules_for(level), durability=Durability.BATCHED)


class Base(DeclarativeBase):
    pass


class Shipment(Base):
    """Eight columns."""

    __tablename__ = "shipment"
    id: Mapped[int] = mapped_column(primary_key=True)
    a: Mapped[str]
    b: Mapped[str]
    c: Mapped[int]
    d: Mapped[int]
    e: Mapped[str] = mapped_column(default="e")
    f: Mapped[str] = mapped_column(server_default="f")
    g: Mapped[float]


def shipments() -> list[Shipment]:
    return [Shipment(a=f"a{n}", b="b", c=n, d=-n, g=n / 2) for n in range(500)]


@pytest.fixture
def writing(start: Start) -> Gateway:
    """A role that writes; a table for it."""
    gateway = start(rules=rules(Level.WRITE))
    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(gateway.shop.conninfo))
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    engine.dispose()
    return gateway


def test_an_orm_writes_five_hundred_objects_by_psycopg(writing: Gateway) -> None:
    engine = sa.create_engine(writing.url("postgresql+psycopg"))
    with Session(engine) as session:
        session.add_all(shipments())
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(Shipment)) == 500
    engine.dispose()
    assert all(one.verdict == "done" for one in writing.all_settled())


def test_an_orm_writes_five_hundred_objects_by_asyncpg(writing: Gateway) -> None:
    async def write() -> int:
        engine = create_async_engine(writing.url("postgresql+asyncpg"))
        async with AsyncSession(engine) as session:
            session.add_all(shipments())
            await session.commit()
            count = await session.scalar(sa.select(sa.func.count()).select_from(Shipment))
        await engine.dispose()
        return int(count or 0)

    assert asyncio.run(write()) == 500
    assert all(one.verdict == "done" for one in writing.all_settled())


@pytest.mark.parametrize(
    "value",
    [
        "'" + "x" * 1_200_000 + "'",
        "'\\x" + "ab" * 600_000 + "'",
        "$a$" + "x" * 1_200_000 + "$a$",
        "E'" + "x\\n" * 50_000 + "'",
    ],
    ids=["string", "bytes", "dollars", "escapes"],
)
def test_a_long_literal_runs_and_is_short_in_the_record(writing: Gateway, value: str) -> None:
    with Wire(writing) as wire:
        text = f"UPDATE shipment SET a = {value} WHERE id = 0"
        assert errors(wire.query(text)) == []
    assert writing.ran(text).shape == "UPDATE shipment SET a = ? WHERE id = ?"


@pytest.mark.parametrize(
    ("condition", "shape"),
    [
        ("id IN (" + ", ".join(f"-{number}" for number in range(30_000)) + ")", "id IN (-?)"),
        (" OR ".join(f"(c = {number} AND d = {number})" for number in range(2_500)), "(c = ? AND d = ?) OR "),
    ],
    ids=["list", "pairs"],
)
def test_a_long_condition_is_a_read(writing: Gateway, condition: str, shape: str) -> None:
    text = f"SELECT id FROM shipment WHERE {condition}"
    with Wire(writing) as wire:
        assert errors(wire.query(text)) == []
    assert writing.ran(text).shape.startswith(f"SELECT id FROM shipment WHERE {shape}")


def test_what_a_long_text_does_is_refused_like_a_short_one(start: Start) -> None:
    gateway = start(rules=rules(Level.READ))
    text = "DELETE FROM orders WHERE id IN (" + ", ".join(map(str, range(5_000))) + ")"
    with Wire(gateway) as wire:
        for messages in ([query(text)], [parse("", text), bind("", ""), execute(), SYNC]):
            wire.send(*messages)
            assert errors(wire.until(b"Z")) == ["42501"]
            assert values(wire.query("SELECT count(*) FROM orders")) == ["3"]
    assert gateway.ran(text).rule == "class"


def test_while_a_long_text_is_read_others_are_answered(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = start(rules=rules(Level.READ))
    held: list[Callable[[], None]] = []
    honest = reading.Elsewhere.understand

    def slowly(self: reading.Elsewhere, text: str, dialect: str, done: Callable[[Understood], None]) -> None:
        held.append(lambda: honest(self, text, dialect, done))

    monkeypatch.setattr(reading.Elsewhere, "understand", slowly)
    text = "SELECT " + ", ".join(f"{number} AS c{number}" for number in range(500))
    with Wire(gateway) as long, Wire(gateway) as other:
        long.send(query(text), query("SELECT 'behind'"))
        for number in range(50):
            assert values(other.query(f"SELECT {number}")) == [str(number)]
        assert not [one for one in gateway.statements() if one.shape.startswith("SELECT ? AS c0")]
        gateway.on_loop(_on_loop(held[0]))
        said = long.until(b"Z", 2)
        assert values(said) == ["0", "behind"]


async def _on_loop(call: Callable[[], None]) -> None:
    call()


def test_a_reading_process_that_is_lost_costs_one_text(start: Start) -> None:
    gateway = start(rules=rules(Level.READ))
    text = "SELECT " + ", ".join(f"{number} AS lost{number}" for number in range(500))
    with Wire(gateway) as wire:
        assert values(wire.query(text)) == ["0"]
        process = _reading_process(gateway)
        os.kill(process, signal.SIGSTOP)
        wire.send(query(text + ", 1 AS more"))
        os.kill(process, signal.SIGKILL)
        (error,) = (content for kind, content in wire.until(b"Z") if kind == b"E")
        assert (field(error, "C"), field(error, "M")) == ("54001", "stack depth limit exceeded")
        assert values(wire.query(text + ", 2 AS more")) == ["0"]
    assert gateway.ran(text + ", 1 AS more").rule == "syntax"


def _reading_process(gateway: Gateway) -> int:
    process = gateway.worker.elsewhere._process
    assert process is not None
    return process.pid


def test_arrays_enums_and_ranges_by_asyncpg(start: Start) -> None:
    gateway = start(rules=rules(Level.READ))
    with psycopg.connect(gateway.shop.conninfo, autocommit=True) as own:
        own.execute("DROP TABLE IF EXISTS moods; DROP TYPE IF EXISTS mood")
        own.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')")
        own.execute("CREATE TABLE moods (id int, mood mood, span int4range, tags text[])")
        own.execute("INSERT INTO moods VALUES (1, 'glad', '[1,5)', '{a,b}')")

    async def read() -> None:
        connection = await asyncpg.connect(gateway.url())
        rows = await connection.fetch("SELECT item FROM orders WHERE id = ANY($1::int[]) ORDER BY id", [1, 2])
        assert [row["item"] for row in rows] == ["tea", "milk"]
        (row,) = await connection.fetch("SELECT * FROM moods")
        assert (row["mood"], row["tags"], row["span"].lower) == ("glad", ["a", "b"], 1)
        assert await connection.fetchval("SELECT m FROM moods m") == (1, "glad", row["span"], ["a", "b"])
        await connection.close()

    asyncio.run(read())
    with psycopg.connect(gateway.shop.conninfo, autocommit=True) as own:
        own.execute("DROP TABLE moods; DROP TYPE mood")
