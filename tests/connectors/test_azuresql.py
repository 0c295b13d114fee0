"""Azure SQL, shown on the model of a server: order, recovery, patience, and people's own identities. No server is needed.

What only a real server can show (that a blocked user is kept out, that an ended session is gone) is not shown here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from connectors.azuresql import catalogue, checking, provisioning
from connectors.azuresql.connector import AzureSQLConnector
from connectors.azuresql.ending import Ending
from connectors.azuresql.retrying import TRANSIENT, Retrying
from connectors.azuresql.revocation import Revocation
from connectors.base import (
    JournalEntry,
    Level,
    ProvisionRequest,
    Receipt,
    RevokeRequest,
    Scope,
    Secret,
    Target,
)
from connectors.errors import ConnectorError, ScopeNotOnServer, ServerRefused
from connectors.registry import open_connector
from connectors.sqlserver.recorded_catalogue import Login
from connectors.sqlserver.recording import Owned, RecordedServer, RecordedSessions, Running, User, raise_number

PRINCIPAL = "lg_abcdefghij_alice"
PERSON = "alice@example.com"
GROUP = "lockgate_orders_read_12345678"
PASSWORD = Secret("pw-of-alice-1")
TARGET = Target("azuresql", "orders.database.windows.net", 1433, "lockgate", Secret("own"))


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


class Lab:
    """The model with two databases, and what a connector would do on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = RecordedServer("orders", "billing")
        self.sessions = RecordedSessions(self.server)
        self.clock = Clock()
        self.journal: list[JournalEntry] = []
        monkeypatch.setattr(provisioning, "prove_login", self._log_in)

    def _log_in(self, target: Target, principal: str, password: Secret, database: str) -> None:
        assert self.server.lets_in(principal, database)

    @property
    def retrying(self) -> Retrying:
        return Retrying(timedelta(seconds=10), clock=self.clock, sleep=self.clock.sleep)

    def provision(self, principal: str = PRINCIPAL, *, identity: str = "", scope: Scope | None = None) -> None:
        scope = scope or Scope(Level.READ, ("orders", "billing"), group=GROUP)
        request = ProvisionRequest(principal, PASSWORD, scope, datetime.now(UTC), identity=identity)
        provisioning.provision(TARGET, self.sessions, request, self.journal.append, self.retrying)

    def revoke(self, principal: str = PRINCIPAL) -> Receipt:
        request = RevokeRequest(principal, Scope(Level.READ, ("orders", "billing"), group=GROUP))
        ending = Ending(self.journal.append, clock=self.clock, sleep=self.clock.sleep)
        return Revocation(self.sessions, request, self.journal.append, self.retrying, ending).run()

    def is_gone(self, name: str = PRINCIPAL) -> bool:
        return all(name not in database.users for database in self.server.databases.values())


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(monkeypatch)


def test_an_account_is_a_user_in_each_database_and_has_nothing_of_its_own(lab: Lab) -> None:
    lab.provision()
    for name in ("orders", "billing"):
        database = lab.server.databases[name]
        assert database.roles[GROUP] == {PRINCIPAL}
        assert lab.server.lets_in(PRINCIPAL, name)
    assert not lab.server.logins
    assert not lab.server.ran(r"\bUSE\b")
    found = catalogue.list_principals(lab.sessions)
    assert [(one.name, one.can_log_in, one.memberships) for one in found] == [(PRINCIPAL, True, (GROUP,))]


def test_a_repeated_provision_changes_the_password_and_lets_in_again(lab: Lab) -> None:
    lab.provision()
    lab.server.databases["orders"].users[PRINCIPAL].may_connect = False
    lab.provision()
    assert lab.server.lets_in(PRINCIPAL, "orders")
    assert len(lab.server.ran("ALTER USER .* WITH PASSWORD")) == 2


def test_a_database_that_is_not_there_is_told_before_anything_is_made(lab: Lab) -> None:
    with pytest.raises(ScopeNotOnServer, match="nowhere"):
        lab.provision(scope=Scope(Level.READ, ("orders", "nowhere"), group=GROUP))
    assert not lab.server.ran("CREATE")


def test_nobody_joins_a_role_that_may_do_anything(lab: Lab) -> None:
    with pytest.raises(ServerRefused, match="db_owner"):
        lab.provision(scope=Scope(Level.MEMBER, ("orders",), database_roles=("db_owner",)))


def test_the_order_is_block_kill_drop_flush_in_each_database(lab: Lab) -> None:
    lab.provision()
    lab.server.running = {51: Running(PRINCIPAL, "orders", polls=3), 52: Running(PRINCIPAL, "orders")}
    receipt = lab.revoke()
    assert receipt.is_clean
    assert receipt.sessions_ended == 2
    assert lab.is_gone()
    block, drop = lab.server.ran("REVOKE CONNECT")[-1], lab.server.ran("DROP USER")[-1]
    kills, flushes = lab.server.ran("KILL"), lab.server.ran("FLUSHAUTHCACHE")
    assert block < min(kills) < max(kills) < drop < max(flushes)
    assert any(block < flush < min(kills) for flush in flushes)


def test_kill_is_sent_once_and_waited_for(lab: Lab) -> None:
    lab.provision()
    lab.server.running = {51: Running(PRINCIPAL, "orders", polls=5)}
    assert lab.revoke().is_clean
    assert len(lab.server.ran("KILL 51")) == 1
    assert len(lab.clock.pauses) >= 5


def test_a_session_that_does_not_end_is_told_and_the_next_call_finishes(lab: Lab) -> None:
    lab.provision()
    lab.server.running = {51: Running(PRINCIPAL, "orders", polls=10_000)}
    assert not lab.revoke().is_clean
    lab.server.running[51].polls = 0
    assert lab.revoke().is_clean


def test_a_session_that_went_by_itself_is_no_error(lab: Lab) -> None:
    lab.provision()
    lab.server.running = {51: Running(PRINCIPAL, "orders")}
    lab.server.before = lambda sql: lab.server.running.clear() if sql == "KILL 51" else None
    receipt = lab.revoke()
    assert receipt.is_clean
    assert not receipt.errors


def test_what_is_owned_goes_to_the_heir_before_the_drop(lab: Lab) -> None:
    lab.provision()
    lab.server.databases["orders"].owned = [Owned("SCHEMA", "of]alice", PRINCIPAL)]
    receipt = lab.revoke()
    assert receipt.is_clean
    assert [one.owner for one in lab.server.databases["orders"].owned] == ["lockgate_heir"]
    assert "of]alice" in receipt.handed_over[0]


def test_absent_is_a_success_and_a_session_of_it_is_still_ended(lab: Lab) -> None:
    lab.server.running = {51: Running(PRINCIPAL, "billing")}
    receipt = lab.revoke()
    assert receipt.is_clean
    assert receipt.sessions_ended == 1


@pytest.mark.parametrize("state", ["offline", "closed"])
def test_a_database_that_cannot_be_opened_is_named(lab: Lab, state: str) -> None:
    lab.provision()
    billing = lab.server.databases["billing"]
    billing.is_online, billing.may_enter = state != "offline", state != "closed"
    receipt = lab.revoke()
    assert not receipt.is_clean
    assert [line.partition(":")[0] for line in receipt.unreadable] == ["billing"]
    assert PRINCIPAL not in lab.server.databases["orders"].users
    billing.is_online = billing.may_enter = True
    assert lab.revoke().is_clean
    assert lab.is_gone()


@pytest.mark.parametrize("permission", ["VIEW DEFINITION", "VIEW DATABASE STATE"])
def test_where_we_may_not_look_nothing_is_shown_to_be_gone(lab: Lab, permission: str) -> None:
    lab.provision()
    lab.server.lacking = {permission}
    receipt = lab.revoke()
    assert not receipt.is_clean
    assert len(receipt.unreadable) == 2


@pytest.mark.parametrize("step", ["REVOKE CONNECT", "KILL", "DROP USER", "FLUSHAUTHCACHE"])
def test_it_goes_on_after_an_error_and_the_next_call_finishes(lab: Lab, step: str) -> None:
    lab.provision()
    lab.server.running = {51: Running(PRINCIPAL, "orders")}
    lab.server.fail(step, 229)
    first = lab.revoke()
    assert first.errors
    assert lab.server.ran("DROP USER")
    assert lab.revoke().is_clean
    assert lab.is_gone()


# --- Passing errors


@pytest.mark.parametrize("number", sorted(TRANSIENT, key=int))
def test_a_passing_error_is_waited_out(lab: Lab, number: str) -> None:
    lab.server.fail("CREATE USER", int(number), times=2)
    lab.server.fail("OPEN billing", int(number))
    lab.provision()
    lab.server.fail("DROP USER", int(number))
    receipt = lab.revoke()
    assert receipt.is_clean
    assert not receipt.errors
    assert lab.clock.pauses


def test_a_connection_that_breaks_behind_a_statement_does_no_harm(lab: Lab) -> None:
    lab.server.fail("ALTER ROLE", 10054, breaks=True)
    lab.provision()
    lab.server.fail("KILL|DROP USER", 10054, breaks=True)
    assert lab.revoke().is_clean
    assert lab.is_gone()


def test_patience_ends_with_the_deadline_of_the_step(lab: Lab) -> None:
    lab.server.fail("CREATE USER", 40613, times=10_000)
    with pytest.raises(ConnectorError) as told:
        lab.provision()
    assert told.value.code == "40613"
    assert 5 < lab.clock.now < 10


def test_another_error_is_not_tried_again(lab: Lab) -> None:
    def refuse() -> None:
        raise_number(229)

    with pytest.raises(ConnectorError):
        lab.retrying.insist(refuse)
    assert not lab.clock.pauses


# --- With one's own identity


def test_a_person_is_let_in_for_the_window_only(lab: Lab) -> None:
    lab.provision(identity=PERSON)
    for name in ("orders", "billing"):
        assert lab.server.databases[name].users[PERSON].type == "E"
        assert lab.server.databases[name].roles[GROUP] == {PERSON}
    assert not lab.server.ran("PASSWORD")
    assert [one.name for one in catalogue.list_principals(lab.sessions)] == [PRINCIPAL]
    lab.server.running = {51: Running(PERSON, "orders", polls=2)}
    receipt = lab.revoke()
    assert receipt.is_clean
    assert receipt.sessions_ended == 1
    assert lab.is_gone(PERSON)
    in_orders = [place for place, (database, _) in enumerate(lab.server.statements) if database == "orders"]
    leave, kill, drop = (
        next(place for place in lab.server.ran(what) if place in in_orders)
        for what in ("DROP MEMBER", "KILL 51", "DROP USER")
    )
    assert leave < kill < drop
    assert catalogue.list_principals(lab.sessions) == []


def test_a_user_that_was_there_before_stays(lab: Lab) -> None:
    orders = lab.server.databases["orders"]
    orders.users[PERSON] = User(b"of " + PERSON.encode(), "E")
    orders.roles["reporting"] = {PERSON}
    lab.provision(identity=PERSON)
    assert lab.revoke().is_clean
    assert PERSON in orders.users
    assert orders.roles == {"db_datareader": {GROUP}, "db_datawriter": set(), "reporting": {PERSON}, GROUP: set()}
    assert not orders.properties
    assert PERSON not in lab.server.databases["billing"].users


def test_two_grants_of_one_person_do_not_end_each_other(lab: Lab) -> None:
    lab.provision(identity=PERSON)
    lab.provision("lg_bbbbbbbbbb_alice", identity=PERSON)
    assert lab.revoke().is_clean
    for name in ("orders", "billing"):
        assert lab.server.databases[name].roles[GROUP] == {PERSON}
    assert lab.revoke("lg_bbbbbbbbbb_alice").is_clean
    assert lab.is_gone(PERSON)


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


@pytest.mark.parametrize("identity", ["", PERSON])
@pytest.mark.parametrize("number", range(24))
def test_whenever_it_crashes_the_next_revocation_leaves_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, identity: str, number: int
) -> None:
    lab.server.before = crash_at(number)
    try:
        lab.provision(identity=identity)
        lab.server.before = crash_at(max(0, number - 14))
        lab.revoke()
    except Crash:
        pass
    lab.server.before = lambda sql: None
    lab.server.roll_back()
    assert lab.revoke().is_clean
    assert lab.is_gone()
    assert lab.is_gone(identity or PRINCIPAL)
    assert lab.revoke().is_clean


# --- Our own password


def test_our_own_password_can_be_changed_and_changed_back(lab: Lab) -> None:
    lab.server.logins[TARGET.user] = Login(b"ours", password=TARGET.password.reveal())
    connector = AzureSQLConnector(TARGET)
    connector._opened = lab.sessions
    connector.change_own_password(PASSWORD, lab.journal.append)
    assert lab.server.logins[TARGET.user].password == PASSWORD.reveal()
    # A rotation whose new password does not get in takes it back on the session that is still open.
    connector.change_own_password(TARGET.password, lab.journal.append)
    assert lab.server.logins[TARGET.user].password == TARGET.password.reveal()
    assert PASSWORD.reveal() not in repr(lab.journal)
    assert len({entry.digest for entry in lab.journal}) == 2


def test_a_user_of_one_database_changes_its_password_there(lab: Lab) -> None:
    lab.server.databases["orders"].users[TARGET.user] = User(b"ours")
    connector = AzureSQLConnector(TARGET)
    connector._opened = RecordedSessions(lab.server, home="orders")
    connector.change_own_password(PASSWORD, lab.journal.append)
    assert lab.server.ran("ALTER USER")
    assert not lab.server.ran("ALTER LOGIN")


def test_a_login_to_prove_is_tried_again_after_a_passing_error(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    connector = AzureSQLConnector(TARGET)
    connector._retrying = lab.retrying
    tries: list[Target] = []

    def prove(target: Target) -> None:
        tries.append(target)
        if len(tries) == 1:
            raise_number(40613)

    monkeypatch.setattr("connectors.sqlserver.session.prove_own_login", prove)
    connector.prove_own_login(PASSWORD)
    assert [target.password for target in tries] == [PASSWORD, PASSWORD]


# --- What is shown


def test_a_plan_needs_no_server_and_holds_no_password() -> None:
    scope = Scope(Level.DDL, ("orders",), schemas=("app",), group=GROUP)
    for identity in ("", PERSON):
        with open_connector(TARGET) as connector:
            plan = connector.plan(
                ProvisionRequest(PRINCIPAL, PASSWORD, scope, datetime.now(UTC), identity=identity),
                RevokeRequest(PRINCIPAL, scope, identity=identity),
            )
        texts = [one.sql for one in (*plan.provision, *plan.revoke)]
        assert PASSWORD.reveal() not in "".join(texts)
        assert all(one.database == "orders" for one in (*plan.provision, *plan.revoke))
        assert ("FROM EXTERNAL PROVIDER" in "".join(texts)) is bool(identity)


def test_people_get_a_tab_for_each_client_with_an_account_and_as_themselves() -> None:
    with open_connector(TARGET) as connector:
        with_account = {hint.label: hint.text for hint in connector.connection_hints(PRINCIPAL, "orders")}
        as_themselves = {hint.label: hint.text for hint in connector.connection_hints(PERSON, "orders")}
    assert {"sqlcmd", "ODBC", "JDBC", "SQLAlchemy"} <= with_account.keys() & as_themselves.keys()
    assert "{password}" in with_account["ODBC"]
    for text in as_themselves.values():
        assert "password" not in text.lower()
        assert "alice" in text
    url = urlsplit(as_themselves["SQLAlchemy"])
    assert (unquote(url.username or ""), url.hostname, url.path) == (PERSON, TARGET.host, "/orders")
    assert parse_qs(url.query)["Authentication"] == ["ActiveDirectoryInteractive"]


def test_the_journal_holds_no_password(lab: Lab) -> None:
    lab.provision()
    lab.server.fail("ALTER USER", 229)
    with pytest.raises(ConnectorError):
        lab.provision()
    assert PASSWORD.reveal() not in repr(lab.journal)
    assert any("********" in entry.statement.sql for entry in lab.journal)


def test_the_check_names_what_is_missing(lab: Lab) -> None:
    lab.server.databases["billing"].may_enter = False
    report = checking.check(TARGET, lab.sessions)
    assert [remedy.problem.startswith("Database billing cannot be entered") for remedy in report.remedies] == [True]
    assert report.encrypted
    assert report.version.startswith("Azure SQL 12")
