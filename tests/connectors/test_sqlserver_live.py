"""Our own connections to a live SQL Server: encrypted, by a certificate that is checked; and what comes over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import mssql_python
import pytest

from connectors.base import CheckReport, Level, Scope, Tls
from connectors.errors import ServerRefused, ServerUnreachable
from connectors.registry import open_connector
from connectors.sqlserver import group
from connectors.sqlserver.session import Sessions
from tests.connectors.conftest import Notebook, lab_of
from tests.connectors.labs.base import Lab, random_token
from tests.connectors.labs.sqlserver import SQLServerLab, connect


@pytest.fixture
def lab(labs: dict[str, Lab]) -> Iterator[SQLServerLab]:
    """The server that the environment names."""
    found = lab_of("sqlserver", labs)
    assert isinstance(found, SQLServerLab)
    yield found
    found.tidy()


def check(lab: SQLServerLab, tls: Tls) -> CheckReport:
    with open_connector(replace(lab.target, tls=tls)) as connector:
        return connector.check()


def is_vouched_for(lab: SQLServerLab) -> bool:
    """Whether this machine knows the authority of the server's certificate, by the driver alone."""
    try:
        connect(replace(lab.target, tls=Tls.VERIFY_FULL), lab.target.user, lab.target.password, "master").close()
    except mssql_python.Error:
        return False
    return True


@pytest.mark.parametrize("tls", [Tls.VERIFY_FULL, Tls.VERIFY_CA])
def test_a_certificate_is_checked_unless_somebody_says_otherwise(lab: SQLServerLab, tls: Tls) -> None:
    if is_vouched_for(lab):
        assert check(lab, tls).encrypted
        return
    with pytest.raises(ServerUnreachable) as refused:
        check(lab, tls)
    assert "certificate" in refused.value.likely


def test_the_server_itself_says_that_the_connection_is_encrypted(lab: SQLServerLab) -> None:
    report = check(lab, Tls.REQUIRE)
    assert report.encrypted
    assert not any("encrypted" in remedy.problem for remedy in report.remedies)


def test_a_connection_without_encryption_is_told(lab: SQLServerLab) -> None:
    report = check(lab, Tls.DISABLE)
    if report.encrypted:
        pytest.skip("could not be shown on this server: connections that are not encrypted, which it does not take")
    assert report.ok
    assert any("not encrypted" in remedy.problem for remedy in report.remedies)


def test_what_the_server_remarks_does_not_hide_what_was_asked(lab: SQLServerLab) -> None:
    sessions = Sessions(lab.target)
    try:
        assert sessions.home.rows("PRINT N'a remark'; SELECT 1") == [(1,)]
    finally:
        sessions.close()


def test_who_waits_too_long_for_the_groups_is_told_so_and_may_try_again(lab: SQLServerLab) -> None:
    database = lab.make_database("busy")
    hasty = replace(lab.target, statement_timeout=timedelta(seconds=3))
    scope = Scope(Level.READ, (database,), group=f"lockgate_test_{random_token()}")
    first, second = Sessions(lab.target), Sessions(hasty)
    try:
        with group._in_turn(first.on(database)), pytest.raises(ServerRefused, match="Somebody else") as refused:
            group.bring_in_step(second.on(database), scope, Notebook())
        assert refused.value.transient
        group.bring_in_step(second.on(database), scope, Notebook())
    finally:
        first.close()
        second.close()
