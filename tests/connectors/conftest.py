"""The laboratories, one per engine and per process of the test run, and what the tests do with an account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import cast

import pytest

from connectors.base import (
    CheckReport,
    Connector,
    JournalEntry,
    Level,
    Limits,
    ProvisionRequest,
    Receipt,
    Remedy,
    RevokeRequest,
    Scope,
    Secret,
)
from tests.connectors.labs.base import Lab, LoginRefused, Place, Session, make_password, make_principal, scope_of

#: SQL Server's cases are skipped, and loudly so, where no server is named: there is none that a test run could start.
ENGINES = ("postgresql", "mariadb", "fake", "sqlserver")


def need(lab: Lab, *features: str) -> None:
    """Skip the test where this server lacks one of the features, which the lab has tried out."""
    if missing := [feature for feature in features if feature in getattr(lab, "lacks", ())]:
        pytest.skip(f"could not be shown on this server: {'; '.join(missing)}")


def lacking(lab: Lab, scope: Scope) -> str:
    """The feature for want of which a scope cannot be granted on this server, if any."""
    cannot_show = getattr(lab, "cannot_show", None)
    return str(cannot_show(scope)) if cannot_show else ""


def blocking(lab: Lab, report: CheckReport) -> list[Remedy]:
    """What stands in the way on this server, other than what the labs of other processes have made there."""
    is_of_others = getattr(lab, "is_of_others", lambda _: False)
    return [remedy for remedy in report.remedies if remedy.blocking and not is_of_others(remedy)]


def most(lab: Lab, place: Place) -> Level:
    """The most that can be granted on this server."""
    return Level.WRITE if lacking(lab, scope_of(Level.DDL, place)) else Level.DDL


class Notebook(list[JournalEntry]):
    """A journal that keeps everything."""

    def __call__(self, entry: JournalEntry) -> None:
        self.append(entry)

    @property
    def sql(self) -> list[tuple[str, str]]:
        """Database and statement of each entry."""
        return [(entry.statement.database, entry.statement.sql) for entry in self]


@dataclass
class Account:
    """One account under test, and everything that was written about it."""

    lab: Lab
    request: ProvisionRequest
    journal: Notebook
    sessions: list[Session] = field(default_factory=list)

    @property
    def principal(self) -> str:
        return self.request.principal

    @property
    def revocation(self) -> RevokeRequest:
        return RevokeRequest(self.principal, self.request.scope)

    def provision(self, **changes: object) -> Account:
        """Make it (again), with some of the request changed."""
        self.request = replace(self.request, **changes)  # type: ignore[arg-type]
        if feature := lacking(self.lab, self.request.scope):
            need(self.lab, feature)
        with self.lab.connector() as connector:
            connector.provision(self.request, self.journal)
        return self

    def log_in(self, database: str = "") -> Session:
        """A session, closed when the test is over."""
        where = database or self.request.scope.databases[0]
        self.sessions.append(self.lab.log_in(self.principal, self.request.password, where))
        return self.sessions[-1]

    def revoke(self, journal: Notebook | None = None) -> Receipt:
        with self.lab.connector() as connector:
            return connector.revoke(self.revocation, self.journal if journal is None else journal)


class Accounts:
    """Makes accounts in one lab, and takes away whatever a test has left."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._made: list[Account] = []

    def new(
        self,
        scope: Scope,
        *,
        principal: str = "",
        lasts: timedelta = timedelta(hours=1),
        limits: Limits | None = None,
    ) -> Account:
        """An account to make; nothing has happened on the server yet."""
        request = ProvisionRequest(
            principal or make_principal(), make_password(), scope, datetime.now(UTC) + lasts, limits or Limits()
        )
        account = Account(self._lab, request, Notebook())
        self._made.append(account)
        return account

    def provisioned(self, scope: Scope, *, limits: Limits | None = None, principal: str = "") -> Account:
        """An account that is there."""
        return self.new(scope, limits=limits, principal=principal).provision()

    def clear(self) -> None:
        for account in self._made:
            for session in account.sessions:
                session.close()
            account.revoke()


@pytest.fixture(scope="session")
def labs() -> Iterator[dict[str, Lab]]:
    """The laboratories that this process has opened."""
    opened: dict[str, Lab] = {}
    yield opened
    for each in opened.values():
        each.close()


@pytest.fixture(params=ENGINES)
def lab(request: pytest.FixtureRequest, labs: dict[str, Lab]) -> Lab:
    """The server of one engine. A module about one engine alone has its own fixture of this name."""
    return lab_of(str(request.param), labs)


@pytest.fixture(autouse=True)
def _databases_end_with_their_test(labs: dict[str, Lab]) -> Iterator[None]:
    """Where every database of the server is looked into, those of other tests are in the way, and take their time."""
    yield
    for lab in labs.values():
        if tidy := getattr(lab, "tidy", None):
            tidy()


def lab_of(engine: str, labs: dict[str, Lab]) -> Lab:
    """The laboratory of an engine; made when the first test of this process asks for it."""
    if engine not in labs:
        labs[engine] = cast(Lab, import_module(f"tests.connectors.labs.{engine}").open_lab())
    return labs[engine]


@pytest.fixture
def accounts(lab: Lab) -> Iterator[Accounts]:
    """Makes accounts, and takes away what the test leaves."""
    made = Accounts(lab)
    yield made
    made.clear()


@pytest.fixture
def connector(lab: Lab) -> Iterator[Connector]:
    """The connector under test."""
    with lab.connector() as opened:
        yield opened


@pytest.fixture
def secret() -> Secret:
    """A password."""
    return make_password()


@pytest.fixture
def orders(lab: Lab) -> Place:
    """A table of the customer's with three rows, in a database of its own."""
    database = lab.make_database("orders")
    return lab.make_table(database, lab.make_schema(database))


def assert_gone(lab: Lab, account: Account) -> None:
    """No login, no account, no session, no privilege."""
    with pytest.raises(LoginRefused):
        account.log_in()
    assert not lab.account_exists(account.principal)
    assert lab.sessions_of(account.principal) == 0
    assert not lab.privileges_of(account.principal)


def assert_without(secret: Secret, *texts: str) -> None:
    """The secret is in none of the texts."""
    for text in texts:
        assert secret.reveal() not in text
