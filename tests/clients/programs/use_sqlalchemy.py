"""SQLAlchemy's ORM on psycopg: many objects at once, reflection, a pool that takes back."""

from __future__ import annotations

from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.clients.programs.telling import LEVEL, MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]


class Thing(Base):
    __tablename__ = "things"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[Decimal | None] = mapped_column(default=Decimal(1))


def write(engine: sa.Engine) -> None:
    with does("batch", "add_all of 600 objects"), Session(engine) as session:
        session.add_all([Thing(name=f"n{number}") for number in range(600)])
        session.commit()
        same(session.scalar(sa.select(sa.func.count()).select_from(Thing)), 600)
    with does("bulk", "insert() of 5,000 rows"), Session(engine) as session:
        session.execute(sa.insert(Thing), [{"name": f"c{number}"} for number in range(5000)])
        session.commit()
    with does("updates", "in bulk, by key; ON CONFLICT"), Session(engine) as session:
        session.execute(sa.update(Thing), [{"id": number, "name": "changed"} for number in range(1, 101)])
        upsert = postgresql.insert(Thing).values(id=1, name="again")
        session.execute(upsert.on_conflict_do_update(index_elements=["id"], set_={"name": upsert.excluded.name}))
        session.commit()


def main() -> None:
    version(sa.__version__)
    # No address: libpq's own variables say where to.
    engine = sa.create_engine("postgresql+psycopg://", pool_size=2, pool_pre_ping=True)
    with does("connects", "create_engine, pool_pre_ping"), Session(engine) as session:
        same(session.scalar(sa.select(sa.func.count()).select_from(Order)), 3)
    with does("prepared", "by psycopg"), Session(engine) as session:
        for _ in range(10):
            session.expunge_all()
            same(session.get_one(Order, 2).item, "milk")
    with does("reflection", "MetaData.reflect"):
        tables = sa.MetaData()
        tables.reflect(engine)
        same({"orders", "visits", "things"} <= set(tables.tables), True)
    with does("read-only", "postgresql_readonly=True, then False"):
        for readonly in (True, False):
            with engine.connect() as connection:
                connection = connection.execution_options(postgresql_readonly=readonly)
                same(connection.scalar(sa.text("SELECT 1")), 1)
    if MAY_WRITE:
        write(engine)
    else:
        with does("batch", "IN with 500 values"), Session(engine) as session:
            same(len(session.scalars(sa.select(Order).where(Order.id.in_(range(500)))).all()), 3)
        with does("bulk", "yield_per, a cursor on the server"), engine.connect() as connection:
            rows = connection.execution_options(yield_per=1000).execute(sa.text("SELECT generate_series(1, 5000)"))
            same(sum(len(part) for part in rows.partitions()), 5000)
    if LEVEL == "ddl":
        with does("migration", "create_all, drop_all"):
            made = sa.MetaData()
            sa.Table(
                "made", made, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text, index=True)
            )
            made.create_all(engine)
            made.drop_all(engine)
    with refused(), Session(engine) as session:
        if LEVEL == "read":
            session.add(Thing(name="not allowed"))
            session.commit()
        else:
            session.execute(sa.text(NOT_ALLOWED_SQL))
    with does("goes on", "after a refusal"), Session(engine) as session:
        same(session.scalar(sa.text("SELECT 1")), 1)
    engine.dispose()


if __name__ == "__main__":
    main()
