"""Making a login with its users, and proving it by a real login.

Nothing is changed before the whole scope has been found on the server. Being killed between two statements leaves either
a group without a member, or a login for `revocation` to take away.
"""

from __future__ import annotations

from connectors.base import ExtendRequest, Journal, Level, ProvisionRequest, Scope, Target
from connectors.errors import ConnectorError, PrincipalCannotLogIn, ScopeNotOnServer, ServerRefused
from connectors.sqlserver import accounts, group, joining, names, statements
from connectors.sqlserver.catalogue import CANNOT_ENTER, DATABASES
from connectors.sqlserver.session import Session, Sessions, prove_login
from connectors.sqlserver.statements import sid_bytes

_LOGIN = "SELECT sid, is_disabled FROM sys.server_principals WHERE name = %s AND type = 'S'"
_SCHEMA = "SELECT 1 FROM sys.schemas WHERE name = %s"
_TABLE = (
    "SELECT 1 FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id"
    " WHERE s.name = %s AND o.name = %s AND o.type IN ('U', 'V')"
)
_ROLE = "SELECT 1 FROM sys.database_principals WHERE name = %s AND type = 'R'"
#: A name that some other kind of principal has is not ours to take. Names are asked for as what SQL Server keeps them as:
#: a compatible server may keep them as text of one code page, and give question marks for what that has not.
USER = (
    "SELECT CAST(name AS nvarchar(128)), sid FROM sys.database_principals WHERE type <> 'R' AND (name = %s OR sid = %s)"
)
MEMBERSHIPS = """
SELECT CAST(r.name AS nvarchar(128)) FROM sys.database_role_members AS m
JOIN sys.database_principals AS r ON r.principal_id = m.role_principal_id
JOIN sys.database_principals AS u ON u.principal_id = m.member_principal_id
WHERE u.name = %s
"""


def provision(target: Target, sessions: Sessions, request: ProvisionRequest, journal: Journal) -> str:
    """Make the account, or bring one that is there to what the request says; see `Connector.provision`."""
    scope = request.scope
    keep_group(sessions, scope, journal)
    restore_name(sessions.home, request.principal, journal)
    was_there = _make_login(sessions.home, request, journal)
    sid = login_sid(sessions.home, request.principal)
    for database in scope.databases:
        _make_user(sessions.on(database), request, sid, journal)
    if was_there:
        _leave_other_databases(sessions, request, sid, journal)
    for database in scope.databases:
        prove_login(target, request.principal, request.password, database)
    return accounts.identifier_of(sid)


def restore_name(home: Session, principal: str, journal: Journal) -> None:
    """Undo what somebody has called the account's login. Raises `ServerRefused` where another one has its name now."""
    for name in accounts.names_of(home, [sid_bytes(principal)]):
        if name == principal:
            continue
        if home.rows(_LOGIN, principal):
            raise ServerRefused(
                f"Somebody has renamed the login {principal} to {name} and made another one under its name. Drop either."
            )
        home.run(statements.rename_login_back(name, principal, home.database), journal)


def keep_group(sessions: Sessions, scope: Scope, journal: Journal) -> None:
    """Bring the group of a scope in step; see `Connector.keep_group`."""
    names.require_scope(scope)
    _require_on_server(sessions, scope)
    if scope.level is not Level.MEMBER:
        for database in scope.databases:
            group.bring_in_step(sessions.on(database), scope, journal)


def extend(sessions: Sessions, request: ExtendRequest, journal: Journal) -> None:
    """SQL Server holds no end: see that the account is there and may log in; see `Connector.extend`."""
    home = sessions.home
    names_now = accounts.names_of(home, accounts.sids_of(home, request.principal, request.identifier))
    if not any(not row[1] for name in names_now for row in home.rows(_LOGIN, name)):
        raise PrincipalCannotLogIn(f"There is no login {request.principal} that may log in.")


def login_sid(home: Session, principal: str) -> bytes:
    """The SID of the account's login; the one that we would have given where it is gone."""
    rows = home.rows(_LOGIN, principal)
    return bytes(rows[0][0]) if rows else sid_bytes(principal)


def _require_on_server(sessions: Sessions, scope: Scope) -> None:
    missing: list[str] = []
    there = {name: bool(may_enter) for name, may_enter in sessions.home.rows(DATABASES)}
    for database in scope.databases:
        if not there.get(database):
            missing.append(f"database {database}")
            continue
        missing += [f"{what} in database {database}" for what in _missing_in(sessions.on(database), scope)]
    if missing:
        raise ScopeNotOnServer(f"Not there, or not to be entered: {', '.join(missing)}.")
    for database in scope.databases:
        joining.refuse_too_much(sessions.on(database), scope)


def _missing_in(session: Session, scope: Scope) -> list[str]:
    missing = [f"schema {schema}" for schema in scope.schemas if not session.rows(_SCHEMA, schema)]
    missing += [f"table {schema}.{name}" for schema, name in scope.tables if not session.rows(_TABLE, schema, name)]
    missing += [f"role {role}" for role in scope.database_roles if not session.rows(_ROLE, role)]
    return missing


def _make_login(home: Session, request: ProvisionRequest, journal: Journal) -> bool:
    """Whether it was there before."""
    principal, password, first = request.principal, request.password, request.scope.databases[0]
    hashed = home.has_catalogue_of_logins
    found = home.rows(_LOGIN, principal)
    if not found:
        if hashed:
            command = statements.create_login(principal, password, first, home.database, request.limits)
        else:
            command = statements.create_plain_login(principal, password, first, home.database)
        home.run(command, journal)
        return False
    home.run(statements.renew_login(principal, password, home.database, hashed=hashed), journal)
    if found[0][1]:
        home.run(statements.enable_login(principal, home.database), journal)
    return True


def _make_user(session: Session, request: ProvisionRequest, sid: bytes, journal: Journal) -> None:
    principal, database = request.principal, session.database
    found = {str(name): bytes(owner or b"") for name, owner in session.rows(USER, principal, sid)}
    if found.get(principal, sid) != sid:
        session.run(statements.drop_user(principal, database), journal)
    renamed = [name for name, owner in found.items() if name != principal]
    for name in renamed:
        # A login has one user at most in a database, and may own something there by now.
        session.run(statements.rename_user_back(name, principal, database), journal)
    if found.get(principal) != sid and not renamed:
        session.run(statements.create_user(principal, database), journal)
    wanted = statements.roles_to_join(request.scope)
    held = session.texts(MEMBERSHIPS, principal)
    for role in held:
        if role not in wanted:
            session.run(statements.leave(role, principal, database), journal)
    for role in wanted:
        if role not in held:
            session.run(statements.join(role, principal, database), journal)


def _leave_other_databases(sessions: Sessions, request: ProvisionRequest, sid: bytes, journal: Journal) -> None:
    """A repeated call may come with another scope: what was approved last is what is granted."""
    for database, may_enter in sessions.home.rows(DATABASES):
        if database in request.scope.databases or not may_enter:
            continue
        try:
            with sessions.visit(database) as session:
                for name, _ in session.rows(USER, request.principal, sid):
                    session.run(statements.drop_user(name, database), journal)
        except ConnectorError as error:
            if error.code not in CANNOT_ENTER:
                raise
