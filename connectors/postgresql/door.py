"""Whether the server would let an account of ours come to the question of its password: pg_hba.conf, seen from outside.

Only superusers may read that file on the server. So we knock as an account that does not exist and leave as soon as the
server asks for a password: PostgreSQL writes nothing into its log then.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import time

import psycopg
from psycopg import pq

from connectors.base import PRINCIPAL_PREFIX, Remedy, Secret, Target
from connectors.postgresql.failures import _knock
from connectors.postgresql.session import login_parameters

#: The server asks for a proof, or takes the name for one (`trust`). libpq's trace tells both in this word.
_ASKED = re.compile(r"\tAuthentication")
#: From this version on a line of pg_hba.conf may name accounts by a pattern.
_PATTERNS_SINCE = 160000
_REFUSED = re.compile(r'\tErrorResponse\t.*? C "(28[0-9A-Z]{3})"')


def is_shut(target: Target, database: str) -> bool:
    """Whether pg_hba.conf turns accounts of ours away from a database; not so where nobody answers."""
    stranger = f"{PRINCIPAL_PREFIX}nobody_{secrets.token_hex(4)}"
    parameters = {**login_parameters(target, stranger, Secret(""), database), "passfile": os.devnull}
    with tempfile.TemporaryFile() as trace:
        pgconn = pq.PGconn.connect_start(psycopg.conninfo.make_conninfo(**parameters).encode())
        try:
            if pgconn.status == pq.ConnStatus.BAD:
                return False
            pgconn.trace(trace.fileno())
            _knock(pgconn, time.monotonic() + target.connect_timeout.total_seconds())
            pgconn.untrace()  # libpq writes out what it holds back.
        except (psycopg.Error, OSError):
            return False
        finally:
            pgconn.finish()
        trace.seek(0, os.SEEK_SET)
        traced = trace.read().decode(errors="replace")
    return not _ASKED.search(traced) and bool(_REFUSED.search(traced))


def about_door(target: Target, databases: list[str], version: int) -> list[Remedy]:
    """Where accounts of ours are turned away before anybody asks for their password."""
    shut = [database for database in databases if is_shut(target, database)]
    if not shut:
        return []
    problem = (
        f"pg_hba.conf turns Lockgate's accounts away from {', '.join(shut)}, whatever their password. Put this line above the"
        " one that refuses them, and have the server read the file again with SELECT pg_reload_conf():"
    )
    method = "host" if target.tls.value == "disable" else "hostssl"
    who = '"/^lg_"' if version >= _PATTERNS_SINCE else "all"
    return [Remedy(problem, f"{method} all {who} all scram-sha-256")]
