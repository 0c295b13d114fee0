"""psycopg2: values in the text, execute_values, COPY, a session that is read-only."""

from __future__ import annotations

import io
import threading

import psycopg2
import psycopg2.extras

from tests.clients.programs.telling import LEVEL, MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version


def main() -> None:
    version(psycopg2.__version__.split()[0])
    connection = psycopg2.connect("")
    connection.autocommit = True
    cursor = connection.cursor(cursor_factory=psycopg2.extras.DictCursor)

    def fetched(sql: str, values: object = None) -> object:
        cursor.execute(sql, values)
        return cursor.fetchall()

    with does("connects", "connect"):
        same(fetched("SELECT count(*) FROM orders"), [[3]])
    with does("arrays", "= ANY(%s)"):
        same(fetched("SELECT item FROM orders WHERE id = ANY(%s) AND item LIKE 'm%%'", ([1, 2],)), [["milk"]])
    with does("types", "register_composite, register_range"):
        psycopg2.extras.register_composite("place", cursor)
        same(fetched("SELECT place FROM visits")[0][0].number, 7)  # type: ignore[index]
    with does("cancel", "cancel()"):
        threading.Timer(0.3, connection.cancel).start()
        try:
            cursor.execute("SELECT pg_sleep(30)")
        except psycopg2.errors.QueryCanceled:
            same(fetched("SELECT 1"), [[1]])
    with does("read-only", "set_session(readonly=True), then False"):
        for readonly in (True, False):
            connection.set_session(readonly=readonly, autocommit=True)
            fetched("SELECT 1")
        connection.set_session(readonly="DEFAULT")
    if MAY_WRITE:
        with does("batch", "execute_values, execute_batch"):
            rows = [(f"n{number}",) for number in range(500)]
            psycopg2.extras.execute_values(cursor, "INSERT INTO things (name) VALUES %s", rows)
            psycopg2.extras.execute_batch(cursor, "INSERT INTO things (name) VALUES (%s)", rows)
            same(fetched("SELECT count(*) FROM things"), [[1000]])
        with does("bulk", "copy_expert FROM STDIN"):
            cursor.copy_expert("COPY things (name) FROM STDIN", io.StringIO("c\n" * 5000))
            same(cursor.rowcount, 5000)
    else:
        with does("batch", "execute_batch"):
            psycopg2.extras.execute_batch(cursor, "SELECT item FROM orders WHERE id = %s", [(n,) for n in range(100)])
        with does("bulk", "copy_expert TO STDOUT"):
            cursor.copy_expert("COPY (SELECT generate_series(1, 5000)) TO STDOUT", io.StringIO())
            same(cursor.rowcount, 5000)
    if LEVEL == "ddl":
        with does("migration", "CREATE TABLE, ALTER TABLE"):
            cursor.execute("CREATE TABLE made (id serial PRIMARY KEY); ALTER TABLE made ADD name text")
    with refused():
        cursor.execute(NOT_ALLOWED_SQL)
    with does("goes on", "after a refusal"):
        same(fetched("SELECT 1"), [[1]])
    connection.autocommit = False
    with does("cursors", "a cursor with a name"), connection, connection.cursor("there") as there:
        there.itersize = 100
        there.execute("SELECT generate_series(1, 1000)")
        same(sum(1 for _ in there), 1000)


if __name__ == "__main__":
    main()
