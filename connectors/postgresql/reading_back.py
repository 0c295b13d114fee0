"""The proof of a revocation: what the server's catalog still says about an account.

Roles, memberships, sessions, prepared transactions and settings are kept once for the whole server. So is
`pg_shdepend`, where PostgreSQL notes for every object of *every* database which role owns it, holds a privilege on it,
or is named in its default privileges or policies. One reading there covers all databases, also those that take no
connections.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from connectors.base import Finding
from connectors.postgresql.session import Session
from connectors.quoting import postgresql_text as text

#: Logins that have begun and that `pg_stat_activity` does not tell the account of: they hold the lock of their own
#: transaction already. A client can stay there for as long as it likes (`post_auth_delay`), past the check of NOLOGIN.
LOGINS_UNDER_WAY = """SELECT l.pid FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'virtualxid' AND l.pid IS NOT NULL
  AND (a.pid IS NULL OR a.usesysid IS NULL AND a.backend_type = 'client backend')"""

#: An account that somebody else dropped has taken its number with it; a session of it is one of nobody.
STRAYS = """SELECT format('process %s in %s', pid, datname) FROM pg_stat_activity a
WHERE a.usesysid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.usesysid)"""


def read_back(
    session: Session, principal: str, oid: int | None, under_way: Collection[int]
) -> tuple[datetime, tuple[Finding, ...]]:
    """The server's clock and what it still knows of an account.

    `oid` is the number the account had, if it was still there; sessions keep it after the account is gone. `under_way`
    are processes that may yet become sessions of the account.
    """
    asked = _by_name(principal) if oid is None else _by_name(principal) + _by_number(oid, under_way)
    if oid is None:
        asked.append(("sessions of accounts that are gone", STRAYS))
    parts = [f"SELECT {number}, line::text FROM ({sql}) q (line)" for number, (_, sql) in enumerate(asked)]
    found: dict[int, list[str]] = {}
    for number, line in session.rows(" UNION ALL ".join(parts)):
        found.setdefault(number, []).append(line)
    findings = tuple(
        Finding(question, sql, tuple(found.get(number, ()))) for number, (question, sql) in enumerate(asked)
    )
    return session.rows("SELECT clock_timestamp()")[0][0], findings


def _by_name(principal: str) -> list[tuple[str, str]]:
    return [
        ("the account", f"SELECT rolname FROM pg_roles WHERE rolname = {text(principal)}"),
        (
            "prepared transactions of the account",
            f"SELECT format('%s in %s', gid, database) FROM pg_prepared_xacts WHERE owner = {text(principal)}",
        ),
    ]


def _by_number(oid: int, under_way: Collection[int]) -> list[tuple[str, str]]:
    asked = [
        (
            "sessions of the account",
            f"SELECT format('process %s in %s', pid, datname) FROM pg_stat_activity WHERE usesysid = {oid}",
        ),
        (
            "memberships of the account, and in it",
            "SELECT format('%s in %s', coalesce(m.rolname, a.member::text), coalesce(r.rolname, a.roleid::text))"
            " FROM pg_auth_members a LEFT JOIN pg_roles m ON m.oid = a.member LEFT JOIN pg_roles r ON r.oid = a.roleid"
            f" WHERE {oid} IN (a.member, a.roleid, a.grantor)",
        ),
        (
            "objects, privileges, default privileges and policies, in every database (pg_shdepend is one for all)",
            "SELECT format('%s %s %s in %s', CASE s.deptype WHEN 'o' THEN 'owns' WHEN 'a' THEN 'has a privilege on'"
            " WHEN 'r' THEN 'is named in' ELSE s.deptype::text END, s.classid::regclass, s.objid,"
            " coalesce(d.datname, 'the server'))"
            " FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid"
            f" WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = {oid}",
        ),
        (
            "settings of the account",
            f"SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setrole = {oid}",
        ),
    ]
    if under_way:
        pids = ", ".join(str(pid) for pid in sorted(under_way))
        asked.append(
            (
                "logins of the account that had begun",
                f"SELECT format('process %s', pid) FROM ({LOGINS_UNDER_WAY}) u WHERE pid IN ({pids})",
            )
        )
    return asked
