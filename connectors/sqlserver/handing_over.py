"""What a user owns in one database goes to the heir, and what it has granted is taken back: either would keep it there."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.base import Journal
from connectors.errors import ServerRefused
from connectors.quoting import sqlserver_name as quoted
from connectors.sqlserver import statements
from connectors.sqlserver.session import Session

#: Kind as `ALTER AUTHORIZATION` names it, schema (or empty) and name of everything that a user owns by itself. What it
#: made in somebody else's schema belongs to that schema's owner, and stays.
OWNED = """
SELECT 'SCHEMA', '', s.name FROM sys.schemas AS s
JOIN sys.database_principals AS u ON u.principal_id = s.principal_id WHERE u.name = %s
UNION ALL SELECT 'OBJECT', s.name, o.name FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.database_principals AS u ON u.principal_id = o.principal_id WHERE u.name = %s
UNION ALL SELECT 'TYPE', s.name, t.name FROM sys.types AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id
JOIN sys.database_principals AS u ON u.principal_id = t.principal_id WHERE u.name = %s
UNION ALL SELECT 'ROLE', '', r.name FROM sys.database_principals AS r
JOIN sys.database_principals AS u ON u.principal_id = r.owning_principal_id WHERE u.name = %s AND r.type = 'R'
"""
#: Class, permission, schema, object and grantee of what it has granted to others.
GRANTED = """
SELECT p.class, p.permission_name, s.name, o.name, g.name FROM sys.database_permissions AS p
JOIN sys.database_principals AS u ON u.principal_id = p.grantor_principal_id
JOIN sys.database_principals AS g ON g.principal_id = p.grantee_principal_id
LEFT JOIN sys.objects AS o ON p.class = 1 AND o.object_id = p.major_id
LEFT JOIN sys.schemas AS s ON s.schema_id = CASE WHEN p.class = 3 THEN p.major_id ELSE o.schema_id END
WHERE u.name = %s AND p.class IN (0, 1, 3)
"""
#: Whose login it is, if anybody's, and in how many roles it is.
_HEIR = """
SELECT u.type, SUSER_SNAME(u.sid),
  (SELECT COUNT(*) FROM sys.database_role_members AS m WHERE m.member_principal_id = u.principal_id),
  (SELECT COUNT(*) FROM sys.database_permissions AS p
   WHERE p.grantee_principal_id = u.principal_id AND p.permission_name <> 'CONNECT')
FROM sys.database_principals AS u WHERE u.name = %s
"""
#: What runs as the user, whoever calls it: its body would have to be written anew.
EXECUTING = """
SELECT s.name, o.name FROM sys.sql_modules AS m JOIN sys.objects AS o ON o.object_id = m.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.database_principals AS u ON u.principal_id = m.execute_as_principal_id WHERE u.name = %s
"""


@dataclass(frozen=True, slots=True, order=True)
class Owned:
    """One thing that a user owns."""

    kind: str
    schema: str
    name: str

    @property
    def securable(self) -> str:
        """As `ALTER AUTHORIZATION ON` wants it."""
        name = f"{quoted(self.schema)}.{quoted(self.name)}" if self.schema else quoted(self.name)
        return f"{self.kind}::{name}"

    def __str__(self) -> str:
        return f"{self.kind.lower()} {self.schema}.{self.name}" if self.schema else f"{self.kind.lower()} {self.name}"


def owned_by(session: Session, user: str) -> list[Owned]:
    """What the user owns in the session's database."""
    rows = session.rows(OWNED, user, user, user, user)
    return sorted(Owned(str(kind).strip(), str(schema), str(name)) for kind, schema, name in rows)


def hand_over(session: Session, user: str, heir: str, journal: Journal) -> list[str]:
    """Give everything to the heir; one line each of what it was."""
    owned = owned_by(session, user)
    if owned:
        _make_ready(session, heir, journal)
    for one in owned:
        session.run(statements.hand_over(one.securable, heir, session.database), journal)
    return [f"{one} in database {session.database} now belongs to {heir}" for one in owned]


def refuse_executing(session: Session, user: str) -> None:
    """Raise `ServerRefused`, which names them, when modules run as the user and so keep it from being dropped."""
    if session.rows("SELECT COL_LENGTH('sys.sql_modules', 'execute_as_principal_id')")[0][0] is None:
        return
    if found := [f"{schema}.{name}" for schema, name in session.rows(EXECUTING, user)]:
        raise ServerRefused(
            f"In {session.database} these run as {user}, which keeps it from being dropped: {', '.join(found)}."
            " Define them with another EXECUTE AS, or drop them."
        )


def _make_ready(session: Session, heir: str, journal: Journal) -> None:
    """Make the heir where it is missing. Raises `ServerRefused` for one who can log in, or do anything."""
    found = session.rows(_HEIR, heir)
    if not found:
        session.run(statements.create_heir(heir, session.database), journal)
        return
    kind, login, memberships, permissions = found[0]
    if str(kind).strip() != "S" or login or memberships or permissions:
        raise ServerRefused(f"Nothing was handed over: {heir} can log in or do something, and an heir must not.")


def withdraw_granted(session: Session, user: str, journal: Journal) -> None:
    """Take back what the user has granted to others."""
    for kind, permission, schema, name, grantee in session.rows(GRANTED, user):
        on = ""
        if kind == 1 and name is not None:
            on = f" ON OBJECT::{quoted(schema)}.{quoted(name)}"
        elif kind != 0 and schema is not None:
            on = f" ON SCHEMA::{quoted(schema)}"
        session.run(statements.withdraw_granted(permission, on, grantee, user, session.database), journal)
