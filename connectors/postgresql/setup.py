"""The SQL that makes Lockgate's own account with the least it needs, and why it needs each thing.

A role can be granted on a table by the table's owner, by members of that owner, by whoever has the privilege with GRANT
OPTION, and by superusers. Default privileges, which is how tables made later are covered, can be set by the owner and its
members alone. Hence: Lockgate's account joins the owners that are no superusers, and gets GRANT OPTION where the owner is
one, since nobody should join a superuser.
"""

from __future__ import annotations

from connectors.base import Target
from connectors.quoting import postgresql_block, postgresql_name, postgresql_text
from connectors.redaction import MASK

#: The heir that the script makes: the default of `RevokeRequest.heir`.
DEFAULT_HEIR = "lockgate_heir"

_ONCE = """\
-- Lockgate's own account on this server, with the least it needs. Run this with psql as a superuser.

-- 1. Once for the server.
CREATE ROLE {admin} LOGIN CREATEROLE PASSWORD {password};
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

_EACH_DATABASE = """
DECLARE item record;
BEGIN
  -- Owners that are no superusers: join them.
  FOR item IN
    SELECT DISTINCT r.rolname AS owner FROM pg_roles r
    WHERE NOT r.rolsuper AND r.rolname !~ '^(pg|lg)_' AND NOT pg_has_role({admin}, r.oid, 'USAGE') AND r.oid IN (
      SELECT datdba FROM pg_database WHERE datname = current_database()
      UNION SELECT nspowner FROM pg_namespace
      UNION SELECT relowner FROM pg_class
      UNION SELECT g.oid FROM pg_namespace n, aclexplode(n.nspacl) a JOIN pg_roles g ON g.oid = a.grantee
        WHERE a.privilege_type = 'CREATE' AND g.rolname !~ '^lockgate_')
  LOOP
    EXECUTE format('GRANT %I TO %I', item.owner, {admin});
  END LOOP;
  -- What superusers own: the right to pass privileges on, now and for what they make later. First the database:
  -- CONNECT to pass on, and CREATE because PostgreSQL asks for it when a schema gets another owner.
  IF NOT pg_has_role({admin}, (SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE') THEN
    EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO %I WITH GRANT OPTION', current_database(), {admin});
  END IF;
  FOR item IN
    SELECT n.nspname AS schema FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (r.rolsuper OR r.rolname = 'pg_database_owner' AND NOT pg_has_role({admin}, r.oid, 'USAGE'))
  LOOP
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO %I WITH GRANT OPTION', item.schema, {admin});
  END LOOP;
  FOR item IN
    SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'S' AS is_sequence
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
    WHERE r.rolsuper AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  LOOP
    IF item.is_sequence THEN
      EXECUTE format('GRANT USAGE, SELECT, UPDATE ON SEQUENCE %I.%I TO %I WITH GRANT OPTION',
        item.schema, item.name, {admin});
    ELSE
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES ON TABLE %I.%I TO %I WITH GRANT OPTION',
        item.schema, item.name, {admin});
    END IF;
  END LOOP;
  FOR item IN
    SELECT DISTINCT r.rolname AS owner FROM pg_roles r WHERE r.rolsuper AND r.oid IN (
      SELECT c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')
  LOOP
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES'
      ' ON TABLES TO %I WITH GRANT OPTION', item.owner, {admin});
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO %I WITH GRANT OPTION',
      item.owner, {admin});
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT USAGE, CREATE ON SCHEMAS TO %I WITH GRANT OPTION',
      item.owner, {admin});
  END LOOP;
END """


def setup_sql(target: Target) -> str:
    """The whole script; `********` stands for the password to choose."""
    return server_part(target) + database_part(target)


def server_part(target: Target) -> str:
    """What is run once for the server."""
    return _ONCE.format(
        admin=postgresql_name(target.user), heir=postgresql_name(DEFAULT_HEIR), password=postgresql_text(MASK)
    )


def database_part(target: Target) -> str:
    """What is run in each database."""
    return f"DO {postgresql_block(_EACH_DATABASE.format(admin=postgresql_text(target.user)))};\n"
