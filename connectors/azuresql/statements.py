"""What Azure SQL has of its own among the statements that change a database. Pure.

The group, its privileges, memberships and what is handed over are composed by `connectors.sqlserver.statements`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from connectors.base import Level, ProvisionRequest, RevokeRequest, Secret, Statement
from connectors.quoting import sqlserver_name as quoted
from connectors.quoting import sqlserver_text
from connectors.redaction import MASK
from connectors.sqlserver import statements as shared
from connectors.sqlserver.statements import Command

#: The mark of a person's own user that was not there before Lockgate.
MADE_BY_US = "lockgate_made"
#: The mark of an account of ours, with the name that Lockgate gave it: it stays with the user when somebody renames it.
ACCOUNT = "lockgate_account"

_IN_THE_CLEAR = (
    "Azure SQL takes no hash for a user. The text goes inside TLS, and the server keeps passwords out of its audit."
)


def provision(request: ProvisionRequest) -> list[Command]:
    """Everything that a grant runs in databases that have nothing of it yet."""
    scope = request.scope
    commands: list[Command] = []
    for database in scope.databases:
        if scope.level is not Level.MEMBER:
            commands += shared.make_group(scope, database)
        roles = shared.roles_to_join(scope)
        if request.identity:
            commands += [create_external_user(request.identity, database), mark_made(request.identity, database)]
            commands.append(mark(request.principal, request.identity, roles, database))
            commands += [shared.join(role, request.identity, database) for role in roles]
        else:
            commands.append(create_user(request.principal, Secret(MASK), database))
            commands.append(mark_account(request.principal, database))
            commands += [shared.join(role, request.principal, database) for role in roles]
    return commands


def revoke(request: RevokeRequest) -> list[Command]:
    """Everything that the end of a grant runs when nothing was left behind."""
    if request.identity:
        return _revoke_own_identity(request)
    commands = []
    for database in request.scope.databases:
        look = Statement(
            f"SELECT session_id FROM sys.dm_exec_sessions WHERE original_login_name = {sqlserver_text(request.principal)}",
            database,
            "Each of them is ended by KILL, until there is none.",
        )
        commands += [
            block(request.principal, database),
            flush(database),
            Command(look),
            shared.drop_user(request.principal, database),
            flush(database),
        ]
    return commands


def _revoke_own_identity(request: RevokeRequest) -> list[Command]:
    """A person's own user only leaves what it has joined for the window, and goes if it came with us."""
    commands = []
    for database in request.scope.databases:
        commands += [shared.leave(role, request.identity, database) for role in shared.roles_to_join(request.scope)]
        look = Statement(
            f"SELECT session_id FROM sys.dm_exec_sessions WHERE original_login_name = {sqlserver_text(request.identity)}",
            database,
            "Each of them is ended by KILL, until there is none.",
        )
        note = "Only if it was made for a grant, and no other grant needs it."
        commands += [
            flush(database),
            Command(look),
            _command(f"DROP USER {quoted(request.identity)}", database, note),
            flush(database),
            unmark(request.principal, request.identity, database, "Only if the user stays: its marks go with it."),
        ]
    return commands


# --- An account with a password


def create_user(principal: str, password: Secret, database: str) -> Command:
    """A user of this database alone, with a password of its own."""
    return _with_password("CREATE", principal, password, database)


def renew_user(principal: str, password: Secret, database: str) -> Command:
    """Another password for a user that is there."""
    return _with_password("ALTER", principal, password, database)


def renew_own_login(name: str, password: Secret, old: Secret, database: str) -> Command:
    """Another password for the login that is at it, which takes no right but to know the old one."""

    def composed(new: str, before: str) -> str:
        return (
            f"ALTER LOGIN {quoted(name)} WITH PASSWORD = {sqlserver_text(new)} OLD_PASSWORD = {sqlserver_text(before)}"
        )

    return Command(Statement(composed(MASK, MASK), database), composed(password.reveal(), old.reveal()))


def mark_account(principal: str, database: str) -> Command:
    """Write on the user itself which account it is."""
    return _mark(ACCOUNT, principal, principal, database, "It is found by this when somebody has renamed it.")


def rename_back(user: str, principal: str, database: str) -> Command:
    """Undo what somebody has called a user of ours."""
    return shared.rename_user_back(user, principal, database)


def admit(principal: str, database: str) -> Command:
    """Let a user in again that was kept out."""
    return _command(f"GRANT CONNECT TO {quoted(principal)}", database)


def block(principal: str, database: str) -> Command:
    """No new sessions from here on. Those that are there go on."""
    note = "No new sessions; the open ones are ended next."
    return _command(f"REVOKE CONNECT FROM {quoted(principal)} CASCADE", database, note)


def kill(session_id: int, database: str) -> Command:
    """End one session; what it had not committed is rolled back first, however long that takes."""
    return shared.kill(session_id, database)


def flush(database: str) -> Command:
    """Have the database forget whom it knows to be allowed in."""
    return _command("DBCC FLUSHAUTHCACHE", database, "Or somebody could get in by what the database remembers of them.")


# --- A person's own identity


def create_external_user(person: str, database: str) -> Command:
    """Bring a person of Entra ID into the database. Only a login of Entra ID may."""
    note = "The person's own identity: no password is made."
    return _command(f"CREATE USER {quoted(person)} FROM EXTERNAL PROVIDER", database, note)


def mark_made(person: str, database: str) -> Command:
    """Write down that the user came with us, so that it goes with us."""
    return _mark(MADE_BY_US, "", person, database, "The user was not there before, and is dropped with its last grant.")


def mark(principal: str, person: str, roles: Sequence[str], database: str) -> Command:
    """Write down, on the user itself, which grant puts it into which roles."""
    note = "So that the end of the grant finds it, whatever Lockgate remembers."
    return _mark(principal, json.dumps(list(roles)), person, database, note)


def unmark(principal: str, person: str, database: str, note: str = "") -> Command:
    """The grant is over."""
    return _command(
        f"EXEC sys.sp_dropextendedproperty @name = {sqlserver_text(principal)},"
        f" @level0type = N'USER', @level0name = {sqlserver_text(person)}",
        database,
        note,
    )


# --- Pieces


def _mark(name: str, value: str, person: str, database: str, note: str) -> Command:
    return _command(
        f"EXEC sys.sp_addextendedproperty @name = {sqlserver_text(name)}, @value = {sqlserver_text(value)},"
        f" @level0type = N'USER', @level0name = {sqlserver_text(person)}",
        database,
        note,
    )


def _with_password(verb: str, principal: str, password: Secret, database: str) -> Command:
    def composed(text: str) -> str:
        return f"{verb} USER {quoted(principal)} WITH PASSWORD = {sqlserver_text(text)}"

    return Command(Statement(composed(MASK), database, _IN_THE_CLEAR), composed(password.reveal()))


def _command(sql: str, database: str, note: str = "") -> Command:
    return Command(Statement(sql, database, note))
