"""Which roles an access role of level `member` may name: none that leads to everything, directly or through others."""

from __future__ import annotations

from connectors.base import Level, Scope
from connectors.errors import ServerRefused
from connectors.sqlserver.session import Session

#: Membership in these is more than any access role may say. What `db_ddladmin` defines (assemblies, triggers on the
#: database's events, other people's procedures) runs with the rights of whoever comes by.
TOO_MUCH = ("db_owner", "db_accessadmin", "db_securityadmin", "db_ddladmin")
#: So is any of these on a database.
_LEADS_TO_EVERYTHING = frozenset({
    "ALTER", "ALTER ANY APPLICATION ROLE", "ALTER ANY ASSEMBLY", "ALTER ANY DATABASE DDL TRIGGER", "ALTER ANY ROLE",
    "ALTER ANY USER", "AUTHENTICATE", "CONTROL", "CREATE ASSEMBLY", "TAKE OWNERSHIP",
})  # fmt: skip
#: And any of these on a user or role.
_ACTS_AS_SOMEBODY = frozenset({"ALTER", "CONTROL", "IMPERSONATE", "TAKE OWNERSHIP"})
_OWN_ROLES = ("lockgate_", "lg_")

_MEMBERS = """
SELECT m.name, r.name FROM sys.database_role_members AS x
JOIN sys.database_principals AS r ON r.principal_id = x.role_principal_id
JOIN sys.database_principals AS m ON m.principal_id = x.member_principal_id
"""
_HELD = """
SELECT g.name, p.class, p.permission_name FROM sys.database_permissions AS p
JOIN sys.database_principals AS g ON g.principal_id = p.grantee_principal_id
WHERE g.type = 'R' AND p.class IN (0, 4) AND p.state IN ('G', 'W')
"""


def refuse_by_name(scope: Scope) -> None:
    """Raise `ServerRefused` for roles of which the name says enough."""
    named = set(scope.database_roles) if scope.level is Level.MEMBER else set()
    if too_much := sorted(role for role in named if role in TOO_MUCH or role.startswith(_OWN_ROLES)):
        raise ServerRefused(
            f"Nobody joins {', '.join(too_much)}: it could give itself anything. Take it out of the access role."
        )


def refuse_too_much(session: Session, scope: Scope) -> None:
    """Raise `ServerRefused` for roles that lead to everything in the session's database, and say how."""
    refuse_by_name(scope)
    if scope.level is not Level.MEMBER:
        return
    reached = _reached(session, scope.database_roles)
    ways = [f"{role} is in {parent}" for parent, role in reached.items() if role and _is_too_much(parent)]
    for role, kind, permission in session.rows(_HELD):
        dangerous = _LEADS_TO_EVERYTHING if kind == 0 else _ACTS_AS_SOMEBODY
        if role in reached and permission in dangerous:
            ways.append(f"{role} holds {permission} on {'the database' if kind == 0 else 'a user or role'}")
    if ways:
        raise ServerRefused(
            f"In database {session.database} nobody joins {', '.join(scope.database_roles)}: {'; '.join(sorted(ways))}. That"
            " leads to everything. Take it out of the access role, or take that from the role."
        )


def _is_too_much(role: str) -> bool:
    return role in TOO_MUCH or role.startswith(_OWN_ROLES)


def _reached(session: Session, roles: tuple[str, ...]) -> dict[str, str]:
    """Every role that one has by these, with the one by which it is reached; empty for these themselves."""
    pairs = [(str(member), str(role)) for member, role in session.rows(_MEMBERS)]
    reached = dict.fromkeys(roles, "")
    waiting = list(roles)
    while waiting:
        member = waiting.pop()
        for parent in [role for who, role in pairs if who == member and role not in reached]:
            reached[parent] = member
            waiting.append(parent)
    return reached
