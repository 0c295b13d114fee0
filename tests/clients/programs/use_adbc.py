"""ADBC's driver: Arrow tables out by COPY, and in."""

from __future__ import annotations

from importlib.metadata import version as version_of

import adbc_driver_postgresql.dbapi
import pyarrow

from tests.clients.programs.telling import MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version


def main() -> None:
    version(version_of("adbc-driver-postgresql"))
    # libpq's own variables say where to.
    connection = adbc_driver_postgresql.dbapi.connect("postgresql://", autocommit=True)
    cursor = connection.cursor()
    with does("connects", "connect"):
        cursor.execute("SELECT count(*) FROM orders")
        same(cursor.fetchone(), (3,))
    with does("prepared", "parameters"):
        cursor.execute("SELECT item FROM orders WHERE id = $1", (2,))
        same(cursor.fetchone(), ("milk",))
    with does("describes", "adbc_get_objects, adbc_get_table_schema"):
        connection.adbc_get_objects(depth="all").read_all()
        same(connection.adbc_get_table_schema("orders").names, ["id", "item"])
    if MAY_WRITE:
        with does("batch", "executemany"):
            cursor.executemany("INSERT INTO things (name) VALUES ($1)", [(f"n{number}",) for number in range(500)])
        with does("bulk", "adbc_ingest of 5,000 rows"):
            table = pyarrow.table({"name": [f"c{number}" for number in range(5000)]})
            same(cursor.adbc_ingest("things", table, mode="append"), 5000)
    else:
        with does("batch", "a table of many parameters"):
            cursor.executemany("SELECT $1::int", [(number,) for number in range(100)])
        with does("bulk", "fetch_arrow_table, by COPY"):
            cursor.execute("SELECT n FROM generate_series(1, 5000) n")
            same(cursor.fetch_arrow_table().num_rows, 5000)
    with refused():
        cursor.execute(NOT_ALLOWED_SQL)
    with does("goes on", "after a refusal"):
        cursor.execute("SELECT 1")
        same(cursor.fetchone(), (1,))
    connection.close()


if __name__ == "__main__":
    main()
