"""What a client gives when it connects holds, or the login is refused with a sentence; nothing is dropped without a word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import psycopg
import pytest

from gateway.errors import SettingRefused
from gateway.wire.postgresql.startup import asked_settings, server_settings
from tests.gateway.wire.gateways import EVERYTHING, TOKEN, Gateway, packed, startup
from tests.gateway.wire.sockets import Wire, errors, field, parse, query, values

Start = Callable[..., Gateway]

READ_ONLY = replace(EVERYTHING, read_only=True)


# --- How they are read


@pytest.mark.parametrize(
    ("options", "read"),
    [
        ("", {}),
        ("-c search_path=shop", {"search_path": "shop"}),
        ("-csearch_path=shop -c  jit=off", {"search_path": "shop", "jit": "off"}),
        ("--search_path=shop --Lock-Timeout=2s", {"search_path": "shop", "lock_timeout": "2s"}),
        (r"-c search_path=shop,\ public", {"search_path": "shop, public"}),
        (r"-c app.path=C:\\x\=y", {"app.path": r"C:\x=y"}),
        ("-c work_mem=1\\", {"work_mem": "1"}),
        ("\t-c\n jit=off\v-c jit=on ", {"jit": "on"}),
        (
            "-e -S 8MB -fs -f h",
            {"datestyle": "euro", "work_mem": "8MB", "enable_seqscan": "off", "enable_hashjoin": "off"},
        ),
        ("-c a.b= -c a.c=d=e", {"a.b": "", "a.c": "d=e"}),
    ],
)
def test_options_are_read_as_the_server_reads_them(options: str, read: dict[str, str]) -> None:
    assert asked_settings({"user": "a", "options": options}) == read


@pytest.mark.parametrize(
    "options",
    [
        "-c",
        "-c jit",
        "--",
        "--jit",
        "jit=off",
        "-B 16",
        "-F",
        "-c user=postgres",
        "--replication=on",
        "-c _pq_.x=1",
        "-fz",
        "-",
    ],
)
def test_options_that_cannot_be_read_are_refused_and_not_dropped(options: str) -> None:
    with pytest.raises(SettingRefused):
        asked_settings({"user": "a", "options": options})


def test_what_a_startup_message_names_itself_counts_more_than_its_options() -> None:
    asked = asked_settings({"JIT": "on", "user": "alice", "options": "-c jit=off -c Application_Name=x"})
    assert asked == {"jit": "on", "application_name": "x"}
    with pytest.raises(SettingRefused, match="'database'"):
        asked_settings({"user": "a", "Database": "other"})


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("0", "5000"),
        ("1000", "1000"),
        ("1s", "1000"),
        (" 1.5 s ", "1500"),
        ("2min", "5000"),
        ("400us", "5000"),
        ("0x10", "16"),
        ("010", "8"),
        ("1e3", "1000"),
        ("5001", "5000"),
        ("-1", "-1"),
        ("soon", "soon"),
        ("1 S", "1 S"),
    ],
)
def test_the_smaller_timeout_wins_and_nonsense_is_for_the_server(asked: str, told: str) -> None:
    rules = replace(EVERYTHING, longest_statement=timedelta(seconds=5))
    assert server_settings({"statement_timeout": asked}, rules)["statement_timeout"] == told
    assert server_settings({}, rules)["statement_timeout"] == "5000"
    assert server_settings({"statement_timeout": asked}, EVERYTHING)["statement_timeout"] == asked


# --- What holds


def shown(gateway: Gateway, name: str, **given: str) -> str:
    with psycopg.connect(gateway.conninfo, autocommit=True, **given) as connection:  # type: ignore[arg-type]
        (value,) = connection.execute(f"SHOW {name}".encode()).fetchone() or ("",)
    return str(value)


def test_a_harmless_setting_holds_however_it_is_given(gateway: Gateway) -> None:
    async def use() -> list[str]:
        given = {
            "search_path": "shop",
            "lock_timeout": "2000",
            "statement_timeout": "1000",
            "jit": "off",
            "DATESTYLE": "German",
        }
        connection = await asyncpg.connect(
            gateway.url(), server_settings={**given, "timezone": "Asia/Tokyo", "app.tenant": "42"}
        )
        found = [
            await connection.fetchval(f"SELECT current_setting('{name}')")
            for name in (*given, "TimeZone", "app.tenant", "standard_conforming_strings")
        ]
        await connection.close()
        return found

    assert asyncio.run(use()) == ["shop", "2s", "1s", "off", "German, DMY", "Asia/Tokyo", "42", "on"]
    assert shown(gateway, "search_path", options=r"-c search_path=shop,\ public --lock_timeout=3s") == "shop, public"
    opened = [entry["settings"] for entry in gateway.entries() if entry["kind"] == "opened"]
    assert opened[0]["search_path"] == "shop"
    assert opened[0]["app.tenant"] == "42"
    assert opened[1]["search_path"] == "shop, public"
    assert opened[1]["lock_timeout"] == "3s"


def test_psql_takes_its_time_zone_from_the_environment(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=7s")
    assert shown(gateway, "TimeZone") == "Asia/Tokyo"
    assert shown(gateway, "statement_timeout") == "7s"


def test_a_search_path_decides_which_table_is_read(gateway: Gateway) -> None:
    with psycopg.connect(gateway.shop.conninfo, autocommit=True) as own:
        own.execute("CREATE SCHEMA shop; CREATE TABLE shop.orders (item text); INSERT INTO shop.orders VALUES ('rum')")
        try:
            with Wire(gateway, search_path="shop") as wire:
                assert values(wire.query("SELECT item FROM orders")) == ["rum"]
        finally:
            own.execute("DROP SCHEMA shop CASCADE")


def test_a_timeout_that_is_longer_than_the_roles_is_the_roles(start: Start) -> None:
    gateway = start(rules=replace(EVERYTHING, longest_statement=timedelta(seconds=5)))
    for given, holds in ({"options": "-c statement_timeout=1s"}, "1s"), ({"options": "-c Statement-Timeout=0"}, "5s"):
        assert shown(gateway, "statement_timeout", **given) == holds
    with Wire(gateway, Statement_Timeout="6s") as wire:
        assert values(wire.query("SHOW statement_timeout")) == ["5s"]


# --- What does not


def refused(gateway: Gateway, **given: str) -> tuple[str, str]:
    """SQLSTATE and sentence."""
    with Wire(gateway, logs_in=False) as wire:
        wire.send(startup(**given))
        if (first := wire.read()) is not None and first[0] == b"R":
            wire.send(packed(b"p", TOKEN.encode() + b"\0"))
            (first,) = wire.rest()
        assert first is not None
        assert first[0] == b"E", first
        assert field(first[1], "S") == "FATAL"
        return field(first[1], "C"), field(first[1], "M")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("role", "postgres"),
        ("ROLE", "none"),
        ("session_authorization", "postgres"),
        ("session_preload_libraries", "auto_explain"),
        ("local_preload_libraries", "x"),
        ("default_transaction_read_only", "off"),
        ("Transaction_Read_Only", "no"),
        ("standard_conforming_strings", "off"),
        *(
            ("client_encoding", one)
            for one in ("SJIS", "big5", "GBK", "uhc", "GB18030", "johab", "shift_jis_2004", "Win-932")
        ),
    ],
)
def test_what_would_change_the_account_the_rules_or_the_reading_is_refused_by_name(
    start: Start, name: str, value: str
) -> None:
    gateway = start(rules=READ_ONLY)
    for given in ({name: value}, {"options": f"-c {name}={value}"}, {"options": f"--{name.replace('_', '-')}={value}"}):
        code, said = refused(gateway, **given)
        assert (code, f"'{name.lower()}'" in said) == ("42501", True), said
    assert not any(entry["kind"] == "intent" for entry in gateway.entries())


def test_a_search_path_beyond_the_schemas_of_the_role_is_refused(start: Start) -> None:
    gateway = start(rules=replace(READ_ONLY, tables=("shop.orders",)))
    for given in ({"search_path": "public, secret"}, {"options": "-c search_path=secret"}):
        code, said = refused(gateway, **given)
        assert (code, "'search_path'" in said) == ("42501", True), said
    assert shown(gateway, "search_path", options=r"-c search_path=shop,\ public") == "shop, public"


def test_an_unknown_setting_gets_the_servers_own_error(gateway: Gateway) -> None:
    for given, name, sqlstate in (
        ({"colour": "red"}, "colour", "42704"),
        ({"options": "-c colour=red"}, "colour", "42704"),
        ({"statement_timeout": "soon"}, "statement_timeout", "22023"),
        ({"port": "5"}, "port", "55P02"),
        ({"session_replication_role": "replica"}, "session_replication_role", "42501"),
    ):
        code, said = refused(gateway, **given)
        assert (code, name in said) == (sqlstate, True), said


def test_asking_for_less_is_no_harm(start: Start) -> None:
    with Wire(
        start(rules=READ_ONLY),
        default_transaction_read_only="TRUE",
        standard_conforming_strings="on",
        client_encoding="latin1",
        replication="off",
    ) as wire:
        assert values(wire.query("SHOW client_encoding")) == ["LATIN1"]


# --- What becomes so later


def a_default_of_the_account(gateway: Gateway, setting: str) -> None:
    with psycopg.connect(gateway.shop.conninfo, autocommit=True) as own:
        own.execute(f"ALTER ROLE {gateway.shop.user} {setting}".encode())


def test_the_accounts_own_defaults_are_looked_at_too(gateway: Gateway) -> None:
    a_default_of_the_account(gateway, "SET client_encoding = 'SJIS'")
    a_default_of_the_account(gateway, "SET standard_conforming_strings = off")
    try:
        code, said = refused(gateway)
        assert (code, "'client_encoding'" in said) == ("42501", True)
        # What the gateway asks for itself is more than a default.
        assert shown(gateway, "standard_conforming_strings", client_encoding="utf8") == "on"
    finally:
        a_default_of_the_account(gateway, "RESET ALL")


@pytest.mark.parametrize("setting", ["standard_conforming_strings = off", "client_encoding = 'SJIS'"])
@pytest.mark.parametrize("is_extended", [False, True])
def test_a_session_whose_texts_would_read_otherwise_ends_with_words(
    gateway: Gateway, setting: str, is_extended: bool
) -> None:
    """Set where no text says so: in a function."""
    with psycopg.connect(gateway.shop.conninfo, autocommit=True) as own:
        own.execute(
            f"CREATE FUNCTION odd() RETURNS int LANGUAGE plpgsql AS $$BEGIN SET {setting}; RETURN 1; END$$".encode()
        )
        try:
            with Wire(gateway) as wire:
                if is_extended:
                    wire.send(parse("", "SELECT odd()"), packed(b"B", bytes(8)), packed(b"E", bytes(5)), packed(b"S"))
                else:
                    wire.send(query("SELECT odd()"))
                said: Any = wire.rest()
                assert errors(said) == ["57P01"]
                assert setting.partition(" ")[0] in field(said[-1][1], "M")
        finally:
            own.execute("DROP FUNCTION odd")


def test_a_token_that_is_typed_in_the_wrong_place_is_not_in_the_record(gateway: Gateway) -> None:
    with Wire(gateway, application_name=f"x {TOKEN}", search_path=TOKEN) as wire:
        wire.query(f"SET application_name = {TOKEN}; SELECT 1 AS {TOKEN}")
    code, _ = refused(gateway, **{TOKEN: TOKEN.upper()})
    assert code == "42704"
    gateway.all_settled()
    assert "lgt_" not in str(gateway.entries()).lower()
    assert any(entry.get("application") == "x ********" for entry in gateway.entries())
