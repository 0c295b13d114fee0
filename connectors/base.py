"""The narrow protocol between Lockgate and a database engine: what goes in, what comes out, and what each verb promises.

A connector is opened on one `Target`, used from one thread, and closed. It knows no Django model and no task queue: it
takes the frozen values below and returns them. Times are aware UTC `datetime`s, durations are `timedelta`s, names are
plain unquoted strings (quoting is the connector's work).

The contract, held by `tests/connectors/test_contract.py` on every engine:

* Every verb is idempotent. Making what is there and dropping what is gone both succeed.
* A password never stands in the clear in a statement, a journal entry, an error or a log line.
* Errors are those of `connectors.errors`, with the driver's own exception as their cause.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, Self, runtime_checkable

#: Every account that Lockgate makes begins with this; the sweep takes any such account without a living grant away.
PRINCIPAL_PREFIX = "lg_"


class Secret:
    """A text that never shows itself: `str()` and `repr()` print asterisks, `.reveal()` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself. Call it as late as possible, and never into a log or an error."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(********)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> Any:
        raise TypeError("A Secret is not pickled: it would end in a queue or a cache.")


class Tls(StrEnum):
    """How the connection to a server is protected, in libpq's words."""

    VERIFY_FULL = "verify-full"
    VERIFY_CA = "verify-ca"
    REQUIRE = "require"
    DISABLE = "disable"


class Authentication(StrEnum):
    """What kind of secret Lockgate's own account logs in with."""

    PASSWORD = "password"  # noqa: S105 - a kind of secret, not one
    ACCESS_TOKEN = "access_token"  # noqa: S105
    """The secret is a short-lived token of an identity provider; needs TLS."""


class SecretSource(Protocol):
    """Where a target's secret comes from, for connections that are opened later than the target was made."""

    def current(self) -> Secret:
        """The secret to log in with at this moment: never a token that has run out."""
        ...

    def instead_of(self, refused: Secret) -> Secret | None:
        """The next secret to try when the server refused this one; `None` when there is no other."""
        ...

    def accepted(self, secret: Secret) -> None:
        """The server has let us in with this one."""
        ...


class Level(StrEnum):
    """What an access role lets its holder do inside its databases."""

    READ = "read"
    WRITE = "write"
    DDL = "ddl"
    MEMBER = "member"
    """Membership in existing database roles, and nothing besides."""


@dataclass(frozen=True, slots=True)
class Target:
    """One server and the account that Lockgate uses on it."""

    engine: str
    host: str
    port: int
    user: str
    password: Secret
    database: str = ""
    """The database to connect to for server-wide work; empty means the engine's own (`postgres`, `mysql`)."""
    tls: Tls = Tls.VERIFY_FULL
    tls_ca_file: str = ""
    connect_timeout: timedelta = timedelta(seconds=5)
    statement_timeout: timedelta = timedelta(seconds=30)
    authentication: Authentication = Authentication.PASSWORD
    version: str = field(default="", compare=False)
    """As the last check told it (`CheckReport.version`); empty before the first. A plan is the one for this version."""
    source: SecretSource | None = field(default=None, compare=False, repr=False)
    """Asked when a connection is opened and when a login is refused; without one `password` is all there is."""
    known_shut: tuple[str, ...] = ()
    """Databases that an administrator has written down as shut for good: no receipt is unclean for not reading them."""
    replicas: tuple[tuple[str, int], ...] = ()
    """Host and port of servers that follow this one and let people read: a revocation ends sessions there as well."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an access role reaches on one server.

    `databases` is never empty. Empty `schemas` and `tables` mean the whole of each database, future tables included.
    `tables` are `schema.table` pairs where the engine has schemas inside a database, and `(database, table)` pairs
    where it has not (MariaDB): the first member always names the container.
    """

    level: Level
    databases: tuple[str, ...]
    schemas: tuple[str, ...] = ()
    tables: tuple[tuple[str, str], ...] = ()
    database_roles: tuple[str, ...] = ()
    """Existing roles to join; for `Level.MEMBER` only."""
    group: str = ""
    """The stable database role that carries the privileges, `lockgate_<access role>_<hash of the scope>`; made where
    missing.

    One scope, one group: two scopes never share a name, so keeping a group in step takes nothing from a living account.
    """


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server itself holds the account to. `None` leaves the server's own default."""

    connections: int | None = 5
    statement_timeout: timedelta | None = timedelta(minutes=5)
    idle_in_transaction_timeout: timedelta | None = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ProvisionRequest:
    """An account to make."""

    principal: str
    password: Secret
    scope: Scope
    valid_until: datetime
    """End of the window, aware UTC. Engines that can, refuse logins from then on without Lockgate's help."""
    limits: Limits = field(default_factory=Limits)
    identity: str = ""
    """The person at the identity provider, where access is with one's own identity: no account and no password is made,
    and `principal` is only the name by which the grant is found again. Other engines raise `IdentityNotSupported`."""
    made_by: str = ""
    """Which Lockgate asks, in at most twelve letters and digits: written down beside the account, where the engine has a
    place for it, so that another one that works on the same server does not take the account for an orphan of its own."""


@dataclass(frozen=True, slots=True)
class ExtendRequest:
    """A later end for an account that lives."""

    principal: str
    valid_until: datetime
    """The new end of the window, aware UTC."""
    identifier: str = ""
    """As in `RevokeRequest`."""
    scope: Scope | None = None
    """What was granted: where it is given, what the account has got besides, as far as the engine looks, is taken away or
    refused, as by `provision`."""
    made_by: str = ""
    """As in `ProvisionRequest`."""


@dataclass(frozen=True, slots=True)
class RevokeRequest:
    """An account to take away, with all that is needed to do so, whatever happened to the access role meanwhile."""

    principal: str
    scope: Scope
    heir: str = "lockgate_heir"
    """Unprivileged role without login that receives what the account owns; made where missing."""
    identity: str = ""
    """As it was in the request that made the access. For the plan: the revocation itself finds it on the server."""
    identifier: str = ""
    """What `provision` returned: by it the account is found under whatever name somebody gave it since. May be empty."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as it may be shown: bound values in, secrets out (`********`)."""

    sql: str
    database: str = ""
    note: str = ""
    """Why, for a reader who knows the engine little; may be empty."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The statements a grant will run, in order. No connection is needed to make one."""

    provision: tuple[Statement, ...]
    revoke: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One statement that ran (or was refused) on the server."""

    statement: Statement
    at: datetime
    error: str = ""
    """Empty when it succeeded; otherwise the server's words with secrets out."""
    digest: str = ""
    """SHA-256 of the statement as the server got it, in hex: for where the statement itself must not be kept."""


#: Called after each statement that changes the server, before the next one.
Journal = Callable[[JournalEntry], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One question of a read-back and what the catalog answered."""

    question: str
    """In words: 'sessions of the account'."""
    sql: str
    found: tuple[str, ...] = ()
    """What is still there, one line each. Empty is what we want."""
    database: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The read-back after a revocation: the proof, kept as it is."""

    principal: str
    server_time: datetime
    """The server's own clock at the end of the reading, aware UTC."""
    findings: tuple[Finding, ...]
    handed_over: tuple[str, ...] = ()
    """What the account owned and who has it now, one line each."""
    unreadable: tuple[str, ...] = ()
    """Databases that could not be read, each with the reason. A receipt with any is not clean."""
    errors: tuple[str, ...] = ()
    """What went wrong on the way, secrets out. They do not matter if the reading is clean."""
    sessions_ended: int = 0
    not_seen: tuple[str, ...] = ()
    """What no reading of this server can see, one line each: a replica that Lockgate has no address of, say. It does not
    make a receipt unclean, and whoever reads the receipt reads it."""

    @property
    def is_clean(self) -> bool:
        """No account, no session, no privilege in any database, and every database was read."""
        return not self.unreadable and not any(finding.found for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing found by `check`."""

    problem: str
    what_to_do: str
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class Replica:
    """A server that follows the one under management, as that one tells it."""

    name: str
    """What it calls itself, as far as we may know."""
    address: str = ""
    """As the server sees it; empty where it does not tell us."""
    state: str = ""
    """In the engine's words, e.g. `streaming`; or why Lockgate cannot end sessions there."""
    is_reached: bool = False
    """Whether Lockgate has an address for it (`Target.replicas`), so that a revocation ends sessions there too."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Whether Lockgate can work on a server."""

    version: str
    """As the server tells it, e.g. `PostgreSQL 15.18` or `MariaDB 10.11.19`."""
    latency: timedelta
    server_time: datetime
    remedies: tuple[Remedy, ...] = ()
    encrypted: bool = True
    identity: str = ""
    """As `Connector.identify` tells it."""
    replicas: tuple[Replica, ...] = ()
    """Who follows this server, as far as it tells."""

    @property
    def ok(self) -> bool:
        """Nothing stands in the way of provisioning and revoking."""
        return not any(remedy.blocking for remedy in self.remedies)


@dataclass(frozen=True, slots=True)
class SignsOfLife:
    """What one short look at a server tells."""

    started_at: datetime
    """When the server was started, aware UTC: another moment means that it may have been restored from a backup."""
    accounts: tuple[str, ...]
    """The names of all accounts that begin with `PRINCIPAL_PREFIX`."""


@dataclass(frozen=True, slots=True)
class ServerDescription:
    """What can be named in an access role. Only user objects; system databases and schemas are left out."""

    databases: tuple[str, ...]
    schemas: tuple[tuple[str, str], ...]
    """(database, schema); empty for engines without schemas inside a database."""
    tables: tuple[tuple[str, str, str], ...]
    """(database, schema, table); schema is the empty string where the engine has none."""
    roles: tuple[str, ...]
    unlisted_roles: tuple[str, ...] = ()
    """Roles that are there and are not offered: the server's own, superusers."""
    unseen: tuple[str, ...] = ()
    """Databases that were not looked into, because nobody asked or because we may not enter them."""


@dataclass(frozen=True, slots=True)
class FoundPrincipal:
    """An account on the server that Lockgate made, or, `is_foreign`, that is in one of its groups without that."""

    name: str
    """As it is called now."""
    can_log_in: bool
    sessions: int
    memberships: tuple[str, ...] = ()
    valid_until: datetime | None = None
    identifier: str = ""
    """What cannot be renamed, as `Connector.provision` returned it; empty where the engine has nothing of the kind."""
    made_as: str = ""
    """The name under which Lockgate made it, where somebody has renamed it since."""
    is_foreign: bool = False
    """Nothing on the server says that Lockgate made it, and still it has what a group of Lockgate's gives: told, and
    taken away only if its identifier is that of a grant."""
    made_by: str = ""
    """Which Lockgate made it, as `ProvisionRequest.made_by` said; empty where nothing on the server tells."""

    @property
    def principal(self) -> str:
        """The name by which its grant knows it."""
        return self.made_as or self.name


@dataclass(frozen=True, slots=True)
class ConnectionHint:
    """One way to use an account, for a copy tab. `{password}` stands where the password belongs."""

    label: str
    """`psql`, `libpq URI`, `JDBC`, `SQLAlchemy`, `mariadb`, `.env`."""
    text: str


@runtime_checkable
class Connector(Protocol):
    """One engine's way to do Lockgate's verbs on one server. A context manager: leaving it closes every connection."""

    target: Target

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def check(self, scopes: Sequence[Scope] = ()) -> CheckReport:
        """Connect, and say whether our own account can do everything below.

        `scopes` are those of the access roles on this server: what stands in the way of one of them is blocking.

        Raises `ServerUnreachable` or `AdminLoginRefused`; anything less is a `Remedy` in the report.
        """
        ...

    def identify(self) -> str:
        """What the server is, whatever its address: a text that stays through restarts, failovers and renamed hosts.

        A server that was restored or cloned from another one tells the same. Empty where the server cannot tell. Raises
        `ServerUnreachable` or `AdminLoginRefused`.
        """
        ...

    def signs_of_life(self) -> SignsOfLife:
        """When the server was started, and the names of our accounts: cheap enough to be asked every few seconds.

        Raises `ServerUnreachable` or `AdminLoginRefused`.
        """
        ...

    def describe(self, inside: Sequence[str] | None = None) -> ServerDescription:
        """List what an access role can name on this server: every database, and what is in those of `inside`, or in all."""
        ...

    def plan(self, provision: ProvisionRequest, revoke: RevokeRequest) -> Plan:
        """The exact statements of both directions, secrets out. Needs no connection and asks the server nothing."""
        ...

    def plan_extension(self, request: ExtendRequest) -> tuple[Statement, ...]:
        """The exact statements of `extend`, in the same way; none where the server itself holds no end."""
        ...

    def provision(self, request: ProvisionRequest, journal: Journal) -> str:
        """Make the account, give it what the scope says, and prove it by a real login as the account.

        Gives the account's identifier: what the server knows it by whatever it is called later (an OID, a SID), in a form
        of the engine's own; empty where there is none. Keep it for `revoke`.

        A second call with another password leaves one account with the second password. Raises `ScopeNotOnServer` when
        a part of the scope is missing, `PrincipalCannotLogIn` when the proof fails; what was made until then stays,
        for `revoke` to take away.
        """
        ...

    def prove_login(self, principal: str, password: Secret, database: str) -> None:
        """Log in as the account and run one harmless statement. Raises `PrincipalCannotLogIn`."""
        ...

    def extend(self, request: ExtendRequest, journal: Journal) -> None:
        """Move the end that the server itself holds (the dead-man's switch); password, scope and sessions stay.

        Raises `PrincipalCannotLogIn` when the account is not there any more.
        """
        ...

    def revoke(self, request: RevokeRequest, journal: Journal) -> Receipt:
        """Block new logins, end sessions until none is left, hand over what is owned, drop privileges and account,
        and read the catalog back.

        Goes on after an error of a step and reports all of them in the receipt. Absent is a success. Raises only
        when the server cannot be reached or refuses our own account: then nothing is known. The caller decides by
        `Receipt.is_clean` and calls again, without limit, until it is.
        """
        ...

    def keep_group(self, scope: Scope, journal: Journal, members: Sequence[str] = ()) -> None:
        """Let the group of a scope, under which accounts live, hold exactly what the scope says, as `provision` does.

        What it has beyond that (from an earlier Lockgate, or by hand) goes now, not with the next grant. `members` are the
        accounts that were granted it: where the group was dropped under them, it is made anew and they join it again, on
        engines whose servers drop a group that has members. Reads only where nothing is to be done. Raises as `provision`
        does; what cannot be taken away is named in the error.
        """
        ...

    def list_principals(self) -> Sequence[FoundPrincipal]:
        """Every account on the server that Lockgate made, under whatever name, and whoever else is in a group of
        Lockgate's, for the sweep.
        """
        ...

    def change_own_password(self, password: Secret, journal: Journal) -> None:
        """Give Lockgate's own account another password, which the server is sent as a verifier or a hash.

        The session that does it stays. Raises `OwnPasswordFixed` when the account has no password to change.
        """
        ...

    def prove_own_login(self, password: Secret) -> None:
        """Log in as Lockgate's own account with this password, on a connection of its own, closed at once.

        Raises `AdminLoginRefused`, and `ServerUnreachable` when nothing is known.
        """
        ...

    def connection_hints(self, principal: str, database: str) -> Sequence[ConnectionHint]:
        """How to use an account, one hint a client, TLS as the target has it. Needs no connection."""
        ...

    def setup_sql(self) -> str:
        """The SQL an administrator pastes once to make Lockgate's own account with the least it needs.

        Needs no connection. Pasted as it is, it makes no account that a password opens: either the account has none yet,
        and the text says how to give it one, or `redaction.PASSWORD_TO_CHOOSE` stands there, which no server takes.
        """
        ...
