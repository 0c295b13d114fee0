"""psycopg 3: types that it looks up, statements that it prepares by itself, a pipeline, COPY."""

from __future__ import annotations

import threading
import time

import psycopg
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.range import RangeInfo

from tests.clients.programs.telling import LEVEL, MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version


def types(connection: psycopg.Connection) -> None:
    with does("types", "TypeInfo, EnumInfo, CompositeInfo, RangeInfo"):
        mood, place = EnumInfo.fetch(connection, "mood"), CompositeInfo.fetch(connection, "place")
        assert mood is not None
        assert place is not None
        register_enum(mood, connection)
        register_composite(place, connection)
        assert RangeInfo.fetch(connection, "tstzrange") is not None
        same(TypeInfo.fetch(connection, "hstore"), None)
        feels, at = connection.execute("SELECT feels, place FROM visits WHERE id = 1").fetchone() or (None, None)
        same((feels.name, at.number), ("calm", 7))


def cancel(connection: psycopg.Connection) -> None:
    with does("cancel", "cancel_safe"):
        threading.Timer(0.3, connection.cancel_safe).start()
        began = time.monotonic()
        try:
            connection.execute("SELECT pg_sleep(30)")
        except psycopg.errors.QueryCanceled:
            same(time.monotonic() - began < 5, True)


def read(connection: psycopg.Connection) -> None:
    with does("prepared", "by itself, after five times"):
        for _ in range(10):
            connection.execute("SELECT item FROM orders WHERE id = %s", (2,))
        same(connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone(), (1,))
    with does("arrays", "= ANY(%s)"):
        same(len(connection.execute("SELECT 1 FROM orders WHERE id = ANY(%s)", ([1, 2],)).fetchall()), 2)
    with does("cursors", "a cursor with a name"), connection.transaction(), connection.cursor("there") as cursor:
        cursor.execute("SELECT generate_series(1, 1000)")
        same(len(cursor.fetchmany(100)), 100)
    with does("pipeline", "pipeline()"), connection.pipeline():
        both = [connection.execute("SELECT %s::int", (number,)) for number in range(50)]
        same([one.fetchone() for one in both], [(number,) for number in range(50)])


def write(connection: psycopg.Connection) -> None:
    with does("batch", "executemany"), connection.cursor() as cursor:
        cursor.executemany("INSERT INTO things (name, price) VALUES (%s, %s)", [(f"n{n}", n) for n in range(500)])
        same(cursor.rowcount, 500)
    with does("bulk", "COPY FROM STDIN"), connection.cursor() as cursor:
        with cursor.copy("COPY things (name) FROM STDIN") as copy:
            for number in range(5000):
                copy.write_row((f"c{number}",))
        same(cursor.rowcount, 5000)


def main() -> None:
    version(psycopg.__version__)
    with psycopg.connect(autocommit=True) as connection:
        with does("connects", "connect"):
            same(connection.execute("SELECT count(*) FROM orders").fetchone(), (3,))
        read(connection)
        types(connection)
        cancel(connection)
        if MAY_WRITE:
            write(connection)
        else:
            with does("batch", "executemany"), connection.cursor() as cursor:
                cursor.executemany("SELECT item FROM orders WHERE id = %s", [(n,) for n in range(100)])
            copying = "COPY (SELECT generate_series(1, 5000)) TO STDOUT"
            with does("bulk", "COPY TO STDOUT"), connection.cursor() as cursor, cursor.copy(copying) as copy:
                same(sum(1 for _ in copy.rows()), 5000)
        if LEVEL == "ddl":
            with does("migration", "CREATE TABLE, ALTER TABLE, CREATE INDEX"), connection.transaction():
                connection.execute("CREATE TABLE made (id serial PRIMARY KEY)")
                connection.execute("ALTER TABLE made ADD name text")
                connection.execute("CREATE INDEX made_name ON made (name)")
        with refused():
            connection.execute(NOT_ALLOWED_SQL)
        with does("goes on", "after a refusal"):
            connection.execute("SELECT 1")
    with does("read-only", "read_only = True, then False"), psycopg.connect() as connection:
        for read_only in (True, False):
            connection.read_only = read_only
            connection.execute("SELECT count(*) FROM orders")
            connection.rollback()


if __name__ == "__main__":
    main()
