"""Making an account, proving it by a real login, and moving its end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

from connectors.base import ExtendRequest, Journal, ProvisionRequest, Scope, Secret, Target
from connectors.errors import PrincipalCannotLogIn, ServerRefused
from connectors.mariadb import catalogue, failures, group, names, privileges, scope, statements
from connectors.mariadb.session import PrincipalLogin, Session, require_mariadb

#: The server notices the end of our last login a moment late, and then counts two of an account that may have one.
_TRIES = 20
_PAUSE = 0.01

#: With what role an account's next session begins.
_DEFAULT_ROLE = "SELECT JSON_VALUE(Priv, '$.default_role') FROM mysql.global_priv WHERE Host = '%%' AND User = %s"
WITHOUT_ITS_ROLE = (
    "It is without its role once it has logged in, and so without every privilege. Most likely what the server runs at each"
    " login (init_connect) takes the role away."
)

_ACCOUNT = """
    SELECT COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0) FROM mysql.global_priv WHERE Host = %s AND User = %s
"""
_READY = """
    SELECT @@GLOBAL.event_scheduler, @@GLOBAL.strict_password_validation,
      (SELECT COUNT(*) FROM information_schema.plugins
       WHERE plugin_type = 'PASSWORD VALIDATION' AND plugin_status = 'ACTIVE')
"""
_ROLES = "SELECT Role FROM mysql.roles_mapping WHERE Host = %s AND User = %s"
_CONNECTED = "SELECT 1 FROM information_schema.processlist WHERE id = %s"
#: Switches of ours that are at work: events run in our name.
#: The switch strikes by the server's clock, whatever ours shows.
_NOW = "SELECT UTC_TIMESTAMP(6)"
_STRIKING = """
    SELECT 1 FROM information_schema.processlist
    WHERE command = 'Connect' AND db = %s AND user = SUBSTRING_INDEX(CURRENT_USER(), '@', 1)
"""
_STRUCK = "SELECT 1 FROM mysql.event WHERE db = %s AND name = %s AND starts <= UTC_TIMESTAMP()"


@dataclass(frozen=True, slots=True)
class Account:
    """What the catalog says of an account."""

    is_locked: bool


def provision(target: Target, session: Session, request: ProvisionRequest, journal: Journal) -> None:
    """Make the account, or bring one that is there to what the request says; see `Connector.provision`."""
    # Composed first, since composing finds what no server can hold.
    create = statements.create_account(request.principal, request.password, request.limits)
    renew = statements.renew_account(request.principal, request.password, request.limits)
    require_mariadb(session)
    _require_ready(session)
    scope.require_on_server(session, request.scope)
    restore_name(session, request.principal, journal)
    group.bring_in_step(session, request.scope, journal)
    # Before the account, so that there is no moment in which it has no end.
    session.run(statements.set_switch(request.principal, request.valid_until, request.made_by), journal)
    session.run(renew if find_account(session, request.principal) else create, journal)
    _leave_other_roles(session, request, journal)
    _join(session, request.principal, request.scope, journal)
    _activate(target, request, journal)
    proof = _prove_access(target, session, request)
    # Or the person's own login would be one too many, of an account that may have one.
    _wait_until_none(session, _CONNECTED, proof)


def keep_group(session: Session, wanted: Scope, journal: Journal, members: Sequence[str]) -> None:
    """Bring the group of a scope in step; see `Connector.keep_group`."""
    require_mariadb(session)
    scope.require_on_server(session, wanted)
    group.bring_in_step(session, wanted, journal)
    for principal in members:
        if _is_out_of_its_role(session, principal, wanted):
            _join(session, principal, wanted, journal)


def _is_out_of_its_role(session: Session, principal: str, wanted: Scope) -> bool:
    """Whether an account that is there has lost what its scope gives: the role was dropped, and every membership with it."""
    if find_account(session, principal) is None:
        return False
    role, group_role = statements.role_of(principal, wanted), privileges.group_of(wanted)
    if role not in session.texts(_ROLES, names.ACCOUNT_HOST, principal):
        return True
    return role != group_role and group_role not in session.texts(_ROLES, "", role)


def _join(session: Session, principal: str, wanted: Scope, journal: Journal) -> None:
    for command in statements.join(principal, wanted):
        session.run(command, journal)


def prove_login(target: Target, principal: str, password: Secret, databases: Sequence[str]) -> None:
    """Log in as the account and enter each database. Raises `PrincipalCannotLogIn`."""
    with _log_in(target, principal, password) as login:
        _enter(login, databases)


def _prove_access(target: Target, session: Session, request: ProvisionRequest) -> int:
    """The same, and that the account has its role, now and at its next login. Gives the connection's id."""
    with _log_in(target, request.principal, request.password) as login:
        require_role(session, login, request.principal, statements.role_of(request.principal, request.scope))
        _enter(login, privileges.reached_databases(request.scope))
        return login.connection_id


def require_role(session: Session, login: PrincipalLogin, principal: str, role: str) -> None:
    """Whether the role works in this login and is there for the next one. Raises `PrincipalCannotLogIn`."""
    # Whatever the server runs at each login has run by now.
    if login.value("SELECT CURRENT_ROLE()") != role or session.texts(_DEFAULT_ROLE, principal) != [role]:
        raise PrincipalCannotLogIn(WITHOUT_ITS_ROLE)


def _enter(login: PrincipalLogin, databases: Sequence[str]) -> None:
    for database in databases:
        login.enter(database)
    login.value("SELECT 1")


def extend(session: Session, request: ExtendRequest, journal: Journal) -> None:
    """Move the dead-man's switch; see `Connector.extend`."""
    require_mariadb(session)
    restore_name(session, request.principal, journal)
    if find_account(session, request.principal) is None:
        raise PrincipalCannotLogIn(f"There is no account {request.principal} on the server.")
    if request.scope is not None and _is_out_of_its_role(session, request.principal, request.scope):
        group.bring_in_step(session, request.scope, journal)
        _join(session, request.principal, request.scope, journal)
    struck = _has_struck(session, request.principal)
    session.run(statements.set_switch(request.principal, request.valid_until, request.made_by), journal)
    # Only a lock that the switch itself has set is taken off: any other is somebody's decision.
    if struck and request.valid_until > session.rows(_NOW)[0][0].replace(tzinfo=UTC):
        _wait_until_none(session, _STRIKING, names.OWN_SCHEMA)
        account = find_account(session, request.principal)
        if account is not None and account.is_locked:
            session.run(statements.unlock_account(request.principal), journal)


def restore_name(session: Session, principal: str, journal: Journal) -> list[str]:
    """Give an account of ours its name back where somebody has renamed it; gives the names that it went by."""
    others = catalogue.renamed(session, principal)
    for other in others:
        session.run(statements.rename_back(other.name, other.host, principal), journal)
    return [other.name for other in others]


def _require_ready(session: Session) -> None:
    """Raise `ServerRefused` where the server as it is set up takes no account of ours, before anything is made."""
    scheduler, is_strict, validators = session.rows(_READY)[0]
    if scheduler == "DISABLED":
        raise ServerRefused(
            "It was started with event_scheduler=DISABLED, so it cannot end an account by itself. Have it started with"
            " event_scheduler=ON."
        )
    if is_strict and validators:
        raise ServerRefused(
            "It checks passwords (strict_password_validation) and therefore refuses hashes, which is all that Lockgate"
            " sends: SET GLOBAL strict_password_validation = OFF."
        )


def find_account(session: Session, principal: str) -> Account | None:
    """The account as the catalog has it, or `None`."""
    rows = session.rows(_ACCOUNT, names.ACCOUNT_HOST, principal)
    return Account(is_locked=bool(int(rows[0][0]))) if rows else None


def _leave_other_roles(session: Session, request: ProvisionRequest, journal: Journal) -> None:
    """A repeated call may come with another scope: what was approved last is what is granted."""
    for role in session.texts(_ROLES, names.ACCOUNT_HOST, request.principal):
        if role != statements.role_of(request.principal, request.scope):
            session.run(statements.leave_role(request.principal, role), journal)
    own_role = names.own_role_name(request.principal)
    for group_role in session.texts(_ROLES, "", own_role):
        if group_role != privileges.group_of(request.scope):
            session.run(statements.withdraw_role(group_role, own_role), journal)


def _has_struck(session: Session, principal: str) -> bool:
    """Whether the time of the dead-man's switch has come."""
    return bool(session.rows(_STRUCK, names.OWN_SCHEMA, names.switch_name(principal)))


def _wait_until_none(session: Session, sql: str, value: str | int) -> None:
    """Look until a query gives nothing, for a while."""
    for _ in range(_TRIES):
        if not session.rows(sql, value):
            return
        time.sleep(_PAUSE)


def _activate(target: Target, request: ProvisionRequest, journal: Journal) -> None:
    """Have the account make the role its default, which our own account could do only with rights on `mysql` itself."""
    role = statements.role_of(request.principal, request.scope)
    with _log_in(target, request.principal, request.password) as login:
        if login.value("SELECT CURRENT_ROLE()") != role:
            login.run(statements.activate_role(request.principal, role), journal)


def _log_in(target: Target, principal: str, password: Secret) -> PrincipalLogin:
    for _ in range(_TRIES):
        try:
            return PrincipalLogin(target, principal, password)
        except PrincipalCannotLogIn as error:
            if error.code != str(failures.TOO_MANY_OF_ONE_ACCOUNT):
                raise
        time.sleep(_PAUSE)
    return PrincipalLogin(target, principal, password)
