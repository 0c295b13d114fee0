"""Making an account: look first, refuse what cannot be had, keep the group in step, make the account, prove it.

Nothing is changed before the whole scope has been found on the server. Each later step is one transaction: being killed
between two of them leaves either a group without a member, or a whole account for `revocation` to take away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from connectors.base import (
    PRINCIPAL_PREFIX,
    ExtendRequest,
    Journal,
    Level,
    ProvisionRequest,
    Scope,
    Target,
)
from connectors.errors import (
    PrincipalCannotLogIn,
    ScopeNotOnServer,
    ServerRefused,
)
from connectors.postgresql import statements
from connectors.postgresql.accounts import find
from connectors.postgresql.group_privileges import aspects, make_group
from connectors.postgresql.groups import keep_in_step
from connectors.postgresql.login import prove_account
from connectors.postgresql.memberships import end_strays, refuse_superior, refuse_to_keep, strays
from connectors.postgresql.session import Session, Sessions
from connectors.postgresql.statements import Command
from connectors.quoting import UnquotableName, postgresql_name

_ON_SERVER = """
SELECT (SELECT oid FROM pg_roles WHERE rolname = %s),
  ARRAY(SELECT d FROM unnest(%s::text[]) d
        WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = d AND datallowconn)),
  ARRAY(SELECT j FROM unnest(%s::text[]) j WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = j)),
  ARRAY(SELECT d.datname::text FROM pg_database d WHERE d.datname = ANY (%s::text[]) AND NOT EXISTS (
          SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
          WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT'))
"""

_MISSING_IN_DATABASE = """
SELECT format('schema %%I', s) FROM unnest(%s::text[]) s WHERE NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = s)
UNION ALL
SELECT format('table %%I.%%I', t.s, t.t) FROM unnest(%s::text[], %s::text[]) t (s, t) WHERE NOT EXISTS (
  SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = t.s AND c.relname = t.t AND c.relkind IN ('r', 'p', 'v', 'm', 'f'))
"""

_OUT_OF_ITS_ROLES = """
SELECT p.rolname::text FROM pg_roles p WHERE p.rolname = ANY (%s::text[]) AND EXISTS (
  SELECT FROM unnest(%s::text[]) wanted WHERE NOT EXISTS (
    SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE m.member = p.oid AND r.rolname = wanted))
ORDER BY 1
"""

_ACCOUNT = "SELECT rolcanlogin FROM pg_roles WHERE rolname = %s"

_OID = "SELECT oid FROM pg_roles WHERE rolname = %s"


def provision(target: Target, sessions: Sessions, request: ProvisionRequest, journal: Journal) -> str:
    """Make the account of a request, and give its OID. Raises what `Connector.provision` names."""
    refuse_foreign(request.principal)
    scope = request.scope
    _refuse_unquotable(scope)
    group_exists = _look(sessions, scope)
    if scope.level is not Level.MEMBER:
        keep_in_step(sessions, scope, journal, group_exists=group_exists)
    _make_account(sessions, request, journal)
    for database in scope.databases:
        prove_account(target, sessions, request.principal, request.password, database)
    return str(sessions.home.rows(_OID, [request.principal])[0][0])


def keep_group(sessions: Sessions, scope: Scope, journal: Journal, members: Sequence[str]) -> None:
    """Bring the group of a scope in step. Raises what `Connector.keep_group` names."""
    _refuse_unquotable(scope)
    group_exists = _look(sessions, scope)
    if scope.level is not Level.MEMBER:
        keep_in_step(sessions, scope, journal, group_exists=group_exists)
    _put_back(sessions, scope, journal, members)


def _put_back(sessions: Sessions, scope: Scope, journal: Journal, members: Sequence[str]) -> None:
    """Whoever lost a membership because the group was dropped joins it again."""
    home = sessions.home
    if out := _out_of_roles(home, scope, members):
        version = sessions.planned_version
        commands = [each for name in out for each in statements.join(name, scope, home.database, version)]
        home.run_together(lambda: iter(commands), journal)


def _out_of_roles(home: Session, scope: Scope, principals: Sequence[str]) -> list[str]:
    rows = home.rows(_OUT_OF_ITS_ROLES, [list(principals), list(statements.roles_to_join(scope))]) if principals else []
    return [name for (name,) in rows]


def extend(sessions: Sessions, request: ExtendRequest, journal: Journal) -> None:
    """Move the end of an account. Raises `PrincipalCannotLogIn` when it is not there or is being taken away."""
    refuse_foreign(request.principal)
    home = sessions.home
    found = find(home, request.principal, request.identifier)
    if not found or home.rows(_ACCOUNT, [found[0].name]) != [(True,)]:
        raise PrincipalCannotLogIn("There is no account of that name that may log in.")
    if request.scope is not None and _out_of_roles(home, request.scope, [found[0].name]):
        keep_group(sessions, request.scope, journal, [found[0].name])
    home.run_together(partial(_extending, home, request, found[0].name), journal)


def _extending(home: Session, request: ExtendRequest, name: str) -> Iterator[Command]:
    if request.scope is not None:
        yield from end_strays(home, strays(home, name, request.scope), home.version)
    yield statements.move_end(name, request.valid_until, home.database)


def refuse_foreign(principal: str) -> None:
    """Never touch an account that is not one of ours."""
    if not principal.startswith(PRINCIPAL_PREFIX):
        raise ServerRefused(f"Lockgate only touches accounts that begin with {PRINCIPAL_PREFIX!r}, not {principal!r}.")
    try:
        postgresql_name(principal)
    except UnquotableName as error:
        raise ServerRefused(str(error)) from error


def composed_provision(target: Target, request: ProvisionRequest, database: str) -> list[Command]:
    """What a first provisioning runs, for a plan; the password's verifier is not known to it, nor shown by it."""
    version = statements.version_told(target.version)
    scope = request.scope
    group: list[Command] = []
    if scope.level is not Level.MEMBER:
        group.append(make_group(scope.group, database))
        group += [aspect.command for name in scope.databases for aspect in aspects(scope, name)]
    return group + _account_commands(request, verifier="", version=version, exists=False, database=database)


# --- Looking


def _refuse_unquotable(scope: Scope) -> None:
    try:
        for part in (
            *scope.databases,
            *scope.schemas,
            *scope.database_roles,
            *(n for pair in scope.tables for n in pair),
        ):
            postgresql_name(part)
        if scope.level is not Level.MEMBER:
            postgresql_name(scope.group)
    except UnquotableName as error:
        raise ScopeNotOnServer(str(error)) from error


def _look(sessions: Sessions, scope: Scope) -> bool:
    """Read what the scope names; whether its group is there. Raises `ScopeNotOnServer` naming every part that is not there."""
    databases, roles = list(scope.databases), list(scope.database_roles)
    answer = sessions.home.rows(_ON_SERVER, [scope.group, databases, roles, databases])[0]
    group, lost_databases, lost_roles, closed = answer
    missing = [f"database {lost}" for lost in lost_databases] + [f"role {lost}" for lost in lost_roles]
    for database in databases:
        if database not in lost_databases:
            missing += _missing_in(sessions.on(database), scope)
    if missing:
        raise ScopeNotOnServer(f"Not there: {', '.join(missing)}.")
    if scope.level is Level.MEMBER:
        refuse_superior(sessions.home, roles)
        _refuse_closed(sessions.home, scope, closed)
    return group is not None


def _missing_in(session: Session, scope: Scope) -> list[str]:
    if not scope.schemas and not scope.tables:
        return []
    schemas = [schema for schema, _ in scope.tables]
    tables = [table for _, table in scope.tables]
    found = session.rows(_MISSING_IN_DATABASE, [list(scope.schemas), schemas, tables])
    return [f"{row[0]} in database {session.database}" for row in found]


def _refuse_closed(home: Session, scope: Scope, closed: Sequence[str]) -> None:
    """An account that only joins roles gets CONNECT from these, or from PUBLIC, or not at all."""
    question = (
        "SELECT d FROM unnest(%s::text[]) d WHERE NOT EXISTS ("
        "SELECT FROM unnest(%s::text[]) r WHERE has_database_privilege(r, d, 'CONNECT'))"
    )
    shut = home.rows(question, [list(closed), list(scope.database_roles)]) if closed else []
    if shut:
        names = ", ".join(row[0] for row in shut)
        raise ScopeNotOnServer(f"None of the roles to join may CONNECT to: {names}.")


# --- The account


def _make_account(sessions: Sessions, request: ProvisionRequest, journal: Journal) -> None:
    home = sessions.home
    verifier = home.encrypt_password(request.principal, request.password)

    def commands() -> Iterator[Command]:
        exists = bool(home.rows(_ACCOUNT, [request.principal]))
        yield from end_strays(home, strays(home, request.principal, request.scope), home.version)
        yield from _account_commands(
            request,
            verifier=verifier,
            version=sessions.planned_version,
            exists=exists,
            database=home.database,
        )
        refuse_to_keep(strays(home, request.principal, request.scope), home.version)

    home.run_together(commands, journal)


def _account_commands(
    request: ProvisionRequest,
    *,
    verifier: str,
    version: int | None,
    exists: bool,
    database: str,
) -> list[Command]:
    account = statements.make_account(
        principal=request.principal,
        verifier=verifier,
        valid_until=request.valid_until,
        limits=request.limits,
        database=database,
        exists=exists,
    )
    forgotten = [statements.forget_settings(request.principal, database)] if exists else []
    return [
        account,
        statements.mark(request.principal, database, request.made_by),
        *forgotten,
        *statements.settings_of_account(request.principal, request.scope.level, request.limits, database),
        *statements.join(request.principal, request.scope, database, version),
    ]
