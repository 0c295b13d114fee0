"""SQLAlchemy's ORM, on both drivers, and a migration by Alembic: a DSN is all that they are told of the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from access.gateway_rules import rules_for
from connectors.base import Level
from tests.gateway.wire.gateways import Gateway


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]


@pytest.fixture
def gateway(start: Callable[..., Gateway]) -> Iterator[Gateway]:
    """A worker with the rules of a role that may change the shape of things; what is bought is given back."""
    started = start(rules=replace(rules_for(Level.DDL)))
    yield started
    with psycopg.connect(started.shop.conninfo, autocommit=True) as own:
        own.execute("DELETE FROM orders WHERE id > 3")
        own.execute("DROP TABLE IF EXISTS parcel, alembic_version")


def test_the_orm_on_psycopg(gateway: Gateway) -> None:
    engine = sa.create_engine(gateway.url("postgresql+psycopg"))
    with Session(engine) as session:
        session.add_all([Order(id=number, item=f"thing {number}") for number in range(10, 60)])
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).where(Order.id >= 10)) == 50
        session.get_one(Order, 10).item = "coffee"
        session.commit()
        with pytest.raises(sa.exc.IntegrityError):
            session.execute(sa.insert(Order).values(id=10, item="twice"))
        session.rollback()
        with pytest.raises(sa.exc.ProgrammingError, match="changes every row"):
            session.execute(sa.delete(Order))
        session.rollback()
        assert session.get_one(Order, 10).item == "coffee"
    engine.dispose()
    gateway.all_settled()


def test_the_orm_on_asyncpg(gateway: Gateway) -> None:
    async def shop() -> list[str]:
        engine = create_async_engine(gateway.url("postgresql+asyncpg"))
        async with AsyncSession(engine) as session:
            session.add_all([Order(id=number, item=f"thing {number}") for number in range(70, 75)])
            await session.commit()
            rows = await session.scalars(sa.select(Order.item).where(Order.id >= 70).order_by(Order.id))
            found = list(rows)
        await engine.dispose()
        return found

    assert asyncio.run(shop()) == [f"thing {number}" for number in range(70, 75)]
    gateway.all_settled()


_ENVIRONMENT = """
from alembic import context
from sqlalchemy import create_engine, pool

with create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
_MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade():
    op.create_table("parcel", sa.Column("id", sa.Integer, primary_key=True), sa.Column("weight", sa.Numeric(8, 2)))
    op.create_index("parcel_weight", "parcel", ["weight"])
    op.bulk_insert(sa.table("parcel", sa.column("id"), sa.column("weight")), [{"id": 1, "weight": 2.5}])


def downgrade():
    op.drop_table("parcel")
"""


def test_a_migration_by_alembic_there_and_back(gateway: Gateway, tmp_path: Path) -> None:
    scripts = tmp_path / "migrations"
    (scripts / "versions").mkdir(parents=True)
    (scripts / "env.py").write_text(_ENVIRONMENT)
    (scripts / "versions" / "0001.py").write_text(_MIGRATION)
    config = Config()
    config.set_main_option("script_location", str(scripts))
    config.set_main_option("path_separator", "os")
    config.set_main_option("sqlalchemy.url", gateway.url("postgresql+psycopg").replace("%", "%%"))

    command.upgrade(config, "head")
    with psycopg.connect(gateway.conninfo) as connection:
        assert connection.execute("SELECT weight FROM parcel").fetchone() is not None
    command.downgrade(config, "base")

    shapes = [one.shape for one in gateway.all_settled() if one.verdict == "done"]
    assert any(shape.startswith("CREATE TABLE parcel") for shape in shapes)
    assert any(shape.startswith("DROP TABLE parcel") for shape in shapes)
