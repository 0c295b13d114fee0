"""Clients as people have them, through a real worker: what they do works, and every statement is recorded as it ended."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import asyncpg
import psycopg
import pytest
from psycopg import sql

from tests.gateway.wire.gateways import TOKEN, Gateway


@pytest.fixture
def table(gateway: Gateway) -> Iterator[str]:
    """An empty table, taken away behind the gateway's back."""
    with psycopg.connect(gateway.shop.conninfo, autocommit=True) as own:
        own.execute("CREATE TABLE things (id int PRIMARY KEY, name text CONSTRAINT no_gin CHECK (name <> 'gin'))")
        yield "things"
        own.execute("DROP TABLE IF EXISTS things")


def as_alice(gateway: Gateway) -> dict[str, str]:
    """The environment of somebody who has the token."""
    return {
        **os.environ,
        "PGHOST": gateway.host,
        "PGPORT": str(gateway.port),
        "PGUSER": "alice",
        "PGDATABASE": "orders-read",
        "PGPASSWORD": TOKEN,
        "PSQLRC": "/dev/null",
    }


def command(gateway: Gateway, *words: str) -> str:
    """A program of PostgreSQL's."""
    done = subprocess.run(words, env=as_alice(gateway), capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


# --- psql and pgbench


def test_psql_describes_and_runs(gateway: Gateway) -> None:
    assert "orders" in command(gateway, "psql", "-c", r"\dt")
    assert "orders_pkey" in command(gateway, "psql", "-c", r"\d orders")
    assert command(gateway, "psql", "-Atc", "SELECT 1; SELECT item FROM orders WHERE id = 2").split() == ["1", "milk"]
    both = gateway.ran("SELECT 1; SELECT item FROM orders WHERE id = 2")
    assert (both.verdict, both.rows) == ("done", 2)
    gateway.all_settled()


def test_psql_copies_in_and_out(gateway: Gateway, table: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_text("".join(f"{number}\tthing {number}\n" for number in range(2000)))
    assert "COPY 2000" in command(gateway, "psql", "-c", rf"\copy {table} from '{data}'")
    copied = tmp_path / "copied"
    assert "COPY 2000" in command(gateway, "psql", "-c", rf"\copy (select * from {table} order by id) to '{copied}'")
    assert copied.read_text() == data.read_text()
    rows = [(one.verdict, one.rows) for one in gateway.all_settled() if "COPY" in one.shape.upper()]
    assert rows == [("done", 2000), ("done", 2000)]


def test_psql_watches(gateway: Gateway) -> None:
    # Its limit came with version 17; here it is the end of the program.
    watching = subprocess.Popen(
        ["psql", "-Atq"], env=as_alice(gateway), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with watching:
        assert watching.stdin is not None
        assert watching.stdout is not None
        watching.stdin.write("SELECT 7 \\watch 0.05\n")
        watching.stdin.flush()
        assert [line for line in (watching.stdout.readline() for _ in range(5)) if line.strip()]
        watching.kill()
    seen = gateway.all_settled()
    assert len(seen) >= 2
    assert {one.shape for one in seen} == {"SELECT ?"}


def test_psycopg_tells_the_servers_error_whole(gateway: Gateway, table: str) -> None:
    with (
        psycopg.connect(gateway.conninfo, autocommit=True) as connection,
        pytest.raises(psycopg.errors.CheckViolation) as failed,
    ):
        connection.execute("INSERT INTO things VALUES (1, 'gin')")
    diagnostics = failed.value.diag
    assert (diagnostics.constraint_name, diagnostics.table_name, diagnostics.sqlstate) == ("no_gin", "things", "23514")
    assert "Failing row contains (1, gin)." in (diagnostics.message_detail or "")
    ran = gateway.ran("INSERT INTO things VALUES (1, 'gin')")
    assert (ran.verdict, ran.code, ran.rows) == ("failed", "23514", 0)


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench(gateway: Gateway, tmp_path: Path, mode: str) -> None:
    script = tmp_path / "script"
    script.write_text("\\set id random(1, 3)\nSELECT item FROM orders WHERE id = :id;\n")
    said = command(gateway, "pgbench", "-n", "-M", mode, "-f", str(script), "-c", "4", "-t", "50")
    assert "number of transactions actually processed: 200/200" in said
    ran = [one for one in gateway.all_settled() if "orders" in one.shape]
    assert [(one.verdict, one.rows) for one in ran] == [("done", 1)] * 200


# --- asyncpg


def test_asyncpg(gateway: Gateway, table: str) -> None:
    async def use() -> None:
        connection = await asyncpg.connect(gateway.url(), ssl=False)
        prepared = await connection.prepare("SELECT item FROM orders WHERE id = $1")
        assert [await prepared.fetchval(number) for number in (1, 2, 3)] == ["tea", "milk", "sugar"]
        await connection.executemany("INSERT INTO things VALUES ($1, $2)", [(n, str(n)) for n in range(100)])
        async with connection.transaction():
            cursor = await connection.cursor("SELECT id FROM things ORDER BY id")
            assert [row[0] for row in await cursor.fetch(30)] == list(range(30))
            assert [row[0] for row in await cursor.fetch(10)] == list(range(30, 40))
        with pytest.raises(asyncpg.UniqueViolationError) as taken:
            await connection.execute("INSERT INTO things VALUES ($1, 'again')", 5)
        assert taken.value.constraint_name == "things_pkey"
        out = BytesIO()
        assert await connection.copy_from_query("SELECT * FROM things", output=out) == "COPY 100"
        await connection.execute("TRUNCATE things")
        out.seek(0)
        assert await connection.copy_to_table("things", source=out) == "COPY 100"
        with pytest.raises(TimeoutError):
            await connection.execute("SELECT pg_sleep(20)", timeout=0.2)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()

    asyncio.run(use())
    assert gateway.ran("SELECT pg_sleep(20)").code == "57014"
    inserts = [one for one in gateway.all_settled() if "INSERT" in one.shape]
    assert [(one.verdict, one.rows) for one in inserts] == [("done", 1)] * 100 + [("failed", 0)]
    fetched = [one.rows for one in gateway.statements() if one.shape.startswith("SELECT id FROM things")]
    assert fetched == [30, 10]


def test_asyncpg_listens(gateway: Gateway) -> None:
    async def use() -> None:
        connection = await asyncpg.connect(gateway.url(), ssl=False)
        other = await asyncpg.connect(gateway.url(), ssl=False)
        heard: asyncio.Queue[object] = asyncio.Queue()
        await connection.add_listener("orders", lambda *said: heard.put_nowait(said[3]))
        await other.execute("SELECT pg_notify('orders', 'tea')")
        assert await asyncio.wait_for(heard.get(), 5) == "tea"
        await connection.close()
        await other.close()

    asyncio.run(use())
    assert all(one.verdict == "done" for one in gateway.all_settled())


# --- psycopg


def test_psycopg_pipeline(gateway: Gateway, table: str) -> None:
    with psycopg.connect(gateway.conninfo, autocommit=True) as connection:
        with connection.pipeline(), connection.cursor() as cursor:
            cursor.executemany("INSERT INTO things VALUES (%s, %s)", [(n, "x") for n in range(200)])
            read = connection.execute("SELECT count(*) FROM things")
            assert read.fetchone() == (200,)
        with pytest.raises(psycopg.errors.UndefinedTable):
            _fail_in_a_pipeline(connection)
        assert connection.execute("SELECT 1").fetchone() == (1,)
    inserts = [one for one in gateway.all_settled() if "INSERT" in one.shape]
    assert [(one.verdict, one.rows) for one in inserts] == [("done", 1)] * 200
    assert gateway.ran("SELECT * FROM nowhere").verdict in ("failed", "skipped")


def _fail_in_a_pipeline(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with connection.pipeline():
        connection.execute("SELECT * FROM nowhere")
        connection.execute("SELECT 'behind it'")


def test_psycopg_copies(gateway: Gateway, table: str) -> None:
    with psycopg.connect(gateway.conninfo, autocommit=True) as connection:
        with connection.cursor() as cursor:
            with cursor.copy("COPY things FROM STDIN") as copy:
                for number in range(5000):
                    copy.write_row((number, f"thing {number}"))
            with cursor.copy("COPY things TO STDOUT") as copy:
                assert sum(1 for _ in copy.rows()) == 5000
            with pytest.raises(psycopg.errors.UniqueViolation), cursor.copy("COPY things (id) FROM STDIN") as copy:
                copy.write_row((1,))
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (5000,)
    assert gateway.ran("COPY things FROM STDIN").rows == 5000
    assert gateway.ran("COPY things TO STDOUT").rows == 5000
    failed = gateway.ran("COPY things (id) FROM STDIN")
    assert (failed.verdict, failed.code) == ("failed", "23505")


def test_psycopg_cursor_on_the_server(gateway: Gateway) -> None:
    with psycopg.connect(gateway.conninfo) as connection, connection.cursor("there") as cursor:
        cursor.itersize = 2
        cursor.execute("SELECT id FROM orders WHERE id <= 3 ORDER BY id")
        assert [row[0] for row in cursor] == [1, 2, 3]
    fetches = [one.rows for one in gateway.all_settled() if "FETCH" in one.shape.upper()]
    assert fetches == [2, 1]


def test_psycopg_prepares_at_once(gateway: Gateway) -> None:
    with psycopg.connect(gateway.conninfo, prepare_threshold=0, autocommit=True) as connection:
        for number in (1, 2, 3):
            assert connection.execute("SELECT %s + 1", (number,)).fetchone() == (number + 1,)
    ran = [one for one in gateway.all_settled() if one.sha256 == gateway.ran("SELECT $1 + 1").sha256]
    assert [one.verdict for one in ran] == ["done"] * 3


def test_psycopg_cancels(gateway: Gateway) -> None:
    async def use() -> float:
        connection = await psycopg.AsyncConnection.connect(gateway.conninfo, autocommit=True)
        running = asyncio.create_task(connection.execute("SELECT pg_sleep(20)"))
        await asyncio.sleep(0.3)
        began = time.monotonic()
        await connection.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            await running
        await connection.execute("SELECT 1")
        await connection.close()
        return time.monotonic() - began

    assert asyncio.run(use()) < 2
    assert (gateway.ran("SELECT pg_sleep(20)").verdict, gateway.ran("SELECT 1").verdict) == ("failed", "done")


def test_names_as_identifiers_pass_unchanged(gateway: Gateway) -> None:
    with psycopg.connect(gateway.conninfo, autocommit=True) as connection:
        text = sql.SQL("SELECT 1 AS {}").format(sql.Identifier('o"dd né'))
        cursor = connection.execute(text)
        assert cursor.description is not None
        assert cursor.description[0].name == 'o"dd né'
    assert gateway.ran('SELECT 1 AS "o""dd né"').verdict == "done"
