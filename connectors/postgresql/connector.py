"""The PostgreSQL connector: the verbs of `connectors.base`, each handed to the module that does it."""

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
from connectors.postgresql import catalogue, checking, hints, known_by, life, login, provisioning
from connectors.postgresql.revocation import Revocation, composed_revoke
from connectors.postgresql.session import Sessions, home_database, prove_own_login
from connectors.postgresql.setup import setup_sql
from connectors.postgresql.statements import move_end, set_own_password


class PostgreSQLConnector:
    """PostgreSQL 13 and later. See `connectors.base.Connector` for what each verb promises."""

    def __init__(self, target: Target) -> None:
        """Connects when first used."""
        self.target = target
        self._sessions = Sessions(target)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Let go of every connection; one that is in order waits some seconds for its next use in this process."""
        self._sessions.close()

    def check(self, scopes: Sequence[Scope] = ()) -> CheckReport:
        """Connect, and say whether our own account can do everything."""
        self._sessions.hold()
        return replace(checking.check(self.target, self._sessions, scopes), identity=self.identify())

    def identify(self) -> str:
        """The cluster's own number."""
        return known_by.identify(self._sessions)

    def signs_of_life(self) -> SignsOfLife:
        """When it was started, and which accounts of ours it has."""
        return life.signs_of_life(self._sessions)

    def describe(self, inside: Sequence[str] | None = None) -> ServerDescription:
        """List what an access role can name."""
        return catalogue.describe(self._sessions, inside)

    def plan(self, provision: ProvisionRequest, revoke: RevokeRequest) -> Plan:
        """The statements of both directions, without asking the server."""
        home = home_database(self.target)
        return Plan(
            provision=tuple(each.shown for each in provisioning.composed_provision(self.target, provision, home)),
            revoke=tuple(each.shown for each in composed_revoke(self.target, revoke, home)),
        )

    def plan_extension(self, request: ExtendRequest) -> tuple[Statement, ...]:
        """The statements that move the end, without asking the server."""
        provisioning.refuse_foreign(request.principal)
        home = home_database(self.target)
        return (move_end(request.principal, request.valid_until, home).shown,)

    def provision(self, request: ProvisionRequest, journal: Journal) -> str:
        """Make the account and prove it."""
        refuse_own_identity(request)
        self._sessions.hold()
        return provisioning.provision(self.target, self._sessions, request, journal)

    def prove_login(self, principal: str, password: Secret, database: str) -> None:
        """Log in as the account."""
        login.prove_account(self.target, self._sessions, principal, password, database)

    def extend(self, request: ExtendRequest, journal: Journal) -> None:
        """Move the end that the server holds."""
        provisioning.extend(self._sessions, request, journal)

    def revoke(self, request: RevokeRequest, journal: Journal) -> Receipt:
        """Take the account away and read the server back."""
        return Revocation(self._sessions, request, journal).run()

    def keep_group(self, scope: Scope, journal: Journal, members: Sequence[str] = ()) -> None:
        """The group of a scope holds what that says."""
        self._sessions.hold()
        provisioning.keep_group(self._sessions, scope, journal, members)

    def list_principals(self) -> Sequence[FoundPrincipal]:
        """Every account of ours."""
        return catalogue.list_principals(self._sessions)

    def change_own_password(self, password: Secret, journal: Journal) -> None:
        """Another password for our own account."""
        home = self._sessions.home
        verifier = home.encrypt_password(self.target.user, password)
        home.insist(lambda: home.run(set_own_password(verifier, home.database), journal))

    def prove_own_login(self, password: Secret) -> None:
        """Log in as our own account."""
        prove_own_login(replace(self.target, password=password))

    def connection_hints(self, principal: str, database: str) -> Sequence[ConnectionHint]:
        """How to use an account."""
        return hints.connection_hints(self.target, principal, database)

    def setup_sql(self) -> str:
        """What an administrator runs once."""
        return setup_sql(self.target)
