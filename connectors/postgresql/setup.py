"""The SQL that makes Lockgate's own account with the least it needs, and why it needs each thing.

A privilege on a table can be granted by the table's owner, by members of that owner, by whoever has the privilege with
GRANT OPTION, and by superusers. Default privileges, which is how tables made later are covered, can be set by the owner
and its members alone. Hence: Lockgate's account joins the owners that are no superusers, and gets GRANT OPTION where
it cannot or should not join: nobody should join a superuser, and whoever made Lockgate's account on PostgreSQL 16 or
later is a member of it, so that it can never be a member of him.

One text for everybody. It asks for what is lacking and runs that, so that it can be run again; where somebody runs it
who may not do everything (nobody is a superuser on a managed server), it does what it can and says what is left. Each
block sets its own `search_path`: a superuser runs this in databases in which others may make functions.
"""

from __future__ import annotations

from connectors.base import Authentication, Target
from connectors.postgresql.statements import MARK
from connectors.quoting import postgresql_block, postgresql_name, postgresql_text

#: The heir that the script makes: the default of `RevokeRequest.heir`.
DEFAULT_HEIR = "lockgate_heir"

#: On a table, on a sequence, on a schema, on a database: what Lockgate's account passes on where it cannot join an owner.
PASSED_ON = {
    "TABLES": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"),
    "SEQUENCES": ("USAGE", "SELECT", "UPDATE"),
    "SCHEMAS": ("USAGE", "CREATE"),
    # CONNECT to pass on; CREATE because PostgreSQL asks for it when a schema gets another owner.
    "DATABASE": ("CONNECT", "CREATE"),
}

#: Roles of providers that are superusers in all but name.
PROVIDERS_OWN = (
    "alloydbadmin",
    "alloydbsuperuser",
    "azure_pg_admin",
    "azuresu",
    "cloudsqladmin",
    "cloudsqlsuperuser",
    "rds_superuser",
    "rdsadmin",
)

_ONCE = """\
-- Lockgate's own account on this server, with the least it needs. Run this with psql as a superuser, or, where nobody is
-- one (Amazon RDS, Cloud SQL, Azure), as the administrator of the server: it does what it may, and what is left comes as a
-- warning with the line for whoever may. Run it again after an upgrade of the server, or for another account.

-- 1. Once for the server.
SET search_path = pg_catalog, pg_temp;
{first}DO {block};
-- From PostgreSQL 16 on, for each existing role that access roles may join (before, CREATEROLE is enough):
--   GRANT reporting TO {admin} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
{last}
-- 2. In each database that access roles may name: connect to it (\\connect orders) and run the following. Run it again
--    when a new role begins to own tables there.
"""

_CHOOSE = """\
-- The account has no password yet, so that nobody can log in with it. psql asks for one and sends only its verifier:
--   \\password {admin}
"""

_AZURE = """\
-- On Azure, first, in the database postgres, where the account has the name of Lockgate's identity:
--   SELECT * FROM pgaadauth_create_principal({name}, false, false);
"""

_SERVER_BLOCK = """
DECLARE command pg_catalog.text; inherited pg_catalog.text; acted_as pg_catalog.text;
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  -- From PostgreSQL 16 on, a membership says whether it is inherited, and whether SET ROLE may use it.
  inherited := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH INHERIT TRUE' ELSE '' END;
  acted_as := CASE WHEN inherited <> '' THEN 'SET' ELSE 'MEMBER' END;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {admin}) THEN
    EXECUTE format('CREATE ROLE %I LOGIN CREATEROLE', {admin});
  END IF;
  -- What ended accounts leave behind goes to this role, which may do nothing:
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {heir}) THEN
    EXECUTE format('CREATE ROLE %I NOLOGIN', {heir});
  END IF;
  FOR command IN
    SELECT format('ALTER ROLE %I LOGIN INHERIT CREATEROLE', rolname) FROM pg_roles
    WHERE rolname = {admin} AND NOT rolsuper AND NOT (rolcanlogin AND rolinherit AND rolcreaterole)
    UNION ALL
    -- To end the sessions of the accounts it takes away; to get in where connections are reserved (since 16){iam}:
    SELECT format('GRANT %I TO %I', rolname, {admin}) || inherited FROM pg_roles
    WHERE rolname IN ({joined}) AND NOT pg_has_role({admin}, oid, 'USAGE')
    UNION ALL
    SELECT format('GRANT %I TO %I', {heir}, {admin}) || CASE WHEN inherited <> '' THEN inherited || ', SET TRUE' ELSE '' END
    WHERE NOT (pg_has_role({admin}, {heir}, 'USAGE') AND pg_has_role({admin}, {heir}, acted_as))
    UNION ALL
    -- From PostgreSQL 16 on, CREATEROLE alone does not reach roles that somebody else has made, or made for Lockgate's
    -- account: its groups and accounts after an upgrade, or after the account was made anew.
    SELECT format('GRANT %I TO %I WITH ADMIN TRUE, INHERIT FALSE, SET FALSE', r.rolname, {admin}) FROM pg_roles r
    WHERE inherited <> '' AND NOT r.rolsuper AND r.rolname NOT IN ({admin}, {heir})
      AND (r.rolname ~ '^lg_' OR r.rolname ~ '^lockgate_' AND NOT r.rolcanlogin
        -- An account that somebody has renamed:
        OR r.rolname !~ '^pg_' AND shobj_description(r.oid, 'pg_authid') ~ '^{mark}lg_')
      AND NOT EXISTS (SELECT FROM pg_auth_members m
                      WHERE m.roleid = r.oid AND m.admin_option AND pg_has_role({admin}, m.member, 'USAGE'))
  LOOP
    BEGIN
      EXECUTE command;
    EXCEPTION WHEN undefined_object THEN NULL;  -- Gone meanwhile.
    WHEN insufficient_privilege OR invalid_grant_operation OR internal_error THEN
      IF SQLERRM ~ '^tuple concurrently' THEN RAISE; END IF;  -- Somebody else is at it: run this again.
      RAISE WARNING 'Left, for somebody who may: %; (%)', command, SQLERRM;
    END;
  END LOOP;
END """

_DATABASE_BLOCK = """
DECLARE command pg_catalog.text; owner pg_catalog.text; told pg_catalog.text := ''; inherited pg_catalog.text;
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  inherited := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH INHERIT TRUE' ELSE '' END;
  -- Owners, and roles that may create, where these are no superusers: join them. Not who is a member of Lockgate's account.
  FOR command IN
    SELECT format('GRANT %I TO %I', r.rolname, {admin}) || inherited FROM pg_roles r
    WHERE NOT r.rolsuper AND r.rolname !~ '^(pg|lg)_' AND r.rolname NOT IN ({providers})
      AND NOT pg_has_role({admin}, r.oid, 'USAGE') AND NOT pg_has_role(r.oid, {admin}, 'MEMBER') AND r.oid IN (
        SELECT datdba FROM pg_database WHERE datname = current_database()
        UNION SELECT nspowner FROM pg_namespace
        UNION SELECT relowner FROM pg_class
        UNION SELECT g.oid FROM pg_namespace n, aclexplode(n.nspacl) a JOIN pg_roles g ON g.oid = a.grantee
          WHERE a.privilege_type = 'CREATE' AND g.rolname !~ '^lockgate_')
  LOOP
    BEGIN
      EXECUTE command;
    EXCEPTION WHEN undefined_object THEN NULL;  -- Gone meanwhile.
    WHEN insufficient_privilege OR invalid_grant_operation OR internal_error THEN
      IF SQLERRM ~ '^tuple concurrently' THEN RAISE; END IF;  -- Somebody else is at it: run this again.
      RAISE WARNING 'Left, for somebody who may: %; (%)', command, SQLERRM;
    END;
  END LOOP;
  -- What the others own: the right to pass privileges on, for what is there and for what they make later. Once to grant it,
  -- and once to see what is left.
  FOR attempt IN 1..2 LOOP
    FOR owner, command IN
      SELECT r.rolname, format('GRANT {database} ON DATABASE %I', datname)
      FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
      WHERE datname = current_database() AND NOT pg_has_role({admin}, datdba, 'USAGE')
        AND EXISTS (SELECT FROM unnest({database_array}) p
                    WHERE NOT has_database_privilege({admin}, d.oid, p || ' WITH GRANT OPTION'))
      UNION ALL
      SELECT r.rolname, format('GRANT {schemas} ON SCHEMA %I', nspname)
      FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
      WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND rolname !~ '^lg_'
        AND NOT pg_has_role({admin}, nspowner, 'USAGE')
        AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_namespace'::regclass AND objid = n.oid AND deptype = 'e')
        AND EXISTS (SELECT FROM unnest({schemas_array}) p
                    WHERE NOT has_schema_privilege({admin}, n.oid, p || ' WITH GRANT OPTION'))
      UNION ALL
      SELECT r.rolname, format('GRANT %s %I.%I', CASE relkind
        WHEN 'S' THEN '{sequences} ON SEQUENCE'
        ELSE '{tables} ON TABLE' END, nspname, relname)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
      WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND rolname !~ '^lg_' AND NOT pg_has_role({admin}, relowner, 'USAGE')
        AND nspname !~ '^pg_' AND nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
        AND CASE relkind WHEN 'S' THEN EXISTS (
          SELECT FROM unnest({sequences_array}) p
          WHERE NOT has_sequence_privilege({admin}, c.oid, p || ' WITH GRANT OPTION'))
        ELSE EXISTS (
          SELECT FROM unnest({tables_array}) p
          WHERE NOT has_table_privilege({admin}, c.oid, p || ' WITH GRANT OPTION')) END
      UNION ALL
      SELECT r.rolname, format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT %s ON %s',
        rolname, array_to_string(held, ', '), what)
      FROM pg_roles r CROSS JOIN (VALUES
        ('r', 'TABLES', {tables_array}),
        ('S', 'SEQUENCES', {sequences_array}),
        ('n', 'SCHEMAS', {schemas_array})) k (type, what, held)
      WHERE NOT pg_has_role({admin}, r.oid, 'USAGE') AND rolname !~ '^(pg|lg)_' AND (
          NOT rolsuper AND r.oid IN (
            SELECT datdba FROM pg_database WHERE datname = current_database()
            UNION SELECT nspowner FROM pg_namespace)
          OR EXISTS (
            SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE relowner = r.oid AND nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT EXISTS (
              SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')))
        AND NOT held <@ ARRAY(
          SELECT a.privilege_type
          FROM pg_default_acl d CROSS JOIN aclexplode(d.defaclacl) a JOIN pg_roles g ON g.oid = a.grantee
          WHERE d.defaclrole = r.oid AND d.defaclnamespace = 0 AND d.defaclobjtype = k.type::"char"
            AND g.rolname = {admin} AND a.is_grantable)
      ORDER BY 1
    LOOP
      IF attempt = 1 THEN
        BEGIN
          EXECUTE command || format(' TO %I WITH GRANT OPTION', {admin});
        EXCEPTION WHEN insufficient_privilege OR undefined_table OR invalid_schema_name OR undefined_object THEN
          NULL;  -- Told below, or gone meanwhile.
        END;
      ELSIF owner <> told THEN
        told := owner;
        RAISE WARNING 'Left in database %: what % owns. Run this part again as that role or a superuser. It begins with: %;',
          current_database(), owner, command || format(' TO %I WITH GRANT OPTION', {admin});
      END IF;
    END LOOP;
  END LOOP;
END """


def setup_sql(target: Target) -> str:
    """The whole script. It sets no password: an account without one lets nobody in."""
    return server_part(target) + database_part(target)


def server_part(target: Target) -> str:
    """What is run once for the server."""
    by_token = target.authentication is Authentication.ACCESS_TOKEN
    admin = postgresql_name(target.user)
    joined = ["pg_signal_backend", "pg_use_reserved_connections", *(["rds_iam"] if by_token else [])]
    block = _SERVER_BLOCK.format(
        admin=postgresql_text(target.user),
        heir=postgresql_text(DEFAULT_HEIR),
        joined=_listed(joined),
        mark=MARK,
        iam="; its login on Amazon RDS" if by_token else "",
    )
    return _ONCE.format(
        admin=admin,
        block=postgresql_block(block),
        first=_AZURE.format(name=postgresql_text(target.user)) if by_token else "",
        last="" if by_token else _CHOOSE.format(admin=admin),
    )


def database_part(target: Target) -> str:
    """What is run in each database."""
    kinds = {kind.lower(): ", ".join(held) for kind, held in PASSED_ON.items()}
    arrays = {f"{kind.lower()}_array": f"ARRAY[{_listed(held)}]" for kind, held in PASSED_ON.items()}
    block = _DATABASE_BLOCK.format(
        admin=postgresql_text(target.user), providers=_listed(PROVIDERS_OWN), **kinds, **arrays
    )
    return f"SET search_path = pg_catalog, pg_temp;\nDO {postgresql_block(block)};\n"


def _listed(texts: tuple[str, ...] | list[str]) -> str:
    return ", ".join(postgresql_text(text) for text in texts)
