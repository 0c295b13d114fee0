"""The SQL that makes Lockgate's own account with the least it needs, and why it needs each thing.

A privilege on a table can be granted by the table's owner, by members of that owner, by whoever has the privilege with
GRANT OPTION, and by superusers. Default privileges, which is how tables made later are covered, can be set by the owner
and its members alone. Hence: Lockgate's account joins the owners that are no superusers, and gets GRANT OPTION where
the owner is one, since nobody should join a superuser.
"""

from __future__ import annotations

from connectors.base import Authentication, Target
from connectors.quoting import postgresql_block, postgresql_name, postgresql_text
from connectors.redaction import MASK

#: The heir that the script makes: the default of `RevokeRequest.heir`.
DEFAULT_HEIR = "lockgate_heir"

_ONCE = """\
-- Lockgate's own account on this server, with the least it needs. Run this with psql as a superuser.

-- 1. Once for the server.
{account}
-- To end the sessions of the accounts it takes away:
GRANT pg_signal_backend TO {admin};
-- What ended accounts leave behind goes to this role, which may do nothing:
CREATE ROLE {heir} NOLOGIN;
GRANT {heir} TO {admin};
-- From PostgreSQL 16 on, for each existing role that access roles may join (before, CREATEROLE is enough):
--   GRANT reporting TO {admin} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE;

-- 2. In each database that access roles may name: connect to it (\\connect orders) and run the following. Run it again
--    when a new role begins to own tables there.
"""

_ORDINARY_ACCOUNT = "CREATE ROLE {admin} LOGIN CREATEROLE PASSWORD {password};"
_IDENTITY_ACCOUNT = """\
-- On Azure, in the database postgres, where the account has the name of Lockgate's identity:
--   SELECT * FROM pgaadauth_create_principal({name}, false, false); ALTER ROLE {admin} CREATEROLE;
-- On Amazon RDS:
CREATE ROLE {admin} LOGIN CREATEROLE;
GRANT rds_iam TO {admin};"""

_EACH_DATABASE = """
DECLARE command text;
BEGIN
  -- Owners, and roles that may create, where these are no superusers: join them.
  FOR command IN
    SELECT format('GRANT %I TO %I', r.rolname, {admin}) FROM pg_roles r
    WHERE NOT r.rolsuper AND r.rolname !~ '^(pg|lg)_' AND NOT pg_has_role({admin}, r.oid, 'USAGE') AND r.oid IN (
      SELECT datdba FROM pg_database WHERE datname = current_database()
      UNION SELECT nspowner FROM pg_namespace
      UNION SELECT relowner FROM pg_class
      UNION SELECT g.oid FROM pg_namespace n, aclexplode(n.nspacl) a JOIN pg_roles g ON g.oid = a.grantee
        WHERE a.privilege_type = 'CREATE' AND g.rolname !~ '^lockgate_')
  LOOP EXECUTE command; END LOOP;
  -- What superusers own: the right to pass privileges on, for what is there and for what they make later.
  FOR command IN
    -- CONNECT to pass on; CREATE because PostgreSQL asks for it when a schema gets another owner.
    SELECT format('GRANT CONNECT, CREATE ON DATABASE %I', datname) FROM pg_database
    WHERE datname = current_database() AND NOT pg_has_role({admin}, datdba, 'USAGE')
    UNION ALL
    SELECT format('GRANT USAGE, CREATE ON SCHEMA %I', nspname) FROM pg_namespace n
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT pg_has_role({admin}, nspowner, 'USAGE')
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_namespace'::regclass AND objid = n.oid AND deptype = 'e')
    UNION ALL
    SELECT format('GRANT %s %I.%I', CASE relkind
      WHEN 'S' THEN 'USAGE, SELECT, UPDATE ON SEQUENCE'
      ELSE 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES ON TABLE' END, nspname, relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
    WHERE rolsuper AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      AND nspname !~ '^pg_' AND nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
    UNION ALL
    SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT %s', rolname, what) FROM pg_roles r CROSS JOIN (VALUES
      ('SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES ON TABLES'),
      ('USAGE, SELECT, UPDATE ON SEQUENCES'),
      ('USAGE, CREATE ON SCHEMAS')) k (what)
    WHERE rolsuper AND EXISTS (
      SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE relowner = r.oid AND nspname !~ '^pg_' AND nspname <> 'information_schema')
  LOOP EXECUTE command || format(' TO %I WITH GRANT OPTION', {admin}); END LOOP;
END """


def setup_sql(target: Target) -> str:
    """The whole script; `********` stands for the password to choose."""
    return server_part(target) + database_part(target)


def server_part(target: Target) -> str:
    """What is run once for the server."""
    admin = postgresql_name(target.user)
    account = _IDENTITY_ACCOUNT if target.authentication is Authentication.ACCESS_TOKEN else _ORDINARY_ACCOUNT
    return _ONCE.format(
        admin=admin,
        heir=postgresql_name(DEFAULT_HEIR),
        account=account.format(admin=admin, name=postgresql_text(target.user), password=postgresql_text(MASK)),
    )


def database_part(target: Target) -> str:
    """What is run in each database."""
    return f"DO {postgresql_block(_EACH_DATABASE.format(admin=postgresql_text(target.user)))};\n"
