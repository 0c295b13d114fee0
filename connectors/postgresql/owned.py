"""What a role owns in one database: in words, in the words of ALTER and GRANT, and what everybody may do with it."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.postgresql import statements
from connectors.postgresql.session import Session
from connectors.postgresql.statements import Command

#: What a role owns in the database at hand, and on the server as a whole. Default privileges and user mappings belong
#: to their role alone: they end with it.
OWNED_HERE = """pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid AND d.refclassid = 'pg_authid'::regclass
    AND d.deptype = 'o' AND d.classid NOT IN ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass)
    AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  CROSS JOIN pg_identify_object(d.classid, d.objid, d.objsubid) i"""

#: Of what takes a privilege list: the one that is there or PostgreSQL's default; of a relation, those of its columns too.
ACCESS_LIST = """SELECT CASE d.classid
    WHEN 'pg_class'::regclass THEN (SELECT nullif(coalesce(relacl, '{}') || ARRAY(
      SELECT i FROM pg_attribute a CROSS JOIN unnest(a.attacl) i WHERE a.attrelid = d.objid AND NOT a.attisdropped), '{}')
      FROM pg_class WHERE oid = d.objid)
    WHEN 'pg_proc'::regclass THEN (SELECT coalesce(proacl, acldefault('f', proowner)) FROM pg_proc WHERE oid = d.objid)
    WHEN 'pg_type'::regclass THEN (SELECT coalesce(typacl, acldefault('T', typowner)) FROM pg_type WHERE oid = d.objid)
    WHEN 'pg_namespace'::regclass THEN (SELECT nspacl FROM pg_namespace WHERE oid = d.objid)
    WHEN 'pg_language'::regclass
      THEN (SELECT coalesce(lanacl, acldefault('l', lanowner)) FROM pg_language WHERE oid = d.objid)
    WHEN 'pg_largeobject'::regclass THEN (SELECT lomacl FROM pg_largeobject_metadata WHERE oid = d.objid)
    WHEN 'pg_foreign_data_wrapper'::regclass THEN (SELECT fdwacl FROM pg_foreign_data_wrapper WHERE oid = d.objid)
    WHEN 'pg_foreign_server'::regclass THEN (SELECT srvacl FROM pg_foreign_server WHERE oid = d.objid)
    END AS acl"""

#: What belongs to another object (a row's type, the sequence of a serial column) goes with that.
FOLLOWS = """EXISTS (SELECT FROM pg_depend p WHERE p.classid = d.classid AND p.objid = d.objid
  AND p.deptype IN ('a', 'i') AND p.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass))"""

_OWNED = f"""
SELECT i.type, i.identity, i.schema, d.classid IN ('pg_class'::regclass, 'pg_type'::regclass), {FOLLOWS},
  EXISTS (SELECT FROM aclexplode(l.acl) a WHERE a.grantee = 0 AND a.grantor = d.refobjid),
  ARRAY(SELECT DISTINCT g.rolname::text FROM aclexplode(l.acl) a JOIN pg_roles g ON g.oid = a.grantor
        WHERE a.grantee = 0 AND a.grantor <> d.refobjid ORDER BY 1)
FROM {OWNED_HERE} CROSS JOIN LATERAL ({ACCESS_LIST}) l
WHERE r.rolname = %s
ORDER BY i.type, i.identity
"""

#: Kinds whose name in ALTER is not their name in capitals.
_ALTERED = {
    "function": "ROUTINE",
    "procedure": "ROUTINE",
    "aggregate": "ROUTINE",
    "statistics object": "STATISTICS",
    "foreign-data wrapper": "FOREIGN DATA WRAPPER",
}
#: Kinds that have privileges, as GRANT calls them. A database is not among them: closing it would shut others out.
GRANTED = {
    "table": "TABLE",
    "view": "TABLE",
    "materialized view": "TABLE",
    "foreign table": "TABLE",
    "sequence": "SEQUENCE",
    "function": "ROUTINE",
    "procedure": "ROUTINE",
    "aggregate": "ROUTINE",
    "type": "TYPE",
    "schema": "SCHEMA",
    "language": "LANGUAGE",
    "large object": "LARGE OBJECT",
    "foreign-data wrapper": "FOREIGN DATA WRAPPER",
    "server": "FOREIGN SERVER",
}
#: Kinds of which PostgreSQL asks that the new owner may create in the database, or use what they are made of.
ASK_FOR_DATABASE = frozenset({"publication", "subscription"})
#: Kinds that only a superuser may own.
_SUPERUSERS_ONLY = frozenset({"event trigger", "foreign-data wrapper"})


@dataclass(frozen=True, slots=True)
class Owned:
    """One thing that a role owns."""

    kind: str
    """In PostgreSQL's words, never translated: `table`, `large object`, `server`."""
    identity: str
    """Qualified and quoted, as a statement takes it."""
    schema: str | None
    takes_any_owner: bool
    """Whether its new owner needs no right to create in its schema."""
    follows: bool
    """Whether it is a part of something else, and goes where that goes."""
    is_public: bool
    """Whether its owner lets everybody use it."""
    passed_on_by: tuple[str, ...]
    """Others who let everybody use it."""

    def __str__(self) -> str:
        return f"{self.kind} {self.identity}"

    def closing(self, database: str) -> list[Command]:
        """What takes it away from PUBLIC, while the one who leaves it still owns it."""
        granted = GRANTED.get(self.kind, "")
        if not granted or (self.follows and granted == "TYPE"):
            return []
        passed = [statements.end_passing_on(granted, self.identity, who, database) for who in self.passed_on_by]
        closed = [statements.close_to_public(granted, self.identity, database)] if self.is_public else []
        return passed + closed

    def giving(self, heir: str, database: str) -> Command:
        """What makes the heir its owner."""
        return statements.give_one(_ALTERED.get(self.kind, self.kind.upper()), self.identity, heir, database)

    def remedy(self, heir: str, database: str) -> str:
        """What helps where Lockgate may not."""
        if self.kind in _SUPERUSERS_ONLY:
            return f"only a superuser can own one: have one drop it, or make it his own, in database {database}"
        if self.kind in ASK_FOR_DATABASE:
            return (
                f"GRANT CREATE ON DATABASE {database} TO {heir}, or as a superuser {self.giving(heir, database).text}"
            )
        return f"as a superuser {self.giving(heir, database).text}, in database {database}"


def owned_by(session: Session, role: str) -> list[Owned]:
    """What a role owns here."""
    return [
        Owned(kind, identity, schema, takes_any_owner, follows, is_public, tuple(passed_on_by))
        for kind, identity, schema, takes_any_owner, follows, is_public, passed_on_by in session.rows(_OWNED, [role])
    ]
