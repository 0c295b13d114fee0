"""The verbs of the connector protocol on MariaDB; the work is in the modules beside it."""

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
from connectors.mariadb import (
    catalogue,
    checking,
    hints,
    known_by,
    life,
    marks,
    names,
    own_password,
    provisioning,
    revocation,
    setup,
    statements,
)
from connectors.mariadb.session import Session, prove_own_login


class MariaDBConnector:
    """One MariaDB server; connects when first used."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._opened: Session | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def check(self, scopes: Sequence[Scope] = ()) -> CheckReport:
        """See `Connector.check`."""
        return replace(checking.check(self.target, self._session), identity=self.identify())

    def identify(self) -> str:
        """See `Connector.identify`."""
        return known_by.identify(self._session)

    def signs_of_life(self) -> SignsOfLife:
        """See `Connector.signs_of_life`."""
        return life.signs_of_life(self._session)

    def describe(self, inside: Sequence[str] | None = None) -> ServerDescription:
        """See `Connector.describe`."""
        return catalogue.describe(self._session, inside)

    def plan(self, provision: ProvisionRequest, revoke: RevokeRequest) -> Plan:
        """See `Connector.plan`."""
        names.require_ours(provision.principal)
        names.require_ours(revoke.principal)
        return Plan(statements.shown(statements.provision(provision)), statements.shown(statements.revoke(revoke)))

    def plan_extension(self, request: ExtendRequest) -> tuple[Statement, ...]:
        """See `Connector.plan_extension`."""
        names.require_ours(request.principal)
        return statements.shown([statements.set_switch(request.principal, request.valid_until, request.made_by)])

    def provision(self, request: ProvisionRequest, journal: Journal) -> str:
        """See `Connector.provision`."""
        names.require_ours(request.principal)
        refuse_own_identity(request)
        provisioning.provision(self.target, self._session, request, journal)
        return marks.identifier_of(request.principal)

    def prove_login(self, principal: str, password: Secret, database: str) -> None:
        """See `Connector.prove_login`."""
        provisioning.prove_login(self.target, principal, password, [database] if database else [])

    def extend(self, request: ExtendRequest, journal: Journal) -> None:
        """See `Connector.extend`."""
        names.require_ours(request.principal)
        provisioning.extend(self._session, request, journal)

    def revoke(self, request: RevokeRequest, journal: Journal) -> Receipt:
        """See `Connector.revoke`."""
        names.require_ours(request.principal)
        return revocation.revoke(self.target, self._session, request, journal)

    def keep_group(self, scope: Scope, journal: Journal, members: Sequence[str] = ()) -> None:
        """See `Connector.keep_group`."""
        provisioning.keep_group(self._session, scope, journal, members)

    def list_principals(self) -> Sequence[FoundPrincipal]:
        """See `Connector.list_principals`."""
        return catalogue.list_principals(self._session)

    def change_own_password(self, password: Secret, journal: Journal) -> None:
        """See `Connector.change_own_password`."""
        own_password.change(self._session, password, journal)

    def prove_own_login(self, password: Secret) -> None:
        """See `Connector.prove_own_login`."""
        prove_own_login(replace(self.target, password=password))

    def connection_hints(self, principal: str, database: str) -> Sequence[ConnectionHint]:
        """See `Connector.connection_hints`."""
        return hints.connection_hints(self.target, principal, database)

    def setup_sql(self) -> str:
        """See `Connector.setup_sql`."""
        return setup.setup_sql(self.target)

    @property
    def _session(self) -> Session:
        """Our session on the server; a new one when the last has broken."""
        if self._opened is not None and self._opened.is_broken:
            self._opened.close()
            self._opened = None
        if self._opened is None:
            self._opened = Session(self.target)
        return self._opened
