"""The verbs of the connector protocol on Azure SQL; the work is in the modules beside it and in `connectors.sqlserver`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

from connectors.azuresql import catalogue, checking, hints, known_by, life, provisioning, setup, statements
from connectors.azuresql.ending import Ending
from connectors.azuresql.retrying import Retrying
from connectors.azuresql.revocation import Revocation
from connectors.base import (
    Authentication,
    CheckReport,
    ConnectionHint,
    ExtendRequest,
    FoundPrincipal,
    Journal,
    Plan,
    ProvisionRequest,
    Receipt,
    RevokeRequest,
    Scope,
    Secret,
    ServerDescription,
    SignsOfLife,
    Statement,
    Target,
)
from connectors.errors import OwnPasswordFixed
from connectors.shut import with_known_shut
from connectors.sqlserver import names
from connectors.sqlserver import session as logins
from connectors.sqlserver.session import Sessions


class AzureSQLConnector:
    """One server of Azure SQL Database; connects when first used."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._opened: Sessions | None = None
        self._retrying = Retrying(target.statement_timeout)
        #: What our own login has had since `change_own_password`, whatever its source still says.
        self._changed_to: Secret | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def check(self, scopes: Sequence[Scope] = ()) -> CheckReport:
        """See `Connector.check`."""
        report = self._retrying.insist(lambda: checking.check(self.target, self._sessions, scopes))
        return replace(report, identity=self.identify())

    def identify(self) -> str:
        """See `Connector.identify`."""
        return self._retrying.insist(lambda: known_by.identify(self._sessions))

    def signs_of_life(self) -> SignsOfLife:
        """See `Connector.signs_of_life`."""
        return self._retrying.insist(lambda: life.signs_of_life(self._sessions))

    def describe(self, inside: Sequence[str] | None = None) -> ServerDescription:
        """See `Connector.describe`."""
        return self._retrying.insist(lambda: catalogue.describe(self._sessions, inside))

    def plan(self, provision: ProvisionRequest, revoke: RevokeRequest) -> Plan:
        """See `Connector.plan`."""
        names.require_ours(provision.principal)
        names.require_ours(revoke.principal)
        return Plan(
            tuple(command.shown for command in statements.provision(provision)),
            tuple(command.shown for command in statements.revoke(revoke)),
        )

    def plan_extension(self, request: ExtendRequest) -> tuple[Statement, ...]:
        """See `Connector.plan_extension`. The server holds no end: Lockgate alone moves it."""
        names.require_ours(request.principal)
        return ()

    def provision(self, request: ProvisionRequest, journal: Journal) -> str:
        """See `Connector.provision`."""
        names.require_ours(request.principal)
        return provisioning.provision(self.target, self._sessions, request, journal, self._retrying)

    def prove_login(self, principal: str, password: Secret, database: str) -> None:
        """See `Connector.prove_login`."""
        self._retrying.insist(lambda: logins.prove_login(self.target, principal, password, database))

    def extend(self, request: ExtendRequest, journal: Journal) -> None:
        """See `Connector.extend`."""
        names.require_ours(request.principal)
        provisioning.extend(self._sessions, request, self._retrying)

    def revoke(self, request: RevokeRequest, journal: Journal) -> Receipt:
        """See `Connector.revoke`."""
        names.require_ours(request.principal)
        receipt = Revocation(self._sessions, request, journal, self._retrying, Ending(journal)).run()
        return with_known_shut(receipt, self.target.known_shut)

    def keep_group(self, scope: Scope, journal: Journal, members: Sequence[str] = ()) -> None:
        """See `Connector.keep_group`."""
        provisioning.keep_group(self._sessions, scope, journal, self._retrying)

    def list_principals(self) -> Sequence[FoundPrincipal]:
        """See `Connector.list_principals`."""
        return self._retrying.insist(lambda: catalogue.list_principals(self._sessions))

    def change_own_password(self, password: Secret, journal: Journal) -> None:
        """See `Connector.change_own_password`. A login's password is changed in master, a user's in its database.

        Never tried again by itself: when the connection breaks nobody knows whether it was done, and the old password
        that a second statement would name may not be the old one any more.
        """
        if self.target.authentication is Authentication.ACCESS_TOKEN:
            raise OwnPasswordFixed
        home = self._sessions.home
        if home.database == logins.DEFAULT_DATABASE:
            command = statements.renew_own_login(self.target.user, password, self._own_password(), home.database)
        else:
            command = statements.renew_user(self.target.user, password, home.database)
        home.run(command, journal)
        self._changed_to = password

    def prove_own_login(self, password: Secret) -> None:
        """See `Connector.prove_own_login`."""
        self._retrying.insist(lambda: logins.prove_own_login(replace(self.target, password=password)))

    def connection_hints(self, principal: str, database: str) -> Sequence[ConnectionHint]:
        """See `Connector.connection_hints`."""
        return hints.connection_hints(self.target, principal, database)

    def setup_sql(self) -> str:
        """See `Connector.setup_sql`."""
        return setup.setup_sql(self.target)

    def _own_password(self) -> Secret:
        """What our login has now, which changing it takes: taking a change back begins at what was changed to."""
        if self._changed_to is not None:
            return self._changed_to
        source = self.target.source
        return source.current() if source else self.target.password

    @property
    def _sessions(self) -> Sessions:
        """Our sessions, one to each database."""
        if self._opened is None:
            self._opened = Sessions(self.target)
        return self._opened
