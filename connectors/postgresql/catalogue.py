"""What a server holds: the things an access role can name, and the accounts that begin with our prefix."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.base import PRINCIPAL_PREFIX, FoundPrincipal, ServerDescription
from connectors.errors import ScopeNotOnServer
from connectors.postgresql.accounts import CAN_ACT, COMMENT
from connectors.postgresql.failures import UNKNOWN_DATABASE
from connectors.postgresql.session import Sessions
from connectors.postgresql.statements import MADE_BY, MARK

_DATABASES = """
SELECT datname::text, has_database_privilege(oid, 'CONNECT')
FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname
"""

_TABLES = """
SELECT n.nspname::text, c.relname::text
FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY n.nspname, c.relname
"""

#: Superusers' roles are left out: nobody joins them for an hour.
_ROLES = r"""
SELECT rolname::text FROM pg_roles
WHERE rolname !~ '^(pg|lg|lockgate)_' AND NOT rolsuper AND rolname <> current_user ORDER BY rolname
"""

#: Ours by name or by the comment that provisioning leaves; and whoever else is in a group of ours and no part of it, for
#: whatever made it one. Lockgate's own account is in every group that it made, from version 16 on.
_ALL_ROLES = "SELECT rolname::text FROM pg_roles ORDER BY rolname"

_PRINCIPALS = f"""
SELECT r.rolname::text, r.rolcanlogin,
  (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid),
  ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
        WHERE m.member = r.oid ORDER BY g.rolname),
  CASE WHEN isfinite(r.rolvaliduntil) THEN r.rolvaliduntil END,
  r.oid::text, coalesce(split_part(substr(k.comment, length(%(mark)s) + 1), '{MADE_BY}', 1), ''),
  NOT starts_with(r.rolname, %(prefix)s) AND k.comment IS NULL, coalesce(split_part(k.comment, '{MADE_BY}', 2), '')
FROM pg_roles r CROSS JOIN LATERAL (
  SELECT (SELECT c FROM {COMMENT} q (c) WHERE starts_with(c, %(mark)s || %(prefix)s)) AS comment) k
WHERE starts_with(r.rolname, %(prefix)s) OR k.comment IS NOT NULL
  OR r.rolname <> current_user AND NOT r.rolsuper AND EXISTS (
    SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
    WHERE m.member = r.oid AND NOT g.rolcanlogin AND g.rolname ~ '^lockgate_.*_[0-9a-f]{{8,}}$' AND {CAN_ACT})
ORDER BY r.rolname
"""


def describe(sessions: Sessions, inside: Sequence[str] | None = None) -> ServerDescription:
    """See `Connector.describe`. A database that we may not connect to is named, and nothing in it."""
    databases: list[str] = []
    schemas: list[tuple[str, str]] = []
    tables: list[tuple[str, str, str]] = []
    unseen: list[str] = []
    for database, may_connect in sessions.home.rows(_DATABASES):
        databases.append(database)
        if not may_connect or (inside is not None and database not in inside):
            unseen.append(database)
            continue
        for schema, table in _tables_of(sessions, database):
            if (database, schema) not in schemas[-1:]:
                schemas.append((database, schema))
            if table is not None:
                tables.append((database, schema, table))
    roles = tuple(row[0] for row in sessions.home.rows(_ROLES))
    others = tuple(row[0] for row in sessions.home.rows(_ALL_ROLES) if row[0] not in roles)
    return ServerDescription(tuple(databases), tuple(schemas), tuple(tables), roles, others, tuple(unseen))


def _tables_of(sessions: Sessions, database: str) -> list[tuple[str, str | None]]:
    """Schema and table; a schema without tables comes once, with None."""
    try:
        with sessions.visit(database) as session:
            return [(schema, table) for schema, table in session.rows(_TABLES)]
    except ScopeNotOnServer as error:
        if error.code != UNKNOWN_DATABASE:  # Dropped while we were looking.
            raise
        return []


def list_principals(sessions: Sessions) -> Sequence[FoundPrincipal]:
    """See `Connector.list_principals`."""
    return tuple(
        FoundPrincipal(
            name,
            can_log_in,
            count,
            tuple(memberships),
            valid_until,
            identifier,
            made_as if made_as != name else "",
            is_foreign,
            made_by,
        )
        for name, can_log_in, count, memberships, valid_until, identifier, made_as, is_foreign, made_by in (
            sessions.home.rows(_PRINCIPALS, {"prefix": PRINCIPAL_PREFIX, "mark": MARK})
        )
    )
