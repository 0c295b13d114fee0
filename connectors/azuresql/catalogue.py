"""What a server of Azure SQL holds: the things an access role can name, and the accounts of ours.

An account of ours is a user that begins with our prefix, or a person's own user that carries the mark of a grant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from connectors.azuresql.accounts import MARK
from connectors.azuresql.statements import MADE_BY_US
from connectors.base import PRINCIPAL_PREFIX, FoundPrincipal, ServerDescription
from connectors.quoting import sqlserver_text
from connectors.sqlserver import catalogue
from connectors.sqlserver.accounts import identifier_of
from connectors.sqlserver.catalogue import rows_in
from connectors.sqlserver.principals import GROUP, starts
from connectors.sqlserver.session import Sessions

#: All that the database we are at knows of: every one of the server in master, else itself.
DATABASES = "SELECT name, 1 FROM sys.databases WHERE name <> N'master' AND state = 0 ORDER BY name"

OFFLINE = "SELECT name, state_desc FROM sys.databases WHERE name <> N'master' AND state <> 0 ORDER BY name"
#: Whether a user may come in, its sessions, its SID, the mark that it carries, whether it carries that of a grant, and its
#: roles, one a row.
USERS = f"""
SELECT u.name,
  CASE WHEN EXISTS (SELECT 1 FROM sys.database_permissions AS p
    WHERE p.grantee_principal_id = u.principal_id AND p.class = 0 AND p.type = 'CO' AND p.state IN ('G', 'W'))
    THEN 1 ELSE 0 END,
  (SELECT COUNT(*) FROM sys.dm_exec_sessions AS s
    WHERE s.original_security_id = u.sid OR s.original_login_name = u.name),
  u.sid, {MARK},
  (SELECT COUNT(*) FROM sys.extended_properties AS e
    WHERE e.class = 4 AND e.major_id = u.principal_id AND {starts("e.name", PRINCIPAL_PREFIX)}),
  r.name
FROM sys.database_principals AS u
LEFT JOIN sys.database_role_members AS m ON m.member_principal_id = u.principal_id
LEFT JOIN sys.database_principals AS r ON r.principal_id = m.role_principal_id
WHERE u.type <> 'R' AND ({starts("u.name", PRINCIPAL_PREFIX)} OR {MARK} IS NOT NULL OR {starts("r.name", "lockgate_")})
"""
#: Grants that people use with their own identity: the account's name is that of the mark.
MARKS = (
    "SELECT name, CAST(value AS nvarchar(4000)) FROM sys.extended_properties"
    f" WHERE class = 4 AND name <> {sqlserver_text(MADE_BY_US)} AND {starts('name', PRINCIPAL_PREFIX)}"
)


def databases(sessions: Sessions) -> list[str]:
    """Every database of the server that is online. Raises `ConnectorError`."""
    return [str(name) for name, _ in sessions.home.rows(DATABASES)]


def describe(sessions: Sessions, inside: Sequence[str] | None = None) -> ServerDescription:
    """See `Connector.describe`."""
    return catalogue.describe(sessions, DATABASES, inside)


def list_principals(sessions: Sessions) -> Sequence[FoundPrincipal]:
    """See `Connector.list_principals`. A user of the same name in several databases is one account."""
    found: dict[str, FoundPrincipal] = {}
    for database in databases(sessions):
        for one in _principals_in(sessions, database):
            before = found.get(one.name, one)
            found[one.name] = FoundPrincipal(
                name=one.name,
                can_log_in=before.can_log_in or one.can_log_in,
                sessions=one.sessions if before is one else before.sessions + one.sessions,
                memberships=tuple(sorted({*before.memberships, *one.memberships})),
                identifier=before.identifier or one.identifier,
                made_as=before.made_as or one.made_as,
                is_foreign=before.is_foreign and one.is_foreign,
            )
    return [found[name] for name in sorted(found)]


def _principals_in(sessions: Sessions, database: str) -> Iterator[FoundPrincipal]:
    counted: set[str] = set()
    for name, may_connect, count, sid, mark, grants, role in rows_in(sessions, database, USERS):
        made_as = str(mark or "")
        is_ours = (made_as or name).startswith(PRINCIPAL_PREFIX)
        if not is_ours and (grants or not GROUP.fullmatch(role or "")):
            # A person who has it by a grant is told by the mark of that.
            continue
        yield FoundPrincipal(
            name=str(name),
            can_log_in=bool(may_connect),
            # The same count stands in each of its rows.
            sessions=0 if name in counted else int(count),
            memberships=() if role is None else (str(role),),
            identifier=identifier_of(bytes(sid or b"")),
            made_as=made_as if is_ours and made_as != name else "",
            is_foreign=not is_ours,
        )
        counted.add(name)
    for name, roles in rows_in(sessions, database, MARKS):
        if str(name).startswith(PRINCIPAL_PREFIX):
            yield FoundPrincipal(str(name), can_log_in=True, sessions=0, memberships=tuple(json.loads(str(roles))))
