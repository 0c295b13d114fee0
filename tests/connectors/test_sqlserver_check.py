"""*Test connection* on SQL Server and Azure SQL tells what would make a grant or its end fail. Shown on the model.

Each fault is put on the model as the documentation describes it; that a server shows it so, no live one has shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from connectors.azuresql import checking as azure_checking
from connectors.base import CheckReport, Level, Remedy, Scope
from connectors.errors import AdminLoginRefused, ServerRefused, TriggerInTheWay
from connectors.sqlserver import checking, joining
from connectors.sqlserver.failures import refused_login, translate
from connectors.sqlserver.privileges import wanted
from connectors.sqlserver.recording import Database, Owned, RecordedServer, User
from connectors.sqlserver.session import OWN_SETTINGS
from tests.connectors import test_azuresql as azure
from tests.connectors.test_sqlserver_failures import reported
from tests.connectors.test_sqlserver_recording import GROUP, TARGET, Lab, lab

__all__ = ["lab"]

READ = Scope(Level.READ, ("orders",), group=GROUP)
DDL = Scope(Level.DDL, ("orders",), group=GROUP)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> azure.Lab:
    return azure.Lab(monkeypatch)


def checked(lab: Lab, *scopes: Scope) -> CheckReport:
    lab.server.properties["ProductVersion"] = "16.0.4135.4"
    return checking.check(TARGET, lab.sessions, scopes)


def in_cloud(cloud: azure.Lab, *scopes: Scope) -> CheckReport:
    return azure_checking.check(azure.TARGET, cloud.sessions, scopes)


def only(report: CheckReport) -> Remedy:
    assert len(report.remedies) == 1, report.remedies
    return report.remedies[0]


def test_a_check_leaves_nothing_behind(lab: Lab, cloud: azure.Lab) -> None:
    assert checked(lab, READ).remedies == in_cloud(cloud, READ).remedies == ()
    for server in (lab.server, cloud.server):
        assert not server.logins
        assert not server.databases["orders"].users
        assert not [role for role in server.databases["orders"].roles if role.startswith("lockgate")]
        assert not server.databases["orders"].roles["db_datareader"]
    assert lab.server.ran("CREATE LOGIN")
    assert cloud.server.ran("CREATE USER")


@pytest.mark.parametrize(
    ("statement", "number", "words"),
    [
        ("CREATE LOGIN", 3609, "Let the trigger pass"),
        ("ALTER LOGIN .* DISABLE", 229, "Run the SQL"),
        ("CREATE ROLE", 3609, "Let the trigger pass"),
        ("db_datareader", 15151, "Run the SQL"),
        ("CREATE USER", 3906, "Run the SQL"),
        ("DROP USER", 3616, "Let the trigger pass"),
    ],
)
def test_what_fails_when_it_is_tried_blocks_and_is_named(lab: Lab, statement: str, number: int, words: str) -> None:
    lab.server.fail(statement, number, times=99)
    remedy = only(checked(lab, READ))
    assert remedy.blocking
    assert str(number) in remedy.problem
    assert words in remedy.what_to_do
    lab.server.failures.clear()
    assert checked(lab, READ).ok


def test_triggers_of_the_server_and_of_a_database_are_named(lab: Lab) -> None:
    lab.server.triggers = {
        "audit_logins": {"LOGON"},
        "guard": {"CREATE_LOGIN", "DROP_LOGIN"},
        "other": {"CREATE_TABLE"},
    }
    lab.server.databases["orders"].triggers = {"no_users": {"CREATE_USER"}, "tables": {"ALTER_TABLE"}}
    report = checked(lab)
    assert report.ok
    told = " ".join(remedy.problem for remedy in report.remedies)
    assert [name in told for name in ("audit_logins", "guard", "no_users", "other", "tables")] == [True] * 3 + [
        False
    ] * 2


def permissions(server: RecordedServer) -> None:
    server.databases["orders"].permissions = [
        ("public", 1, "SELECT", "dbo", "salaries"),
        ("guest", 0, "CONNECT", "", ""),
        ("public", 0, "VIEW ANY COLUMN MASTER KEY DEFINITION", "", ""),
    ]


def test_what_everybody_may_is_told(lab: Lab, cloud: azure.Lab) -> None:
    for place, check in ((lab, checked), (cloud, in_cloud)):
        permissions(place.server)
        report = check(place)  # type: ignore[operator]
        told = [remedy.problem for remedy in report.remedies]
        assert report.ok
        assert len(told) == 2
        assert "Every login of the server has in database orders by way of guest: CONNECT." in told[0]
        assert "by way of public: SELECT on dbo.salaries." in told[1]


def test_a_database_that_access_roles_name_blocks_where_nothing_can_be_given_in_it(lab: Lab) -> None:
    orders = lab.server.databases["orders"]
    orders.is_read_only = True
    assert checked(lab).ok
    report = checked(lab, READ)
    assert not report.ok
    assert "SET READ_WRITE" in report.remedies[0].what_to_do
    orders.is_read_only, orders.is_secondary = False, True
    report = checked(lab, READ)
    assert not report.ok
    assert "secondary of an availability group" in report.remedies[0].problem
    orders.is_secondary = False
    lab.server.lacking = {"CONTROL"}
    assert not checked(lab, READ).ok
    lab.server.lacking = set()
    report = checked(lab, replace(READ, databases=("nowhere",)))
    assert not report.ok
    assert "nowhere" in only(report).problem


SHUT: list[Callable[[Database], None]] = [
    lambda one: setattr(one, "is_online", False),
    lambda one: setattr(one, "may_enter", False),
]


@pytest.mark.parametrize("shut", SHUT, ids=["offline", "closed"])
def test_on_azure_sql_a_database_that_cannot_be_read_blocks_until_it_is_written_down(
    cloud: azure.Lab, shut: Callable[[Database], None]
) -> None:
    shut(cloud.server.databases["billing"])
    remedy = only(in_cloud(cloud))
    assert remedy.blocking
    assert "shut for good" in remedy.what_to_do
    known = azure_checking.check(replace(azure.TARGET, known_shut=("billing",)), cloud.sessions)
    assert known.ok
    assert "known to be shut" in only(known).problem


@pytest.mark.parametrize("permission", ["VIEW DATABASE STATE", "VIEW DEFINITION"])
def test_on_azure_sql_what_we_may_not_see_blocks(cloud: azure.Lab, permission: str) -> None:
    cloud.server.lacking = {permission}
    assert not in_cloud(cloud).ok
    cloud.server.lacking = {"KILL DATABASE CONNECTION"}
    assert in_cloud(cloud).ok
    assert not in_cloud(cloud, READ).ok


def test_who_follows_is_named_and_a_receipt_says_where_nobody_looked(lab: Lab, cloud: azure.Lab) -> None:
    for place in (lab, cloud):
        place.server.secondaries = {"reads": "ALL", "waits": "NO"}
        place.provision()
        receipt = place.revoke()
        assert receipt.is_clean
        assert ["reads" in line for line in receipt.not_seen] == [True]
    assert [(one.name, one.is_reached) for one in checked(lab).replicas] == [("reads", False), ("waits", False)]


# --- Levels


def test_whose_rights_a_definer_gets_is_told(lab: Lab) -> None:
    report = checked(lab, DDL)
    assert report.ok
    assert "reaches schemas of dbo in database orders" in only(report).problem
    orders = lab.server.databases["orders"]
    orders.users["workshop_owner"] = User(b"of nobody")
    orders.owned = [Owned("SCHEMA", "workshop", "workshop_owner")]
    assert checked(lab, replace(DDL, schemas=("workshop",))).remedies == ()
    orders.roles["db_datareader"].add("workshop_owner")
    assert "schemas of workshop_owner" in only(checked(lab, replace(DDL, schemas=("workshop",)))).problem


@pytest.mark.parametrize("level", [Level.READ, Level.WRITE, Level.DDL])
@pytest.mark.parametrize("shape", [{}, {"schemas": ("a",)}, {"tables": (("a", "b"),)}], ids=str)
def test_no_level_lets_others_run_code_or_take_over(level: Level, shape: dict[str, object]) -> None:
    held = {name for names in wanted(replace(DDL, level=level, **shape)).values() for name in names}  # type: ignore[arg-type]
    assert not held & {"REFERENCES", "CONTROL", "IMPERSONATE", "TAKE OWNERSHIP", "CREATE ASSEMBLY", "CREATE SYNONYM"}
    assert not {name for name in held if name.startswith("ALTER ANY") and name != "ALTER ANY SCHEMA"}


def test_a_group_that_holds_references_from_before_loses_it(lab: Lab) -> None:
    lab.provision("orders", level=Level.DDL)
    lab.server.databases["orders"].granted[GROUP].add("REFERENCES")
    lab.provision("orders", level=Level.DDL)
    assert "REFERENCES" not in lab.server.databases["orders"].granted[GROUP]


@pytest.mark.parametrize("role", [*joining.TOO_MUCH, "lockgate_orders_ddl_12345678", "lg_abcdefghij_bob"])
def test_nobody_joins_what_leads_to_everything(lab: Lab, role: str) -> None:
    lab.server.databases["orders"].roles |= {role: set(), "reporting": set(), "between": {"reporting"}}
    scope = Scope(Level.MEMBER, ("orders",), database_roles=(role,))
    with pytest.raises(ServerRefused, match="Nobody joins"):
        joining.refuse_too_much(lab.sessions.on("orders"), scope)
    lab.server.databases["orders"].roles[role] = {"between"}
    with pytest.raises(ServerRefused, match="between is in"):
        joining.refuse_too_much(lab.sessions.on("orders"), replace(scope, database_roles=("reporting",)))


def test_nobody_joins_a_role_that_may_act_as_somebody_or_give_itself_anything(lab: Lab) -> None:
    orders = lab.server.databases["orders"]
    orders.roles["reporting"] = set()
    scope = Scope(Level.MEMBER, ("orders",), database_roles=("reporting",))
    joining.refuse_too_much(lab.sessions.on("orders"), scope)
    for kind, permission in ((0, "CONTROL"), (0, "CREATE ASSEMBLY"), (4, "IMPERSONATE")):
        orders.permissions = [("reporting", kind, permission, "", "")]
        with pytest.raises(ServerRefused, match=permission):
            joining.refuse_too_much(lab.sessions.on("orders"), scope)


# --- What the driver and our own sessions say


@pytest.mark.parametrize(
    ("sqlstate", "words", "code", "kind"),
    [
        ("42000", "Logon failed for login 'lockgate' due to trigger execution.", "17892", TriggerInTheWay),
        ("28000", "Login failed for user 'lockgate'. Reason: The account is disabled.", "18470", AdminLoginRefused),
        ("28000", "Login failed for user 'lockgate'. Reason: The password of the account has expired.", "18487", None),
        (
            "42000",
            "Client with IP address '192.0.2.1' is not allowed to access the server.",
            "40615",
            AdminLoginRefused,
        ),
        ("42000", "The target database, 'orders', … is currently not accessible for queries.", "976", ServerRefused),
        ("42000", 'Cannot open database "orders" requested by the login.', "4060", ServerRefused),
    ],
)
def test_a_refused_login_is_told_as_what_it_is(sqlstate: str, words: str, code: str, kind: type | None) -> None:
    ours = refused_login(reported(sqlstate, words))
    assert ours.code == code
    assert isinstance(ours, kind or AdminLoginRefused)


def test_a_trigger_that_ends_a_statement_is_told_as_a_trigger() -> None:
    for number in (3609, 3616):
        assert isinstance(translate(reported("42000"), number), TriggerInTheWay)


def test_our_sessions_hang_on_no_setting_of_the_server() -> None:
    for setting in ("IMPLICIT_TRANSACTIONS OFF", "ANSI_NULLS ON", "ROWCOUNT 0", "LANGUAGE us_english", "COST_LIMIT 0"):
        assert setting in OWN_SETTINGS
