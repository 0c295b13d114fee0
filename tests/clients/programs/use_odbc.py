"""psqlODBC, as Tableau, Excel and Access have it: by pyodbc, with cursors by DECLARE and without."""

from __future__ import annotations

import os
import threading

import pyodbc

from tests.clients.programs.telling import LEVEL, MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version


def connect(**settings: str) -> pyodbc.Connection:
    about = {
        "Driver": os.environ["ODBC_DRIVER"],
        "Servername": os.environ["PGHOST"],
        "Port": os.environ["PGPORT"],
        "Database": os.environ["PGDATABASE"],
        "Uid": os.environ["PGUSER"],
        "Pwd": os.environ["PGPASSWORD"],
        "SSLmode": "prefer",
        **settings,
    }
    return pyodbc.connect("".join(f"{name}={value};" for name, value in about.items()), autocommit=True)


def sources(connection: pyodbc.Connection) -> None:
    """What a tool lists before anybody has chosen a table."""
    cursor = connection.cursor()
    same({"orders", "visits", "things"} <= {row.table_name for row in cursor.tables(tableType="TABLE")}, True)
    same([row.column_name for row in cursor.columns(table="orders")], ["id", "item"])
    same([row.column_name for row in cursor.primaryKeys("orders")], ["id"])
    cursor.foreignKeys(foreignTable="visits").fetchall()
    cursor.statistics("orders").fetchall()
    cursor.getTypeInfo().fetchall()
    cursor.procedures().fetchall()


def main() -> None:
    connection = connect()
    version(connection.getinfo(pyodbc.SQL_DRIVER_VER))
    cursor = connection.cursor()
    with does("connects", "a DSN's words"):
        same(cursor.execute("SELECT count(*) FROM orders").fetchval(), 3)
    with does("prepared", "UseServerSidePrepare"):
        for _ in range(5):
            same(cursor.execute("SELECT item FROM orders WHERE id = ?", 2).fetchval(), "milk")
    with does("describes", "tables, columns, keys, statistics, types, procedures"):
        sources(connection)
    with does("cursors", "UseDeclareFetch"), connect(UseDeclareFetch="1", Fetch="100") as other:
        same(len(other.execute("SELECT generate_series(1, 1000)").fetchall()), 1000)
    with does("read-only", "ReadOnly"), connect(ReadOnly="1") as other:
        same(other.execute("SELECT count(*) FROM orders").fetchval(), 3)
    with does("cancel", "SQLCancel"):
        threading.Timer(0.5, cursor.cancel).start()
        try:
            cursor.execute("SELECT pg_sleep(30)")
        except pyodbc.Error as error:
            same("cancel" in str(error), True)
        same(connection.execute("SELECT 1").fetchval(), 1)
    if MAY_WRITE:
        with does("batch", "executemany, plain and fast_executemany"):
            for fast in (False, True):
                cursor.fast_executemany = fast
                cursor.executemany("INSERT INTO things (name) VALUES (?)", [(f"n{number}",) for number in range(300)])
            same(cursor.execute("SELECT count(*) FROM things").fetchval(), 600)
    else:
        with does("batch", "several statements in one"):
            same(cursor.execute("SELECT 1; SELECT 2").fetchval(), 1)
    if LEVEL == "ddl":
        with does("migration", "CREATE TABLE, ALTER TABLE"):
            cursor.execute("CREATE TABLE made (id serial PRIMARY KEY)")
            cursor.execute("ALTER TABLE made ADD name text")
    with refused():
        cursor.execute(NOT_ALLOWED_SQL)
    with does("goes on", "after a refusal"):
        same(cursor.execute("SELECT 1").fetchval(), 1)


if __name__ == "__main__":
    main()
