"""What the stable group role of a scope may do inside one database: how it is granted, and what is lacking.

Pure composition. Each `Aspect` couples the statement that grants with the question whether anything of it is lacking,
so that an ordinary provisioning asks once and changes nothing. Where the objects are not named in the scope ("all of
the database", "all of a schema"), the statement is a DO block that finds them on the server; that way a plan shows,
without a connection, exactly what will run. Objects that belong to an extension are left as the extension made them, and
what an account of ours has made is left out while it lives, unless they are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.base import PRINCIPAL_PREFIX, Level, Scope
from connectors.postgresql.statements import MARK, Command, command
from connectors.quoting import postgresql_block as block
from connectors.quoting import postgresql_name as name
from connectors.quoting import postgresql_text as text

#: What a level may do to a table. Neither TRIGGER nor REFERENCES is ever granted: a trigger runs with the rights of
#: whoever changes the table next. A foreign key is checked with the rights of the *owner* of the table that it points
#: to, by the operators of its own columns' types, which the account may have made; and both outlive the account.
TABLE_PRIVILEGES = {
    Level.READ: ("SELECT",),
    Level.WRITE: ("SELECT", "INSERT", "UPDATE", "DELETE"),
    Level.DDL: ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"),
}
#: What a level may do to a sequence: a row that numbers itself needs USAGE, and a dump asks where each stands.
SEQUENCE_PRIVILEGES: dict[Level, tuple[str, ...]] = {
    Level.READ: ("SELECT",),
    Level.WRITE: ("USAGE", "SELECT"),
    Level.DDL: ("USAGE", "SELECT", "UPDATE"),
}
SCHEMA_PRIVILEGES = {
    Level.READ: ("USAGE",),
    Level.WRITE: ("USAGE",),
    Level.DDL: ("USAGE", "CREATE"),
}

#: The lock that makes changes to privileges in one database take turns. The number is "Lockgate" in ASCII.
_LOCK_NUMBER = 5507730182244496485
LOCK = f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})"
TRY_LOCK = f"SELECT pg_try_advisory_xact_lock({_LOCK_NUMBER})"
#: Anybody who can log in may hold that lock, also in a prepared transaction, which has no process.
HELD_BY_OTHERS = f"""
SELECT EXISTS (SELECT FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid::int8 << 32 | l.objid::int8 = {_LOCK_NUMBER}
    AND a.usesysid IS DISTINCT FROM (SELECT oid FROM pg_roles WHERE rolname = session_user))
"""

USER_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_TABLE = "c.relkind IN ('r', 'p', 'v', 'm', 'f')"
RELATIONS = "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
_NOT_OF_EXTENSION = """NOT EXISTS (
        SELECT FROM pg_depend e WHERE e.objid = {} AND e.classid = '{}'::regclass AND e.deptype = 'e')"""


@dataclass(frozen=True, slots=True)
class Aspect:
    """One kind of privilege in one database."""

    command: Command
    """Grants it."""
    lacking: str
    """A query for what the group lacks of it: `(what, owner, account, may_grant)`, one object a row.

    `account` is whether an account of ours owns it, `may_grant` whether our own account may grant what is lacking. Asked
    only once the group is there.
    """
    is_named: bool = False
    """Whether the scope names these objects one by one: then none of them is left out."""


def aspects(scope: Scope, database: str) -> tuple[Aspect, ...]:
    """All that a group needs in one database; nothing for a scope that only joins existing roles."""
    if scope.level is Level.MEMBER:
        return ()
    found = [_connect(scope, database)]
    if scope.schemas or not scope.tables:
        found += _of_everything(scope, database)
    if scope.tables:
        found += _of_tables(scope, database)
    return tuple(found)


def make_group(group: str, database: str) -> Command:
    """The group itself."""
    return command(
        f"CREATE ROLE {name(group)} NOLOGIN",
        database,
        "Where missing: the role that carries the privileges. If it is there and holds more, that is revoked first.",
    )


# --- The whole of a database, or of named schemas


def _of_everything(scope: Scope, database: str) -> list[Aspect]:
    schemas, tables, sequences = privileges_of(scope.level)
    within = f"n.nspname IN ({listed(scope.schemas)})" if scope.schemas else USER_SCHEMA
    found = [_schemas_of(scope, schemas, database)]
    found.append(_loop_over_relations(scope, "TABLE", tables, f"{_TABLE} AND {within}", database))
    found.append(_loop_over_relations(scope, "SEQUENCE", sequences, f"c.relkind = 'S' AND {within}", database))
    found.append(_default_privileges(scope, database))
    return found


def _schemas_of(scope: Scope, privileges: Sequence[str], database: str) -> Aspect:
    if scope.schemas:
        return _usage(scope, scope.schemas, privileges, database)
    source = (
        f"FROM pg_namespace n\n    WHERE {USER_SCHEMA}\n      AND {_NOT_OF_EXTENSION.format('n.oid', 'pg_namespace')}"
        f"\n      AND NOT ({_holds('schema', scope.group, 'n.oid', privileges)})"
    )
    return _loop(
        f"format('GRANT {', '.join(privileges)} ON SCHEMA %I TO %I', n.nspname, {text(scope.group)})",
        f"{source}\n      AND NOT {is_accounts('n.nspowner')}",
        f"{_schema_row(privileges)} {source}",
        database,
        "Every schema of the database.",
    )


def _loop_over_relations(scope: Scope, kind: str, privileges: Sequence[str], condition: str, database: str) -> Aspect:
    source = (
        f"{RELATIONS}\n    WHERE {condition}\n      AND {_NOT_OF_EXTENSION.format('c.oid', 'pg_class')}"
        f"\n      AND NOT ({_holds(kind.lower(), scope.group, 'c.oid', privileges)})"
    )
    return _loop(
        f"format('GRANT {', '.join(privileges)} ON {kind} %I.%I TO %I', n.nspname, c.relname, {text(scope.group)})",
        f"{source}\n      AND NOT {is_accounts('c.relowner')}",
        f"{_relation_row(kind.lower(), privileges)} {source}",
        database,
        f"Every {kind.lower()} that is there now, but for those of accounts whose access lives.",
    )


def _usage(scope: Scope, schemas: Iterable[str], privileges: Sequence[str], database: str) -> Aspect:
    chosen = list(dict.fromkeys(schemas))
    chosen_names = ", ".join(name(schema) for schema in chosen)
    return Aspect(
        command(
            f"GRANT {', '.join(privileges)} ON SCHEMA {chosen_names} TO {name(scope.group)}",
            database,
        ),
        f"{_schema_row(privileges)} FROM pg_namespace n WHERE n.nspname IN ({listed(chosen)})"
        f" AND NOT ({_holds('schema', scope.group, 'n.oid', privileges)})",
        is_named=True,
    )


# --- Named tables


def _of_tables(scope: Scope, database: str) -> list[Aspect]:
    _, tables, sequences = privileges_of(scope.level)
    chosen_names = ", ".join(f"{name(schema)}.{name(table)}" for schema, table in scope.tables)
    found = [
        # CREATE on the schema would reach beyond the tables that were named: USAGE is all that they need.
        _usage(scope, (schema for schema, _ in scope.tables), ("USAGE",), database),
        Aspect(
            command(
                f"GRANT {', '.join(tables)} ON TABLE {chosen_names} TO {name(scope.group)}",
                database,
            ),
            f"{_relation_row('table', tables)} {RELATIONS}"
            f" WHERE {is_named(scope)} AND NOT ({_holds('table', scope.group, 'c.oid', tables)})",
            is_named=True,
        ),
    ]
    found.append(_sequences_of_tables(scope, sequences, database))
    return found


def _sequences_of_tables(scope: Scope, privileges: Sequence[str], database: str) -> Aspect:
    source = (
        f"{RELATIONS}\n    WHERE {numbers_named_table(scope)}"
        f"\n      AND NOT ({_holds('sequence', scope.group, 'c.oid', privileges)})"
    )
    return _loop(
        f"format('GRANT {', '.join(privileges)} ON SEQUENCE %I.%I TO %I', n.nspname, c.relname, {text(scope.group)})",
        source,
        f"{_relation_row('sequence', privileges)} {source}",
        database,
        "The sequences that number the rows of these tables.",
        is_named=True,
    )


# --- What is made later


def _default_privileges(scope: Scope, database: str) -> Aspect:
    """For every role that owns something in these schemas or may create there, and that our account can act for."""
    kinds = f"(VALUES {_kinds(scope)}) k (type, objects, privileges)"
    if scope.schemas:
        target, arguments, namespace = "IN SCHEMA %I ", "r.rolname, n.nspname", "n.oid"
        roles = f"pg_roles r CROSS JOIN {kinds} JOIN pg_namespace n ON n.nspname IN ({listed(scope.schemas)})"
        owns = "EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relowner = r.oid)"
        may_create = "has_schema_privilege(r.oid, n.oid, 'CREATE')"
    else:
        target, arguments, namespace = "", "r.rolname", "0"
        roles = f"pg_roles r CROSS JOIN {kinds}"
        owns = f"EXISTS (SELECT {RELATIONS} WHERE c.relowner = r.oid AND {USER_SCHEMA})"
        may_create = (
            "(has_database_privilege(r.oid, current_database(), 'CREATE') OR EXISTS (\n"
            f"        SELECT FROM pg_namespace n WHERE {USER_SCHEMA} AND has_schema_privilege(r.oid, n.oid, 'CREATE')))"
        )
    source = f"""FROM {roles}
    WHERE pg_has_role(r.oid, 'USAGE') AND r.rolname !~ '^(pg|lg)_'
      AND ({owns}
        OR NOT r.rolsuper AND r.rolname <> current_user AND r.rolname !~ '^lockgate_' AND {may_create})
      AND NOT string_to_array(k.privileges, ', ') <@ ARRAY(
        SELECT a.privilege_type FROM pg_default_acl d CROSS JOIN aclexplode(d.defaclacl) a
        WHERE d.defaclrole = r.oid AND d.defaclnamespace = {namespace} AND d.defaclobjtype = k.type::"char"
          AND a.grantee = (SELECT oid FROM pg_roles WHERE rolname = {text(scope.group)}))"""
    granting = (
        f"format('ALTER DEFAULT PRIVILEGES FOR ROLE %I {target}GRANT %s ON %s TO %I',\n"
        f"      {arguments}, k.privileges, k.objects, {text(scope.group)})"
    )
    return _loop(
        granting,
        source,
        # Asked for the roles alone that our account can act for.
        f"SELECT format('what %I makes later: %s', r.rolname, lower(k.objects)), r.rolname, false, true {source}",
        database,
        "What is made there later, by the roles that own or may create something there.",
    )


def _kinds(scope: Scope) -> str:
    schemas, tables, sequences = privileges_of(scope.level)
    kinds = [("r", "TABLES", tables), ("S", "SEQUENCES", sequences)]
    if not scope.schemas:
        kinds.append(("n", "SCHEMAS", schemas))
    return ", ".join(f"('{letter}', '{objects}', '{', '.join(held)}')" for letter, objects, held in kinds)


# --- Pieces


def _connect(scope: Scope, database: str) -> Aspect:
    """Granted even where PUBLIC may connect, so that nothing breaks on the day when PUBLIC no longer may."""
    return Aspect(
        command(f"GRANT CONNECT ON DATABASE {name(database)} TO {name(scope.group)}", database),
        "SELECT 'CONNECT', (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()), false,"
        " has_database_privilege(current_database(), 'CONNECT WITH GRANT OPTION')"
        f" FROM pg_roles g WHERE g.rolname = {text(scope.group)} AND NOT EXISTS ("
        "SELECT FROM pg_database d CROSS JOIN aclexplode(d.datacl) a WHERE d.datname = current_database()"
        " AND a.grantee = g.oid AND a.privilege_type = 'CONNECT')",
    )


def _loop(granting: str, source: str, lacking: str, database: str, note: str, *, is_named: bool = False) -> Aspect:
    body = (
        "\nDECLARE command text;\nBEGIN\n  FOR command IN\n"
        f"    SELECT {granting}\n    {source}\n"
        "  LOOP EXECUTE command; END LOOP;\nEND "
    )
    return Aspect(command(f"DO {block(body)}", database, note), lacking, is_named)


def _schema_row(privileges: Sequence[str]) -> str:
    """What a row of `Aspect.lacking` says of the schema `n`."""
    return (
        f"SELECT format('schema %I', n.nspname), pg_get_userbyid(n.nspowner), {is_accounts('n.nspowner')},"
        f" {_may_grant('schema', 'n.oid', privileges)}"
    )


def _relation_row(kind: str, privileges: Sequence[str]) -> str:
    """What a row of `Aspect.lacking` says of the relation `c` in the schema `n`."""
    return (
        f"SELECT format('{kind} %I.%I', n.nspname, c.relname), pg_get_userbyid(c.relowner), {is_accounts('c.relowner')},"
        f" {_may_grant(kind, 'c.oid', privileges)}"
    )


def is_accounts(owner: str) -> str:
    """That a role, by its OID, is an account of ours, of an access that lives or is about to end; also a renamed one."""
    told = f"coalesce(shobj_description({owner}, 'pg_authid'), '') ~ '^{MARK}{PRINCIPAL_PREFIX}'"
    return f"(pg_get_userbyid({owner}) ~ '^{PRINCIPAL_PREFIX}' OR {told})"


def _may_grant(kind: str, oid: str, privileges: Sequence[str]) -> str:
    return " AND ".join(f"has_{kind}_privilege({oid}, '{privilege} WITH GRANT OPTION')" for privilege in privileges)


def privileges_of(
    level: Level,
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """On schemas, on tables, on sequences."""
    return SCHEMA_PRIVILEGES[level], TABLE_PRIVILEGES[level], SEQUENCE_PRIVILEGES[level]


def _holds(kind: str, group: str, oid: str, privileges: Sequence[str]) -> str:
    held = " AND ".join(f"has_{kind}_privilege({text(group)}, {oid}, '{privilege}')" for privilege in privileges)
    # Asked of a table it is an error, and WHERE has no order: CASE has.
    return f"CASE WHEN c.relkind = 'S' THEN {held} END" if kind == "sequence" else held


def listed(names: Iterable[str]) -> str:
    """Names as texts, for `IN (…)`."""
    return ", ".join(text(each) for each in names)


def is_named(scope: Scope) -> str:
    """That the relation `c` in schema `n` is one of the scope's tables."""
    pairs = ", ".join(f"({text(schema)}, {text(table)})" for schema, table in scope.tables)
    return f"(n.nspname, c.relname) IN ({pairs})"


def numbers_named_table(scope: Scope) -> str:
    """That the relation `c` is a sequence that numbers the rows of one of the scope's tables."""
    pairs = ", ".join(f"({text(schema)}, {text(table)})" for schema, table in scope.tables)
    return (
        "c.relkind = 'S' AND EXISTS (SELECT FROM pg_depend o JOIN pg_class t ON t.oid = o.refobjid"
        " JOIN pg_namespace tn ON tn.oid = t.relnamespace"
        " WHERE o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass AND o.objid = c.oid"
        f" AND o.deptype IN ('a', 'i') AND (tn.nspname, t.relname) IN ({pairs}))"
    )
