"""The group: the database role that carries the privileges of a scope, kept in step with it in each database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from connectors.base import Journal, Scope
from connectors.errors import ConnectorError, ServerRefused
from connectors.sqlserver import statements
from connectors.sqlserver.privileges import EVERYTHING, FIXED_ROLES, Place, fixed_roles, wanted
from connectors.sqlserver.session import Session
from connectors.sqlserver.statements import Command

_ROLE = "SELECT 1 FROM sys.database_principals WHERE type = 'R' AND name = %s"
_FIXED = "SELECT COUNT(*) FROM sys.database_principals WHERE type = 'R' AND name IN (%s, %s)"
_HELD = """
SELECT p.class, p.permission_name, p.state, s.name, o.name, p.minor_id
FROM sys.database_permissions AS p
JOIN sys.database_principals AS g ON g.principal_id = p.grantee_principal_id
LEFT JOIN sys.objects AS o ON p.class = 1 AND o.object_id = p.major_id
LEFT JOIN sys.schemas AS s ON s.schema_id = CASE WHEN p.class = 3 THEN p.major_id ELSE o.schema_id END
WHERE g.type = 'R' AND g.name = %s
"""
_PARENTS = """
SELECT r.name FROM sys.database_role_members AS m
JOIN sys.database_principals AS r ON r.principal_id = m.role_principal_id
JOIN sys.database_principals AS g ON g.principal_id = m.member_principal_id
WHERE g.name = %s
"""
_SCHEMAS = """
SELECT CAST(name AS nvarchar(128)) FROM sys.schemas
WHERE name NOT IN (N'sys', N'INFORMATION_SCHEMA', N'guest') AND name NOT LIKE N'db[_]%' ORDER BY name
"""
_TABLES = """
SELECT s.name, o.name FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type IN ('U', 'V') AND s.name NOT IN (N'sys', N'INFORMATION_SCHEMA')
"""
#: Not to get the lock within so many milliseconds is no error to the server, only a number below nought.
_TAKE_TURNS = (
    "SET NOCOUNT ON; DECLARE @got int; EXEC @got = sp_getapplock @Resource = N'lockgate_groups', @LockMode = N'Exclusive',"
    " @LockOwner = N'Session', @LockTimeout = {milliseconds:d}; SELECT @got"
)
_DONE = "EXEC sp_releaseapplock @Resource = N'lockgate_groups', @LockOwner = N'Session'"

#: `sys.database_permissions.class`: the database, an object or a column of it, a schema.
_CLASSES = (0, 1, 3)
#: `state`: granted, and not to be passed on.
_PLAIN = "G"


def bring_in_step(session: Session, scope: Scope, journal: Journal) -> None:
    """Make the group where missing, and let it hold exactly what the scope says, in the session's database."""
    with _in_turn(session):
        exists = bool(session.rows(_ROLE, scope.group))
        parents = session.texts(_PARENTS, scope.group) if exists else []
        if others := sorted(set(parents) - set(FIXED_ROLES)):
            raise ServerRefused(f"The role {scope.group} is no plain group: it is in {', '.join(others)}.")
        if not exists:
            session.run(statements.create_role(scope.group, session.database), journal)
        commands = _differences(session, scope, parents, exists=exists)
        if commands:
            with session.transaction():
                for command in commands:
                    session.run(command, journal)


def _differences(session: Session, scope: Scope, parents: Sequence[str], *, exists: bool) -> list[Command]:
    """What lets the group hold what the scope says: first what is lacking, so that nobody is without it in between."""
    group, database = scope.group, session.database
    fitting = fixed_roles(scope)
    joined = fitting if fitting and _has_fixed_roles(session) else ()
    for_each = _from_catalogue if session.has_catalogue_of_permissions else _from_nothing
    return [
        *(statements.join_fixed(role, group, database) for role in joined if role not in parents),
        *for_each(session, scope, exists=exists, has_fixed_roles=bool(joined)),
        *(statements.leave_fixed(role, group, database) for role in sorted(parents) if role not in joined),
    ]


def _has_fixed_roles(session: Session) -> bool:
    return bool(session.rows(_FIXED, *FIXED_ROLES)[0][0] == len(FIXED_ROLES))


def _from_catalogue(session: Session, scope: Scope, *, exists: bool, has_fixed_roles: bool) -> list[Command]:
    """Only what differs from what the catalog tells."""
    group, database = scope.group, session.database
    holds = _held(session, group) if exists else {}
    should = {place: set(held) for place, held in wanted(scope, has_fixed_roles=has_fixed_roles).items()}
    commands = []
    for place, states in sorted(holds.items()):
        # What may be passed on, or is denied, is not what we grant: it is taken back, and granted plainly.
        fitting = {name for name, state in states.items() if state == _PLAIN and name in should.get(place, set())}
        if surplus := sorted(states.keys() - fitting):
            commands.append(statements.withdraw(place, surplus, group, database))
        should[place] = should.get(place, set()) - fitting
    for place, lacking in should.items():
        if lacking:
            commands.append(statements.grant(place, sorted(lacking), group, database))
    return commands


def _from_nothing(session: Session, scope: Scope, *, exists: bool, has_fixed_roles: bool) -> list[Command]:
    """Where the server does not tell what is held: everything is taken and granted anew, in one transaction.

    So nobody who lives with the group sees it without, and none of it is more than the scope says.
    """
    group, database = scope.group, session.database
    commands = everything_of(session, group) if exists else []
    for place, privileges in wanted(scope, session.texts(_SCHEMAS), has_fixed_roles=has_fixed_roles).items():
        commands.append(statements.grant(place, privileges, group, database))
    return commands


def everything_of(session: Session, grantee: str) -> list[Command]:
    """Take whatever somebody may hold on schemas and tables, where the server does not tell what that is."""
    places = [Place(schema) for schema in session.texts(_SCHEMAS)]
    places += [Place(schema, table) for schema, table in session.rows(_TABLES)]
    return [statements.withdraw_plain(place, EVERYTHING, grantee, session.database) for place in places]


def _held(session: Session, group: str) -> dict[Place, dict[str, str]]:
    """What the group holds where, each with its state: plainly granted, to be passed on, or denied."""
    held: defaultdict[Place, dict[str, str]] = defaultdict(dict)
    for kind, permission, state, schema, table, column in session.rows(_HELD, group):
        if kind not in _CLASSES or column or (kind and schema is None):
            raise ServerRefused(
                f"The role {group} holds {permission} on something that no access role can name. Drop it."
            )
        held[Place(schema or "", table or "")][str(permission)] = str(state).strip()
    return dict(held)


@contextmanager
def _in_turn(session: Session) -> Iterator[None]:
    """One at a time in a database: two who make the same group at once would get in each other's way."""
    milliseconds = round(session.patience.total_seconds() * 1000)
    try:
        got = session.rows(_TAKE_TURNS.format(milliseconds=milliseconds))
    except ConnectorError:
        # Whether it has the lock nobody knows; it goes with the session.
        session.spoil()
        raise
    if got[0][0] < 0:
        busy = ServerRefused(f"Somebody else has been changing the groups of {session.database} for long.")
        busy.transient = True
        raise busy
    try:
        yield
    finally:
        try:
            session.rows(_DONE)
        except ConnectorError:
            # The lock goes with the session.
            session.spoil()
