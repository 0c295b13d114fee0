"""Whatever a name or a text holds, the server reads back exactly that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.quoting import (
    UnquotableName,
    mariadb_name,
    mariadb_text,
    postgresql_block,
    postgresql_name,
    postgresql_text,
    sqlserver_name,
    sqlserver_text,
)
from tests.connectors.conftest import lab_of
from tests.connectors.labs.base import HOSTILE, Lab
from tests.connectors.labs.postgresql import PostgreSQLLab

_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@pytest.fixture
def connection(labs: dict[str, Lab]) -> Iterator[psycopg.Connection[tuple[str]]]:
    """A connection to a real server."""
    with cast(PostgreSQLLab, lab_of("postgresql", labs)).as_superuser("postgres") as opened:
        yield opened


@pytest.mark.parametrize("strings", ["on", "off"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(text=_texts)
def test_a_text_comes_back(connection: psycopg.Connection[tuple[str]], strings: str, text: str) -> None:
    connection.execute(f"SET standard_conforming_strings = {strings}")
    assert connection.execute(f"SELECT {postgresql_text(text)}").fetchone() == (text,)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(name=_texts.filter(lambda name: 0 < len(name.encode()) <= 63))
def test_a_name_comes_back(connection: psycopg.Connection[tuple[str]], name: str) -> None:
    cursor = connection.execute(f"SELECT 1 AS {postgresql_name(name)}")
    assert cursor.description is not None
    assert cursor.description[0].name == name


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 64, "é" * 32, "\ud800"])
def test_a_name_that_cannot_be_is_refused_and_not_cut(name: str) -> None:
    with pytest.raises(UnquotableName):
        postgresql_name(name)


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 65, "ends with a space ", "😀", "\ud800"])
def test_a_mariadb_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(UnquotableName):
        mariadb_name(name)


def test_a_nul_is_refused() -> None:
    for quote in (postgresql_text, mariadb_text, sqlserver_text):
        with pytest.raises(UnquotableName):
            quote("a\0b")


def test_mariadb_quoting() -> None:
    assert mariadb_name("odd`name") == "`odd``name`"
    assert mariadb_text("o'brien\\") == "'o''brien\\\\'"


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 129, "😀" * 65, "ends with a space ", "\ud800"])
def test_a_sqlserver_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(UnquotableName):
        sqlserver_name(name)


def test_sqlserver_quoting() -> None:
    assert sqlserver_name("odd]name[") == "[odd]]name[]"
    assert sqlserver_name("x" * 128) == f"[{'x' * 128}]"
    assert sqlserver_text("o'brien\\]") == "N'o''brien\\]'"


@given(name=_texts.filter(lambda name: bool(name) and not name.endswith(" ") and len(name.encode("utf-16-le")) <= 256))
def test_a_sqlserver_name_ends_where_it_should(name: str) -> None:
    """Read as T-SQL's lexer does: `]]` stands for one bracket, and the first single one closes."""
    inside = sqlserver_name(name)[1:-1]
    assert inside.replace("]]", "") == name.replace("]", "")
    assert inside.replace("]]", "]") == name


@pytest.mark.parametrize("text", ["a\\\nb", "a\\\r\nb", "\ud800"])
def test_a_text_that_the_server_would_change_is_refused(text: str) -> None:
    with pytest.raises(UnquotableName):
        sqlserver_text(text)


@pytest.mark.parametrize("name", ["$lockgate$", "$lockgate$ $lockgate1$", HOSTILE])
def test_nothing_closes_a_block(connection: psycopg.Connection[tuple[str]], name: str) -> None:
    body = f" BEGIN PERFORM {postgresql_text(name)}; END "
    connection.execute(f"DO {postgresql_block(body)}")
