#!/usr/bin/env bash
# REASSIGN OWNED gives a table to a role that ALTER TABLE … OWNER TO refuses to give it to.
# Expected: both do the same thing to one table, so both ask the same: the new owner may create in the table's schema.
# Seen: on 13 to 18 ALTER TABLE … OWNER TO fails with 42501 for a new owner without CREATE on the schema, when somebody who is no
# superuser runs it; REASSIGN OWNED, by the same role and between the same two, goes through.
# Where Lockgate takes it into account: connectors/postgresql/handing_over.py, which hands over one thing at a time so that one
# that cannot go keeps no other back, and lends the heir CREATE meanwhile.
source "$(dirname "$0")/with/scratch.sh"
source "$(dirname "$0")/with/postgresql.sh"
python_packages "psycopg[binary]==3.2.10"

look() {
    "$PYTHON" - "$POSTGRESQL_URL" <<'PYTHON'
import sys

import psycopg

with psycopg.connect(sys.argv[1], autocommit=True) as root:
    version = root.info.parameter_status("server_version")
    for role in ("leaving LOGIN", "heir", "mover LOGIN"):
        root.execute(f"CREATE ROLE {role} PASSWORD 'x'")
    root.execute("GRANT leaving, heir TO mover")
    root.execute("CREATE SCHEMA shop")
    root.execute("GRANT CREATE, USAGE ON SCHEMA shop TO leaving")
    root.execute("SET ROLE leaving; CREATE TABLE shop.notes (id int); RESET ROLE")
    with psycopg.connect(root.info.dsn, user="mover", password="x", host=root.info.host, autocommit=True) as mover:
        try:
            mover.execute("ALTER TABLE shop.notes OWNER TO heir")
            altered = "done"
        except psycopg.errors.InsufficientPrivilege as error:
            altered = str(error).strip()
        mover.execute("REASSIGN OWNED BY leaving TO heir")
    (owner,) = root.execute("SELECT relowner::regrole::text FROM pg_class WHERE oid = 'shop.notes'::regclass").fetchone()
print(f"PostgreSQL {version}: ALTER TABLE … OWNER TO: {altered}; after REASSIGN OWNED the owner is {owner}")
assert altered == "permission denied for schema shop"
assert owner == "heir"
PYTHON
}

start_postgresql 13.23.0-beta.16
look
start_postgresql 18.4.0-beta.17
look
seen "ALTER TABLE … OWNER TO is refused for want of CREATE on the schema; REASSIGN OWNED moves the same table"
