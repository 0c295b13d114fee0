"""Whether our own account can do everything on a server, with the remedy for each thing that is missing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from connectors.base import CheckReport, Remedy, Target, Tls
from connectors.errors import ConnectorError
from connectors.postgresql import replicas
from connectors.postgresql.failures import UNKNOWN_DATABASE
from connectors.postgresql.session import Session, Sessions
from connectors.postgresql.setup import DEFAULT_HEIR

OLDEST_VERSION = 130000

_OURSELVES = """
SELECT current_setting('server_version'), current_setting('server_version_num')::int, clock_timestamp(),
  pg_is_in_recovery(), r.rolsuper, r.rolcreaterole, pg_has_role(current_user, 'pg_signal_backend', 'USAGE'),
  coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)
FROM pg_roles r WHERE r.rolname = current_user
"""

_HEIR = """
SELECT r.rolsuper OR r.rolcanlogin OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
    OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)
FROM pg_roles r WHERE r.rolname = %s
"""

_DATABASES = """
SELECT datname::text, has_database_privilege(oid, 'CONNECT'), has_database_privilege(oid, 'CONNECT WITH GRANT OPTION'),
  EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) a
          WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT')
FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname
"""

#: Owners in the database at hand whose tables we may not grant, and those whose later tables we cannot cover.
_OWNERS = """
SELECT r.rolname::text,
  bool_or(NOT (has_table_privilege(c.oid, 'SELECT WITH GRANT OPTION')
               AND has_schema_privilege(n.oid, 'USAGE WITH GRANT OPTION'))) AS ungrantable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend e
                  WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
  AND NOT pg_has_role(c.relowner, 'USAGE') AND r.rolname !~ '^lg_'
GROUP BY r.rolname ORDER BY r.rolname
"""

#: How long a check goes through the databases one by one: somebody is waiting for it.
_PATIENCE_SECONDS = 4.0

_RUN_SETUP = "Run the SQL that this page shows, as a superuser."


def check(target: Target, sessions: Sessions) -> CheckReport:
    """See `Connector.check`."""
    home = sessions.home
    began = time.monotonic()
    home.rows("SELECT 1")
    latency = timedelta(seconds=time.monotonic() - began)
    version, number, server_time, in_recovery, is_superuser, creates_roles, may_signal, encrypted = home.rows(
        _OURSELVES
    )[0]
    remedies = _about_server(number, in_recovery=in_recovery)
    if is_superuser:
        remedies.append(_SUPERUSER)
    remedies += _about_account(creates_roles=creates_roles or is_superuser, may_signal=may_signal)
    remedies += _about_heir(home)
    if not encrypted and target.tls is not Tls.DISABLE:
        remedies.append(Remedy("The connection is not encrypted.", "Turn on ssl in postgresql.conf.", blocking=False))
    remedies += _about_databases(sessions)
    following = () if in_recovery else tuple(replicas.seen(sessions))
    return CheckReport(f"PostgreSQL {version}", latency, server_time, tuple(remedies), encrypted, replicas=following)


_SUPERUSER = Remedy(
    "Lockgate's account is a superuser, which is more than it needs.",
    "Make one with the SQL that this page shows, and give Lockgate that one.",
    blocking=False,
)


def _about_server(number: int, *, in_recovery: bool) -> list[Remedy]:
    found = []
    if number < OLDEST_VERSION:
        found.append(Remedy("The server is older than PostgreSQL 13.", "Upgrade it: nothing older is supported."))
    if in_recovery:
        found.append(
            Remedy("The server is a standby: nothing can be changed on it.", "Give the address of the primary.")
        )
    return found


def _about_account(*, creates_roles: bool, may_signal: bool) -> list[Remedy]:
    found = []
    if not creates_roles:
        found.append(Remedy("Lockgate's account may not make accounts (CREATEROLE).", _RUN_SETUP))
    if not may_signal:
        problem = "Lockgate's account may not end sessions (it is no member of pg_signal_backend)."
        found.append(Remedy(problem, _RUN_SETUP))
    return found


def _about_heir(home: Session) -> list[Remedy]:
    if home.rows(_HEIR, [DEFAULT_HEIR]) != [(True,)]:
        return []
    problem = f"{DEFAULT_HEIR} has attributes or memberships. What ended accounts leave behind would run with them."
    what_to_do = f"ALTER ROLE {DEFAULT_HEIR} NOLOGIN NOSUPERUSER …, and take it out of every role."
    return [Remedy(problem, what_to_do)]


def _about_databases(sessions: Sessions) -> list[Remedy]:
    found: list[Remedy] = []
    open_to_all: list[str] = []
    unseen: list[str] = []
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for database, may_connect, may_pass_on, public_may_connect in sessions.home.rows(_DATABASES):
        if public_may_connect:
            open_to_all.append(database)
        elif not (may_connect and may_pass_on):
            found.append(_not_set_up(database))
            continue
        if time.monotonic() > deadline:
            unseen.append(database)
            continue
        found += _about_owners(sessions, database)
    if unseen:
        problem = f"{len(unseen)} databases were not looked into, for want of time: {', '.join(unseen[:5])} …"
        found.append(Remedy(problem, "Nothing, if access roles that name them work.", blocking=False))
    if open_to_all:
        found.append(_public(open_to_all))
    return found


def _about_owners(sessions: Sessions, database: str) -> list[Remedy]:
    try:
        with sessions.visit(database) as session:
            owners = session.rows(_OWNERS)
    except ConnectorError as error:
        if error.code == UNKNOWN_DATABASE:  # Dropped while we were looking.
            return []
        return [Remedy(f"Database {database} could not be read: {error}", _RUN_SETUP, blocking=False)]
    found = []
    if ungrantable := [owner for owner, is_ungrantable in owners if is_ungrantable]:
        problem = f"In database {database}, Lockgate's account may not grant on the tables of {', '.join(ungrantable)}."
        found.append(Remedy(problem, f"Run part 2 of the setup SQL in {database}.", blocking=False))
    if uncovered := [owner for owner, is_ungrantable in owners if not is_ungrantable]:
        problem = (
            f"In database {database}, tables that {', '.join(uncovered)} will make are not covered at once:"
            " a superuser's default privileges are his own to set. The next grant of the same access role covers them."
        )
        found.append(Remedy(problem, "Let a role that is no superuser own the tables.", blocking=False))
    return found


def _not_set_up(database: str) -> Remedy:
    return Remedy(
        f"Access roles cannot name database {database} yet: Lockgate's account may not let anybody connect to it.",
        f"Run part 2 of the setup SQL in {database}.",
        blocking=False,
    )


def _public(databases: Sequence[str]) -> Remedy:
    return Remedy(
        f"Everybody may connect to {', '.join(databases)}: an account for one database can log in to these as well, and"
        " do there what PUBLIC may.",
        "REVOKE CONNECT ON DATABASE … FROM PUBLIC, and grant it to those who need it.",
        blocking=False,
    )
