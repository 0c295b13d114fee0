"""From what Microsoft's driver and the server report to errors of ours. No server is needed."""

from __future__ import annotations

import pytest
from mssql_python.exceptions import sqlstate_to_exception

from connectors.base import Authentication, Secret
from connectors.errors import (
    AdminLacksPrivilege,
    AdminLoginRefused,
    ConnectorError,
    ScopeNotOnServer,
    ServerRefused,
    ServerUnreachable,
)
from connectors.sqlserver.failures import likely_cause, refused_login, translate

SECRET = Secret("hunter2")


def reported(sqlstate: str, words: str = "In whatever language, hunter2.") -> BaseException:
    """As the driver raises it."""
    found: BaseException = sqlstate_to_exception(sqlstate, f"[Microsoft][SQL Server]{words}")
    return found


@pytest.mark.parametrize(
    ("sqlstate", "kind", "code"),
    [
        ("28000", AdminLoginRefused, "18456"),
        ("42000", ServerRefused, "4060"),
        ("08004", ServerRefused, "4060"),
        ("08001", ServerUnreachable, ""),
        ("08S01", ServerUnreachable, ""),
        ("HYT00", ServerUnreachable, ""),
        ("HY000", ServerUnreachable, ""),
    ],
)
def test_a_refused_login_is_known_by_the_drivers_own_phrase(
    sqlstate: str, kind: type[ConnectorError], code: str
) -> None:
    error = reported(sqlstate)
    ours = refused_login(error, [SECRET])
    assert (type(ours), ours.code) == (kind, code)
    assert ours.__cause__ is error
    assert "hunter2" not in str(ours)


@pytest.mark.parametrize(
    ("number", "kind", "passes"),
    [
        (229, AdminLacksPrivilege, False),
        (6102, AdminLacksPrivilege, False),
        (208, ScopeNotOnServer, False),
        (15151, ScopeNotOnServer, False),
        (1205, ServerRefused, True),
        (1222, ServerRefused, True),
        (40613, ServerRefused, True),
        (2627, ServerRefused, False),
        (0, ServerRefused, False),
    ],
)
def test_a_refused_statement_is_known_by_the_servers_number(
    number: int, kind: type[ConnectorError], passes: bool
) -> None:
    ours = translate(reported("42000"), number, [SECRET])
    assert (type(ours), ours.transient) == (kind, passes)
    assert ours.code == (str(number) if number else "")
    assert "hunter2" not in str(ours)


def test_a_lost_connection_is_no_refusal_and_a_timeout_passes() -> None:
    assert isinstance(translate(reported("08S01"), 229), ServerUnreachable)
    assert translate(reported("HYT00"), 0).transient


@pytest.mark.parametrize(
    ("sqlstate", "words", "kind", "likely"),
    [
        ("28000", "Login failed for user 'lockgate'.", Authentication.PASSWORD, "Most likely the password"),
        ("28000", "Login failed for user '<token-identified principal>'.", Authentication.ACCESS_TOKEN, "the identity"),
        ("42000", "Cannot open database.", Authentication.PASSWORD, "no user in it"),
        (
            "08001",
            "SSL Provider: [error:0A000086:SSL routines::certificate verify failed:self-signed certificate]",
            Authentication.PASSWORD,
            "certificate was made by itself",
        ),
    ],
)
def test_a_refused_login_is_told_with_its_likely_cause(
    sqlstate: str, words: str, kind: Authentication, likely: str
) -> None:
    assert likely in likely_cause(refused_login(reported(sqlstate, words)), kind)


def test_nothing_is_said_where_nothing_is_likely() -> None:
    refused = refused_login(reported("08001", "TCP Provider: Error code 0x2AF9"))
    assert likely_cause(refused, Authentication.PASSWORD) == ""
