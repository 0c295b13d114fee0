#!/usr/bin/env bash
# Since PostgreSQL 16 a GRANT of a role that says no options leaves those of an earlier one as they are.
# Expected: after GRANT owner TO app the member has what the owner has, as a first GRANT of that text gives.
# Seen: where the same grantor once granted it WITH ADMIN OPTION, INHERIT FALSE, SET FALSE (to let the member pass the role on),
# the second GRANT succeeds, a mere notice says that it was granted already, and the member has nothing more; only WITH INHERIT
# TRUE, SET TRUE does it.
# Where Lockgate takes it into account: connectors/postgresql/setup.py, which says the options each time.
source "$(dirname "$0")/with/scratch.sh"
source "$(dirname "$0")/with/postgresql.sh"
python_packages "psycopg[binary]==3.2.10"

look() {
    "$PYTHON" - "$POSTGRESQL_URL" <<'PYTHON'
import sys, psycopg

with psycopg.connect(sys.argv[1], autocommit=True) as root:
    major = root.info.server_version // 10000
    told = []
    root.add_notice_handler(lambda notice: told.append(notice.message_primary))
    has = "SELECT pg_has_role('app', 'owner', 'USAGE')"
    for statement in ("CREATE ROLE owner", "CREATE ROLE app", "GRANT owner TO app WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"):
        root.execute(statement)
    told.clear()
    root.execute("GRANT owner TO app")
    after_plain, words = root.execute(has).fetchone()[0], list(told)
    root.execute("GRANT owner TO app WITH INHERIT TRUE, SET TRUE")
    after_options = root.execute(has).fetchone()[0]
print(f"PostgreSQL {major}: after GRANT {after_plain} (the server said {words}), after GRANT WITH INHERIT TRUE {after_options}")
assert (after_plain, after_options) == (False, True)
PYTHON
}

start_postgresql 16.14.0-beta.17
look
start_postgresql 18.4.0-beta.17
look
seen "a second GRANT without options succeeds and turns nothing on"
