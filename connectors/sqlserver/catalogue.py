"""What a server holds: the things that an access role can name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.base import PRINCIPAL_PREFIX, ServerDescription
from connectors.errors import ConnectorError
from connectors.quoting import sqlserver_text
from connectors.sqlserver.session import Sessions
from connectors.sqlserver.setup import SYSTEM_DATABASES

#: Roles of ours begin with these; no access role joins them.
_OWN_ROLES = ("lockgate_", PRINCIPAL_PREFIX)
#: Roles that every database has, and schemas of the same names. Told by name: `is_fixed_role` is not everywhere right.
FIXED_ROLES = (
    "public",
    "db_owner",
    "db_accessadmin",
    "db_securityadmin",
    "db_ddladmin",
    "db_backupoperator",
    "db_datareader",
    "db_datawriter",
    "db_denydatareader",
    "db_denydatawriter",
)
#: Unknown, cannot be opened, being restored or taken offline, no access, gone while we looked.
CANNOT_ENTER = frozenset({"911", "916", "922", "924", "927", "942", "945", "946", "952", "4060", "4064", "18456"})
_SYSTEM_SCHEMAS = ("sys", "INFORMATION_SCHEMA", "guest", *FIXED_ROLES)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(sqlserver_text(name) for name in names)


#: Databases that are there for work, and whether we may enter.
DATABASES = (
    "SELECT CAST(name AS nvarchar(128)), HAS_DBACCESS(name) FROM sys.databases"
    f" WHERE name NOT IN ({_listed(SYSTEM_DATABASES)}) AND state = 0 ORDER BY name"
)
#: Every database but the one that is made anew at each start; whether it is online, and whether we may enter. A snapshot
#: keeps the users of its source as they were, which nobody can change, and without a login nobody gets in by them.
EVERY_DATABASE = """
SELECT CAST(name AS nvarchar(128)), state_desc, HAS_DBACCESS(name) FROM sys.databases
WHERE name <> N'tempdb' AND source_database_id IS NULL ORDER BY name
"""
#: Schema and table; a schema without tables comes once, with NULL.
TABLES = (
    "SELECT CAST(s.name AS nvarchar(128)), CAST(o.name AS nvarchar(128)) FROM sys.schemas AS s LEFT JOIN sys.objects AS o"
    " ON o.schema_id = s.schema_id AND o.type IN ('U', 'V') AND o.is_ms_shipped = 0"
    f" WHERE s.name NOT IN ({_listed(_SYSTEM_SCHEMAS)}) ORDER BY s.name, o.name"
)
ROLES = f"SELECT name FROM sys.database_principals WHERE type = 'R' AND name NOT IN ({_listed(FIXED_ROLES)})"


def describe(
    sessions: Sessions, databases_sql: str = DATABASES, inside: Sequence[str] | None = None
) -> ServerDescription:
    """See `Connector.describe`. A database that we may not enter is named, and nothing in it."""
    databases: list[str] = []
    schemas: list[tuple[str, str]] = []
    tables: list[tuple[str, str, str]] = []
    roles: set[str] = set()
    unseen: list[str] = []
    for database, may_enter in sessions.home.rows(databases_sql):
        databases.append(database)
        if not may_enter or (inside is not None and database not in inside):
            unseen.append(str(database))
            continue
        found = rows_in(sessions, database, TABLES)
        schemas += [(database, schema) for schema in dict.fromkeys(schema for schema, _ in found)]
        tables += [(database, schema, table) for schema, table in found if table is not None]
        roles |= {str(row[0]) for row in rows_in(sessions, database, ROLES)}
    return ServerDescription(
        databases=tuple(databases),
        schemas=tuple(schemas),
        tables=tuple(tables),
        roles=tuple(sorted(role for role in roles if not role.startswith(_OWN_ROLES))),
        unlisted_roles=FIXED_ROLES,
        unseen=tuple(unseen),
    )


def rows_in(sessions: Sessions, database: str, sql: str) -> list[tuple[Any, ...]]:
    """What a query gives in one database; nothing in one that has gone away or cannot be entered just now.

    Whoever must know of such a database asks by revoking: the receipt names each that could not be read.
    """
    try:
        with sessions.visit(database) as session:
            return session.rows(sql)
    except ConnectorError as error:
        if error.code in CANNOT_ENTER:
            return []
        raise
