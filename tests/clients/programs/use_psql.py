"""psql, the one that PSQL names: what people type, and scripts."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.clients.programs.telling import LEVEL, MAY_WRITE, NOT_ALLOWED, NOT_ALLOWED_SQL, does, refused, same, version

PSQL = os.environ["PSQL"]
MAJOR = int(os.environ.get("PSQL_MAJOR", "15"))


class Failed(Exception):
    """psql said so; `sqlstate` is what it keeps in LAST_ERROR_SQLSTATE."""

    def __init__(self, said: str, sqlstate: str) -> None:
        super().__init__(said)
        self.sqlstate = sqlstate


def psql(script: str, *connection: str) -> str:
    """The output of a script, typed line by line. Raises `Failed` for the first error of the server's or of psql's."""
    end = "" if "\\" in script.splitlines()[-1] else ";"
    done = subprocess.run(
        [PSQL, "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", *connection],
        input=f"{script}{end}\n\\warn sqlstate=:LAST_ERROR_SQLSTATE\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said, _, code = done.stderr.rpartition("sqlstate=")
    if done.returncode or said:
        raise Failed(said.strip() or done.stderr.strip(), code.strip())
    return done.stdout.strip()


def read() -> None:
    with does("connects", "\\conninfo"):
        same(psql("\\conninfo\nSELECT count(*) FROM orders").splitlines()[-1], "3")
    with does("prepared", "PREPARE, EXECUTE" if MAJOR < 16 else "\\bind"):
        if MAJOR < 16:
            script = "PREPARE one AS SELECT item FROM orders WHERE id = $1;\nEXECUTE one(2);\nDEALLOCATE one"
        else:
            script = "SELECT item FROM orders WHERE id = $1 \\bind 2 \\g"
        same(psql(script), "milk")
    with does("batch", "several statements in one"):
        same(psql("SELECT 1 \\; SELECT 2 \\; SELECT 3"), "1\n2\n3")
    with does("describes", "\\l \\dn \\dt \\d \\df \\dT \\du \\dp \\sf"):
        every = psql(
            "\\l\n\\dn+\n\\dt+\n\\d+ orders\n\\d visits\n\\df\n\\dT+\n\\du\n\\dp\n\\di+\n\\ds\n\\dx\n\\sf shop.price_of"
        )
        same("orders_pkey" in every and "price_of" in every, True)
    with does("cancel", "Ctrl-C"):
        cancel()


def cancel() -> None:
    """SIGINT, once the server shows that it sleeps."""
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(30)'"
    with subprocess.Popen(
        [PSQL, "--no-psqlrc", "-c", "SELECT pg_sleep(30)"], stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 10
        while psql(asleep) != "1" and time.monotonic() < deadline:
            pass
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)[1]
    same("canceling statement due to user request" in said, True)


def write() -> None:
    with tempfile.TemporaryDirectory() as folder, does("bulk", "\\copy from"):
        data = Path(folder) / "data"
        data.write_text("".join(f"c{number}\n" for number in range(5000)))
        psql(f"\\copy things (name) from '{data}'")
        same(psql("SELECT count(*) FROM things"), "5000")


def newest() -> None:
    with does("direct TLS", "sslnegotiation=direct, verify-full"):
        psql("SELECT 1", "sslnegotiation=direct sslmode=verify-full")
    if MAJOR < 18:
        return
    with does("protocol 3.2", "max_protocol_version=3.2"):
        said = psql("\\conninfo", "min_protocol_version=3.2 max_protocol_version=3.2")
        same("Protocol Version|3.2" in said, True)
    with does("pipeline", "\\startpipeline"):
        same(
            psql("\\startpipeline\nSELECT 1 \\bind \\sendpipeline\nSELECT 2 \\bind \\sendpipeline\n\\endpipeline"),
            "1\n2",
        )
    with does("named statements", "\\parse, \\bind_named"):
        same(
            psql("SELECT item FROM orders WHERE id = $1 \\parse one\n\\bind_named one 2 \\g\n\\close_prepared one"),
            "milk",
        )


def main() -> None:
    said = subprocess.run([PSQL, "--version"], capture_output=True, text=True, check=True).stdout
    version(said.split()[2])
    read()
    with does("channel binding", "channel_binding=prefer"):
        psql("SELECT 1", "channel_binding=prefer sslmode=verify-full")
    if MAJOR >= 17:
        newest()
    if MAY_WRITE:
        write()
    else:
        with does("bulk", "\\copy to"):
            same(len(psql("\\copy (select generate_series(1, 5000)) to stdout").splitlines()), 5000)
    if LEVEL == "ddl":
        with does("migration", "a script in one transaction"):
            psql("BEGIN;\nCREATE TABLE made (id serial PRIMARY KEY);\nALTER TABLE made ADD name text;\nCOMMIT")
    with refused(NOT_ALLOWED):
        psql(NOT_ALLOWED_SQL)
    with does("goes on", "after a refusal"):
        same(psql("\\set QUIET on\nSELECT 1"), "1")


if __name__ == "__main__":
    main()
