"""Trying, in transactions that are rolled back, what grants and their ends need: whatever fails there would fail then.

A trigger that refuses, a permission that was denied, a database that takes no changes: each is found by the statement that
would meet it, with the server's own number.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

from connectors.base import Level, Limits, Remedy, Scope, Secret
from connectors.errors import ConnectorError, ServerUnreachable, TriggerInTheWay
from connectors.sqlserver import statements
from connectors.sqlserver.privileges import fixed_roles
from connectors.sqlserver.session import Session
from connectors.sqlserver.statements import Command

_LET_PASS = (
    "Let the trigger pass where ORIGINAL_LOGIN() is Lockgate's account, or disable it: DISABLE TRIGGER … ON {where};"  # noqa: S105
)
_SETUP = "Run the SQL that this page shows; where a DENY or a policy stands against it, take that away."


class _Undo(Exception):
    """All went well, and none of it is to stay."""


def of_logins(home: Session) -> Iterator[Remedy]:
    """A login is made, disabled and dropped."""
    name = _throwaway()
    password = Secret(secrets.token_urlsafe(32))
    commands = [
        statements.create_login(name, password, home.database, home.database, Limits()),
        statements.disable_login(name, home.database),
        statements.drop_login(name, home.database),
    ]
    yield from _tried(home, commands, "ALL SERVER")


def of_database(session: Session, scopes: Sequence[Scope]) -> Iterator[Remedy]:
    """A role and a user are made, joined and dropped in the session's database."""
    user, database = _throwaway(), session.database
    role = f"lockgate_{user}"
    fixed = sorted({name for scope in scopes if scope.level is not Level.MEMBER for name in fixed_roles(scope)})
    commands = [
        statements.create_role(role, database),
        *(statements.join_fixed(name, role, database) for name in fixed),
        statements.create_heir(user, database),
        statements.join(role, user, database),
        statements.leave(role, user, database),
        statements.drop_user(user, database),
    ]
    yield from _tried(session, commands, "DATABASE")


def _throwaway() -> str:
    return f"lg_check_{secrets.token_hex(8)}"


def _tried(session: Session, commands: Sequence[Command], where: str) -> Iterator[Remedy]:
    done: list[Command] = []
    try:
        with session.transaction():
            for command in commands:
                done.append(command)
                session.run(command, lambda entry: None)
            raise _Undo
    except _Undo:
        return
    except ServerUnreachable:
        raise
    except ConnectorError as error:
        tried = done[-1].shown.sql if done else "BEGIN TRANSACTION"
        trigger = isinstance(error, TriggerInTheWay)
        yield Remedy(
            f"Tried in database {session.database}, and rolled back: {tried} fails. {error}",
            _LET_PASS.format(where=where) if trigger else _SETUP,
        )
