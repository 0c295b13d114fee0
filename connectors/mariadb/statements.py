"""Every statement that changes a MariaDB server, composed in one place for both the plan and the work. Pure.

A statement that carries a secret is composed twice: once for the server, once to be shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from connectors.base import Limits, ProvisionRequest, RevokeRequest, Scope, Secret, Statement
from connectors.errors import LimitNotSupported
from connectors.mariadb import marks, names, privileges
from connectors.mariadb.privileges import Place
from connectors.quoting import mariadb_text
from connectors.redaction import MASK

#: How often the dead-man's switch strikes once its time has come, until Lockgate has taken the account away.
SWITCH_SECONDS = 10
_NOT_SAID_ANY_MORE = "The access role does not say this any more."
#: What MariaDB takes for 'as many as there can be' and yet counts, which `connectors.mariadb.ending` needs.
MOST_CONNECTIONS = 2_147_483_647


@dataclass(frozen=True, slots=True)
class Command:
    """A statement in two readings: as it may be shown, and, where that hides a secret, as the server gets it."""

    shown: Statement
    secret_text: str = field(default="", repr=False)

    @property
    def text(self) -> str:
        """What the server gets."""
        return self.secret_text or self.shown.sql


def provision(request: ProvisionRequest) -> list[Command]:
    """Everything that a grant runs on a server that has nothing of it yet."""
    return [
        *group_from_nothing(request.scope),
        set_switch(request.principal, request.valid_until, request.made_by),
        create_account(request.principal, request.password, request.limits),
        *join(request.principal, request.scope),
        activate_role(request.principal, role_of(request.principal, request.scope)),
    ]


def revoke(request: RevokeRequest) -> list[Command]:
    """Everything that the end of a grant runs when nothing was left behind."""
    own_role = [drop_own_role(request.principal)] if privileges.can_define(request.scope.level) else []
    return [
        lock_account(request.principal),
        kill_sessions(request.principal),
        leave_role(request.principal, role_of(request.principal, request.scope)),
        open_to_us_alone(request.principal, Secret(MASK)),
        drop_account(request.principal),
        *own_role,
        drop_switch(request.principal),
    ]


def role_of(principal: str, scope: Scope) -> str:
    """The role that an account joins itself, and that every session of it begins with."""
    return names.own_role_name(principal) if privileges.can_define(scope.level) else privileges.group_of(scope)


# --- The group role


def group_from_nothing(scope: Scope) -> list[Command]:
    """The group role, and all that it holds."""
    group = privileges.group_of(scope)
    holding = privileges.wanted(scope)
    commands = [create_role(group)]
    commands += [grant(granted, place, group) for place, granted in sorted(holding.privileges.items(), key=_by_place)]
    commands += [grant_role(joined, group) for joined in sorted(holding.roles)]
    return commands


def create_role(role: str) -> Command:
    """Make a role where it is missing."""
    return _command(f"CREATE ROLE IF NOT EXISTS {names.role(role)}", "The role that carries the privileges; it stays.")


def grant(granted: frozenset[str], place: Place, role: str) -> Command:
    """Let a role do something in one place."""
    listed = ", ".join(privileges.in_order(granted))
    return _command(f"GRANT {listed} ON {place.sql} TO {names.role(role)}", _reach(place))


def withdraw(withdrawn: frozenset[str], place: Place, role: str) -> Command:
    """Let a role do it no more."""
    listed = ", ".join(privileges.in_order(withdrawn))
    return _command(f"REVOKE {listed} ON {place.sql} FROM {names.role(role)}", _NOT_SAID_ANY_MORE)


def withdraw_everything(role: str) -> Command:
    """Take everything from a role but the roles that it has joined."""
    return _command(
        f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {names.role(role)}",
        "The role held something that no access role can give.",
    )


def drop_role(role: str) -> Command:
    """Drop a role of ours that nobody can administer; it is made again at once."""
    return _command(f"DROP ROLE IF EXISTS {names.role(role)}", "Its administrator is gone, so it is made again.")


def give_back(role: str, member: str, host: str, *, with_admin: bool) -> Command:
    """Have whoever had a role that was made again have it again."""
    who = names.account(member, host) if host else names.role(member)
    return _command(f"GRANT {names.role(role)} TO {who}{' WITH ADMIN OPTION' if with_admin else ''}")


def grant_role(joined: str, role: str) -> Command:
    """Have a role join an existing one."""
    return _command(f"GRANT {names.role(joined)} TO {names.role(role)}")


def withdraw_role(joined: str, role: str) -> Command:
    """Have a role leave another."""
    return _command(f"REVOKE {names.role(joined)} FROM {names.role(role)}", _NOT_SAID_ANY_MORE)


# --- The account


def create_account(principal: str, password: Secret, limits: Limits) -> Command:
    """Make an account that is not there."""
    what = f"CREATE USER IF NOT EXISTS {names.account(principal)}"
    note = (
        "The password goes as a hash, so that it is in no log. By the two large numbers it is found if it is renamed."
    )
    return _with_password(what, password, _limits(limits) + _marks(principal), note)


def renew_account(principal: str, password: Secret, limits: Limits) -> Command:
    """Bring an account that is there to what a repeated call says."""
    what = f"ALTER USER {names.account(principal)}"
    told = _limits(limits) + _marks(principal)
    return _with_password(what, password, told, "It was there already: new password, same limits.", "ACCOUNT UNLOCK")


def join(principal: str, scope: Scope) -> list[Command]:
    """Have an account join its group, by way of a role of its own where it may define things.

    Anybody may name their current role as the definer of an event, and were that the group, the event would run on with
    the group's privileges when the account is long gone. A role that comes by way of another cannot be made current.
    """
    role = role_of(principal, scope)
    between: list[Command] = []
    if privileges.can_define(scope.level):
        note = "Goes with the account, and with it whatever runs in its name. The group would stay."
        between = [
            _command(f"CREATE ROLE IF NOT EXISTS {names.role(role)}", note),
            grant_role(privileges.group_of(scope), role),
        ]
    return [*between, give_role(principal, role)]


def give_role(principal: str, role: str) -> Command:
    """Have an account join a role."""
    return _command(f"GRANT {names.role(role)} TO {names.account(principal)}")


def activate_role(principal: str, role: str) -> Command:
    """Have the privileges of its role from the first moment of every session."""
    note = "Run by the account itself, so that its privileges work at once."
    return _command(f"SET DEFAULT ROLE {names.role(role)} FOR {names.account(principal)}", note)


def unlock_account(principal: str) -> Command:
    """Let an account log in again."""
    return _command(f"ALTER USER {names.account(principal)} ACCOUNT UNLOCK", "The old end had passed and locked it.")


# --- The end of the account


def lock_account(principal: str, host: str = names.ACCOUNT_HOST) -> Command:
    """Let an account log in no more; not an error when it is gone."""
    note = "No new logins from here on."
    return _command(f"ALTER USER IF EXISTS {names.account(principal, host)} ACCOUNT LOCK", note)


def kill_sessions(name: str) -> Command:
    """End every session that the server shows under the name of an account or of its own role, from whatever host."""
    note = "Again and again, until the process list shows none."
    return _command(f"KILL HARD CONNECTION USER {names.user(name)}", note)


def open_to_us_alone(principal: str, password: Secret, *, is_gone: bool = False) -> Command:
    """For counting: the account takes one connection, with a password that nobody but this call knows.

    One that is gone comes back for it, without any privilege, since its sessions outlive it and are counted by its name.
    """
    return _with_password(
        f"{'CREATE USER IF NOT EXISTS' if is_gone else 'ALTER USER'} {names.account(principal)}",
        password,
        _limits(Limits(connections=1, statement_timeout=None)),
        "For a last login, of ours: a session inside a routine is in no list, but takes the only connection.",
        "ACCOUNT UNLOCK",
    )


def open_where_hashes_are_refused(principal: str, password: Secret, *, is_gone: bool = False) -> Command:
    """The same for a server that checks passwords, and so takes no hash of one.

    The password goes as it is: it is random, opens an account without a privilege for one login, and is thrown away.
    """

    def composed(text: str) -> str:
        what = "CREATE USER IF NOT EXISTS" if is_gone else "ALTER USER"
        limits = _limits(Limits(connections=1, statement_timeout=None))
        return f"{what} {names.account(principal)} IDENTIFIED BY {mariadb_text(text)} {limits} ACCOUNT UNLOCK"

    note = "The server takes no hash: a password for this one login, of an account that has no privilege any more."
    return Command(Statement(composed(MASK), note=note), composed(password.reveal()))


def rename_back(name: str, host: str, principal: str) -> Command:
    """Give an account of ours the name back that it was made with."""
    note = "Somebody has renamed it. It is known by the limits it was made with."
    return _command(f"RENAME USER {names.account(name, host)} TO {names.account(principal)}", note)


def leave_role(principal: str, role: str, host: str = names.ACCOUNT_HOST) -> Command:
    """Have an account leave a role."""
    return _command(f"REVOKE {names.role(role)} FROM {names.account(principal, host)}")


def drop_account(principal: str, host: str = names.ACCOUNT_HOST) -> Command:
    """Drop an account; not an error when it is gone."""
    return _command(f"DROP USER IF EXISTS {names.account(principal, host)}")


def drop_own_role(principal: str) -> Command:
    """Drop the role between an account and its group; not an error when it is gone."""
    return _command(f"DROP ROLE IF EXISTS {names.role(names.own_role_name(principal))}")


# --- The dead-man's switch


def set_switch(principal: str, valid_until: datetime, made_by: str = "") -> Command:
    """Make or move the event that ends the account without us, and tells other Lockgates on the server whose it is."""
    # The handler, and no IF EXISTS, keeps it quiet when the account is gone: the server logs notes of its own accord.
    begins = mariadb_text(valid_until.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"))
    return _command(
        f"CREATE OR REPLACE EVENT {names.switch(principal)}"
        f" ON SCHEDULE EVERY {SWITCH_SECONDS} SECOND STARTS {begins}"
        f" COMMENT {mariadb_text(names.switch_comment(principal, made_by))}"
        " DO BEGIN"
        " DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;"
        # Whatever is set for the whole server (tx_read_only).
        " SET SESSION TRANSACTION READ WRITE;"
        f" ALTER USER {names.account(principal)} ACCOUNT LOCK;"
        f" KILL HARD CONNECTION USER {names.user(principal)};"
        f" KILL HARD CONNECTION USER {names.user(names.own_role_name(principal))};"
        " END",
        "The server's own switch: it locks the account and ends its sessions even if Lockgate is gone.",
    )


def drop_switch(principal: str) -> Command:
    """Drop the dead-man's switch of an account; not an error when it is gone."""
    return _command(f"DROP EVENT IF EXISTS {names.switch(principal)}")


# --- Transactions that were prepared


def roll_back_prepared(branch: str) -> Command:
    """Undo a prepared transaction; its name as XA RECOVER gives it for this."""
    return _command(
        f"XA ROLLBACK {branch}", "The account has prepared it; it would outlive the account, with its locks."
    )


def change_switch_comment(principal: str, comment: str) -> Command:
    """Write down in the switch which transactions an account has left."""
    note = "Once its sessions have ended, the server does not tell any more whose they are."
    return _command(f"ALTER EVENT {names.switch(principal)} COMMENT {mariadb_text(comment)}", note)


# --- Handing over


def create_heir(heir: str) -> Command:
    """Make the role that becomes the definer of what is left behind."""
    note = "Becomes the definer of what is handed over: no privileges, no login."
    return _command(f"CREATE ROLE IF NOT EXISTS {names.role(heir)}", note)


def as_definer(kind: str, sql_name: str, database: str) -> Command:
    """Have a routine run with the rights of its definer, whatever its caller may do."""
    note = "It ran with the rights of whoever calls it, and would go on to."
    return _command(f"ALTER {kind} {sql_name} SQL SECURITY DEFINER", note, database)


def redefine(sql: str, database: str) -> Command:
    """A view, routine, trigger or event with its new definer."""
    return _command(sql, "The same body, run with the rights of the heir, who has none.", database)


# --- Composing


def password_hash(password: Secret) -> Secret:
    """What `mysql_native_password` keeps: `*` and the upper-case hex SHA-1 of the SHA-1."""
    inner = hashlib.sha1(password.reveal().encode(), usedforsecurity=False).digest()
    return Secret("*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper())


def _with_password(what: str, password: Secret, limits: str, note: str, ending: str = "") -> Command:
    def compose(verifier: str) -> str:
        identified = f"IDENTIFIED VIA mysql_native_password USING {mariadb_text(verifier)}"
        return " ".join(part for part in (what, identified, limits, ending) if part)

    return Command(Statement(compose(MASK), note=note), compose(password_hash(password).reveal()))


def _limits(limits: Limits) -> str:
    """The limits an account can be held to; `idle_in_transaction_timeout` is none (see `docs/engines/mariadb.md`)."""
    connections = MOST_CONNECTIONS if limits.connections is None else limits.connections
    if not 0 < connections <= MOST_CONNECTIONS:
        raise LimitNotSupported(f"{connections} connections: MariaDB takes 0 for no limit.")
    # Zero is the server's own default, which a repeated call has to restore.
    seconds = 0.0 if limits.statement_timeout is None else limits.statement_timeout.total_seconds()
    if limits.statement_timeout is not None and not 0.000001 <= seconds <= 31_536_000:
        raise LimitNotSupported(f"{limits.statement_timeout} for a statement: MariaDB takes up to a year.")
    return f"WITH MAX_USER_CONNECTIONS {connections} MAX_STATEMENT_TIME {seconds:.6f}"


def _marks(principal: str) -> str:
    """See `connectors.mariadb.marks`."""
    questions, updates = marks.marks_of(principal)
    return f" MAX_QUERIES_PER_HOUR {questions} MAX_UPDATES_PER_HOUR {updates}"


def _command(sql: str, note: str = "", database: str = "") -> Command:
    return Command(Statement(sql, database, note))


def _reach(place: Place) -> str:
    return "" if place.table else "On the whole database: tables made later are covered."


def _by_place(item: tuple[Place, frozenset[str]]) -> Place:
    return item[0]


def shown(commands: Sequence[Command]) -> tuple[Statement, ...]:
    """The commands as they may be shown."""
    return tuple(command.shown for command in commands)
