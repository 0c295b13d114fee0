"""Every statement that changes a SQL Server, composed in one place for both the plan and the work. Pure.

A statement that carries a secret is composed twice: once for the server, once to be shown.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.base import Level, Limits, ProvisionRequest, RevokeRequest, Scope, Secret, Statement
from connectors.quoting import sqlserver_name as quoted
from connectors.quoting import sqlserver_text
from connectors.redaction import MASK
from connectors.sqlserver.privileges import Place, fixed_roles, wanted

_HASH_VERSION = "0x0200"
_SALT_BYTES = 4
#: Length of the SID of a login of SQL Server's own.
SID_BYTES = 16
#: What the SID of every login of ours begins with, by which it is told from others under whatever name.
SID_MARK = b"lkgt"
_NOT_HELD = (
    "SQL Server has no limits of a login: its sessions, their time and the end of the window are Lockgate's to watch."
)
_HASHED = "The password goes as a hash, so that it is in no log."


@dataclass(frozen=True, slots=True)
class Command:
    """A statement in two readings: as it may be shown, and, where that hides a secret, as the server gets it."""

    shown: Statement
    secret_text: str = field(default="", repr=False)

    @property
    def text(self) -> str:
        """What the server gets."""
        return self.secret_text or self.shown.sql


def provision(request: ProvisionRequest, home: str) -> list[Command]:
    """Everything that a grant runs on a server that has nothing of it yet."""
    scope, principal = request.scope, request.principal
    first = scope.databases[0]
    group: list[Command] = []
    if scope.level is not Level.MEMBER:
        for database in scope.databases:
            group += make_group(scope, database)
    users: list[Command] = []
    for database in scope.databases:
        users.append(create_user(principal, database))
        users += [join(role, principal, database) for role in roles_to_join(scope)]
    return [*group, create_login(principal, Secret(MASK), first, home, request.limits), *users]


def revoke(request: RevokeRequest, home: str) -> list[Command]:
    """Everything that the end of a grant runs when nothing was left behind."""
    principal = request.principal
    left = [
        command
        for database in request.scope.databases
        for command in (
            *(leave(role, principal, database) for role in roles_to_join(request.scope)),
            drop_user(principal, database),
        )
    ]
    shown = Statement(
        f"SELECT session_id FROM sys.dm_exec_sessions WHERE original_login_name = {sqlserver_text(principal)}",
        home,
        "Each of them is ended by KILL, until there is none.",
    )
    return [disable_login(principal, home), Command(shown), *left, drop_login(principal, home)]


def roles_to_join(scope: Scope) -> Sequence[str]:
    """The database roles of which the account is a member, in each of its databases."""
    return scope.database_roles if scope.level is Level.MEMBER else (scope.group,)


# --- The group


def make_group(scope: Scope, database: str) -> list[Command]:
    """The group with all that it holds, in a database that has nothing of it yet."""
    return [
        create_role(scope.group, database),
        *(join_fixed(role, scope.group, database) for role in fixed_roles(scope)),
        *(grant(place, held, scope.group, database) for place, held in wanted(scope).items()),
    ]


def create_role(role: str, database: str) -> Command:
    """The stable role that carries the privileges."""
    return _command(f"CREATE ROLE {quoted(role)}", database, "Carries the privileges; the account only joins it.")


def join_fixed(role: str, group: str, database: str) -> Command:
    """Let the group do what a fixed role may."""
    sql = f"ALTER ROLE {quoted(role)} ADD MEMBER {quoted(group)}"
    return _command(sql, database, "The whole database, with what is made in it later.")


def leave_fixed(role: str, group: str, database: str) -> Command:
    """Let the group do it no more."""
    sql = f"ALTER ROLE {quoted(role)} DROP MEMBER {quoted(group)}"
    return _command(sql, database, "The access role does not say this any more.")


def grant(place: Place, held: Sequence[str], role: str, database: str) -> Command:
    """Let a role do something."""
    note = "Covers tables made later." if not place.table else ""
    return _command(f"GRANT {', '.join(held)}{place.on} TO {quoted(role)}", database, note)


def withdraw(place: Place, held: Sequence[str], role: str, database: str) -> Command:
    """Let a role do it no more."""
    note = "The access role does not say this any more."
    return _command(f"REVOKE {', '.join(held)}{place.on} FROM {quoted(role)} CASCADE", database, note)


def withdraw_plain(place: Place, held: Sequence[str], role: str, database: str) -> Command:
    """The same where the server does not tell what is held."""
    note = "What the role may have had before; granted anew in the same transaction where it still applies."
    return _command(f"REVOKE {', '.join(held)}{place.on} FROM {quoted(role)}", database, note)


# --- The account


def create_login(principal: str, password: Secret, database: str, home: str, limits: Limits) -> Command:
    """Make a login that is not there, with a hash and a SID of ours."""
    note = f"{_HASHED} {_NOT_HELD}" if _has_limits(limits) else _HASHED

    def composed(hashed: str) -> str:
        return (
            f"CREATE LOGIN {quoted(principal)} WITH PASSWORD = {hashed} HASHED, SID = {sid_of(principal)},"
            f" DEFAULT_DATABASE = {quoted(database)}, CHECK_POLICY = OFF"
        )

    return Command(Statement(composed(_masked_hash()), home, note), composed(password_hash(password)))


def create_plain_login(principal: str, password: Secret, database: str, home: str) -> Command:
    """The same on a server that takes neither."""

    def composed(text: str) -> str:
        return f"CREATE LOGIN {quoted(principal)} WITH PASSWORD = {text}, DEFAULT_DATABASE = {quoted(database)}"

    note = "This server takes no hash: the password reaches it inside the encrypted connection."
    return Command(Statement(composed(plain_text(MASK)), home, note), composed(plain_text(password.reveal())))


def renew_login(name: str, password: Secret, home: str, *, hashed: bool) -> Command:
    """Another password for a login that is there."""

    def composed(text: str) -> str:
        return f"ALTER LOGIN {quoted(name)} WITH PASSWORD = {text}{' HASHED' if hashed else ''}"

    if hashed:
        return Command(Statement(composed(_masked_hash()), home, _HASHED), composed(password_hash(password)))
    return Command(Statement(composed(plain_text(MASK)), home), composed(plain_text(password.reveal())))


def rename_login_back(name: str, principal: str, home: str) -> Command:
    """Undo what somebody has called a login of ours."""
    return _command(f"ALTER LOGIN {quoted(name)} WITH NAME = {quoted(principal)}", home, "Somebody had renamed it.")


def enable_login(principal: str, home: str) -> Command:
    """Let a login in again."""
    return _command(f"ALTER LOGIN {quoted(principal)} ENABLE", home)


def disable_login(principal: str, home: str) -> Command:
    """No new sessions from here on. Those that are there go on."""
    return _command(f"ALTER LOGIN {quoted(principal)} DISABLE", home, "No new sessions; the open ones are ended next.")


def kill(session_id: int, home: str) -> Command:
    """End one session; what it had not committed is rolled back first, however long that takes."""
    return _command(f"KILL {session_id:d}", home)


def drop_login(principal: str, home: str) -> Command:
    """Take the login away."""
    return _command(f"DROP LOGIN {quoted(principal)}", home)


def create_user(principal: str, database: str) -> Command:
    """Let the login into a database."""
    return _command(f"CREATE USER {quoted(principal)} FOR LOGIN {quoted(principal)}", database)


def rename_user_back(user: str, principal: str, database: str) -> Command:
    """Undo what somebody has called a user of ours."""
    return _command(f"ALTER USER {quoted(user)} WITH NAME = {quoted(principal)}", database, "Somebody had renamed it.")


def drop_user(user: str, database: str) -> Command:
    """Take a user away, and with it what was granted to it."""
    return _command(f"DROP USER {quoted(user)}", database)


def join(role: str, user: str, database: str) -> Command:
    """Make a user a member of a role."""
    return _command(f"ALTER ROLE {quoted(role)} ADD MEMBER {quoted(user)}", database)


def leave(role: str, user: str, database: str) -> Command:
    """End a membership."""
    return _command(f"ALTER ROLE {quoted(role)} DROP MEMBER {quoted(user)}", database)


# --- What is left behind


def create_heir(heir: str, database: str) -> Command:
    """The user without a login who receives what an account owned."""
    return _command(f"CREATE USER {quoted(heir)} WITHOUT LOGIN", database, "Nobody can log in as it.")


def hand_over(securable: str, heir: str, database: str) -> Command:
    """Give something owned to the heir; `securable` is composed by `handing_over`."""
    return _command(f"ALTER AUTHORIZATION ON {securable} TO {quoted(heir)}", database)


def withdraw_granted(permission: str, on: str, grantee: str, grantor: str, database: str) -> Command:
    """Take back what the account itself has granted, which would keep it from being dropped."""
    sql = f"REVOKE {permission}{on} FROM {quoted(grantee)} CASCADE AS {quoted(grantor)}"
    return _command(sql, database, "The account had granted it.")


# --- Pieces


def password_hash(password: Secret) -> str:
    """What SQL Server 2012 and later keep of a password: version, salt, SHA-512 over UTF-16LE and salt."""
    salt = os.urandom(_SALT_BYTES)
    digest = hashlib.sha512(password.reveal().encode("utf-16-le") + salt).digest()
    return f"{_HASH_VERSION}{salt.hex()}{digest.hex()}"


def sid_of(principal: str) -> str:
    """The SID that a login of ours has, by which its users are found when the login is gone."""
    return "0x" + sid_bytes(principal).hex()


def sid_bytes(principal: str) -> bytes:
    """The same, as the catalog gives it."""
    digest = hashlib.sha256(b"lockgate login " + principal.encode()).digest()
    return (SID_MARK + digest)[:SID_BYTES]


def plain_text(text: str) -> str:
    """A password as a statement that takes no hash wants it."""
    return sqlserver_text(text)


def _masked_hash() -> str:
    """As a text, since asterisks would be no number and a plan is to be read as SQL."""
    return sqlserver_text(MASK)


def _has_limits(limits: Limits) -> bool:
    return any(limit is not None for limit in (limits.connections, limits.statement_timeout))


def _command(sql: str, database: str, note: str = "") -> Command:
    return Command(Statement(sql, database, note))
