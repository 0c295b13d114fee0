"""The pages of the engines show the SQL for Lockgate's own account as it is printed. No server is needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectors.base import Secret, Target
from connectors.redaction import MASK, PASSWORD_TO_CHOOSE
from connectors.registry import ENGINE_LABELS, open_connector

_PAGES = Path(__file__).parents[2] / "docs" / "engines"
#: What the script for one name says, and the page has to say too; comments and conditions aside.
_STATEMENTS = re.compile(r"(?:CREATE LOGIN|CREATE USER|GRANT|ALTER (?:SERVER )?ROLE) .*?(?=;)")


def printed(engine: str) -> str:
    """What the Servers page shows for an account of the usual name."""
    with open_connector(Target(engine, "db.test", 1, "lockgate", Secret(""))) as connector:
        return connector.setup_sql()


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_the_script_is_on_the_page_word_by_word(engine: str) -> None:
    assert f"```sql\n{printed(engine)}```\n" in (_PAGES / f"{engine}.md").read_text()


@pytest.mark.parametrize("engine", ["sqlserver", "azuresql"])
def test_the_page_says_of_each_database_what_the_script_does_in_a_loop(engine: str) -> None:
    page = (_PAGES / f"{engine}.md").read_text()
    statements = {statement.replace("N''", "N'") for statement in _STATEMENTS.findall(printed(engine))}
    assert len(statements) >= 5
    assert not [statement for statement in statements if f"{statement};" not in page]


def test_every_engine_has_its_page() -> None:
    assert {page.stem for page in _PAGES.glob("*.md")} - {"versions"} == set(ENGINE_LABELS)


@pytest.mark.parametrize("engine", ["sqlserver", "azuresql"])
def test_a_password_has_to_be_put_where_no_server_takes_what_stands_there(engine: str) -> None:
    script = printed(engine)
    assert f"PASSWORD = {PASSWORD_TO_CHOOSE}" in script
    assert "PASSWORD = N'" not in script


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_the_script_makes_an_account_that_no_password_opens(engine: str) -> None:
    """`********` was one that everybody knew. The laboratories run the script, and set a password after it."""
    statements = [line for line in printed(engine).splitlines() if not line.startswith("--")]
    assert MASK not in printed(engine)
    assert not [line for line in statements if "IDENTIFIED BY" in line or "PASSWORD" in line]
