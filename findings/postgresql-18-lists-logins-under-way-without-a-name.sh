#!/usr/bin/env bash
# Since PostgreSQL 18 pg_stat_activity lists a backend whose login is still under way, and does not say whose it is.
# Expected: who counts the sessions of a role by usesysid or usename sees everything that may become one, or, as until 17, sees
# a login only when it is through.
# Seen: on 18 a connection that has sent its startup message and not yet its password is a row with state `starting`, without
# usesysid, usename or datname; for a role without pg_read_all_stats backend_type is NULL too, so that it is not even a client's.
# On 17 there is no such row. A count by role is zero in both, while the login may still come through.
# Where Lockgate takes it into account: connectors/postgresql/reading_back.py, LOGINS_UNDER_WAY.
source "$(dirname "$0")/with/scratch.sh"
source "$(dirname "$0")/with/postgresql.sh"
python_packages "psycopg[binary]==3.2.10"

look() {
    "$PYTHON" - "$POSTGRESQL_URL" <<'PYTHON'
import socket
import struct
import sys
import time

import psycopg

LOOK = "SELECT state, usesysid, usename, datname, backend_type FROM pg_stat_activity WHERE state = 'starting'"

with psycopg.connect(sys.argv[1], autocommit=True) as root:
    version = root.info.parameter_status("server_version")
    root.execute("CREATE ROLE alice LOGIN PASSWORD 'x'")
    root.execute("CREATE ROLE watcher LOGIN PASSWORD 'x'")
    # The startup message of protocol 3.0, as any client begins; the server asks for the password, and we let it wait.
    words = b"user\0alice\0database\0postgres\0\0"
    with socket.create_connection((root.info.host, root.info.port)) as login:
        login.sendall(struct.pack("!ii", 8 + len(words), 196608) + words)
        assert login.recv(1) == b"R"
        time.sleep(0.5)
        seen = root.execute(LOOK).fetchall()
        with psycopg.connect(root.info.dsn, user="watcher", password="x", host=root.info.host) as watcher:
            by_others = watcher.execute(LOOK.replace("state = 'starting'", "usesysid IS NULL AND backend_type IS NULL")).fetchall()
        counted = root.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'alice'").fetchone()[0]
    major = root.info.server_version // 10000
print(f"PostgreSQL {version}: a superuser sees {seen}; sessions of alice: {counted}")
assert counted == 0
if major >= 18:
    assert [row[:4] for row in seen] == [("starting", None, None, None)], seen
    assert seen[0][4] == "client backend"
    assert by_others, "nobody else sees a row without a name and without a type"
else:
    assert seen == []
PYTHON
}

start_postgresql 17.10.0-beta.17
look
start_postgresql 18.4.0-beta.17
look
seen "on 18 a login under way is a row without a name; on 17 it is no row at all"
