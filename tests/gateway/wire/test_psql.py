"""What people type into psql, with the rules that a role of the level read has: its own commands, notices, scripts."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import psycopg
import pytest

from access.gateway_rules import rules_for
from connectors.base import Level
from tests.gateway.wire.gateways import Gateway
from tests.gateway.wire.test_clients import as_alice

Start = Callable[..., Gateway]

#: Each with a word that its answer holds.
COMMANDS = {
    r"\conninfo": "orders-read",
    r"\l": "template1",
    r"\l+": "template1",
    r"\dn": "public",
    r"\dn+": "public",
    r"\d": "orders",
    r"\d+": "orders",
    r"\d orders": "orders_pkey",
    r"\d+ orders": "orders_pkey",
    r"\dt *.*": "pg_class",
    r"\dt+": "orders",
    r"\di": "orders_pkey",
    r"\di+ orders_pkey": "orders_pkey",
    r"\dv pg_catalog.pg_tables": "pg_tables",
    r"\dm": "",
    r"\ds": "",
    r"\dS pg_roles": "rolcanlogin",
    r"\df pg_catalog.lower": "lower",
    r"\df+ pg_catalog.lower": "lower",
    r"\sf pg_catalog.lower(text)": "lower",
    r"\sv pg_catalog.pg_tables": "pg_tables",
    r"\du": "",
    r"\dg+": "",
    r"\drds": "",
    r"\dp": "orders",
    r"\ddp": "",
    r"\dT pg_catalog.int4": "integer",
    r"\dT+ pg_catalog.int4": "integer",
    r"\da pg_catalog.sum": "sum",
    r"\do pg_catalog.+": "",
    r"\dC": "bigint",
    r"\dc": "",
    r"\dO": "",
    r"\dD": "",
    r"\dd": "",
    r"\dL": "plpgsql",
    r"\dx": "plpgsql",
    r"\dx+ plpgsql": "plpgsql",
    r"\dy": "",
    r"\dA": "btree",
    r"\dAc btree int4": "int",
    r"\dAo btree integer_ops": "",
    r"\dF": "english",
    r"\dFd": "english",
    r"\dFp": "default",
    r"\dFt": "simple",
    r"\db": "pg_default",
    r"\dE": "",
    r"\des": "",
    r"\dew": "",
    r"\det": "",
    r"\deu": "",
    r"\dP": "",
    r"\dRp": "",
    r"\dX": "",
    r"\dconfig work_mem": "work_mem",
    r"\lo_list": "",
    r"\encoding": "UTF8",
    r"\z orders": "orders",
}


def ask(gateway: Gateway, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = ["psql", "-X", "-v", "ON_ERROR_STOP=1", *words]
    return subprocess.run(
        command, env=as_alice(gateway), input=given, capture_output=True, text=True, timeout=60, check=False
    )


def test_every_describing_command_works_for_whoever_may_only_read(start: Start) -> None:
    gateway = start(rules=rules_for(Level.READ))
    failed = {}
    for command, word in COMMANDS.items():
        done = ask(gateway, "-c", command)
        if done.returncode or "ERROR" in done.stderr or word not in done.stdout + done.stderr:
            failed[command] = done.stderr or done.stdout
    # A psql that is older than the server asks for columns that are gone, and would fail without a gateway too.
    alone = {command: _without_a_gateway(gateway, command) for command in failed}
    assert failed == alone
    settled = gateway.all_settled()
    assert [one for one in settled if one.rule] == []
    assert len([one for one in settled if one.verdict != "done"]) == len(failed)


def _without_a_gateway(gateway: Gateway, command: str) -> str:
    asked = ["psql", "-X", "-v", "ON_ERROR_STOP=1", "-c", command, gateway.shop.conninfo]
    return subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False).stderr


def test_a_script_of_its_own_commands(gateway: Gateway) -> None:
    script = r"""
\set ON_ERROR_ROLLBACK on
SELECT id AS wanted, item FROM orders WHERE id = 2 \gset
\echo :item
BEGIN;
SELECT 1/0;
\echo :SQLSTATE
SELECT :wanted + 40;
COMMIT;
SELECT 'SELECT ' || id || ' + 100' FROM orders ORDER BY id \gexec
SELECT * FROM orders \crosstabview id item item
\prompt ignored
"""
    done = ask(gateway, "-v", "ON_ERROR_STOP=0", "-At", given=script)
    lines = done.stdout.split("\n")
    for line in ("milk", "22012", "42", "101", "102", "103"):
        assert line in lines, done
    assert "division by zero" in done.stderr
    failed = [one.code for one in gateway.all_settled() if one.verdict == "failed"]
    assert failed == ["22012"]


def test_notices_and_notifications_pass(gateway: Gateway) -> None:
    script = "LISTEN news;\nDO $$ BEGIN RAISE NOTICE 'so far %', 7; END $$;\nNOTIFY news, 'tea';\nSELECT 1;\n"
    done = ask(gateway, "-At", given=script)
    assert "NOTICE:  so far 7" in done.stderr
    assert 'Asynchronous notification "news" with payload "tea" received' in done.stdout
    assert {one.verdict for one in gateway.all_settled()} == {"done"}
    with psycopg.connect(gateway.conninfo, autocommit=True) as connection:
        heard: list[str | None] = []
        connection.add_notice_handler(lambda diagnostics: heard.append(diagnostics.message_detail))
        connection.execute("DO $$ BEGIN RAISE WARNING 'careful' USING DETAIL = 'the whole of it'; END $$")
        assert heard == ["the whole of it"]


@pytest.mark.parametrize("refused", ["DELETE FROM orders WHERE id = 1", "CREATE TABLE mine (id int)", "VACUUM orders"])
def test_a_refusal_reads_well_in_psql(start: Start, refused: str) -> None:
    done = ask(start(rules=rules_for(Level.READ)), "-c", refused)
    assert done.returncode == 1
    assert "ERROR:  The access role does not allow this statement. It is a statement of the class" in done.stderr
    assert "HINT:  Ask in the console for an access role that allows it." in done.stderr
