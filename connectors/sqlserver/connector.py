"""The verbs of the connector protocol on SQL Server; the work is in the modules beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

from connectors.base import (
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
from connectors.identity import refuse_own_identity
from connectors.shut import with_known_shut
from connectors.sqlserver import (
    catalogue,
    checking,
    hints,
    known_by,
    life,
    names,
    own_password,
    principals,
    provisioning,
    revocation,
    setup,
    statements,
)
from connectors.sqlserver import session as logins
from connectors.sqlserver.session import Sessions, home_database


class SQLServerConnector:
    """One SQL Server; connects when first used."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._opened: Sessions | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def check(self, scopes: Sequence[Scope] = ()) -> CheckReport:
        """See `Connector.check`."""
        return replace(checking.check(self.target, self._sessions, scopes), identity=self.identify())

    def identify(self) -> str:
        """See `Connector.identify`."""
        return known_by.identify(self._sessions)

    def signs_of_life(self) -> SignsOfLife:
        """See `Connector.signs_of_life`."""
        return life.signs_of_life(self._sessions)

    def describe(self, inside: Sequence[str] | None = None) -> ServerDescription:
        """See `Connector.describe`."""
        return catalogue.describe(self._sessions, inside=inside)

    def plan(self, provision: ProvisionRequest, revoke: RevokeRequest) -> Plan:
        """See `Connector.plan`."""
        names.require_ours(provision.principal)
        names.require_ours(revoke.principal)
        home = home_database(self.target)
        return Plan(
            tuple(command.shown for command in statements.provision(provision, home)),
            tuple(command.shown for command in statements.revoke(revoke, home)),
        )

    def plan_extension(self, request: ExtendRequest) -> tuple[Statement, ...]:
        """See `Connector.plan_extension`. The server holds no end: Lockgate alone moves it."""
        names.require_ours(request.principal)
        return ()

    def provision(self, request: ProvisionRequest, journal: Journal) -> str:
        """See `Connector.provision`."""
        names.require_ours(request.principal)
        refuse_own_identity(request)
        return provisioning.provision(self.target, self._sessions, request, journal)

    def prove_login(self, principal: str, password: Secret, database: str) -> None:
        """See `Connector.prove_login`."""
        logins.prove_login(self.target, principal, password, database)

    def extend(self, request: ExtendRequest, journal: Journal) -> None:
        """See `Connector.extend`."""
        names.require_ours(request.principal)
        provisioning.extend(self._sessions, request, journal)

    def revoke(self, request: RevokeRequest, journal: Journal) -> Receipt:
        """See `Connector.revoke`."""
        names.require_ours(request.principal)
        return with_known_shut(revocation.revoke(self._sessions, request, journal), self.target.known_shut)

    def keep_group(self, scope: Scope, journal: Journal, members: Sequence[str] = ()) -> None:
        """See `Connector.keep_group`."""
        provisioning.keep_group(self._sessions, scope, journal)

    def list_principals(self) -> Sequence[FoundPrincipal]:
        """See `Connector.list_principals`."""
        return principals.list_principals(self._sessions)

    def change_own_password(self, password: Secret, journal: Journal) -> None:
        """See `Connector.change_own_password`."""
        own_password.change(self.target, self._sessions.home, password, journal)

    def prove_own_login(self, password: Secret) -> None:
        """See `Connector.prove_own_login`."""
        logins.prove_own_login(replace(self.target, password=password))

    def connection_hints(self, principal: str, database: str) -> Sequence[ConnectionHint]:
        """See `Connector.connection_hints`."""
        return hints.connection_hints(self.target, principal, database)

    def setup_sql(self) -> str:
        """See `Connector.setup_sql`."""
        return setup.setup_sql(self.target)

    @property
    def _sessions(self) -> Sessions:
        """Our sessions on the server."""
        if self._opened is None:
            self._opened = Sessions(self.target)
        return self._opened
