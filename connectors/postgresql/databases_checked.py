"""Whether Lockgate can work in each database: what it may grant there, who else is let in, and what would get in the way.

Databases that access roles name are rehearsed in, and what fails there stands in the way. Of the others it is only said
what an access role that named them would meet.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import psycopg

from connectors.base import Level, Remedy, Scope, Target
from connectors.errors import ConnectorError
from connectors.postgresql.door import about_door
from connectors.postgresql.failures import UNKNOWN_DATABASE
from connectors.postgresql.own_account import OwnAccount
from connectors.postgresql.rehearsal import has_triggers, in_database, rehearse
from connectors.postgresql.session import Session, Sessions, login_parameters
from connectors.quoting import postgresql_name as name

_DATABASES = """
SELECT datname::text, has_database_privilege(oid, 'CONNECT'), has_database_privilege(oid, 'CONNECT WITH GRANT OPTION'),
  EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) a
          WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT')
FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname = ANY (%s::text[]) DESC, datname
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

#: As `public` up to version 14, and on clusters that were upgraded from there.
_OPEN_SCHEMAS = """
SELECT DISTINCT n.nspname::text FROM pg_namespace n
  CROSS JOIN aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
WHERE a.grantee = 0 AND a.privilege_type = 'CREATE' AND n.nspname !~ '^pg_' ORDER BY 1
"""

_LETS_IN = """
SELECT FROM pg_roles r WHERE r.rolname = ANY (%s::text[]) AND has_database_privilege(r.oid, %s, 'CONNECT')
"""

_LOGIN_TRIGGERS = """
SELECT evtname::text, evtfoid::regprocedure::text FROM pg_event_trigger
WHERE evtevent = 'login' AND evtenabled IN ('O', 'A') ORDER BY evtname
"""

#: How long a check goes through the databases one by one: somebody is waiting for it.
_PATIENCE_SECONDS = 4.0
#: read_only_sql_transaction
_READ_ONLY = "25006"


def about_databases(
    target: Target, sessions: Sessions, us: OwnAccount, scopes: Sequence[Scope], *, is_ready: bool
) -> list[Remedy]:
    """What is to be said of every database, those that access roles name first.

    `is_ready` says that nothing blocking was found so far: only then a rehearsal tells anything new.
    """
    wanted: dict[str, list[Scope]] = {}
    for scope in scopes:
        for database in scope.databases:
            wanted.setdefault(database, []).append(scope)
    rows = sessions.home.rows(_DATABASES, [list(wanted)])
    missing = [database for database in wanted if database not in {row[0] for row in rows}]
    found = [_not_there(missing)] if missing else []
    doors = [database for database in wanted if database not in missing] or [sessions.home.database]
    found += about_door(target, doors, us.version)
    open_to_all: list[str] = []
    unseen: list[str] = []
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for database, may_connect, may_pass_on, public_may_connect in rows:
        if public_may_connect:
            open_to_all.append(database)
        elif shut_out := _shut_out(sessions, database, wanted.get(database, [])):
            found.append(shut_out)
        if not public_may_connect and not (may_connect and may_pass_on):
            found.append(_not_set_up(database, is_wanted=database in wanted))
            continue
        if time.monotonic() > deadline:
            unseen.append(database)
            continue
        found += _about(target, sessions, us, database, wanted.get(database, []), is_ready=is_ready)
    if unseen:
        problem = f"{len(unseen)} databases were not looked into, for want of time: {', '.join(unseen[:5])} …"
        found.append(Remedy(problem, "Nothing, if access roles that name them work.", blocking=False))
    if open_to_all:
        found.append(_public(open_to_all))
    return found


def _about(
    target: Target, sessions: Sessions, us: OwnAccount, database: str, scopes: list[Scope], *, is_ready: bool
) -> list[Remedy]:
    found: list[Remedy] = []
    try:
        with sessions.visit(database) as session:
            found += _about_owners(session)
            found += _about_open_schemas(session)
            found += _about_logins(target, session)
            if is_ready:
                found += _rehearsed(session, us, scopes)
    except ConnectorError as error:
        if error.code != UNKNOWN_DATABASE:  # Dropped while we were looking.
            problem = f"Database {database} could not be read: {error}"
            found.append(Remedy(problem, _run_part_2(database), blocking=bool(scopes)))
    return found


def _rehearsed(session: Session, us: OwnAccount, scopes: list[Scope]) -> list[Remedy]:
    for scope in scopes:
        if found := rehearse(session, us, scope):
            return found
    return rehearse(session, us) if not scopes and has_triggers(session) else []


def _about_owners(session: Session) -> list[Remedy]:
    owners = session.rows(_OWNERS)
    found = []
    if ungrantable := [owner for owner, is_ungrantable in owners if is_ungrantable]:
        problem = f"In database {session.database}, Lockgate's account may not grant on the tables of {', '.join(ungrantable)}."
        found.append(Remedy(problem, _run_part_2(session.database), blocking=False))
    if uncovered := [owner for owner, is_ungrantable in owners if not is_ungrantable]:
        problem = (
            f"In database {session.database}, tables that {', '.join(uncovered)} will make are not covered at once: Lockgate's"
            " account is no member of their owner. The next grant of the same access role covers them."
        )
        found.append(Remedy(problem, "Let a role that it can join own the tables.", blocking=False))
    return found


def _about_open_schemas(session: Session) -> list[Remedy]:
    schemas = [row[0] for row in session.rows(_OPEN_SCHEMAS)]
    if not schemas:
        return []
    problem = (
        f"In database {session.database}, everybody may create in schema {', '.join(schemas)}: also an account that only reads"
        " can make tables and functions there, and others may run them by unqualified names. Run, once the roles that need"
        " it have CREATE of their own:"
    )
    lines = " ".join(f"REVOKE CREATE ON SCHEMA {name(schema)} FROM PUBLIC;" for schema in schemas)
    return [Remedy(problem, in_database(session.database, lines), blocking=False)]


def _about_logins(target: Target, session: Session) -> list[Remedy]:
    """Event triggers that run at each login (17 and later), and whether one fails for an account that only reads."""
    triggers = session.rows(_LOGIN_TRIGGERS)
    if not triggers:
        return []
    named = ", ".join(f"{trigger} ({function})" for trigger, function in triggers)
    if refused := _read_only_login(target, session.database):
        problem = (
            f"In database {session.database}, an event trigger on login refuses accounts that only read: {refused} It is one"
            f" of {named}. Let its function write only where transaction_read_only is off, or, as a superuser, run:"
        )
        lines = " ".join(f"ALTER EVENT TRIGGER {name(trigger)} DISABLE;" for trigger, _ in triggers)
        return [Remedy(problem, in_database(session.database, lines))]
    problem = (
        f"In database {session.database}, event triggers run at each login, those of Lockgate's accounts too: {named}."
    )
    return [Remedy(problem, "Nothing, as long as they let these accounts pass.", blocking=False)]


def _read_only_login(target: Target, database: str) -> str:
    """What the server says to a login of ours that may not write, as one of a `read` account; empty when it lets us in."""
    parameters = login_parameters(target, target.user, target.password, database)
    parameters["options"] = "-c default_transaction_read_only=on"
    try:
        psycopg.connect(**parameters).close()  # type: ignore[arg-type]
    except psycopg.Error as error:
        return str(error).strip().splitlines()[0]
    return ""


def _shut_out(sessions: Sessions, database: str, scopes: list[Scope]) -> Remedy | None:
    """An account that only joins roles gets CONNECT from these, where not everybody has it."""
    for scope in scopes:
        roles = list(scope.database_roles)
        if scope.level is Level.MEMBER and not sessions.home.rows(_LETS_IN, [roles, database]):
            problem = f"None of the roles that an access role joins may connect to {database}: {', '.join(roles)}. Run:"
            return Remedy(problem, f"GRANT CONNECT ON DATABASE {name(database)} TO {', '.join(map(name, roles))};")
    return None


def _not_there(databases: Sequence[str]) -> Remedy:
    return Remedy(
        f"Access roles name {', '.join(databases)}, and there is no such database, or it takes no connections.",
        "Correct these access roles, or make the database.",
    )


def _not_set_up(database: str, *, is_wanted: bool) -> Remedy:
    return Remedy(
        f"Access roles cannot name database {database} yet: Lockgate's account may not let anybody connect to it.",
        _run_part_2(database),
        blocking=is_wanted,
    )


def _run_part_2(database: str) -> str:
    return f"Run part 2 of the setup SQL in {database}."


def _public(databases: Sequence[str]) -> Remedy:
    return Remedy(
        f"Everybody may connect to {', '.join(databases)}: an account for one database can log in to these as well, and"
        " do there what PUBLIC may.",
        "REVOKE CONNECT ON DATABASE … FROM PUBLIC, and grant it to those who need it.",
        blocking=False,
    )
