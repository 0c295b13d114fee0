"""The connector of the fake server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Self

from connectors.base import (
    PRINCIPAL_PREFIX,
    CheckReport,
    ConnectionHint,
    ExtendRequest,
    Finding,
    FoundPrincipal,
    Journal,
    JournalEntry,
    Level,
    Plan,
    ProvisionRequest,
    Receipt,
    Remedy,
    RevokeRequest,
    Scope,
    Secret,
    ServerDescription,
    SignsOfLife,
    Statement,
    Target,
)
from connectors.errors import (
    AdminLacksPrivilege,
    AdminLoginRefused,
    ConnectorError,
    PrincipalCannotLogIn,
    ScopeNotOnServer,
    ServerRefused,
    ServerUnreachable,
)
from connectors.fake import statements
from connectors.fake.server import FakeAccount, FakeError, FakeLoginRefused, FakeServer, digest
from connectors.identity import refuse_own_identity
from connectors.login import checked_for_tokens, log_in
from connectors.redaction import MASK, PASSWORD_TO_CHOOSE, digest_of

_LONGEST_NAME = 63


class FakeConnector:
    """See `connectors.base.Connector` for what each verb promises."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._server = FakeServer.named(target.host)
        self._is_in = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """The session is over."""
        self._is_in = False

    def check(self, scopes: Sequence[Scope] = ()) -> CheckReport:
        """Connect, and say whether our own account can do everything."""
        self._connect()
        remedies = []
        if self._server.lacks_rights:
            remedies.append(Remedy("Lockgate's account may not make accounts.", "Run the SQL that this page shows."))
        not_there = sorted({each for scope in scopes for each in self._missing(scope)})
        remedies += [Remedy(f"{each} is not there.", "Correct the access role.") for each in not_there]
        return CheckReport(
            "Fake 1.0",
            timedelta(microseconds=1),
            self._server.clock(),
            tuple(remedies),
            identity=self._server.identity,
        )

    def identify(self) -> str:
        """What the server is, whatever its address."""
        self._connect()
        return self._server.identity

    def signs_of_life(self) -> SignsOfLife:
        """When it was started, and which accounts of ours it has."""
        self._connect()
        return SignsOfLife(self._server.started_at, tuple(self._server.accounts))

    def describe(self, inside: Sequence[str] | None = None) -> ServerDescription:
        """List what an access role can name."""
        self._connect()
        tables = tuple(
            (database, schema, name)
            for database, held in self._server.databases.items()
            for schema, name in held
            if inside is None or database in inside
        )
        return ServerDescription(
            databases=tuple(self._server.databases),
            schemas=tuple(dict.fromkeys((database, schema) for database, schema, _ in tables if schema)),
            tables=tables,
            roles=tuple(self._server.roles),
            unseen=tuple(each for each in self._server.databases if inside is not None and each not in inside),
        )

    def plan(self, provision: ProvisionRequest, revoke: RevokeRequest) -> Plan:
        """The statements of both directions, without asking the server."""
        return Plan(statements.planned_provision(provision), statements.planned_revoke(revoke))

    def plan_extension(self, request: ExtendRequest) -> tuple[Statement, ...]:
        """The statement that moves the end."""
        _refuse_foreign(request.principal)
        return (statements.move_end(request.principal, request.valid_until.isoformat()),)

    def provision(self, request: ProvisionRequest, journal: Journal) -> str:
        """Make the account and prove it."""
        _refuse_foreign(request.principal)
        refuse_own_identity(request)
        scope = request.scope
        self.keep_group(scope, journal)
        self._run(statements.make_account(request), lambda: self._make(request), journal, secret=request.password)
        self._join(request.principal, scope, journal)
        for database in scope.databases:
            self.prove_login(request.principal, request.password, database)
        return self._server.accounts[request.principal].identifier

    def _join(self, principal: str, scope: Scope, journal: Journal) -> None:
        joined = self._server.accounts[principal].memberships
        for role in statements.roles_to_join(scope):
            if role not in joined:
                self._run(statements.join(principal, role), partial(joined.add, role), journal)

    def prove_login(self, principal: str, password: Secret, database: str) -> None:
        """Log in as the account."""
        try:
            self._server.log_in(principal, password, database).end()
        except FakeLoginRefused as error:
            raise PrincipalCannotLogIn(str(error)) from error

    def extend(self, request: ExtendRequest, journal: Journal) -> None:
        """Move the end that the server holds."""
        _refuse_foreign(request.principal)
        self._connect()
        name = self._server.name_now(request.principal, request.identifier)
        account = self._server.accounts.get(name)
        if account is None or not account.can_log_in:
            raise PrincipalCannotLogIn("There is no account of that name that may log in.")
        statement = statements.move_end(name, request.valid_until.isoformat())
        self._run(statement, lambda: setattr(account, "valid_until", request.valid_until), journal)

    def revoke(self, request: RevokeRequest, journal: Journal) -> Receipt:
        """Take the account away and read the server back."""
        _refuse_foreign(request.principal)
        self._connect()
        server, errors = self._server, list[str]()
        principal = server.name_now(request.principal, request.identifier)

        def attempt(statement: Statement, effect: Callable[[], None]) -> None:
            try:
                self._run(statement, effect, journal)
            except ServerUnreachable:
                raise
            except ConnectorError as error:
                errors.append(str(error))

        owned = server.owned_by(principal)
        sessions = server.sessions_of(principal)
        if account := server.accounts.get(principal):
            attempt(statements.block_logins(principal), lambda: setattr(account, "can_log_in", False))
        if account or sessions:
            attempt(statements.end_sessions(principal), lambda: self._end(principal))
        if owned:
            attempt(statements.hand_over(principal, request.heir), lambda: self._hand_over(principal, request.heir))
        if account:
            attempt(statements.drop_account(principal), lambda: self._drop(principal))
        return Receipt(
            principal=request.principal,
            server_time=server.clock(),
            findings=self._read_back(principal),
            handed_over=tuple(
                f"table {schema}.{name} in {database}: now owned by {request.heir}"
                for database, schema, name in owned
                if server.databases[database][schema, name].owner == request.heir
            ),
            errors=tuple(errors),
            sessions_ended=len(sessions) - len(server.sessions_of(principal)),
        )

    def keep_group(self, scope: Scope, journal: Journal, members: Sequence[str] = ()) -> None:
        """The group of a scope holds what that says."""
        self._connect()
        if missing := self._missing(scope):
            raise ScopeNotOnServer(f"Not there: {', '.join(missing)}.")
        if scope.level is not Level.MEMBER and self._server.groups.get(scope.group) != scope:
            self._run(statements.set_group(scope), lambda: self._server.groups.update({scope.group: scope}), journal)
        for principal in members:
            if principal in self._server.accounts:
                self._join(principal, scope, journal)

    def list_principals(self) -> Sequence[FoundPrincipal]:
        """Every account of ours."""
        self._connect()
        return tuple(
            FoundPrincipal(
                name,
                account.can_log_in,
                len(self._server.sessions_of(name)),
                tuple(sorted(account.memberships)),
                account.valid_until,
                account.identifier,
                account.made_as if account.made_as != name else "",
                made_by=account.made_by,
            )
            for name, account in self._server.accounts.items()
        )

    def change_own_password(self, password: Secret, journal: Journal) -> None:
        """Another password for our own account."""
        self._connect()
        statement = statements.set_own_password(self.target.user)
        self._run(statement, lambda: setattr(self._server, "admin_password", password), journal, secret=password)

    def prove_own_login(self, password: Secret) -> None:
        """Log in as our own account."""
        self._log_in(replace(self.target, password=password))

    def connection_hints(self, principal: str, database: str) -> Sequence[ConnectionHint]:
        """How to use an account."""
        address = f"{self.target.host}:{self.target.port}/{database}"
        return (
            ConnectionHint("fake", f"fake --user {principal} {address}"),
            ConnectionHint("URI", f"fake://{principal}:{{password}}@{address}"),
            ConnectionHint(".env", f"DATABASE_URL=fake://{principal}:{{password}}@{address}"),
        )

    def setup_sql(self) -> str:
        """What an administrator runs once."""
        return f"MAKE ADMINISTRATOR {self.target.user} PASSWORD {PASSWORD_TO_CHOOSE}\n"

    # --- What the statements do

    def _connect(self) -> None:
        """Log in once; a session that is in stays in, whatever becomes of the password."""
        if self._server.is_down:
            self._is_in = False
            raise ServerUnreachable("The fake server is down.") from FakeError("down")
        if not self._is_in:
            log_in(self.target, self._log_in)
            self._is_in = True

    def _log_in(self, target: Target) -> Self:
        checked_for_tokens(target)
        if self._server.is_down:
            raise ServerUnreachable("The fake server is down.") from FakeError("down")
        expected = self._server.admin_password
        if expected is not None and expected != target.password:
            likely = "Most likely the password that the reference gives is not the account's."
            refusal = FakeLoginRefused("password")
            raise AdminLoginRefused("The fake server expects another password.", likely=likely) from refusal
        return self

    def _run(
        self, statement: Statement, effect: Callable[[], None], journal: Journal, secret: Secret | None = None
    ) -> None:
        sent = statement.sql if secret is None else statement.sql.replace(MASK, digest(secret))
        try:
            self._connect()
            if self._server.lacks_rights:
                raise AdminLacksPrivilege("The fake server was told to refuse.") from FakeError("lacks rights")
            self._server.run(sent, effect)
        except FakeError as error:
            journal(JournalEntry(statement, datetime.now(UTC), str(error), digest_of(sent)))
            raise ServerRefused(str(error)) from error
        except ConnectorError as error:
            journal(JournalEntry(statement, datetime.now(UTC), str(error), digest_of(sent)))
            raise
        journal(JournalEntry(statement, datetime.now(UTC), digest=digest_of(sent)))

    def _make(self, request: ProvisionRequest) -> None:
        made = FakeAccount(digest(request.password), request.valid_until, request.limits, made_as=request.principal)
        made.made_by = request.made_by
        if (before := self._server.accounts.get(request.principal)) is not None:
            made.identifier = before.identifier
        self._server.accounts[request.principal] = made

    def _missing(self, scope: Scope) -> list[str]:
        server = self._server
        missing = [f"database {database}" for database in scope.databases if database not in server.databases]
        missing += [f"role {role}" for role in scope.database_roles if role not in server.roles]
        for database in scope.databases:
            held = server.databases.get(database)
            if held is None:
                continue
            schemas = {schema for schema, _ in held}
            missing += [f"schema {schema} in {database}" for schema in scope.schemas if schema not in schemas]
            missing += [f"table {s}.{t} in {database}" for s, t in scope.tables if (s, t) not in held]
        return missing

    def _end(self, principal: str) -> None:
        if self._server.has_stubborn_sessions:
            return
        for session in self._server.sessions_of(principal):
            session.end()

    def _hand_over(self, principal: str, heir: str) -> None:
        for database, schema, name in self._server.owned_by(principal):
            self._server.databases[database][schema, name].owner = heir

    def _drop(self, principal: str) -> None:
        self._server.accounts.pop(principal, None)

    def _read_back(self, principal: str) -> tuple[Finding, ...]:
        server = self._server
        sessions = tuple(f"a session of {principal} in {each.database}" for each in server.sessions_of(principal))
        owned = tuple(f"{'.'.join(place)} of {principal}" for place in server.owned_by(principal))
        account = (principal,) if principal in server.accounts else ()
        return (
            Finding("the account", f"ACCOUNTS NAMED {principal}", account),
            Finding("sessions of the account", f"SESSIONS OF {principal}", sessions),
            Finding("objects of the account in every database", f"OBJECTS OF {principal}", owned),
        )


def _refuse_foreign(principal: str) -> None:
    if not principal.startswith(PRINCIPAL_PREFIX):
        raise ServerRefused(f"Lockgate only touches accounts that begin with {PRINCIPAL_PREFIX!r}, not {principal!r}.")
    if len(principal.encode()) > _LONGEST_NAME:
        raise ServerRefused(f"{principal!r} is longer than {_LONGEST_NAME} bytes.")
