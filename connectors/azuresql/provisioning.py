"""Making an account in each of its databases, and proving it by a real login to each."""

from __future__ import annotations

from functools import partial

from connectors.azuresql import accounts, catalogue, own_identity, statements
from connectors.azuresql.retrying import Retrying
from connectors.base import ExtendRequest, Journal, Level, ProvisionRequest, Scope, Target
from connectors.errors import PrincipalCannotLogIn, ScopeNotOnServer, ServerRefused
from connectors.quoting import sqlserver_text
from connectors.sqlserver import group, joining, names
from connectors.sqlserver import statements as shared
from connectors.sqlserver.accounts import identifier_of
from connectors.sqlserver.session import DEFAULT_DATABASE, Session, Sessions, prove_login

_MARKED = (
    "SELECT 1 FROM sys.database_principals AS u"
    f" WHERE u.name = %s AND EXISTS (SELECT 1 FROM sys.extended_properties AS e WHERE e.class = 4"
    f" AND e.major_id = u.principal_id AND e.name = {sqlserver_text(statements.ACCOUNT)})"
)
_ROLES = """
SELECT r.name FROM sys.database_role_members AS m
JOIN sys.database_principals AS r ON r.principal_id = m.role_principal_id
JOIN sys.database_principals AS u ON u.principal_id = m.member_principal_id
WHERE u.name = %s
"""


def provision(
    target: Target, sessions: Sessions, request: ProvisionRequest, journal: Journal, retrying: Retrying
) -> str:
    """Make the account, or bring one that is there to what the request says; see `Connector.provision`."""
    names.require_scope(request.scope)
    joining.refuse_by_name(request.scope)
    _require_databases(sessions, request, retrying)
    for database in request.scope.databases:
        retrying.insist(partial(_make_in, sessions, request, database, journal))
    for database in request.scope.databases:
        if request.identity:
            retrying.insist(partial(_prove_in, sessions, request, database))
        else:
            retrying.insist(partial(prove_login, target, request.principal, request.password, database))
    return "" if request.identity else retrying.insist(partial(_identifier, sessions, request))


def _identifier(sessions: Sessions, request: ProvisionRequest) -> str:
    """The SID of the account's user in the first of its databases: each has one of its own."""
    found = accounts.users_of(sessions.on(request.scope.databases[0]), request.principal)
    return identifier_of(found[0].sid) if found else ""


def keep_group(sessions: Sessions, scope: Scope, journal: Journal, retrying: Retrying) -> None:
    """Bring the group of a scope in step; see `Connector.keep_group`."""
    names.require_scope(scope)
    for database in scope.databases if scope.level is not Level.MEMBER else ():
        retrying.insist(partial(_keep_in, sessions, scope, database, journal))


def _keep_in(sessions: Sessions, scope: Scope, database: str, journal: Journal) -> None:
    group.bring_in_step(sessions.on(database), scope, journal)


def extend(sessions: Sessions, request: ExtendRequest, retrying: Retrying) -> None:
    """Azure SQL holds no end; that the account is there is all that can be seen to. See `Connector.extend`."""
    found = retrying.insist(lambda: catalogue.list_principals(sessions))
    if request.principal not in {one.principal for one in found}:
        raise PrincipalCannotLogIn(f"There is no account {request.principal} on the server.")


def _require_databases(sessions: Sessions, request: ProvisionRequest, retrying: Retrying) -> None:
    """Only master knows of all databases; elsewhere the attempt to enter tells."""
    if retrying.insist(lambda: sessions.home.database) != DEFAULT_DATABASE:
        return
    there = set(retrying.insist(lambda: catalogue.databases(sessions)))
    if missing := [database for database in request.scope.databases if database not in there]:
        raise ScopeNotOnServer(f"There is no database {', '.join(missing)} on the server.")


def _make_in(sessions: Sessions, request: ProvisionRequest, database: str, journal: Journal) -> None:
    session = sessions.on(database)
    joining.refuse_too_much(session, request.scope)
    if request.scope.level is not Level.MEMBER:
        group.bring_in_step(session, request.scope, journal)
    if request.identity:
        own_identity.admit(session, request, journal)
    else:
        _make_user(session, request, journal)


def _prove_in(sessions: Sessions, request: ProvisionRequest, database: str) -> None:
    own_identity.prove(sessions.on(database), request)


def _make_user(session: Session, request: ProvisionRequest, journal: Journal) -> None:
    principal, database = request.principal, session.database
    if _restore_name(session, principal, journal):
        session.run(statements.renew_user(principal, request.password, database), journal)
        session.run(statements.admit(principal, database), journal)
    else:
        session.run(statements.create_user(principal, request.password, database), journal)
    if not session.rows(_MARKED, principal):
        session.run(statements.mark_account(principal, database), journal)
    wanted = shared.roles_to_join(request.scope)
    for role in session.texts(_ROLES, principal):
        # A repeated call may come with another scope: what was approved last is what is granted.
        if role not in wanted:
            session.run(shared.leave(role, principal, database), journal)
    for role in wanted:
        session.run(shared.join(role, principal, database), journal)


def _restore_name(session: Session, principal: str, journal: Journal) -> bool:
    """Whether the account is there, under its own name from here on. Raises `ServerRefused` where that is taken."""
    found = [user.name for user in accounts.users_of(session, principal)]
    renamed = [name for name in found if name != principal]
    if principal in found and renamed:
        raise ServerRefused(
            f"In database {session.database} somebody has renamed the user {principal} to {', '.join(renamed)} and made"
            " another one under its name. Drop either."
        )
    for name in renamed:
        session.run(statements.rename_back(name, principal, session.database), journal)
    return bool(found)
