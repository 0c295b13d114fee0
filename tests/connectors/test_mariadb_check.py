"""Whether our own account on a server will do: everything it can lack, and that the remedy for it helps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from connectors.base import CheckReport, Remedy, Target
from connectors.errors import ConnectorError
from connectors.registry import open_connector
from tests.connectors.conftest import lab_of
from tests.connectors.labs.base import Lab, random_token
from tests.connectors.labs.mariadb import MariaDBLab, quoted, run_in_client


@pytest.fixture
def lab(labs: dict[str, Lab]) -> MariaDBLab:
    return cast(MariaDBLab, lab_of("mariadb", labs))


def check(target: Target) -> CheckReport:
    with open_connector(target) as connector:
        return connector.check()


def apply(root: Target, remedy: Remedy) -> None:
    """What the remedy says, pasted into the client."""
    run_in_client(root, remedy.what_to_do)


# --- Our own account


@pytest.fixture
def newcomer(lab: MariaDBLab) -> Iterator[Target]:
    """An account of ours as `setup_sql` makes it, for one test."""
    target = replace(lab.target, user=f"lockgate_{random_token()}")
    run_in_client(lab.root, open_connector(target).setup_sql())
    lab.rows(f"SET PASSWORD FOR {quoted(target.user)}@`%` = PASSWORD('{target.password.reveal()}')")
    yield target
    lab.rows(f"DROP USER {quoted(target.user)}@`%`")


def test_setup_is_enough_and_can_be_run_again(lab: MariaDBLab, newcomer: Target) -> None:
    assert check(newcomer).ok
    run_in_client(lab.root, open_connector(newcomer).setup_sql())
    assert check(newcomer).ok


def test_setup_gives_the_databases_that_are_there(lab: MariaDBLab, newcomer: Target) -> None:
    before, after = lab.make_database("before_%"), lab.make_database("after")
    setup_sql = open_connector(newcomer).setup_sql()
    lab.drop_database(after)
    run_in_client(lab.root, setup_sql)
    lab.rows(f"CREATE DATABASE {quoted(after)}")

    told = {remedy.problem: remedy for remedy in check(newcomer).remedies}

    assert not any(before in problem for problem in told)
    remedy = next(remedy for problem, remedy in told.items() if after in problem)
    assert not remedy.blocking
    apply(lab.root, remedy)
    assert not any(after in remedy.problem for remedy in check(newcomer).remedies)


def test_setup_gives_no_more_than_it_says(lab: MariaDBLab, newcomer: Target) -> None:
    held = [row[0] for row in lab.rows(f"SHOW GRANTS FOR {quoted(newcomer.user)}@`%`")]
    everywhere = next(line for line in held if "ON *.*" in line)
    assert everywhere.startswith("GRANT PROCESS, SHOW DATABASES, CREATE USER, CONNECTION ADMIN ON *.* ")
    assert "GRANT OPTION" not in everywhere
    assert any(line.startswith("GRANT SELECT ON `mysql`.* TO") and "OPTION" not in line for line in held)


@pytest.mark.parametrize("privilege", ["CREATE USER", "CONNECTION ADMIN", "PROCESS", "SHOW DATABASES"])
def test_a_missing_global_privilege_is_named_and_the_remedy_helps(
    lab: MariaDBLab, newcomer: Target, privilege: str
) -> None:
    lab.rows(f"REVOKE {privilege} ON *.* FROM {quoted(newcomer.user)}@`%`")
    report = check(newcomer)
    assert report.ok == (privilege == "SHOW DATABASES")
    remedy = next(remedy for remedy in report.remedies if f"lacks {privilege}" in remedy.problem)
    apply(lab.root, remedy)
    lab.rows(f"KILL USER {quoted(newcomer.user)}")
    assert not any(privilege in remedy.problem for remedy in check(newcomer).remedies)


@pytest.mark.parametrize(
    ("grant", "word"), [("SELECT ON `mysql`.*", "account tables"), ("EVENT ON `lockgate`.*", "events")]
)
def test_a_missing_privilege_on_a_database_is_named_and_the_remedy_helps(
    lab: MariaDBLab, newcomer: Target, grant: str, word: str
) -> None:
    lab.rows(f"REVOKE {grant} FROM {quoted(newcomer.user)}@`%`")
    lab.rows(f"KILL USER {quoted(newcomer.user)}")
    try:
        report = check(newcomer)
    except ConnectorError:
        pytest.fail("A check tells; it does not fail.")
    assert not report.ok
    apply(lab.root, next(remedy for remedy in report.remedies if word in remedy.problem))
    assert check(newcomer).ok


def test_an_administrator_of_everything_will_do_too(lab: MariaDBLab) -> None:
    assert check(lab.root).ok
