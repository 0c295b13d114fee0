"""What people approve is what runs: the plan against the journal, on the model of SQL Server and of Azure SQL."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from connectors.azuresql.connector import AzureSQLConnector
from connectors.base import ExtendRequest, Level, ProvisionRequest, RevokeRequest, Scope, Statement
from connectors.sqlserver.connector import SQLServerConnector
from connectors.sqlserver.recording import RecordedServer
from tests.connectors import test_azuresql as azure
from tests.connectors.test_sqlserver_recording import GROUP, PASSWORD, PRINCIPAL, TARGET, Lab, lab

__all__ = ["lab"]

SHAPES = [
    Scope(level, ("orders", "billing"), group=GROUP, **shape)  # type: ignore[arg-type]
    for level, shape in product(
        (Level.READ, Level.WRITE, Level.DDL), [{}, {"schemas": ("dbo",)}, {"tables": (("dbo", "parts"),)}]
    )
] + [Scope(Level.MEMBER, ("orders",), database_roles=("reporting",))]


def sent(statements: tuple[Statement, ...] | list[Statement]) -> list[tuple[str, str]]:
    """Where and what; a question that changes nothing is in no journal."""
    return [(one.database, re.sub(r"\s+", " ", one.sql)) for one in statements if not one.sql.startswith("SELECT")]


def prepare(server: RecordedServer) -> None:
    for name in ("orders", "billing"):
        server.databases[name].roles["reporting"] = set()


def with_a_table(server: RecordedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of tables the model knows only what somebody owns.
    monkeypatch.setattr("connectors.sqlserver.provisioning._TABLE", "SELECT 1 WHERE %s <> %s")


@pytest.mark.parametrize("scope", SHAPES, ids=str)
def test_on_sql_server_the_plan_is_what_runs(lab: Lab, monkeypatch: pytest.MonkeyPatch, scope: Scope) -> None:
    prepare(lab.server)
    with_a_table(lab.server, monkeypatch)
    connector = SQLServerConnector(TARGET)
    connector._opened = lab.sessions
    request = ProvisionRequest(PRINCIPAL, PASSWORD, scope, datetime.now(UTC))
    plan = connector.plan(request, RevokeRequest(PRINCIPAL, scope))
    connector.provision(request, lab.journal.append)
    assert sent([entry.statement for entry in lab.journal]) == sent(plan.provision)
    lab.journal.clear()
    assert connector.revoke(RevokeRequest(PRINCIPAL, scope), lab.journal.append).is_clean
    assert sorted(sent([entry.statement for entry in lab.journal])) == sorted(sent(plan.revoke))


@pytest.mark.parametrize("identity", ["", azure.PERSON])
@pytest.mark.parametrize("scope", SHAPES, ids=str)
def test_on_azure_sql_the_plan_is_what_runs(monkeypatch: pytest.MonkeyPatch, scope: Scope, identity: str) -> None:
    cloud = azure.Lab(monkeypatch)
    prepare(cloud.server)
    connector = AzureSQLConnector(azure.TARGET)
    connector._opened = cloud.sessions
    request = ProvisionRequest(PRINCIPAL, PASSWORD, scope, datetime.now(UTC), identity=identity)
    revoke = RevokeRequest(PRINCIPAL, scope, identity=identity)
    plan = connector.plan(request, revoke)
    connector.provision(request, cloud.journal.append)
    assert sent([entry.statement for entry in cloud.journal]) == sent(plan.provision)
    cloud.journal.clear()
    assert connector.revoke(revoke, cloud.journal.append).is_clean
    ran, planned = sent([entry.statement for entry in cloud.journal]), sent(plan.revoke)
    only_if = sent([one for one in plan.revoke if one.note.startswith("Only if")])
    # Databases are gone through by name. What runs only under a condition says so, and one of the two does.
    assert sorted([*ran, *(one for one in only_if if one not in ran)]) == sorted(planned)
    assert len([one for one in only_if if one not in ran]) == len(only_if) / 2


@pytest.mark.parametrize("engine", ["sqlserver", "azuresql"])
def test_more_time_for_an_access_runs_nothing_and_its_plan_says_so(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    place = lab if engine == "sqlserver" else azure.Lab(monkeypatch)
    kind = SQLServerConnector if engine == "sqlserver" else AzureSQLConnector
    connector = kind(replace(TARGET, engine=engine))
    connector._opened = place.sessions
    place.provision()
    place.journal.clear()
    request = ExtendRequest(PRINCIPAL, datetime.now(UTC))
    connector.extend(request, place.journal.append)
    assert connector.plan_extension(request) == ()
    assert place.journal == []
