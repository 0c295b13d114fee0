"""One grant from request to receipt on the SQL Server that the environment names."""

from __future__ import annotations

import pytest
from django.utils import timezone

from access import provisioning
from access.services import grants
from connectors.base import Secret
from tests.access.world import World
from tests.connectors.labs.base import LoginRefused, Place
from tests.connectors.labs.sqlserver import SQLServerLab
from tests.lifecycle.sqlserver import NEEDS_SQLSERVER, sqlserver, sqlserver_world, till
from tests.lifecycle.test_lifecycle import provisioned

__all__ = ["sqlserver", "sqlserver_world", "till"]

pytestmark = NEEDS_SQLSERVER


def test_access_works_then_ends_and_the_server_knows_nothing(
    sqlserver_world: World, sqlserver: SQLServerLab, till: Place
) -> None:
    grant, password = provisioned(sqlserver_world)
    session = sqlserver.log_in(grant.principal, Secret(password), till.database)
    assert session.count(till) == 3

    grants.end(person=sqlserver_world.alice, grant=grant, reason="done", now=timezone.now())
    provisioning.revoke(grant_id=grant.pk, claimant="test")

    grant.refresh_from_db()
    assert grant.receipt["unreadable"] in ([], ())
    assert (grant.state, grant.receipt["is_clean"], grant.receipt["sessions_ended"]) == ("revoked", True, 1)
    assert not session.is_alive()
    with pytest.raises(LoginRefused):
        sqlserver.log_in(grant.principal, Secret(password), till.database)
    assert not sqlserver.account_exists(grant.principal)
