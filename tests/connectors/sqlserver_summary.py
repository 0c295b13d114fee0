"""What a test run says of SQL Server at its end: that it was left out, or how much of it was shown on which server."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator

import pytest

_URL = "LOCKGATE_TEST_SQLSERVER_URL"
_HERE = "tests/connectors/sqlserver_summary.py"
#: These need no server, and say nothing about one.
_WITHOUT_ONE = ("test_sqlserver_failures", "test_sqlserver_recording", "test_sqlserver_statements")
_NOT_SHOWN = "could not be shown on this server: "


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """All cases that were left out for want of a server come as from one place, so that they are one line and not a hundred."""
    report = yield
    told = report.longrepr
    if report.skipped and isinstance(told, tuple) and _URL in str(told[2]):
        report.longrepr = (_HERE, 1, told[2])
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One loud line."""
    if not os.environ.get(_URL):
        left_out = sum(_is_on_one(report) for report in terminalreporter.stats.get("skipped", []))
        told = f"its {left_out} cases were skipped" if left_out else "none of its cases were run"
        terminalreporter.write_line(
            f"SQL SERVER WAS NOT TESTED: {told}. Name a server in {_URL}, and use make test-sqlserver.",
            red=True,
            bold=True,
        )
        return
    counted = Counter(
        outcome
        for outcome in ("passed", "failed", "error")
        for report in terminalreporter.stats.get(outcome, [])
        if _is_on_one(report) and (outcome != "passed" or report.when == "call")
    )
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        told = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
        if _is_on_one(report) and _NOT_SHOWN in told:
            reasons[told.split(_NOT_SHOWN, 1)[1]] += 1
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"could not be shown: {reason} ({count} cases)")
    terminalreporter.write_line(
        f"SQL Server {_version()}: {counted.total()} cases ran, {counted['passed']} passed,"
        f" {counted['failed'] + counted['error']} failed; {reasons.total()} could not be shown on this server.",
        bold=True,
    )


def _is_on_one(report: pytest.TestReport) -> bool:
    """Whether the case is one that is shown on a server."""
    return "sqlserver" in report.nodeid and not any(name in report.nodeid for name in _WITHOUT_ONE)


def _version() -> str:
    """As the server tells it; it is asked once more, since the labs were in other processes."""
    import mssql_python

    from tests.connectors.labs.sqlserver import connect, root_of, rows

    target = root_of(os.environ[_URL])
    try:
        connection = connect(target, target.user, target.password, "master")
    except mssql_python.Error as error:
        return f"that does not answer ({error})"
    try:
        number, whole = rows(
            connection,
            "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), CAST(@@VERSION AS nvarchar(300))",
        )[0]
        return f"{number} ({str(whole).splitlines()[0].strip()})"
    finally:
        connection.close()
