"""pg8000: pure Python, every statement by the extended protocol."""

from __future__ import annotations

import io
import os
import ssl
from importlib.metadata import version as version_of

import pg8000.native

from tests.clients.programs.telling import LEVEL, MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version


def main() -> None:
    version(version_of("pg8000"))
    connection = pg8000.native.Connection(
        os.environ["PGUSER"],
        host=os.environ["PGHOST"],
        port=int(os.environ["PGPORT"]),
        database=os.environ["PGDATABASE"],
        password=os.environ["PGPASSWORD"],
        ssl_context=ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"]),
    )
    with does("connects", "Connection"):
        same(connection.run("SELECT count(*) FROM orders"), [[3]])
    with does("prepared", "prepare"):
        statement = connection.prepare("SELECT item FROM orders WHERE id = :id")
        same([statement.run(id=number) for number in (1, 2)], [[["tea"]], [["milk"]]])
        statement.close()
    with does("arrays", "= ANY(:ids)"):
        same(len(connection.run("SELECT 1 FROM orders WHERE id = ANY(:ids)", ids=[1, 2])), 2)
    if MAY_WRITE:
        with does("batch", "run in a transaction"):
            connection.run("START TRANSACTION")
            for number in range(100):
                connection.run("INSERT INTO things (name) VALUES (:name)", name=f"n{number}")
            connection.run("COMMIT")
        with does("bulk", "COPY FROM STDIN"):
            connection.run("COPY things (name) FROM STDIN", stream=io.BytesIO(b"c\n" * 5000))
            same(connection.row_count, 5000)
    else:
        with does("batch", "several statements in one"):
            connection.run("SELECT 1; SELECT 2")
        with does("bulk", "COPY TO STDOUT"):
            out = io.BytesIO()
            connection.run("COPY (SELECT generate_series(1, 5000)) TO STDOUT", stream=out)
            same(out.getvalue().count(b"\n"), 5000)
    if LEVEL == "ddl":
        with does("migration", "CREATE TABLE, ALTER TABLE"):
            connection.run("CREATE TABLE made (id serial PRIMARY KEY); ALTER TABLE made ADD name text")
    with refused():
        connection.run(NOT_ALLOWED_SQL)
    with does("goes on", "after a refusal"):
        same(connection.run("SELECT 1"), [[1]])


if __name__ == "__main__":
    main()
