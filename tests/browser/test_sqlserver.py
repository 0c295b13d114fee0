"""A grant on SQL Server as people see it, from the request to the receipt, on the server that the environment names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from connectors.base import Secret
from tests.access.world import World
from tests.browser.conftest import ONE_BY_ONE, Visit
from tests.browser.test_journey import SLOW_MS
from tests.connectors.labs.base import LoginRefused, Place
from tests.connectors.labs.sqlserver import SQLServerLab
from tests.lifecycle.sqlserver import NEEDS_SQLSERVER, sqlserver, sqlserver_world, till
from tests.lifecycle.test_workers import Worker, workers_in

__all__ = ["sqlserver", "sqlserver_world", "till"]

pytestmark = [ONE_BY_ONE, NEEDS_SQLSERVER]

TABS = ("sqlcmd", "ODBC", "JDBC", "SQLAlchemy")


@pytest.fixture
def sqlserver_worker(sqlserver_world: World, tmp_path: Path) -> Iterator[Worker]:
    """A real worker with its beat."""
    with workers_in(tmp_path) as start:
        yield start()


def test_from_the_request_to_the_receipt(
    sqlserver_world: World,
    sqlserver: SQLServerLab,
    till: Place,
    visit: Visit,
    sqlserver_worker: Worker,
    complaints: list[str],
) -> None:
    role = sqlserver_world.read
    alice = visit("alice", f"/request/?role={role.slug}&for=1h")
    expect(alice.locator("#preview")).to_contain_text("CREATE LOGIN")
    alice.fill("#id_reason", "A receipt was printed twice, OPS-4712")
    alice.click("#submit-request")
    alice.wait_for_url(re.compile(r"/requests/R-"))
    reference = alice.url.rstrip("/").rpartition("/")[2]

    bob = visit("bob", "/approvals/")
    bob.locator(f"[data-testid=ask-{reference}] [data-action=approve]").click()

    expect(alice.locator("#progress[data-state=active]")).to_be_visible(timeout=SLOW_MS)
    alice.click("#connect")
    for tab in TABS:
        expect(alice.locator("main")).to_contain_text(tab)
    alice.click("#reveal")
    password = alice.input_value("#password")
    principal = re.search(r"lg_[a-z0-9_]+", alice.inner_text("main"))
    assert principal is not None
    session = sqlserver.log_in(principal[0], Secret(password), till.database)
    assert session.count(till) == 3

    alice.goto(f"/requests/{reference}/")
    alice.click("#give-back")
    alice.locator("[data-testid=end-now]:visible").first.click()
    alice.goto(f"/requests/{reference}/")
    expect(alice.locator("#progress[data-state=revoked]")).to_be_visible(timeout=SLOW_MS)
    alice.click("#tab-receipt")
    expect(alice.locator("[data-testid=receipt]")).to_be_visible()
    assert not session.is_alive()
    with pytest.raises(LoginRefused):
        sqlserver.log_in(principal[0], Secret(password), till.database)
    assert complaints == []
