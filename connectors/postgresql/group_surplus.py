"""What a group role holds beyond its scope: left from an earlier scope or an earlier Lockgate, or granted by somebody else.

Pure composition. Everything the group may hold is derived from the same tables of privileges that grant it; what is not
explained by them is too much, and `groups` takes it away before it hands out a membership. What Lockgate's account may
not take away it names, with the statement for whoever granted it.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.base import Scope
from connectors.postgresql.group_privileges import (
    RELATIONS,
    SCHEMA_PRIVILEGES,
    USER_SCHEMA,
    is_accounts,
    is_named,
    listed,
    numbers_named_table,
    privileges_of,
)
from connectors.quoting import postgresql_text as text

#: For every kind of object on which a privilege can be granted: how GRANT and REVOKE call it, and from where its owner
#: and its access control list are read. Parameters (15 and later) have neither an owner nor this list's attention: only a
#: superuser grants them.
_KINDS = (
    ("pg_namespace", "'SCHEMA'", "nspowner", "nspacl"),
    ("pg_database", "'DATABASE'", "datdba", "datacl"),
    ("pg_proc", "'ROUTINE'", "proowner", "proacl"),
    ("pg_type", "'TYPE'", "typowner", "typacl"),
    ("pg_language", "'LANGUAGE'", "lanowner", "lanacl"),
    ("pg_foreign_data_wrapper", "'FOREIGN DATA WRAPPER'", "fdwowner", "fdwacl"),
    ("pg_foreign_server", "'FOREIGN SERVER'", "srvowner", "srvacl"),
    ("pg_tablespace", "'TABLESPACE'", "spcowner", "spcacl"),
)


def places(scope: Scope) -> str:
    """A query for the databases beyond the scope in which the group holds anything."""
    return f"""
SELECT DISTINCT b.datname::text FROM pg_shdepend d JOIN pg_roles g ON g.oid = d.refobjid
  JOIN pg_database b ON b.oid = d.dbid
WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'a' AND g.rolname = {text(scope.group)}
  AND b.datname NOT IN ({listed(scope.databases)}) AND b.datallowconn ORDER BY 1"""


def surplus(scope: Scope) -> str:
    """A query for what the group holds beyond the scope, asked in a database, of the scope or not.

    Gives `(what, grantors, account, may_take, revoke)`: the object in words with the privileges; who granted them; the
    account of ours that owns the object, empty where none does; whether our own account may take all of it away, the
    owning account's rights included; the statement that does. What lies in other databases is left to the same query
    there.
    """
    return f"""
SELECT format('%s on %s', coalesce(held.privileges, 'something'), pg_describe_object(s.classid, s.objid, s.objsubid)),
  coalesce(held.grantors, 'a superuser'), coalesce(held.account, ''), coalesce(held.may_take, false), coalesce(o.revoke, '')
FROM ({_beyond(scope)}) s
LEFT JOIN LATERAL ({_acls(scope.group)}) o ON true
LEFT JOIN LATERAL (
  SELECT string_agg(DISTINCT a.privilege_type, ', ') AS privileges,
    string_agg(DISTINCT pg_get_userbyid(a.grantor)::text, ', ') AS grantors,
    min(w.rolname::text) FILTER (WHERE {is_accounts("w.oid")}) AS account,
    -- As REVOKE chooses on whose behalf it acts: the owner's where it can.
    bool_and(CASE WHEN pg_has_role(o.owner, 'USAGE') OR {is_accounts("w.oid")} THEN a.grantor = o.owner
      ELSE pg_has_role(a.grantor, 'USAGE') END) AS may_take
  FROM aclexplode(o.acl) a JOIN pg_roles w ON w.oid = o.owner WHERE a.grantee = s.holder
) held ON true
ORDER BY 4, 1"""


def _beyond(scope: Scope) -> str:
    databases = listed(scope.databases)
    return f"""
SELECT d.classid, d.objid, d.objsubid, g.oid AS holder
FROM pg_shdepend d JOIN pg_roles g ON g.oid = d.refobjid
WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'a' AND g.rolname = {text(scope.group)}
  AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AND CASE
  WHEN d.dbid = 0 THEN d.classid <> 'pg_database'::regclass OR NOT EXISTS (
    SELECT FROM pg_database b WHERE b.oid = d.objid AND b.datname IN ({databases})
      AND {_only("b.datacl", ("CONNECT",))})
  WHEN current_database() NOT IN ({databases}) THEN true
  WHEN d.classid = 'pg_namespace'::regclass THEN NOT EXISTS (
    SELECT FROM pg_namespace n WHERE n.oid = d.objid AND {_schema_is_explained(scope)})
  WHEN d.classid = 'pg_class'::regclass THEN d.objsubid <> 0 OR NOT EXISTS (
    SELECT {RELATIONS} WHERE c.oid = d.objid AND ({_relation_is_explained(scope)}))
  WHEN d.classid = 'pg_default_acl'::regclass THEN NOT EXISTS (
    SELECT FROM pg_default_acl f LEFT JOIN pg_namespace n ON n.oid = f.defaclnamespace
    WHERE f.oid = d.objid AND ({_default_is_explained(scope)}))
  ELSE true END"""


def _acls(group: str) -> str:
    """Owner, access control list and the statement that takes everything away, for the object of `s`."""
    # REVOKE on a table takes the privileges on its columns as well.
    relation = f"""
  SELECT c.relowner AS owner, CASE s.objsubid WHEN 0 THEN c.relacl ELSE (
      SELECT attacl FROM pg_attribute WHERE attrelid = c.oid AND attnum = s.objsubid) END AS acl,
    format('REVOKE ALL ON %s %I.%I FROM %I CASCADE', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
      n.nspname, c.relname, {text(group)}) AS revoke
  {RELATIONS} WHERE s.classid = 'pg_class'::regclass AND c.oid = s.objid"""
    large_object = f"""
  SELECT lomowner, lomacl, format('REVOKE ALL ON LARGE OBJECT %s FROM %I CASCADE', oid, {text(group)})
  FROM pg_largeobject_metadata WHERE s.classid = 'pg_largeobject'::regclass AND oid = s.objid"""
    default = f"""
  SELECT f.defaclrole, f.defaclacl, format('ALTER DEFAULT PRIVILEGES FOR ROLE %I %sREVOKE ALL ON %s FROM %I CASCADE',
    pg_get_userbyid(f.defaclrole), (SELECT format('IN SCHEMA %I ', nspname) FROM pg_namespace WHERE oid = f.defaclnamespace),
    CASE f.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES'
      WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END, {text(group)})
  FROM pg_default_acl f WHERE s.classid = 'pg_default_acl'::regclass AND f.oid = s.objid"""
    others = [
        f"""
  SELECT {owner}, {acl}, format('REVOKE ALL ON %s %s FROM %I CASCADE', {kind},
    (pg_identify_object(s.classid, s.objid, 0)).identity, {text(group)})
  FROM {catalogue} WHERE s.classid = '{catalogue}'::regclass AND oid = s.objid"""
        for catalogue, kind, owner, acl in _KINDS
    ]
    return "\n  UNION ALL".join([relation, large_object, default, *others])


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
