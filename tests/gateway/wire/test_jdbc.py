"""PostgreSQL's JDBC driver in a JVM, in each of its query modes; and what DBeaver, which is built on it, asks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg

from access.gateway_rules import rules_for
from connectors.base import Level
from tests.gateway.wire.gateways import TOKEN, Gateway

#: Where Debian's package has it; `make test` installs it.
DRIVER = "/usr/share/java/postgresql.jar"
PROGRAM = Path(__file__).with_name("Jdbc.java")
MODES = ["done extended", "done simple", "done extendedForPrepared", "done extendedCacheEverything"]


def run(gateway: Gateway, part: str) -> list[str]:
    address = f"jdbc:postgresql://{gateway.host}:{gateway.port}/orders-read?sslmode=disable"
    command = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", DRIVER, str(PROGRAM)]
    done = subprocess.run(
        [*command, address, "alice", TOKEN, part], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_program_that_reads_and_dbeaver_with_the_rules_of_a_role_to_read(start: Callable[..., Gateway]) -> None:
    gateway = start(rules=rules_for(Level.READ))
    assert run(gateway, "reading") == MODES
    refused = [one.rule for one in gateway.all_settled() if one.rule]
    assert refused == ["class"] * len(MODES)
    assert {one.verdict for one in gateway.statements() if not one.rule} == {"done"}


def test_a_program_that_writes_copies_cancels_and_listens(gateway: Gateway) -> None:
    try:
        assert run(gateway, "writing") == MODES
    finally:
        with psycopg.connect(gateway.shop.conninfo, autocommit=True) as own:
            own.execute("DROP TABLE IF EXISTS java")
    ran = gateway.all_settled()
    inserts = [one for one in ran if one.shape.startswith("INSERT INTO java (name)")]
    assert sum(one.rows for one in inserts) == 501 * len(MODES)
    fetches = [one.rows for one in ran if one.shape.startswith("SELECT id FROM java")]
    assert fetches == ([50] * 10 + [1]) * 3
    assert sorted({one.code for one in ran if one.verdict == "failed"}) == ["23505", "57014"]
