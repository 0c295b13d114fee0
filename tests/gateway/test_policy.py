"""Which rule refuses which statement, and that what is not refused is allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from access.gateway_rules import (
    Keep,
    Rules,
    StatementClass,
    Unparsed,
    in_words,
    rules_for,
    rules_from_json,
    rules_to_json,
)
from connectors.base import Level
from gateway.examining import examiner

READ, WRITE, DDL = (rules_for(level) for level in (Level.READ, Level.WRITE, Level.DDL))
NARROW = replace(WRITE, tables=("shop.*", "note"), denied_functions=("pg_*", "dblink"))
ORDERS = replace(READ, tables=("orders",))


def rule_that_refuses(rules: Rules, text: str) -> str:
    return examiner(rules, "postgres")(text).rule


@pytest.mark.parametrize(
    ("rules", "text", "rule"),
    [
        (READ, "SELECT * FROM item", ""),
        (READ, "BEGIN", ""),
        (READ, "SET search_path = shop", ""),
        (READ, "RESET ALL", ""),
        (READ, "DISCARD ALL", ""),
        (READ, "DELETE FROM item WHERE id = 1", "class"),
        (READ, "WITH x AS (DELETE FROM item WHERE id = 1 RETURNING *) SELECT * FROM x", "class"),
        (READ, "CREATE TABLE x (id int)", "class"),
        (READ, "DO $$ BEGIN END $$", "class"),
        (READ, "COPY item TO PROGRAM 'sh'", "class"),
        (READ, "SET default_transaction_read_only = off; SELECT 1", "read_only"),
        (READ, "SET default_transaction_read_only = on", ""),
        (READ, "SET default_transaction_read_only TO DEFAULT", ""),
        (READ, "SET transaction_read_only TO DEFAULT", ""),
        (READ, "RESET transaction_read_only", "read_only"),
        (WRITE, "RESET transaction_read_only", ""),
        (READ, "SELECT set_config('default_transaction_read_only_____'::varchar(29), 'off', false)", "setting"),
        (WRITE, "SELECT set_config('role_____'::char(4), 'postgres', false)", "setting"),
        (READ, "SELECT set_config('jit'::text, 'off'::varchar, false)", ""),
        (
            READ,
            "SELECT set_config(x.name, 'off', false) FROM (VALUES ('transaction_read_only')) x(name), pg_settings p"
            " WHERE p.name = 'jit'",
            "setting",
        ),
        (READ, "SELECT set_config(p.name, 'off', false) FROM pg_settings p WHERE p.name = 'jit'", ""),
        (READ, "SELECT (16400::oid).lo_unlink", "class"),
        (READ, "SELECT one.lo_unlink FROM unnest(ARRAY[16400::oid]) one", "class"),
        (ORDERS, "SELECT ('select name from customers'::text).ts_stat", "table"),
        (ORDERS, "SELECT most_common_vals FROM pg_stats WHERE tablename = 'customers'", "table"),
        (NARROW, "SELECT (60::float8).pg_sleep", "function"),
        (READ, "SELECT 1; BEGIN READ WRITE", "read_only"),
        (READ, "SELECT current_setting('jit'), set_config('jit', 'off', false)", ""),
        (READ, "SELECT set_config('search_path', '', false)", ""),
        (READ, "SELECT set_config('app.tenant', '42', true)", ""),
        (READ, "SELECT set_config('default_transaction_read_only', 'off', false)", "read_only"),
        (READ, "SELECT set_config($1, 'off', false)", "setting"),
        (WRITE, "SELECT set_config($1, 'off', false)", "setting"),
        (WRITE, "SELECT set_config('role', 'postgres', false)", "role"),
        (WRITE, 'SET "role" = postgres', "role"),
        (READ, "SET ROLE NONE", ""),
        (READ, "SET SESSION AUTHORIZATION DEFAULT; RESET ALL", ""),
        (READ, "SET standard_conforming_strings = off", "setting"),
        (READ, "SET standard_conforming_strings = on", ""),
        (READ, "SET client_encoding = 'SJIS'", "setting"),
        (READ, "SET client_encoding = 'utf-8'", ""),
        (READ, "SET bytea_output = hex", ""),
        (READ, "SELECT set_config('transaction_read_only', 'off', false)", "read_only"),
        (READ, "SET ROLE postgres", "role"),
        (READ, "FROBNICATE", "syntax"),
        (replace(READ, unparsed=Unparsed.PASS), "FROBNICATE", ""),
        (READ, "SELECT 'open", "syntax"),
        (WRITE, "DELETE FROM item WHERE id = 1", ""),
        (WRITE, "SELECT set_config('search_path', 'shop', false)", ""),
        (WRITE, "DELETE FROM item", "where"),
        (DDL, "DELETE FROM public.databasechangeloglock", ""),
        (WRITE, 'update "knex_migrations_lock" set "is_locked" = 1', ""),
        (DDL, 'TRUNCATE "public"."schema_migrations"', ""),
        (DDL, "DELETE FROM databasechangeloglock; DELETE FROM item", "where"),
        (DDL, "WITH databasechangeloglock AS (DELETE FROM item) SELECT 1", "where"),
        (DDL, "UPDATE item SET n = 1 FROM databasechangeloglock", "where"),
        (WRITE, "UPDATE item SET price = 0 WHERE 1 = 1", "where"),
        (replace(WRITE, where_required=False), "DELETE FROM item", ""),
        (WRITE, "DROP TABLE item", "class"),
        (DDL, "DROP TABLE item", ""),
        (DDL, "CREATE ROLE mallory", "class"),
        (NARROW, "SELECT * FROM shop.item", ""),
        (NARROW, "SELECT * FROM note JOIN shop.item USING (id)", ""),
        (NARROW, "SELECT * FROM secret.item", "table"),
        (NARROW, "SELECT * FROM pg_catalog.pg_class", ""),
        (NARROW, "SELECT typname FROM pg_type", ""),
        (NARROW, "SELECT * FROM information_schema.tables", ""),
        (ORDERS, "SELECT * FROM pg_mine", "table"),
        (ORDERS, "WITH customers AS (SELECT * FROM customers) SELECT * FROM customers", "table"),
        (ORDERS, "WITH customers AS (SELECT * FROM orders) SELECT * FROM customers", ""),
        (NARROW, "SELECT query_to_xml('select * from secrets', true, false, '')", "table"),
        (NARROW, "SET search_path = secret", "table"),
        (NARROW, "SET search_path = shop, public", ""),
        (NARROW, "SET search_path = ''", ""),
        (NARROW, "SELECT pg_sleep(1)", "function"),
        (NARROW, "SELECT PG_Catalog.PG_Sleep(1)", "function"),
        (Rules(classes=frozenset()), "SELECT 1", "class"),
    ],
)
def test_the_rule_that_refuses(rules: Rules, text: str, rule: str) -> None:
    assert rule_that_refuses(rules, text) == rule


def test_a_refusal_says_which_rule_and_how_to_ask_for_more() -> None:
    examined = examiner(READ, "postgres")("DROP TABLE item")
    assert examined.refusal == "It is a statement of the class ddl; the role allows read, session, transaction."
    assert "Ask in the console" in examined.hint


def test_a_text_that_cannot_be_taken_apart_shows_nothing_of_itself() -> None:
    examined = examiner(replace(READ, unparsed=Unparsed.PASS), "postgres")("SELECT 'secret")
    assert (examined.shape, examined.parsed, examined.classes) == ("", False, (StatementClass.UNKNOWN.value,))


@pytest.mark.parametrize("level", list(Level))
def test_rules_come_back_as_they_were_stored(level: Level) -> None:
    rules = replace(rules_for(level), tables=("a.*",), denied_functions=("f",), most_rows=5, longest_idle=None)
    assert rules_from_json(rules_to_json(rules)) == rules
    assert rules_from_json(rules_to_json(rules_for(level))) == rules_for(level)


def test_what_an_approver_reads_of_the_rules() -> None:
    assert in_words(READ) == (
        "statements of the classes read, session, transaction, in read-only transactions, up to 5 minutes each;"
        " a session ends after 30 minutes without a statement; texts are kept without literals"
    )
    other = in_words(replace(NARROW, most_rows=10, keep=Keep.TEXT, unparsed=Unparsed.PASS))
    for piece in (
        "on the tables shop.*, note",
        "without the functions pg_*",
        "5 minutes and 10 rows each",
        "encrypted",
    ):
        assert piece in other


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        # Up to PostgreSQL 15 its default is off.
        ("SET transaction_read_only TO DEFAULT", "SET transaction_read_only TO on"),
        ("BEGIN READ WRITE", "BEGIN READ ONLY"),
        ("begin isolation level serializable, read  write", "begin isolation level serializable, read  ONLY"),
        ("START TRANSACTION READ /* please */ WRITE", "START TRANSACTION READ   ONLY"),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        ),
        ("SET TRANSACTION READ WRITE", "SET TRANSACTION READ ONLY"),
        ("SET default_transaction_read_only TO 'off'", "SET default_transaction_read_only TO on"),
        ('set local "transaction_read_only"=0 -- back', 'set local "transaction_read_only"= on'),
    ],
)
def test_whoever_asks_to_write_on_a_read_only_role_goes_on_reading(text: str, instead: str) -> None:
    for _ in range(2):
        examined = examiner(READ, "postgres")(text)
        assert (examined.rule, " ".join(examined.instead.split())) == ("", " ".join(instead.split()))
        assert examined.text_sha256 == examiner(READ, "postgres")(examined.instead).text_sha256
    assert examiner(WRITE, "postgres")(text).instead == ""


def test_a_text_that_is_no_sql_is_refused_in_the_servers_words() -> None:
    examined = examiner(READ, "postgres")("SELECT FROM WHERE")
    assert (examined.refusal, examined.sqlstate, examined.position) == ('syntax error at or near "WHERE"', "42601", 13)


def test_a_role_that_names_the_sessions_own_account_is_told_apart() -> None:
    assert examiner(DDL, "postgres")("SET ROLE 'lg_alice'").account == "lg_alice"
    assert examiner(DDL, "postgres")("SET ROLE 'lg_alice'; SET ROLE 'boss'").account == ""
