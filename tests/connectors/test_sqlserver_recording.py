"""SQL Server: the order of a revocation, and its recovery from each documented error, shown on the model of a server.

No server is needed. What only a server can show (that a disabled login is kept out, that a killed session is gone) the
contract suite shows on one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from connectors.base import (
    ExtendRequest,
    JournalEntry,
    Level,
    ProvisionRequest,
    Receipt,
    RevokeRequest,
    Scope,
    Secret,
    Target,
    Tls,
)
from connectors.errors import ConnectorError, PrincipalCannotLogIn, ScopeNotOnServer, ServerRefused, ServerUnreachable
from connectors.sqlserver import checking, ending, principals, provisioning
from connectors.sqlserver.privileges import FIXED_ROLES
from connectors.sqlserver.recording import Owned, RecordedServer, RecordedSessions, Running, User
from connectors.sqlserver.revocation import revoke
from connectors.sqlserver.setup import SERVER_PERMISSIONS

PRINCIPAL = "lg_abcdefghij_alice"
GROUP = "lockgate_orders_read_12345678"
PASSWORD = Secret("pw-of-alice-1")
TARGET = Target("sqlserver", "db.test", 1433, "lockgate", Secret("own"))


class Lab:
    """The model with two databases, and what a connector would do on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = RecordedServer("orders", "billing")
        self.server.properties["EngineEdition"] = 2
        self.sessions = RecordedSessions(self.server)
        self.journal: list[JournalEntry] = []
        self.pauses: list[float] = []
        monkeypatch.setattr(provisioning, "prove_login", self._log_in)
        monkeypatch.setattr(ending.time, "sleep", self.pauses.append)

    def _log_in(self, target: Target, principal: str, password: Secret, database: str) -> None:
        assert self.server.lets_in(principal, database)

    def provision(self, *databases: str, level: Level = Level.READ, schemas: tuple[str, ...] = ()) -> None:
        scope = Scope(level, databases or ("orders", "billing"), schemas, group=GROUP)
        request = ProvisionRequest(PRINCIPAL, PASSWORD, scope, datetime.now(UTC))
        provisioning.provision(TARGET, self.sessions, request, self.journal.append)

    def revoke(self) -> Receipt:
        request = RevokeRequest(PRINCIPAL, Scope(Level.READ, ("orders", "billing"), group=GROUP))
        return revoke(self.sessions, request, self.journal.append)

    def is_gone(self) -> bool:
        return PRINCIPAL not in self.server.logins and all(
            PRINCIPAL not in database.users for database in self.server.databases.values()
        )


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(monkeypatch)


def test_a_login_has_a_user_in_each_database_and_no_privilege_of_its_own(lab: Lab) -> None:
    lab.provision()
    for name in ("orders", "billing"):
        assert lab.server.databases[name].roles[GROUP] == {PRINCIPAL}
        assert lab.server.databases[name].users[PRINCIPAL].sid == lab.server.logins[PRINCIPAL].sid
    assert not lab.server.ran(rf"GRANT .*{PRINCIPAL}")
    found = principals.list_principals(lab.sessions)
    assert [(one.name, one.can_log_in, one.memberships) for one in found] == [(PRINCIPAL, True, (GROUP,))]


def joined(lab: Lab) -> dict[str, bool]:
    """In which fixed roles the group is."""
    return {role: GROUP in lab.server.databases["orders"].roles.get(role, set()) for role in FIXED_ROLES}


@pytest.mark.parametrize(("level", "writes"), [(Level.READ, False), (Level.WRITE, True), (Level.DDL, True)])
def test_a_whole_database_is_read_and_written_by_the_fixed_roles(lab: Lab, level: Level, writes: bool) -> None:
    lab.provision("orders", level=level)
    assert joined(lab) == {"db_datareader": True, "db_datawriter": writes}
    granted = lab.server.databases["orders"].granted.get(GROUP, set())
    assert bool(granted) is (level is Level.DDL)
    assert not granted & {"SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "CONTROL"}
    before = len(lab.server.statements)
    lab.provision("orders", level=level)
    assert not [sql for _, sql in lab.server.statements[before:] if GROUP in sql], "what is in step is left alone"


def test_where_there_are_no_fixed_roles_the_group_is_granted_what_they_hold(lab: Lab) -> None:
    lab.server.databases["orders"].roles.clear()
    lab.provision("orders", level=Level.WRITE)
    assert lab.server.databases["orders"].granted[GROUP] == {"SELECT", "INSERT", "UPDATE", "DELETE"}


def test_a_part_of_a_database_is_granted_and_no_fixed_role_joined(lab: Lab) -> None:
    lab.provision("orders", schemas=("dbo",))
    assert joined(lab) == {"db_datareader": False, "db_datawriter": False}
    assert lab.server.ran(r"GRANT SELECT ON SCHEMA::\[dbo\] TO")


def test_a_group_that_holds_more_than_the_scope_is_cut_back_and_never_holds_less_meanwhile(lab: Lab) -> None:
    lab.provision("orders", level=Level.WRITE)
    lab.server.databases["orders"].granted[GROUP] = {"SELECT", "CONTROL"}
    lab.provision("orders", level=Level.READ)
    assert joined(lab) == {"db_datareader": True, "db_datawriter": False}
    assert not lab.server.databases["orders"].granted[GROUP]
    lab.server.databases["orders"].roles["db_datareader"].clear()
    lab.server.databases["orders"].granted[GROUP] = {"SELECT"}
    lab.provision("orders", level=Level.READ)
    assert lab.server.ran(r"db_datareader\] ADD")[-1] < lab.server.ran("REVOKE SELECT")[-1]


@pytest.mark.parametrize("role", ["db_owner", "db_ddladmin", "of somebody else"])
def test_a_group_that_is_in_any_other_role_is_refused(lab: Lab, role: str) -> None:
    lab.provision("orders")
    lab.server.databases["orders"].roles[role] = {GROUP}
    with pytest.raises(ServerRefused, match="no plain group"):
        lab.provision("orders")


def test_a_repeated_provision_leaves_what_the_scope_does_not_say_any_more(lab: Lab) -> None:
    lab.provision()
    lab.server.logins[PRINCIPAL].is_disabled = True
    lab.provision("orders")
    assert lab.server.lets_in(PRINCIPAL, "orders")
    assert PRINCIPAL not in lab.server.databases["billing"].users
    assert len(lab.server.ran("CREATE LOGIN")) == 1


def test_what_is_not_on_the_server_is_told_before_anything_is_made(lab: Lab) -> None:
    with pytest.raises(ScopeNotOnServer, match="nowhere"):
        lab.provision("orders", "nowhere")
    assert not lab.server.ran("CREATE|GRANT")


def test_the_order_is_disable_kill_drop_users_drop_login(lab: Lab) -> None:
    lab.provision()
    lab.server.running = {51: Running(PRINCIPAL, "orders", polls=3), 52: Running(PRINCIPAL)}
    receipt = lab.revoke()
    assert receipt.is_clean
    assert not receipt.errors
    assert receipt.sessions_ended == 2
    assert lab.is_gone()
    disable, drop_login = lab.server.ran("ALTER LOGIN .* DISABLE"), lab.server.ran("DROP LOGIN")
    kills, drop_users = lab.server.ran("KILL"), lab.server.ran("DROP USER")
    assert len(disable) == len(drop_login) == 1
    assert disable < kills[:1] <= kills < drop_users < drop_login


def test_kill_is_sent_once_and_waited_for(lab: Lab) -> None:
    lab.provision()
    lab.server.running = {51: Running(PRINCIPAL, polls=5)}
    assert lab.revoke().is_clean
    assert len(lab.server.ran("KILL 51")) == 1
    assert len(lab.pauses) >= 5


def test_a_session_that_does_not_end_is_told_and_the_next_call_finishes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "PATIENCE_SECONDS", 0.0)
    lab.provision()
    lab.server.running = {51: Running(PRINCIPAL, polls=10_000)}
    receipt = lab.revoke()
    assert not receipt.is_clean
    assert any("session 51" in found for finding in receipt.findings for found in finding.found)
    assert PRINCIPAL in lab.server.logins
    lab.server.running[51].polls = 0
    assert lab.revoke().is_clean
    assert lab.is_gone()


def test_6106_a_session_that_went_by_itself_is_no_error(lab: Lab) -> None:
    lab.provision()
    lab.server.running = {51: Running(PRINCIPAL)}
    lab.server.before = lambda sql: lab.server.running.clear() if sql == "KILL 51" else None
    receipt = lab.revoke()
    assert receipt.is_clean
    assert not receipt.errors


def test_15434_somebody_who_got_in_behind_the_lock_is_ended_before_the_next_drop(lab: Lab) -> None:
    lab.provision()
    came = [Running(PRINCIPAL, polls=1)]

    def slip_in(sql: str) -> None:
        if sql.startswith("DROP LOGIN") and came:
            lab.server.running[77] = came.pop()

    lab.server.before = slip_in
    receipt = lab.revoke()
    assert receipt.is_clean
    assert lab.is_gone()
    first, second = lab.server.ran("DROP LOGIN")
    assert first < lab.server.ran("KILL 77")[0] < second


def test_15151_absent_is_a_success(lab: Lab) -> None:
    assert lab.revoke().is_clean
    lab.provision()
    # Somebody drops each of them just before we do.
    lab.server.before = lambda sql: lab.server.logins.clear() if sql.startswith("DROP LOGIN") else None
    assert lab.revoke().is_clean
    assert lab.is_gone()


def test_users_whose_login_is_gone_are_found_by_name_and_by_sid(lab: Lab) -> None:
    lab.provision()
    sid = lab.server.logins.pop(PRINCIPAL).sid
    lab.server.databases["master"].users["another name"] = User(sid)
    assert [one.name for one in principals.list_principals(lab.sessions)] == [PRINCIPAL]
    assert lab.revoke().is_clean
    assert lab.is_gone()
    assert not lab.server.databases["master"].users


def test_15138_what_is_owned_goes_to_the_heir_before_the_drop(lab: Lab) -> None:
    lab.provision()
    orders = lab.server.databases["orders"]
    orders.owned = [Owned("SCHEMA", "of]alice", PRINCIPAL), Owned("ROLE", "team", PRINCIPAL)]
    orders.roles["team"] = set()
    receipt = lab.revoke()
    assert receipt.is_clean
    assert {one.owner for one in orders.owned} == {"lockgate_heir"}
    assert len(receipt.handed_over) == 2
    assert lab.server.ran("ALTER AUTHORIZATION")[-1] < lab.server.ran("DROP USER")[-1]


@pytest.mark.parametrize("state", ["offline", "closed", "refused"])
def test_a_database_that_cannot_be_opened_is_named(lab: Lab, state: str) -> None:
    lab.provision()
    billing = lab.server.databases["billing"]
    billing.is_online, billing.may_enter = state != "offline", state != "closed"
    if state == "refused":
        lab.server.fail("OPEN billing", 4060, times=2)
    receipt = lab.revoke()
    assert not receipt.is_clean
    assert [line.partition(":")[0] for line in receipt.unreadable] == ["billing"]
    assert PRINCIPAL not in lab.server.databases["orders"].users
    billing.is_online = billing.may_enter = True
    assert lab.revoke().is_clean
    assert lab.is_gone()


@pytest.mark.parametrize("permission", ["ALTER ANY LOGIN", "VIEW SERVER STATE", "VIEW DEFINITION"])
def test_where_we_may_not_look_nothing_is_shown_to_be_gone(lab: Lab, permission: str) -> None:
    related = {"ALTER ANY LOGIN": "VIEW ANY DEFINITION", "VIEW SERVER STATE": "VIEW SERVER PERFORMANCE STATE"}
    lab.server.lacking = {permission, related.get(permission, "db_owner")}
    assert not lab.revoke().is_clean


@pytest.mark.parametrize("step", ["DISABLE", "KILL", "DROP USER", "DROP LOGIN", "ALTER AUTHORIZATION"])
@pytest.mark.parametrize("number", [229, 1222, 15151])
def test_it_goes_on_after_an_error_and_the_next_call_finishes(lab: Lab, step: str, number: int) -> None:
    lab.provision()
    lab.server.running = {51: Running(PRINCIPAL, "orders")}
    lab.server.databases["orders"].owned = [Owned("SCHEMA", "mine", PRINCIPAL)]
    lab.server.fail(step, number)
    lab.revoke()
    assert lab.server.ran("DROP LOGIN")
    assert lab.revoke().is_clean
    assert lab.is_gone()


def test_when_the_connection_is_lost_nothing_is_said_to_be_known(lab: Lab) -> None:
    lab.provision()
    lab.server.fail("DISABLE", 10054, breaks=True)
    with pytest.raises(ServerUnreachable):
        lab.revoke()
    assert lab.revoke().is_clean


class Crash(BaseException):
    """The process ends here."""


def crash_at(number: int) -> Callable[[str], None]:
    """Let some statements through, and no more."""
    left = [number]

    def before(sql: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Crash

    return before


@pytest.mark.parametrize("number", range(24))
def test_whenever_it_crashes_the_next_revocation_leaves_nothing(lab: Lab, number: int) -> None:
    lab.server.before = crash_at(number)
    try:
        lab.provision()
        lab.server.running = {51: Running(PRINCIPAL, polls=2)}
        lab.server.before = crash_at(max(0, number - 13))
        lab.revoke()
    except Crash:
        pass
    lab.server.before = lambda sql: None
    lab.server.roll_back()
    assert lab.revoke().is_clean
    assert lab.is_gone()


def test_an_account_that_is_gone_or_disabled_is_not_extended(lab: Lab) -> None:
    lab.provision()
    request = ExtendRequest(PRINCIPAL, datetime.now(UTC))
    provisioning.extend(lab.sessions, request, lab.journal.append)
    lab.server.logins[PRINCIPAL].is_disabled = True
    with pytest.raises(PrincipalCannotLogIn):
        provisioning.extend(lab.sessions, request, lab.journal.append)


def test_the_journal_holds_neither_password_nor_hash(lab: Lab) -> None:
    lab.provision()
    lab.server.fail("ALTER LOGIN", 229)
    with pytest.raises(ConnectorError):
        lab.provision()
    told = repr(lab.journal)
    assert PASSWORD.reveal() not in told
    sent = " ".join(sql for _, sql in lab.server.statements)
    hashes = {word for word in sent.split() if word.startswith("0x0200")}
    assert len(hashes) == 2
    assert not any(one in told for one in hashes)


def test_the_check_has_a_remedy_for_each_thing_that_is_missing(lab: Lab) -> None:
    lab.server.properties["ProductVersion"] = "16.0.4135.4"
    assert checking.check(TARGET, lab.sessions).remedies == ()
    lab.server.lacking = {*SERVER_PERMISSIONS}
    report = checking.check(TARGET, lab.sessions)
    assert not report.ok
    assert report.version == "SQL Server 2022 (16.0.4135.4)"
    assert [remedy.what_to_do for remedy in report.remedies] == [
        f"In master: GRANT {permission} TO [lockgate];" for permission in SERVER_PERMISSIONS
    ]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("EngineEdition", 5, "Azure SQL"), ("IsIntegratedSecurityOnly", 1, "Windows logins alone")],
)
def test_a_server_that_no_login_could_use_is_told(lab: Lab, name: str, value: int, words: str) -> None:
    lab.server.properties[name] = value
    report = checking.check(TARGET, lab.sessions)
    assert not report.ok
    assert words in report.remedies[0].problem


def test_databases_that_we_cannot_work_in_are_named_and_one_that_cannot_be_read_back_blocks(lab: Lab) -> None:
    lab.server.lacking = {"CONTROL"}
    assert checking.check(TARGET, lab.sessions).ok
    lab.server.databases["billing"].may_enter = False
    report = checking.check(TARGET, lab.sessions)
    assert not report.ok
    told = " ".join(remedy.problem for remedy in report.remedies)
    assert "cannot enter database billing" in told
    assert "No access can be given in database orders" in told


def test_a_connection_that_is_not_encrypted_is_told(lab: Lab) -> None:
    lab.server.fail("sys.dm_exec_connections", 300)
    target = Target("sqlserver", "db.test", 1433, "lockgate", Secret("own"), tls=Tls.DISABLE)
    report = checking.check(target, lab.sessions)
    assert not report.encrypted
    assert "not encrypted" in report.remedies[-1].problem
