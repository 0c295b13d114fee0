"""Column privileges that an account passed on by a grant option on the whole table: nothing takes them along.

What an account passed on goes with its own privilege on the same object. A column is an object of its own, whose list does
not know of the table's (PostgreSQL 13 to 18): DROP OWNED leaves it there, and the account cannot be dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.postgresql.session import Session
from connectors.postgresql.statements import Command, command
from connectors.quoting import postgresql_name as name

#: The dependencies of a role know its columns, without reading every one of the database.
_PASSED_ON = """
SELECT DISTINCT n.nspname::text, c.relname::text, a.attname::text, acl.privilege_type,
  CASE WHEN acl.grantee = 0 THEN '' ELSE pg_get_userbyid(acl.grantee)::text END, pg_has_role(c.relowner, 'USAGE')
FROM pg_shdepend s
  JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()
  JOIN pg_attribute a ON a.attrelid = s.objid AND a.attnum = s.objsubid
  JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN aclexplode(a.attacl) acl
WHERE s.classid = 'pg_class'::regclass AND s.objsubid <> 0 AND s.refclassid = 'pg_authid'::regclass
  AND s.refobjid = (SELECT oid FROM pg_roles WHERE rolname = %(role)s) AND acl.grantor = s.refobjid
  AND c.relowner <> s.refobjid
ORDER BY 1, 2, 3, 4, 5
"""
_NOTE = "The account has passed this on by its right on the whole table, and it would stay."


@dataclass(frozen=True, slots=True)
class PassedOn:
    """One privilege on a column that an account has given to somebody."""

    schema: str
    table: str
    column: str
    privilege: str
    grantee: str
    """Empty for everybody."""
    may_act_as_owner: bool

    def __str__(self) -> str:
        who = self.grantee or "PUBLIC"
        return f"{self.privilege} on column {self.schema}.{self.table}.{self.column}, which it had passed on to {who}"

    def ending(self, role: str, database: str) -> list[Command]:
        """As the owner by way of the account, whatever that may still do; otherwise as the account itself."""
        what = f"{self.privilege} ({name(self.column)}) ON {name(self.schema)}.{name(self.table)}"
        if self.may_act_as_owner:
            return [
                command(f"GRANT {what} TO {name(role)} WITH GRANT OPTION", database, _NOTE),
                command(f"REVOKE {what} FROM {name(role)} CASCADE", database, _NOTE),
            ]
        who = name(self.grantee) if self.grantee else "PUBLIC"
        return [
            command(f"SET LOCAL ROLE {name(role)}", database, _NOTE),
            command(f"REVOKE {what} FROM {who} CASCADE", database, _NOTE),
            command("SET LOCAL ROLE NONE", database),
        ]


def passed_on(session: Session, role: str) -> list[PassedOn]:
    """What a role has passed on in this database of columns that are not its own. Raises `ConnectorError`."""
    return [PassedOn(*row) for row in session.rows(_PASSED_ON, {"role": role})]
