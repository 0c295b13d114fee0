"""An account of ours that somebody has renamed by hand, on the model of SQL Server and of Azure SQL: it ends with its grant.

That a login keeps its SID, and a user its SID and its extended properties, through a rename is what the documentation says;
no live server has shown it.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.azuresql import catalogue as azure_catalogue
from connectors.azuresql import provisioning as azure_provisioning
from connectors.azuresql.connector import AzureSQLConnector
from connectors.base import ExtendRequest, FoundPrincipal, Level, ProvisionRequest, Receipt, RevokeRequest, Scope
from connectors.errors import ServerRefused
from connectors.sqlserver import accounts, principals, provisioning
from connectors.sqlserver.connector import SQLServerConnector
from connectors.sqlserver.recording import Login, Owned, Running, User
from connectors.sqlserver.statements import sid_bytes
from tests.connectors import test_azuresql as azure
from tests.connectors.test_sqlserver_recording import GROUP, PASSWORD, PRINCIPAL, TARGET, Lab, lab

__all__ = ["lab"]

SCOPE = Scope(Level.READ, ("orders", "billing"), group=GROUP)


def provisioned(lab: Lab) -> str:
    connector = SQLServerConnector(TARGET)
    connector._opened = lab.sessions
    return connector.provision(ProvisionRequest(PRINCIPAL, PASSWORD, SCOPE, datetime.now(UTC)), lab.journal.append)


def revoked(lab: Lab, identifier: str = "") -> Receipt:
    connector = SQLServerConnector(TARGET)
    connector._opened = lab.sessions
    return connector.revoke(RevokeRequest(PRINCIPAL, SCOPE, identifier=identifier), lab.journal.append)


def rename_login(lab: Lab, name: str = PRINCIPAL, other: str = "backup") -> None:
    lab.server.answer("master", f"ALTER LOGIN [{name}] WITH NAME = [{other}]", ())


def rename_user(lab: Lab | azure.Lab, database: str, name: str = PRINCIPAL, other: str = "backup") -> None:
    lab.server.answer(database, f"ALTER USER [{name}] WITH NAME = [{other}]", ())


def one_found(found: list[FoundPrincipal]) -> FoundPrincipal:
    assert len(found) == 1, found
    return found[0]


# --- SQL Server


def test_the_sid_of_a_login_is_what_it_is_known_by(lab: Lab) -> None:
    identifier = provisioned(lab)
    assert identifier == f"0x{lab.server.logins[PRINCIPAL].sid.hex()}"
    assert one_found(list(principals.list_principals(lab.sessions))).identifier == identifier


def test_a_renamed_login_ends_with_its_grant_and_so_do_its_sessions_under_either_name(lab: Lab) -> None:
    identifier = provisioned(lab)
    lab.server.running = {51: Running(PRINCIPAL, "orders")}
    rename_login(lab)
    lab.server.running[52] = Running("backup", "orders")
    receipt = revoked(lab, identifier)
    assert receipt.is_clean
    assert receipt.sessions_ended == 2
    assert not lab.server.logins
    assert not lab.server.running
    assert lab.is_gone()


def test_it_is_found_without_the_identifier_since_its_sid_is_made_of_its_name(lab: Lab) -> None:
    provisioned(lab)
    rename_login(lab)
    assert revoked(lab).is_clean
    assert not lab.server.logins


def test_while_it_is_there_under_another_name_the_receipt_is_not_clean(lab: Lab) -> None:
    identifier = provisioned(lab)
    rename_login(lab)
    lab.server.fail("DROP LOGIN", 15151, times=2)
    receipt = revoked(lab, identifier)
    assert not receipt.is_clean
    assert "login backup" in [line for finding in receipt.findings for line in finding.found]
    assert revoked(lab, identifier).is_clean


def test_a_login_of_somebody_else_with_the_old_name_goes_and_the_renamed_one_as_well(lab: Lab) -> None:
    identifier = provisioned(lab)
    rename_login(lab)
    lab.server.logins[PRINCIPAL] = Login(b"another one altogether")
    assert revoked(lab, identifier).is_clean
    assert not lab.server.logins


def test_a_login_that_was_made_before_sids_were_chosen_is_found_by_what_provision_returned(lab: Lab) -> None:
    lab.server.logins[PRINCIPAL] = Login(b"chosen by server")
    identifier = provisioned(lab)
    assert identifier == "0x" + b"chosen by server".hex()
    rename_login(lab)
    assert revoked(lab, identifier).is_clean
    assert not lab.server.logins


@pytest.mark.parametrize("identifier", ["0x01", "", "nonsense", "16385"])
def test_nobody_is_found_by_what_is_no_sid_of_a_login(lab: Lab, identifier: str) -> None:
    lab.server.logins["sa"] = Login(b"\x01")
    assert accounts.sids_of(lab.sessions.home, PRINCIPAL, identifier) == [sid_bytes(PRINCIPAL)]
    assert revoked(lab, identifier).is_clean
    assert "sa" in lab.server.logins


def test_the_sweep_is_told_what_a_renamed_login_was_made_as(lab: Lab) -> None:
    identifier = provisioned(lab)
    rename_login(lab)
    found = one_found(list(principals.list_principals(lab.sessions)))
    assert (found.name, found.principal, found.identifier, found.is_foreign) == ("backup", PRINCIPAL, identifier, False)
    assert found.memberships == (GROUP,)
    for name in ("orders", "billing"):
        rename_user(lab, name)
    found = one_found(list(principals.list_principals(lab.sessions)))
    # Nothing has its old name any more: it is told with its SID, which is that of its grant.
    assert (found.name, found.identifier, found.is_foreign) == ("backup", identifier, True)


def test_who_else_is_in_a_group_of_ours_is_told(lab: Lab) -> None:
    provisioned(lab)
    lab.server.logins["bob"] = Login(b"a login of bob's own")
    lab.server.databases["orders"].users["robert"] = User(b"a login of bob's own")
    lab.server.databases["orders"].roles[GROUP].add("robert")
    bob = next(one for one in principals.list_principals(lab.sessions) if one.name == "bob")
    assert (bob.is_foreign, bob.can_log_in, bob.memberships) == (True, True, (GROUP,))


def test_a_repeated_grant_gives_the_account_its_name_back(lab: Lab) -> None:
    provisioned(lab)
    rename_login(lab)
    rename_user(lab, "orders")
    lab.server.databases["orders"].owned = [Owned("SCHEMA", "hers", "backup")]
    provisioned(lab)
    assert set(lab.server.logins) == {PRINCIPAL}
    assert set(lab.server.databases["orders"].users) == {PRINCIPAL}


def test_a_repeated_grant_takes_nobodys_login_for_its_own(lab: Lab) -> None:
    provisioned(lab)
    rename_login(lab)
    lab.server.logins[PRINCIPAL] = Login(b"another one altogether")
    with pytest.raises(ServerRefused, match="renamed the login"):
        provisioned(lab)


def test_more_time_is_given_to_a_renamed_login(lab: Lab) -> None:
    identifier = provisioned(lab)
    rename_login(lab)
    request = ExtendRequest(PRINCIPAL, datetime.now(UTC), identifier)
    provisioning.extend(lab.sessions, request, lab.journal.append)


# --- Azure SQL


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> azure.Lab:
    return azure.Lab(monkeypatch)


def in_cloud(cloud: azure.Lab) -> AzureSQLConnector:
    connector = AzureSQLConnector(azure.TARGET)
    connector._opened = cloud.sessions
    connector._retrying = cloud.retrying
    return connector


def test_a_renamed_user_ends_with_its_grant_and_so_do_its_sessions_under_either_name(cloud: azure.Lab) -> None:
    cloud.provision()
    sid = cloud.server.databases["orders"].users[PRINCIPAL].sid
    cloud.server.running = {51: Running(PRINCIPAL, "orders", sid=sid)}
    rename_user(cloud, "orders")
    cloud.server.running[52] = Running("backup", "orders", sid=sid)
    receipt = cloud.revoke()
    assert receipt.is_clean
    assert receipt.sessions_ended == 2
    assert not any(one.users for one in cloud.server.databases.values())


def test_a_renamed_user_without_its_mark_is_found_by_its_sid(cloud: azure.Lab) -> None:
    connector = in_cloud(cloud)
    scope = Scope(Level.READ, ("orders",), group=GROUP)
    request = ProvisionRequest(PRINCIPAL, PASSWORD, scope, datetime.now(UTC))
    cloud.server.databases["orders"].users.clear()
    identifier = connector.provision(request, cloud.journal.append)
    assert identifier == "0x" + cloud.server.databases["orders"].users[PRINCIPAL].sid.hex()
    rename_user(cloud, "orders")
    cloud.server.databases["orders"].properties.clear()
    found = one_found(list(azure_catalogue.list_principals(cloud.sessions)))
    assert (found.name, found.is_foreign, found.identifier) == ("backup", True, identifier)
    assert connector.revoke(RevokeRequest(PRINCIPAL, scope, identifier=identifier), cloud.journal.append).is_clean
    assert not cloud.server.databases["orders"].users


def test_the_sweep_is_told_what_a_renamed_user_was_made_as(cloud: azure.Lab) -> None:
    cloud.provision()
    for name in ("orders", "billing"):
        rename_user(cloud, name)
    found = one_found(list(azure_catalogue.list_principals(cloud.sessions)))
    assert (found.name, found.principal, found.is_foreign) == ("backup", PRINCIPAL, False)
    azure_provisioning.extend(cloud.sessions, ExtendRequest(PRINCIPAL, datetime.now(UTC)), cloud.retrying)


def test_a_repeated_grant_gives_the_user_its_name_back(cloud: azure.Lab) -> None:
    cloud.provision()
    rename_user(cloud, "orders")
    cloud.provision()
    assert set(cloud.server.databases["orders"].users) == {PRINCIPAL}
    cloud.server.answer("orders", f"ALTER USER [{PRINCIPAL}] WITH NAME = [backup]", ())
    cloud.server.databases["orders"].users[PRINCIPAL] = User(b"another one altogether")
    with pytest.raises(ServerRefused, match="renamed the user"):
        cloud.provision()


def test_a_person_in_a_group_by_no_grant_is_told_and_one_by_a_grant_is_that_grant(cloud: azure.Lab) -> None:
    cloud.provision(identity=azure.PERSON)
    cloud.server.databases["orders"].users["bob@example.com"] = User(b"bob, of sixteen bytes", "E")
    cloud.server.databases["orders"].roles[GROUP].add("bob@example.com")
    found = {one.name: one.is_foreign for one in azure_catalogue.list_principals(cloud.sessions)}
    assert found == {PRINCIPAL: False, "bob@example.com": True}
