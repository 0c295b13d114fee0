"""What each level of access means in MariaDB's privileges, and what a group role has to hold for a scope. Pure.

A group role carries the privileges, an account only joins it. What is granted on a whole database covers the tables
that are made later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.base import Level, Scope
from connectors.mariadb import names
from connectors.quoting import mariadb_name

READ = ("SELECT", "SHOW VIEW")
WRITE = (*READ, "INSERT", "UPDATE", "DELETE")
DDL = (*WRITE, "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "CREATE VIEW", "TRIGGER")

#: On a whole database. ALTER ROUTINE is in no level: with it one replaces a routine of somebody else's, and whoever calls that
#: runs the new body with rights of their own (SQL SECURITY INVOKER). Who makes a routine may alter that one. EXECUTE is not
#: in `read` and `write`: a routine runs with the rights of whoever wrote it, so it may do what the level does not say. EVENT
#: is in no level: an event acts when its maker has no access any more.
ON_DATABASE: Mapping[Level, tuple[str, ...]] = {
    Level.READ: READ,
    Level.WRITE: (*WRITE, "CREATE TEMPORARY TABLES", "LOCK TABLES"),
    Level.DDL: (*DDL, "CREATE TEMPORARY TABLES", "LOCK TABLES", "CREATE ROUTINE", "EXECUTE"),
    Level.MEMBER: (),
}
#: On a named table or view.
ON_TABLE: Mapping[Level, tuple[str, ...]] = {
    Level.READ: READ,
    Level.WRITE: WRITE,
    Level.DDL: DDL,
    Level.MEMBER: (),
}
#: What our own account needs in each database that access roles reach: all that it passes on, what gives routines that an
#: account leaves behind another definer, and what switches off the events that members of existing roles have made.
OURS_ON_DATABASE = (
    *DDL,
    "CREATE TEMPORARY TABLES",
    "LOCK TABLES",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "EXECUTE",
    "EVENT",
)


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """What a privilege is granted on: a whole database (by its pattern), or one table in it (by plain names)."""

    database: str
    table: str = ""

    @property
    def sql(self) -> str:
        """As GRANT and REVOKE want it."""
        if self.table:
            return names.table(self.database, self.table)
        return f"{mariadb_name(self.database)}.*"


@dataclass(frozen=True, slots=True)
class Holding:
    """What a role holds, or should."""

    privileges: Mapping[Place, frozenset[str]]
    roles: frozenset[str]


def group_of(scope: Scope) -> str:
    """The group role of a scope; where none is named, one that every scope with the same content shares."""
    if scope.group:
        return scope.group
    content = repr((scope.level, sorted(scope.databases), sorted(scope.tables), sorted(scope.database_roles)))
    return "lockgate_" + hashlib.sha256(content.encode()).hexdigest()[:16]


def wanted(scope: Scope) -> Holding:
    """What the group role of this scope holds, no more and no less."""
    if scope.level is Level.MEMBER:
        return Holding({}, frozenset(scope.database_roles))
    if scope.tables:
        places = {Place(database, table): frozenset(ON_TABLE[scope.level]) for database, table in scope.tables}
        return Holding(places, frozenset())
    patterns = (names.database_pattern(database) for database in scope.databases)
    return Holding({Place(pattern): frozenset(ON_DATABASE[scope.level]) for pattern in patterns}, frozenset())


def can_define(level: Level) -> bool:
    """Whether an account may make views, routines, triggers or events, which run with the rights of their definer."""
    return level in (Level.DDL, Level.MEMBER)


def in_order(privileges: frozenset[str]) -> Sequence[str]:
    """Privileges in the order of the tables above, so that the same set is always the same statement."""
    known = [privilege for privilege in OURS_ON_DATABASE if privilege in privileges]
    return known + sorted(privileges - set(known))


def reached_databases(scope: Scope) -> Sequence[str]:
    """Where an account with this scope can log in to. Joining existing roles promises nothing about databases."""
    if scope.level is Level.MEMBER:
        return ()
    if scope.tables:
        return tuple(dict.fromkeys(database for database, _ in scope.tables))
    return tuple(dict.fromkeys(scope.databases))
