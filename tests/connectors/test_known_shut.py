"""A database that is shut for good: *Test connection* names it, and once it is written down no revocation waits for it.

Shown on the model of a SQL Server: whether a server says of such a database what the model says, no live one has shown.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.base import Level, RevokeRequest, Scope
from connectors.sqlserver.connector import SQLServerConnector
from connectors.sqlserver.recording import Database
from tests.connectors.test_sqlserver_recording import PRINCIPAL, TARGET, Lab, lab

__all__ = ["lab"]

SHUT = {"archive2019": Database(is_online=False), "rdsadmin": Database(may_enter=False)}


def connector_on(lab: Lab, *known_shut: str) -> SQLServerConnector:
    connector = SQLServerConnector(replace(TARGET, known_shut=known_shut))
    connector._opened = lab.sessions
    return connector


def revoked(lab: Lab, *known_shut: str) -> object:
    request = RevokeRequest(PRINCIPAL, Scope(Level.READ, ("orders",)))
    return connector_on(lab, *known_shut).revoke(request, lab.journal.append)


@pytest.fixture(autouse=True)
def _two_that_are_shut(lab: Lab) -> None:
    lab.provision()
    lab.server.databases |= SHUT


@pytest.mark.parametrize("name", sorted(SHUT))
def test_what_keeps_revocations_unclean_is_found_and_blocks(lab: Lab, name: str) -> None:
    found = [remedy for remedy in connector_on(lab).check().remedies if name in remedy.problem]
    assert [remedy.blocking for remedy in found] == [True]
    assert "shut for good" in found[0].what_to_do


def test_what_is_written_down_blocks_nothing_and_is_told(lab: Lab) -> None:
    report = connector_on(lab, *SHUT).check()
    assert report.ok
    assert {name for name in SHUT for remedy in report.remedies if name in remedy.problem} == set(SHUT)


def test_a_revocation_waits_for_what_is_shut_and_is_not_known_to_be(lab: Lab) -> None:
    receipt = revoked(lab, "rdsadmin")
    assert not receipt.is_clean  # type: ignore[attr-defined]
    assert [line.partition(":")[0] for line in receipt.unreadable] == ["archive2019"]  # type: ignore[attr-defined]


def test_a_revocation_is_clean_without_what_is_known_to_be_shut_and_names_it(lab: Lab) -> None:
    receipt = revoked(lab, *SHUT)
    assert receipt.is_clean  # type: ignore[attr-defined]
    assert [line.partition(":")[0] for line in receipt.not_seen] == ["archive2019", "rdsadmin"]  # type: ignore[attr-defined]
    assert lab.is_gone()


def test_one_that_has_opened_again_is_read_like_any_other(lab: Lab) -> None:
    lab.server.databases["archive2019"] = Database()
    receipt = revoked(lab, *SHUT)
    assert [line.partition(":")[0] for line in receipt.not_seen] == ["rdsadmin"]  # type: ignore[attr-defined]
    assert "archive2019" in [finding.database for finding in receipt.findings]  # type: ignore[attr-defined]
