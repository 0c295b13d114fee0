"""Every statement that makes, moves or takes away an account, composed here alone, for the server and for a plan.

Pure: names and times come in, SQL goes out. What depends on the privileges of a group is in `group_privileges`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connectors.base import Level, Limits, Scope, Statement
from connectors.quoting import postgresql_block as block
from connectors.quoting import postgresql_name as name
from connectors.quoting import postgresql_text as text
from connectors.redaction import MASK

#: From this version on a membership can be had without the right to SET ROLE.
MEMBERSHIP_OPTIONS_SINCE = 160000

_TOLD_VERSION = re.compile(r"PostgreSQL (\d+)")


#: How the comment on an account begins; the name that Lockgate gave it follows.
MARK = "Lockgate account "
#: Between the name and which Lockgate gave it.
MADE_BY = " by "


@dataclass(frozen=True, slots=True)
class Command:
    """A statement in two readings: as it may be shown, and, where that hides a secret, as the server gets it."""

    shown: Statement
    secret_text: str = ""

    @property
    def text(self) -> str:
        """What the server gets."""
        return self.secret_text or self.shown.sql


def version_told(told: str) -> int | None:
    """`server_version_num`, as far as the major version, of `PostgreSQL 18.4`; None when that says nothing."""
    found = _TOLD_VERSION.match(told)
    return int(found.group(1)) * 10000 if found else None


def command(sql: str, database: str, note: str = "") -> Command:
    """A statement without a secret."""
    return Command(Statement(sql, database, note))


# --- Making an account


def make_account(
    *,
    principal: str,
    verifier: str,
    valid_until: datetime,
    limits: Limits,
    database: str,
    exists: bool = False,
) -> Command:
    """The account itself, with its password's verifier, its end and its number of connections."""
    verb = "ALTER" if exists else "CREATE"
    connections = -1 if limits.connections is None else limits.connections

    def composed(password: str) -> str:
        return (
            f"{verb} ROLE {name(principal)} LOGIN PASSWORD {text(password)}"
            f" CONNECTION LIMIT {connections} VALID UNTIL {_moment(valid_until)}"
        )

    note = "The server itself refuses logins after VALID UNTIL, even if Lockgate is gone by then."
    return Command(Statement(composed(MASK), database, note), composed(verifier))


def mark(principal: str, database: str, made_by: str = "") -> Command:
    """By this the account is found under another name, and left alone by other Lockgates on the server."""
    told = MARK + principal + (MADE_BY + made_by if made_by else "")
    return command(
        f"COMMENT ON ROLE {name(principal)} IS {text(told)}",
        database,
        "Stays when somebody renames the account, and the account itself cannot change it.",
    )


def set_own_password(verifier: str, database: str) -> Command:
    """Another password for whoever is logged in, which needs no privilege."""

    def composed(password: str) -> str:
        return f"ALTER ROLE CURRENT_USER PASSWORD {text(password)}"

    return Command(Statement(composed(MASK), database, "Lockgate's own account."), composed(verifier))


def forget_settings(principal: str, database: str) -> Command:
    """Settings that an earlier making, or somebody else, left on the account."""
    return command(f"ALTER ROLE {name(principal)} RESET ALL", database)


def settings_of_account(principal: str, level: Level, limits: Limits, database: str) -> tuple[Command, ...]:
    """What every session of the account starts with."""
    settings: list[tuple[str, str]] = []
    if level is Level.READ:
        settings.append(("default_transaction_read_only", "on"))
    if limits.statement_timeout is not None:
        settings.append(("statement_timeout", _milliseconds(limits.statement_timeout)))
    if limits.idle_in_transaction_timeout is not None:
        setting = "idle_in_transaction_session_timeout"
        settings.append((setting, _milliseconds(limits.idle_in_transaction_timeout)))
    return tuple(
        command(f"ALTER ROLE {name(principal)} SET {setting} = {text(value)}", database) for setting, value in settings
    )


def roles_to_join(scope: Scope) -> tuple[str, ...]:
    """The roles whose member an account of this scope is."""
    if scope.level is Level.MEMBER:
        return scope.database_roles
    return (scope.group,)


def join(principal: str, scope: Scope, database: str, version: int | None) -> tuple[Command, ...]:
    """Membership in each role of the scope.

    From 16 on, a group of Lockgate's is inherited from but cannot be turned into by SET ROLE. Where the `version` is
    not known, the statement finds it out on the server, so that what a plan shows is what runs.
    """
    if scope.level is Level.MEMBER:
        return tuple(command(f"GRANT {name(role)} TO {name(principal)}", database) for role in scope.database_roles)
    plainly = f"GRANT {name(scope.group)} TO {name(principal)}"
    return (command(_by_version(plainly, f"{plainly} WITH INHERIT TRUE, SET FALSE", version), database),)


def leave(role: str, principal: str, database: str) -> Command:
    """No membership in a role any more."""
    return command(f"REVOKE {name(role)} FROM {name(principal)}", database)


@dataclass(frozen=True, slots=True)
class Membership:
    """One membership, as somebody made it."""

    role: str
    member: str
    grantor: str
    """Empty where that is ourselves."""


def leave_granted(membership: Membership, database: str, version: int) -> Command:
    """The end of one membership; from 16 on each belongs to who made it, and others' may stand beside it."""
    sql = f"REVOKE {name(membership.role)} FROM {name(membership.member)}"
    if version >= MEMBERSHIP_OPTIONS_SINCE and membership.grantor:
        sql += f" GRANTED BY {name(membership.grantor)}"
    return command(sql, database)


def leave_given(membership: Membership, principal: str, database: str, version: int) -> tuple[Command, ...]:
    """The end of a membership that the account itself made, and from 16 on of what hangs on it."""
    taken = leave_granted(membership, database, version)
    if version < MEMBERSHIP_OPTIONS_SINCE:
        return (taken,)
    return (
        act_for(principal, database, version),
        command(f"{taken.text} CASCADE", database),
        stop_acting_for(principal, database),
    )


def move_end(principal: str, valid_until: datetime, database: str) -> Command:
    """Another end for an account that is there."""
    return command(f"ALTER ROLE {name(principal)} VALID UNTIL {_moment(valid_until)}", database)


# --- Taking an account away


def block_logins(principal: str, database: str) -> Command:
    """No new session from here on."""
    return command(
        f"ALTER ROLE {name(principal)} NOLOGIN",
        database,
        "No new session from here on.",
    )


def end_sessions(principal: str, database: str) -> Command:
    """End every session of the account that the server shows."""
    return command(
        "SELECT a.pid, pg_terminate_backend(a.pid) FROM pg_stat_activity a"
        f" JOIN pg_roles r ON r.oid = a.usesysid WHERE r.rolname = {text(principal)}",
        database,
        "Again and again until none is left: a session outlives NOLOGIN and the loss of a membership.",
    )


def end_process(pid: int, database: str) -> Command:
    """End one process that is past the check of NOLOGIN and not shown as a session yet."""
    return command(f"SELECT pg_terminate_backend({pid})", database, "A login of the account that had just begun.")


def end_everywhere(oids: str, database: str) -> Command:
    """On a standby: end every session of these accounts, and of accounts that are gone."""
    return command(
        "SELECT a.pid, pg_terminate_backend(a.pid) FROM pg_stat_activity a"
        f" WHERE a.usesysid IN ({oids}) OR a.usesysid IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.usesysid)",
        database,
        "On a server that follows: sessions there are none of the primary's.",
    )


def end_strays(database: str) -> Command:
    """End every session of an account that is gone."""
    return command(
        "SELECT a.pid, pg_terminate_backend(a.pid) FROM pg_stat_activity a"
        " WHERE a.usesysid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.usesysid)",
        database,
        "The account was dropped by somebody else, and a session may have outlived it.",
    )


def become(role: str) -> str:
    """From here on the session has the rights of `role`, and no others."""
    return f"SET ROLE {name(role)}"


def roll_back_prepared(transaction: str, database: str) -> Command:
    """Undo a transaction that was prepared for a later commit."""
    return command(f"ROLLBACK PREPARED {text(transaction)}", database)


def make_heir(heir: str, database: str) -> tuple[Command, ...]:
    """The role that receives what accounts leave behind, and our right to give to it."""
    return (
        command(
            f"CREATE ROLE {name(heir)} NOLOGIN",
            database,
            "Where missing: owns what ended accounts have left.",
        ),
        command(f"GRANT {name(heir)} TO CURRENT_USER", database),
    )


def act_for(role: str, database: str, version: int | None = 0) -> Command:
    """What handing over another's objects needs; undone by `stop_acting_for`, or by the end of that role.

    Where the `version` is not known (None), the statement finds it out on the server.
    """
    plainly = f"GRANT {name(role)} TO CURRENT_USER"
    note = "For the time of handing over only."
    return command(_by_version(plainly, f"{plainly} WITH INHERIT TRUE, SET TRUE", version), database, note)


def _by_version(before: str, since: str, version: int | None) -> str:
    """A statement about a membership, as the version takes it; one that looks there where that is not known."""
    if version is not None:
        return since if version >= MEMBERSHIP_OPTIONS_SINCE else before
    chosen = (
        f"\nBEGIN\n  EXECUTE CASE WHEN current_setting('server_version_num')::int >= {MEMBERSHIP_OPTIONS_SINCE}\n"
        f"    THEN {text(since)}\n    ELSE {text(before)} END;\nEND "
    )
    return f"DO {block(chosen)}"


def stop_acting_for(role: str, database: str) -> Command:
    """The other end of `act_for`, for a role that stays."""
    return command(f"REVOKE {name(role)} FROM CURRENT_USER", database)


def let_receive(schema: str, heir: str, database: str) -> Command:
    """What PostgreSQL asks of a new owner of functions and types."""
    return command(
        f"GRANT CREATE ON SCHEMA {name(schema)} TO {name(heir)}",
        database,
        "Until the end of this step.",
    )


def stop_receiving(schema: str, heir: str, database: str) -> Command:
    """The other end of `let_receive`."""
    return command(f"REVOKE CREATE ON SCHEMA {name(schema)} FROM {name(heir)}", database)


def let_receive_here(heir: str, database: str) -> Command:
    """What PostgreSQL asks of a new owner of publications, and of subscriptions."""
    return command(
        f"GRANT CREATE ON DATABASE {name(database)} TO {name(heir)}", database, "Until the end of this step."
    )


def stop_receiving_here(heir: str, database: str) -> Command:
    """The other end of `let_receive_here`."""
    return command(f"REVOKE CREATE ON DATABASE {name(database)} FROM {name(heir)}", database)


def close_to_public(kind: str, identity: str, database: str) -> Command:
    """Nobody may use what an account left behind unless somebody looks at it and says so."""
    return command(
        f"REVOKE ALL ON {kind} {identity} FROM PUBLIC", database, "What is handed over is open to nobody by default."
    )


def end_passing_on(kind: str, identity: str, grantee: str, database: str) -> Command:
    """What somebody could pass on, and has passed on to everybody, as far as it goes."""
    sql = f"REVOKE GRANT OPTION FOR ALL ON {kind} {identity} FROM {name(grantee)} CASCADE"
    return command(sql, database, "It was passed on to PUBLIC.")


def give_one(kind: str, identity: str, heir: str, database: str) -> Command:
    """One object gets the heir as its owner."""
    return command(f"ALTER {kind} {identity} OWNER TO {name(heir)}", database)


def hand_over(role: str, heir: str, database: str) -> Command:
    """Whatever the role owns in one database gets the heir as its owner."""
    return command(
        f"REASSIGN OWNED BY {name(role)} TO {name(heir)}",
        database,
        "Where the account owns something, in any database.",
    )


def drop_privileges(role: str, database: str) -> Command:
    """Privileges and default privileges in one database.

    It would drop what the role still owns: only ever after `hand_over`, in the same transaction.
    """
    return command(
        f"DROP OWNED BY {name(role)}",
        database,
        "Where the account has privileges of its own, in any database.",
    )


def drop_account(principal: str, database: str) -> Command:
    """The account itself."""
    return command(f"DROP ROLE {name(principal)}", database)


def _moment(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("A moment without a time zone is not a moment.")
    return text(moment.astimezone(UTC).isoformat(sep=" "))


def _milliseconds(duration: timedelta) -> str:
    return f"{max(1, round(duration.total_seconds() * 1000))}ms"
