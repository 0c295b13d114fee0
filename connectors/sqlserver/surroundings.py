"""What a check finds around our own account: triggers of the server, what everybody may, and whose schemas are given out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from connectors.base import Level, Remedy, Scope
from connectors.errors import ConnectorError, ServerUnreachable
from connectors.quoting import UnquotableName, sqlserver_name
from connectors.sqlserver.session import Session

#: What we do that a trigger may answer to: logins, and statements on logins, users, roles and what they hold.
_EVENTS = (
    "('LOGON', 'CREATE_LOGIN', 'ALTER_LOGIN', 'DROP_LOGIN', 'CREATE_USER', 'ALTER_USER', 'DROP_USER', 'CREATE_ROLE',"
    " 'ADD_ROLE_MEMBER', 'DROP_ROLE_MEMBER', 'GRANT_DATABASE', 'REVOKE_DATABASE', 'ALTER_AUTHORIZATION_DATABASE')"
)
ON_SERVER = f"""
SELECT t.name, MAX(CASE WHEN e.type_desc = 'LOGON' THEN 1 ELSE 0 END) FROM sys.server_triggers AS t
JOIN sys.server_trigger_events AS e ON e.object_id = t.object_id
WHERE t.is_disabled = 0 AND t.is_ms_shipped = 0 AND e.type_desc IN {_EVENTS} GROUP BY t.name ORDER BY t.name
"""
IN_DATABASE = f"""
SELECT DISTINCT t.name FROM sys.triggers AS t JOIN sys.trigger_events AS e ON e.object_id = t.object_id
WHERE t.parent_class = 0 AND t.is_disabled = 0 AND e.type_desc IN {_EVENTS} ORDER BY t.name
"""
#: What everybody who may enter holds, or may do because `guest` may, besides what every database gives from the start.
EVERYBODY = """
SELECT g.name, p.class, p.permission_name, s.name, o.name
FROM sys.database_permissions AS p JOIN sys.database_principals AS g ON g.principal_id = p.grantee_principal_id
LEFT JOIN sys.objects AS o ON p.class = 1 AND o.object_id = p.major_id
LEFT JOIN sys.schemas AS s ON s.schema_id = CASE WHEN p.class = 3 THEN p.major_id ELSE o.schema_id END
WHERE g.name IN (N'public', N'guest') AND p.state IN ('G', 'W') AND (p.class = 3 OR o.is_ms_shipped = 0
  OR (p.class = 0 AND p.permission_name NOT IN
    ('VIEW ANY COLUMN ENCRYPTION KEY DEFINITION', 'VIEW ANY COLUMN MASTER KEY DEFINITION')))
ORDER BY g.name, p.class, s.name, o.name, p.permission_name
"""
GUEST_IN = """
SELECT r.name FROM sys.database_role_members AS x
JOIN sys.database_principals AS r ON r.principal_id = x.role_principal_id
JOIN sys.database_principals AS g ON g.principal_id = x.member_principal_id
WHERE g.name IN (N'public', N'guest') ORDER BY r.name
"""
#: Each schema with its owner, and whether that one has a login, a role or a permission of its own.
OWNERS = """
SELECT s.name, u.name, CASE WHEN u.type = 'S' AND u.name <> N'dbo' AND SUSER_SNAME(u.sid) IS NULL
  AND NOT EXISTS (SELECT 1 FROM sys.database_role_members AS m WHERE m.member_principal_id = u.principal_id)
  AND NOT EXISTS (SELECT 1 FROM sys.database_permissions AS p
    WHERE p.grantee_principal_id = u.principal_id AND p.permission_name <> 'CONNECT')
  THEN 1 ELSE 0 END
FROM sys.schemas AS s JOIN sys.database_principals AS u ON u.principal_id = s.principal_id
WHERE s.name NOT IN (N'sys', N'INFORMATION_SCHEMA', N'guest') AND LEFT(s.name, 3) <> N'db_' ORDER BY s.name
"""
_SHOWN = 5


def about_server_triggers(home: Session) -> Iterator[Remedy]:
    """Triggers that run when somebody logs in, or when we make an account. Whether one fails is found out by trying."""
    for name, is_logon in _asked(home, ON_SERVER):
        what = "each login, ours and those of accounts" if is_logon else "what Lockgate does with logins and users"
        yield Remedy(
            f"The trigger {name} of the server runs at {what}: where it fails, or rolls back, that fails too.",
            "Let it pass where ORIGINAL_LOGIN() is Lockgate's account, and for logins that begin with lg_.",
            blocking=False,
        )


def about_database(session: Session, scopes: Sequence[Scope]) -> Iterator[Remedy]:
    """The same in one database, what everybody may there, and who owns the schemas in which access roles define things."""
    database = session.database
    for (name,) in _asked(session, IN_DATABASE):
        yield Remedy(
            f"The trigger {name} of database {database} runs when Lockgate makes or drops users, roles and grants there:"
            " where it fails, or rolls back, that fails too.",
            "Let it pass where ORIGINAL_LOGIN() is Lockgate's account.",
            blocking=False,
        )
    yield from _about_everybody(session)
    yield from _about_owners(session, [scope for scope in scopes if scope.level is Level.DDL])


def _about_everybody(session: Session) -> Iterator[Remedy]:
    held: defaultdict[str, list[str]] = defaultdict(list)
    for who, kind, permission, schema, name in _asked(session, EVERYBODY):
        where = f" on {schema}.{name}" if name else f" on schema {schema}" if kind == 3 else ""
        held[str(who)].append(f"{permission}{where}")
    for (role,) in _asked(session, GUEST_IN):
        held["guest"].append(f"membership in {role}")
    for who, found in sorted(held.items()):
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        reach = "Every login of the server" if who == "guest" else "Everybody who may enter it"
        yield Remedy(
            f"{reach} has in database {session.database} by way of {who}: {', '.join(found[:_SHOWN])}{more}. No access role"
            " holds anybody back from it.",
            f"REVOKE it FROM {who}, and grant it to those who need it.",
            blocking=False,
        )


def _about_owners(session: Session, scopes: Sequence[Scope]) -> Iterator[Remedy]:
    if not scopes:
        return
    named = {name for scope in scopes for name in (*scope.schemas, *(schema for schema, _ in scope.tables))}
    whole = any(not scope.schemas and not scope.tables for scope in scopes)
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for schema, owner, is_powerless in _asked(session, OWNERS):
        if not is_powerless and (whole or schema in named):
            owners[str(owner)].append(str(schema))
    for owner, schemas in sorted(owners.items()):
        more = ", …" if len(schemas) > _SHOWN else ""
        yield Remedy(
            f"An access role of level ddl reaches schemas of {owner} in database {session.database}:"
            f" {', '.join(schemas[:_SHOWN])}{more}. What is defined there belongs to {owner} and can act with the rights of"
            f" {owner}: approve it as you would those.",
            f"Give it on a schema of a user without rights: {_own_schema(session.database, schemas[0])}",
            blocking=False,
        )


def _own_schema(database: str, schema: str) -> str:
    try:
        owner, where, what = (sqlserver_name(name) for name in (f"{schema}_owner"[:128], database, schema))
    except UnquotableName:
        return "CREATE USER … WITHOUT LOGIN; ALTER AUTHORIZATION ON SCHEMA::… TO …;"
    if schema == "dbo":
        what = owner = "[workshop]"
        return f"USE {where}; CREATE USER [workshop_owner] WITHOUT LOGIN; CREATE SCHEMA {what} AUTHORIZATION [workshop_owner];"
    return f"USE {where}; CREATE USER {owner} WITHOUT LOGIN; ALTER AUTHORIZATION ON SCHEMA::{what} TO {owner};"


def _asked(session: Session, sql: str) -> list[tuple[object, ...]]:
    """What a compatible server has no catalog for is not told."""
    try:
        return session.rows(sql)
    except ServerUnreachable:
        raise
    except ConnectorError:
        return []
