#!/usr/bin/env bash
# libpg_query refuses a string that goes on in the next line when a comment stands between its pieces; PostgreSQL takes it.
# Expected: PostgreSQL's own grammar, taken out of the server, takes what the server takes. Seen: pgparse 1.0.3 (libpg_query of
# PostgreSQL 17) says `syntax error`, PostgreSQL 17.10 gives one string. Without the comment both give it.
# Where Lockgate takes it into account: tests/gateway/wire/test_rules.py, docs/gateway.md.
source "$(dirname "$0")/with/scratch.sh"
source "$(dirname "$0")/with/postgresql.sh"
python_packages "psycopg[binary]==3.3.9" "pgparse==1.0.3"
start_postgresql 17.10.0-beta.17

"$PYTHON" - "$POSTGRESQL_URL" <<'PYTHON'
import sys, pgparse, psycopg

PLAIN, COMMENTED = "SELECT 'one '\n'string'", "SELECT 'one ' -- so far\n'string'"

def taken(text):
    try:
        return len(pgparse.parse(text)) == 1
    except pgparse.PGQueryError as error:
        return error.message

with psycopg.connect(sys.argv[1]) as connection:
    version = connection.info.server_version // 10000
    given = [connection.execute(text).fetchone()[0] for text in (PLAIN, COMMENTED)]
print(f"PostgreSQL {version} gives {given}; libpg_query says {[taken(PLAIN), taken(COMMENTED)]}")
assert given == ["one string", "one string"]
assert taken(PLAIN) is True
assert "syntax error" in taken(COMMENTED)
PYTHON
seen "a comment between two pieces of a string is a syntax error to libpg_query alone"
