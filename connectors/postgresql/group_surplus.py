"""What a group role holds beyond its scope: left from an earlier scope, or granted by somebody else.

Pure composition. Everything the group may hold is derived from the same tables of privileges that grant it; what is not
explained by them is too much, and `provisioning` takes it away before it hands out a membership.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.base import Scope
from connectors.postgresql.group_privileges import (
    RELATIONS,
    SCHEMA_PRIVILEGES,
    USER_SCHEMA,
    is_named,
    listed,
    numbers_named_table,
    privileges_of,
)
from connectors.quoting import postgresql_text as text


def surplus(scope: Scope) -> str:
    """A query for what the group holds beyond the scope, asked in one database of the scope.

    Gives `(database, what)`: the database's name, empty for objects of the whole server. Privileges inside the scope's
    other databases are left to the same query there.
    """
    databases = listed(scope.databases)
    return f"""
SELECT coalesce((SELECT datname FROM pg_database WHERE oid = d.dbid), ''), format('%s %s', d.classid::regclass, d.objid)
FROM pg_shdepend d JOIN pg_roles g ON g.oid = d.refobjid
WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'a' AND g.rolname = {text(scope.group)} AND CASE
  WHEN d.dbid = 0 THEN d.classid <> 'pg_database'::regclass OR NOT EXISTS (
    SELECT FROM pg_database b WHERE b.oid = d.objid AND b.datname IN ({databases})
      AND {_only("b.datacl", ("CONNECT",))})
  WHEN d.dbid <> (SELECT oid FROM pg_database WHERE datname = current_database())
    THEN d.dbid NOT IN (SELECT oid FROM pg_database WHERE datname IN ({databases}))
  WHEN d.classid = 'pg_namespace'::regclass THEN NOT EXISTS (
    SELECT FROM pg_namespace n WHERE n.oid = d.objid AND {_schema_is_explained(scope)})
  WHEN d.classid = 'pg_class'::regclass THEN d.objsubid <> 0 OR NOT EXISTS (
    SELECT {RELATIONS} WHERE c.oid = d.objid AND ({_relation_is_explained(scope)}))
  WHEN d.classid = 'pg_default_acl'::regclass THEN NOT EXISTS (
    SELECT FROM pg_default_acl f LEFT JOIN pg_namespace n ON n.oid = f.defaclnamespace
    WHERE f.oid = d.objid AND ({_default_is_explained(scope)}))
  ELSE true END"""


def _only(acl: str, privileges: Sequence[str]) -> str:
    """That the group `g` holds nothing in an access control list but these, and cannot pass them on."""
    allowed = ", ".join(f"'{privilege}'" for privilege in privileges) or "''"
    return (
        f"NOT EXISTS (SELECT FROM aclexplode({acl}) a WHERE a.grantee = g.oid"
        f" AND (a.is_grantable OR a.privilege_type NOT IN ({allowed})))"
    )


def _schema_is_explained(scope: Scope) -> str:
    if not scope.schemas and not scope.tables:
        return f"{USER_SCHEMA} AND {_only('n.nspacl', SCHEMA_PRIVILEGES[scope.level])}"
    ways = []
    if scope.schemas:
        ways.append(f"n.nspname IN ({listed(scope.schemas)}) AND {_only('n.nspacl', SCHEMA_PRIVILEGES[scope.level])}")
    if scope.tables:
        ways.append(f"n.nspname IN ({listed(s for s, _ in scope.tables)}) AND {_only('n.nspacl', ('USAGE',))}")
    return "(" + " OR ".join(ways) + ")"


def _relation_is_explained(scope: Scope) -> str:
    _, tables, sequences = privileges_of(scope.level)
    tables_only, sequences_only = (
        _only("c.relacl", tables),
        _only("c.relacl", sequences),
    )
    either = f"CASE WHEN c.relkind = 'S' THEN {sequences_only} ELSE {tables_only} END"
    if not scope.schemas and not scope.tables:
        return f"{USER_SCHEMA} AND {either}"
    ways = []
    if scope.schemas:
        ways.append(f"n.nspname IN ({listed(scope.schemas)}) AND {either}")
    if scope.tables:
        ways.append(f"{is_named(scope)} AND {tables_only}")
        ways.append(f"{numbers_named_table(scope)} AND {sequences_only}")
    return " OR ".join(ways)


def _default_is_explained(scope: Scope) -> str:
    if scope.tables and not scope.schemas:
        return "false"
    schemas, tables, sequences = privileges_of(scope.level)
    where = f"n.nspname IN ({listed(scope.schemas)})" if scope.schemas else "f.defaclnamespace = 0"
    return (
        f"{where} AND CASE f.defaclobjtype WHEN 'r' THEN {_only('f.defaclacl', tables)}"
        f" WHEN 'S' THEN {_only('f.defaclacl', sequences)}"
        f" WHEN 'n' THEN {_only('f.defaclacl', schemas)} ELSE false END"
    )
