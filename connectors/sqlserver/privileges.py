"""What each level means on SQL Server, and where it is granted. Pure.

Reading and writing a whole database come from the fixed roles, which the group joins; what else there is to a whole
database is granted on it. Either covers schemas and tables made later, and a grant on a schema its later tables. A
compatible server that has no fixed roles, or takes no privileges on a database, is given them on each schema that is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.base import Level, Scope
from connectors.quoting import sqlserver_name as quoted

#: REFERENCES is in none: a foreign key ON DELETE CASCADE lets whoever deletes from the table that it points to change the one
#: it is on, and so run the triggers there.
_READ = ("SELECT",)
_WRITE = ("DELETE", "INSERT", "SELECT", "UPDATE")
_DDL = ("ALTER", "DELETE", "EXECUTE", "INSERT", "SELECT", "UPDATE", "VIEW DEFINITION")
_DDL_ON_TABLE = ("ALTER", "DELETE", "INSERT", "SELECT", "UPDATE", "VIEW DEFINITION")
#: ALTER on a database would be ALTER ANY ROLE and ALTER ANY USER as well: everything.
_DDL_ON_DATABASE = (
    "ALTER ANY SCHEMA", "CREATE FUNCTION", "CREATE PROCEDURE", "CREATE TABLE", "CREATE VIEW", "DELETE", "EXECUTE",
    "INSERT", "SELECT", "UPDATE", "VIEW DEFINITION",
)  # fmt: skip
#: To define things in a schema takes these on the database besides.
_TO_CREATE = ("CREATE FUNCTION", "CREATE PROCEDURE", "CREATE TABLE", "CREATE VIEW")

#: What a table or schema may ever have been granted by us, for a server that does not tell.
EVERYTHING = ("DELETE", "INSERT", "SELECT", "UPDATE")

_READER, _WRITER = "db_datareader", "db_datawriter"
#: The fixed roles that a group of ours may join. Together they hold what `EVERYTHING` names, on the whole database.
#: None of the others: what `db_ddladmin` may is more than any level says, and in places more than it looks.
FIXED_ROLES = (_READER, _WRITER)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something is granted: the database itself, a schema of it, or a table."""

    schema: str = ""
    table: str = ""

    @property
    def on(self) -> str:
        """The ON clause of a GRANT; empty for the database that one is in."""
        if self.table:
            return f" ON OBJECT::{quoted(self.schema)}.{quoted(self.table)}"
        return f" ON SCHEMA::{quoted(self.schema)}" if self.schema else ""

    def __str__(self) -> str:
        return (
            f"table {self.schema}.{self.table}"
            if self.table
            else f"schema {self.schema}"
            if self.schema
            else "database"
        )


DATABASE = Place()


def fixed_roles(scope: Scope) -> tuple[str, ...]:
    """The fixed roles that the group joins in each database of the scope, where the server has them."""
    if scope.schemas or scope.tables or scope.level is Level.MEMBER:
        return ()
    return (_READER,) if scope.level is Level.READ else (_READER, _WRITER)


def wanted(
    scope: Scope, schemas: Sequence[str] | None = None, *, has_fixed_roles: bool = True
) -> dict[Place, tuple[str, ...]]:
    """What the group holds in each database of the scope, besides what it has from `fixed_roles`.

    `schemas` are those that are there, on a server that takes no privileges on a database; `None` where it does.
    """
    if scope.tables:
        held = _on_table(scope.level)
        return {Place(schema, table): held for schema, table in scope.tables}
    from_roles = EVERYTHING if has_fixed_roles and not scope.schemas else ()
    if from_roles and scope.level is not Level.DDL:
        return {}
    if not scope.schemas and schemas is None:
        return {DATABASE: tuple(name for name in _on_database(scope.level) if name not in from_roles)}
    within = {Place(schema): _on_schema(scope.level) for schema in scope.schemas or schemas or ()}
    if scope.level is Level.DDL:
        within[DATABASE] = _TO_CREATE
    return within


def _on_database(level: Level) -> tuple[str, ...]:
    return {Level.READ: _READ, Level.WRITE: _WRITE, Level.DDL: _DDL_ON_DATABASE}[level]


def _on_schema(level: Level) -> tuple[str, ...]:
    return {Level.READ: _READ, Level.WRITE: _WRITE, Level.DDL: _DDL}[level]


def _on_table(level: Level) -> tuple[str, ...]:
    return {Level.READ: _READ, Level.WRITE: _WRITE, Level.DDL: _DDL_ON_TABLE}[level]
