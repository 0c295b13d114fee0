"""A grant and its revocation, tried in one transaction that is rolled back: what no reading of the catalogue shows.

An event trigger of the server's, a table that somebody closed since: whatever makes a grant or a revocation fail makes the
rehearsal fail, with the server's own words. What it runs are the statements of the real thing, as far as they depend on
what is on the server; nothing of it is ever committed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import chain

from psycopg import Rollback

from connectors.base import PRINCIPAL_PREFIX, Level, Remedy, Scope
from connectors.errors import AdminLacksPrivilege, ConnectorError
from connectors.postgresql import statements
from connectors.postgresql.failures import INSUFFICIENT_PRIVILEGE
from connectors.postgresql.groups import changes
from connectors.postgresql.own_account import ADMIN_SINCE, OwnAccount
from connectors.postgresql.session import Session
from connectors.postgresql.setup import DEFAULT_HEIR
from connectors.quoting import postgresql_name as name

#: From this version on a superuser can keep an account's sessions out of the way of event triggers.
_TRIGGERS_OFF_SINCE = 170000
_ROLE = "SELECT FROM pg_roles WHERE rolname = %s"
_TRIGGERS = """
SELECT evtname::text, proname::text FROM pg_event_trigger t JOIN pg_proc p ON p.oid = t.evtfoid
WHERE evtenabled IN ('O', 'A') AND evtevent <> 'login' ORDER BY evtname
"""


def rehearse(session: Session, us: OwnAccount, scope: Scope | None = None) -> list[Remedy]:
    """What stands in the way in one database; of the scope, or of any account at all."""
    try:
        session.insist(lambda: _in_vain(session, us, scope))
    except ConnectorError as error:
        if error.transient:
            return []  # Somebody was in the way, who will not be there the next time.
        return [_explained(session, us, error)]
    return []


def has_triggers(session: Session) -> bool:
    """Whether anything on the server may get in the way of our statements in this database."""
    return bool(session.rows(_TRIGGERS))


def _in_vain(session: Session, us: OwnAccount, scope: Scope | None) -> None:
    """Everything, and nothing of it stays."""
    account = name(f"{PRINCIPAL_PREFIX}rehearsal_{secrets.token_hex(8)}")
    with session.transaction():
        # One by one: what comes next depends on what the server says after the one before.
        for statement in chain(_granted(session, us, scope, account), _revoked(session, account)):
            session.rows(statement)
        raise Rollback


def _granted(session: Session, us: OwnAccount, scope: Scope | None, account: str) -> Iterator[str]:
    yield f"CREATE ROLE {account} NOLOGIN"
    if scope is None:
        return
    if scope.level is not Level.MEMBER:
        yield from _group(session, scope)
    inherit_only = us.version >= ADMIN_SINCE and scope.level is not Level.MEMBER
    for role in statements.roles_to_join(scope):
        yield f"GRANT {name(role)} TO {account}{' WITH INHERIT TRUE, SET FALSE' if inherit_only else ''}"


def _group(session: Session, scope: Scope) -> Iterator[str]:
    if not session.rows(_ROLE, [scope.group]):
        yield f"CREATE ROLE {name(scope.group)} NOLOGIN"
    # Ends by reading what came of it, and raises where the group would lack something still.
    yield from (change.text for change in changes(session, scope, grants=True))


def _revoked(session: Session, account: str) -> Iterator[str]:
    if not session.rows(_ROLE, [DEFAULT_HEIR]):
        yield f"CREATE ROLE {name(DEFAULT_HEIR)} NOLOGIN"
    if not session.rows("SELECT WHERE pg_has_role(%s, 'USAGE')", [DEFAULT_HEIR]):
        yield f"GRANT {name(DEFAULT_HEIR)} TO CURRENT_USER"
    yield f"GRANT {account} TO CURRENT_USER"
    yield f"REASSIGN OWNED BY {account} TO {name(DEFAULT_HEIR)}"
    yield f"DROP OWNED BY {account}"
    yield f"DROP ROLE {account}"


def _explained(session: Session, us: OwnAccount, error: ConnectorError) -> Remedy:
    where = f"In database {session.database}"
    if triggers := _blamed(session, error):
        problem = (
            f"{where}, {' and '.join(f'event trigger {trigger}' for trigger in triggers)} fails under Lockgate's account, and a"
            f" grant or a revocation with it: {error.detail} Let its function pass session_user {us.user}, or run, as a"
            " superuser:"
        )
        return Remedy(problem, _out_of_the_way(session, us, triggers))
    if isinstance(error, AdminLacksPrivilege) and not error.code:
        problem = f"What an access role needs, Lockgate's account may not grant. {error.detail}"
        return Remedy(problem, f"Run part 2 of the setup SQL in {session.database}.")
    if error.code == INSUFFICIENT_PRIVILEGE:
        problem = f"{where}, a grant or its revocation would fail: {error.detail}."
        return Remedy(problem, f"Run part 1 of the setup SQL, and part 2 in {session.database}.")
    return Remedy(f"{where}, a grant or its revocation would fail.", f"{error.sentence} {error.detail} [{error.code}]")


def _blamed(session: Session, error: ConnectorError) -> list[str]:
    """The event triggers in whose function an error arose: the server says in which function it was."""
    diagnosis = getattr(error.__cause__, "diag", None)
    context: str = getattr(diagnosis, "context", None) or ""
    return [trigger for trigger, function in session.rows(_TRIGGERS) if function in context]


def _out_of_the_way(session: Session, us: OwnAccount, triggers: list[str]) -> str:
    if us.version >= _TRIGGERS_OFF_SINCE:
        return f"ALTER ROLE {name(us.user)} SET event_triggers = off;"
    return in_database(session.database, " ".join(f"ALTER EVENT TRIGGER {name(each)} DISABLE;" for each in triggers))


def in_database(database: str, sql: str) -> str:
    """A line for psql that goes to a database first."""
    return f"\\connect {name(database)}\n{sql}"
