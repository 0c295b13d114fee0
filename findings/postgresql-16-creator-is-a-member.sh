#!/usr/bin/env bash
# Since PostgreSQL 16 whoever creates a role is a member of it, and so are all that are members of the creator.
# Expected: after CREATE ROLE, pg_has_role(creator, role, 'MEMBER') is false, as on 15, until somebody grants it.
# Seen: on 16 to 18 it is true, by a grant with ADMIN only: neither its privileges are had nor SET ROLE works. Code that takes
# "is a member" for "can act as" finds people who cannot.
# Where Lockgate takes it into account: connectors/postgresql/revocation.py, whose sessions a revocation ends.
source "$(dirname "$0")/with/scratch.sh"
source "$(dirname "$0")/with/postgresql.sh"
python_packages "psycopg[binary]==3.2.10"

look() {
    "$PYTHON" - "$POSTGRESQL_URL" <<'PYTHON'
import sys, psycopg
from psycopg import sql

with psycopg.connect(sys.argv[1], autocommit=True) as root:
    root.execute("CREATE ROLE boss LOGIN CREATEROLE PASSWORD 'x'")
    major = root.info.server_version // 10000
    with psycopg.connect(root.info.dsn, user="boss", password="x", host=root.info.host, autocommit=True) as boss:
        boss.execute("CREATE ROLE made")
        member, usage = boss.execute(
            "SELECT pg_has_role('boss', 'made', 'MEMBER'), pg_has_role('boss', 'made', 'USAGE')"
        ).fetchone()
        try:
            boss.execute("SET ROLE made")
            can_set = True
        except psycopg.errors.InsufficientPrivilege:
            can_set = False
print(f"PostgreSQL {major}: member {member}, has its privileges {usage}, SET ROLE {can_set}")
assert (member, usage, can_set) == (major >= 16, False, False)
PYTHON
}

start_postgresql 15.18.0-beta.17
look
start_postgresql 16.14.0-beta.17
look
start_postgresql 18.4.0-beta.17
look
seen "on 15 the creator is no member; on 16 and 18 it is one that can neither inherit nor set the role"
