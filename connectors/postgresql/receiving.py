"""The statements around a handing over, composed without asking the server, so that a plan shows what will run.

Each finds on the server what there is to do: closing to PUBLIC what a role leaves, letting the heir receive it, ending that,
and giving Lockgate's groups on it what they have on everything that is made there.
"""

from __future__ import annotations

from connectors.base import PRINCIPAL_PREFIX
from connectors.postgresql.group_privileges import RELATIONS, USER_SCHEMA
from connectors.postgresql.owned import ACCESS_LIST, ASK_FOR_DATABASE, FOLLOWS, GRANTED, OWNED_HERE
from connectors.postgresql.statements import Command, command
from connectors.quoting import postgresql_block as block
from connectors.quoting import postgresql_text as text


def close_to_public(role: str, database: str) -> Command:
    """Everything that the role owns here, and that it or somebody else has opened to everybody."""
    kinds = ", ".join(f"({text(kind)}, {text(granted)})" for kind, granted in GRANTED.items())
    return _loop(
        f"""SELECT p.command FROM {OWNED_HERE}
      JOIN (VALUES {kinds}) k (kind, granted) ON k.kind = i.type
      CROSS JOIN LATERAL ({ACCESS_LIST}) l
      CROSS JOIN LATERAL (
        SELECT DISTINCT a.grantor = d.refobjid AS is_last, CASE WHEN a.grantor = d.refobjid
          THEN format('REVOKE ALL ON %s %s FROM PUBLIC', k.granted, i.identity)
          ELSE format('REVOKE GRANT OPTION FOR ALL ON %s %s FROM %I CASCADE',
            k.granted, i.identity, pg_get_userbyid(a.grantor)) END AS command
        FROM aclexplode(l.acl) a WHERE a.grantee = 0) p
    WHERE r.rolname = {text(role)} AND NOT (k.granted = 'TYPE' AND {FOLLOWS})
    ORDER BY d.classid, d.objid, p.is_last""",
        database,
        "What is handed over is open to nobody by default.",
    )


def let_receive(role: str, heir: str, database: str) -> Command:
    """What PostgreSQL asks of a new owner of functions, types, publications and subscriptions."""
    for_database = ", ".join(text(kind) for kind in sorted(ASK_FOR_DATABASE))
    return _loop(
        f"""SELECT format('GRANT CREATE ON SCHEMA %I TO %I', n.nspname, {text(heir)}) FROM pg_namespace n
    WHERE NOT has_schema_privilege({text(heir)}, n.oid, 'CREATE') AND EXISTS (
      SELECT FROM {OWNED_HERE} WHERE r.rolname = {text(role)} AND i.schema = quote_ident(n.nspname)
        AND d.classid NOT IN ('pg_class'::regclass, 'pg_type'::regclass))
    UNION ALL SELECT format('GRANT CREATE ON DATABASE %I TO %I', current_database(), {text(heir)})
    WHERE NOT has_database_privilege({text(heir)}, current_database(), 'CREATE') AND EXISTS (
      SELECT FROM {OWNED_HERE} WHERE r.rolname = {text(role)} AND i.type IN ({for_database}))""",
        database,
        "Where it is asked of a new owner; until the end of this step.",
    )


def stop_receiving(heir: str, database: str) -> Command:
    """The other end of `let_receive`: the heir may create nowhere but in what is its own."""
    return _loop(
        f"""SELECT format('REVOKE CREATE ON SCHEMA %I FROM %I', n.nspname, h.rolname)
    FROM pg_roles h, pg_namespace n, aclexplode(n.nspacl) a
    WHERE h.rolname = {text(heir)} AND a.grantee = h.oid AND a.privilege_type = 'CREATE' AND n.nspowner <> h.oid
    UNION ALL SELECT format('REVOKE CREATE ON DATABASE %I FROM %I', b.datname, h.rolname)
    FROM pg_roles h, pg_database b, aclexplode(b.datacl) a
    WHERE h.rolname = {text(heir)} AND b.datname = current_database() AND a.grantee = h.oid
      AND a.privilege_type = 'CREATE' AND b.datdba <> h.oid""",
        database,
        "The heir may do nothing.",
    )


def reach(heir: str, database: str) -> Command:
    """What the heir owns here comes within reach of the groups that have everything that is made in its place.

    Which groups these are, and what they have, is told by the default privileges that Lockgate has set for them; those
    that an account has set for itself do not count.
    """
    default = """pg_default_acl f JOIN pg_roles o ON o.oid = f.defaclrole CROSS JOIN aclexplode(f.defaclacl) a
      JOIN pg_roles g ON g.oid = a.grantee"""
    of_ours = f"""o.rolname !~ '^{PRINCIPAL_PREFIX}' AND g.rolname ~ '^lockgate_' AND g.rolname <> {text(heir)}
      AND NOT g.rolcanlogin"""
    return _loop(
        f"""SELECT DISTINCT format('GRANT %s ON SCHEMA %I TO %I', a.privilege_type, n.nspname, g.rolname)
    FROM pg_namespace n JOIN {default} ON f.defaclobjtype = 'n' AND f.defaclnamespace = 0
    WHERE pg_get_userbyid(n.nspowner) = {text(heir)} AND {of_ours} AND a.privilege_type = 'USAGE'
      AND NOT has_schema_privilege(g.oid, n.oid, a.privilege_type)
    UNION ALL SELECT DISTINCT format('GRANT %s ON %s %I.%I TO %I', a.privilege_type,
      CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname, g.rolname)
    {RELATIONS} JOIN {default} ON f.defaclnamespace IN (0, n.oid)
      AND f.defaclobjtype = CASE c.relkind WHEN 'S' THEN 'S' ELSE 'r' END::"char"
    WHERE pg_get_userbyid(c.relowner) = {text(heir)} AND {USER_SCHEMA} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      AND {of_ours} AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'USAGE')
      AND NOT EXISTS (SELECT FROM aclexplode(c.relacl) h WHERE h.grantee = g.oid AND h.privilege_type = a.privilege_type)""",
        database,
        "For the groups that have all that is made there: it was its maker's alone while the access lived.",
    )


def _loop(commands: str, database: str, note: str) -> Command:
    body = f"\nDECLARE command text;\nBEGIN\n  FOR command IN\n    {commands}\n  LOOP EXECUTE command; END LOOP;\nEND "
    return command(f"DO {block(body)}", database, note)
