"""The proof of a revocation: what the server's catalog still says about an account.

Roles, memberships, sessions, prepared transactions and settings are kept once for the whole server. So is
`pg_shdepend`, where PostgreSQL notes for every object of *every* database which role owns it, holds a privilege on it,
or is named in its default privileges or policies. One reading there covers all databases, also those that take no
connections. What it finds has numbers there; the names are asked for in the databases themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from connectors.base import Finding
from connectors.errors import ConnectorError
from connectors.postgresql.session import Sessions
from connectors.quoting import postgresql_text as text

#: Logins that have begun and that `pg_stat_activity` does not tell the account of: they hold the lock of their own
#: transaction already. A client can stay there for as long as it likes (`post_auth_delay`), past the check of NOLOGIN.
#: From version 18 on they are listed, without an account, and without the kind of process for whoever may not read all.
LOGINS_UNDER_WAY = """SELECT l.pid FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'virtualxid' AND l.pid IS NOT NULL
  AND (a.pid IS NULL OR a.usesysid IS NULL AND coalesce(a.backend_type, 'client backend') = 'client backend')"""

#: An account that somebody else dropped has taken its number with it; a session of it is one of nobody.
STRAYS = """SELECT format('process %s in %s', pid, datname) FROM pg_stat_activity a
WHERE a.usesysid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.usesysid)"""

_DEPENDENCIES = "objects, privileges, default privileges and policies, in every database (pg_shdepend is one for all)"

_VERB = """CASE s.deptype WHEN 'o' THEN 'owns' WHEN 'a' THEN 'has a privilege on'
  WHEN 'r' THEN 'is named in' WHEN 'i' THEN 'is named in' ELSE s.deptype::text END"""

#: The same with names, for what is in the database at hand and, `home`, for what belongs to the whole server.
_NAMED = f"""
SELECT s.dbid::text || ' ' || s.classid || ' ' || s.objid || ' ' || s.objsubid,
  format('%%s %%s in %%s', {_VERB}, i.type || ' ' || i.identity,
         CASE s.dbid WHEN 0 THEN 'the server' ELSE current_database() END)
FROM pg_shdepend s CROSS JOIN LATERAL pg_identify_object(s.classid, s.objid, s.objsubid) i
WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = ANY (%s::oid[])
  AND (s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) OR s.dbid = 0 AND %s)
"""


def read_back(
    sessions: Sessions, principal: str, oids: Sequence[int], under_way: Collection[int]
) -> tuple[datetime, tuple[Finding, ...]]:
    """The server's clock and what it still knows of an account.

    `oids` are the numbers the account had (one, or none if it was gone already); sessions keep it after the account is
    gone. `under_way` are processes that may yet become sessions of the account.
    """
    home = sessions.home
    asked = _by_name(principal) + (_by_number(oids, under_way) if oids else [])
    if not oids:
        asked.append(("sessions of accounts that are gone", STRAYS))
    parts = [f"SELECT {number}, line::text FROM ({sql}) q (line)" for number, (_, sql) in enumerate(asked)]
    found: dict[int, list[str]] = {}
    for number, line in home.rows(" UNION ALL ".join(parts)):
        found.setdefault(number, []).append(line)
    findings = []
    for number, (question, sql) in enumerate(asked):
        lines = found.get(number, [])
        if question == _DEPENDENCIES and lines:
            lines = _named(sessions, oids, lines)
        findings.append(Finding(question, sql, tuple(lines)))
    return home.rows("SELECT clock_timestamp()")[0][0], tuple(findings)


def _named(sessions: Sessions, oids: Sequence[int], lines: Sequence[str]) -> list[str]:
    """The lines with names where these can be read: in the database that a line is about."""
    home = sessions.home.database
    databases = [home, *(row[0] for row in sessions.home.rows(_DATABASES_OF, [list(oids)]) if row[0] != home)]
    names: dict[str, str] = {}
    for database in databases:
        try:
            with sessions.visit(database) as session:
                names.update(session.rows(_NAMED, [list(oids), database == home]))
        except ConnectorError:
            continue  # It takes no connections, or not ours: the numbers have to do.
    return [names.get(line.rpartition(" [")[2].rstrip("]"), "") or line.rpartition(" [")[0] for line in lines]


_DATABASES_OF = """
SELECT DISTINCT d.datname::text FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = ANY (%s::oid[])
"""


def _by_name(principal: str) -> list[tuple[str, str]]:
    return [
        ("the account", f"SELECT rolname FROM pg_roles WHERE rolname = {text(principal)}"),
        (
            "prepared transactions of the account",
            f"SELECT format('%s in %s', gid, database) FROM pg_prepared_xacts WHERE owner = {text(principal)}",
        ),
    ]


def _by_number(oids: Sequence[int], under_way: Collection[int]) -> list[tuple[str, str]]:
    number = ", ".join(str(oid) for oid in oids)
    asked = [
        ("the account, under any name", f"SELECT rolname FROM pg_roles WHERE oid IN ({number})"),
        (
            "sessions of the account",
            f"SELECT format('process %s in %s', pid, datname) FROM pg_stat_activity WHERE usesysid IN ({number})",
        ),
        (
            "memberships of the account, and in it",
            "SELECT format('%s in %s', coalesce(m.rolname, a.member::text), coalesce(r.rolname, a.roleid::text))"
            " FROM pg_auth_members a LEFT JOIN pg_roles m ON m.oid = a.member LEFT JOIN pg_roles r ON r.oid = a.roleid"
            f" WHERE a.member IN ({number}) OR a.roleid IN ({number}) OR a.grantor IN ({number})",
        ),
        (
            _DEPENDENCIES,
            f"SELECT format('%s %s %s in %s [%s]', {_VERB}, s.classid::regclass, s.objid,"
            " coalesce(d.datname, 'the server'), s.dbid || ' ' || s.classid || ' ' || s.objid || ' ' || s.objsubid)"
            " FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid"
            f" WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid IN ({number})",
        ),
        (
            "settings of the account",
            f"SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setrole IN ({number})",
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
