"""A trial of what no reading of settings shows: an account as Lockgate makes them is made, joins a role, logs in, and is
dropped again.

It has no privilege, a password that nobody knows, and is there for the blink of an eye.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from connectors.base import JournalEntry, Limits, Remedy, Secret, Target, Tls
from connectors.errors import AdminLoginRefused, ConnectorError, PrincipalCannotLogIn, ServerUnreachable
from connectors.mariadb import failures, names, provisioning, statements
from connectors.mariadb.session import PrincipalLogin, Session
from connectors.quoting import mariadb_text

#: The account logs in three times, and the server notices the end of a login a moment late.
_LIMITS = Limits(connections=3)
#: What an interrupted trial has left, once it is surely over.
_LEFTOVERS = """
    SELECT User FROM mysql.global_priv
    WHERE Host = '%%' AND LOCATE(%s, User) = 1
      AND COALESCE(JSON_VALUE(Priv, '$.password_last_changed'), 0) < UNIX_TIMESTAMP() - 600
"""
_WITHOUT_INIT_CONNECT = (
    "SET GLOBAL init_connect = ''; or leave out what does this, and correct the server's configuration."
)
#: What went wrong is the login, not the making.
_AT_LOGIN = (PrincipalCannotLogIn, ServerUnreachable)
_NAMELESS = "SELECT Host FROM mysql.global_priv WHERE User = '' AND Host NOT IN ('%', '')"


def remedies(target: Target, session: Session) -> Iterator[Remedy]:
    """What stands in the way of an account of ours, if anything does."""
    for name in session.texts(_LEFTOVERS, names.TRIAL_PREFIX):
        _drop(session, name)
    name, password = names.TRIAL_PREFIX + secrets.token_hex(6), Secret(secrets.token_urlsafe(32))
    try:
        _try(target, session, name, password)
    except ConnectorError as error:
        # A login that breaks off while we are still there has met with something of the server's.
        if session.is_broken or isinstance(error, AdminLoginRefused):
            raise
        yield _remedy(target, session, error)
    finally:
        if not session.is_broken:
            _drop(session, name)


def _try(target: Target, session: Session, name: str, password: Secret) -> None:
    """What a grant does. Raises `ConnectorError`."""
    role = names.own_role_name(name)
    session.run(statements.create_account(name, password, _LIMITS), _unwritten)
    session.run(statements.create_role(role), _unwritten)
    session.run(statements.give_role(name, role), _unwritten)
    with PrincipalLogin(target, name, password) as login:
        login.run(statements.activate_role(name, role), _unwritten)
    with PrincipalLogin(target, name, password) as login:
        provisioning.require_role(session, login, name, role)
    # What a login runs may keep the next one out.
    with PrincipalLogin(target, name, password) as login:
        login.value("SELECT 1")


def _drop(session: Session, name: str) -> None:
    """The role first: it is found by its account."""
    session.run(statements.drop_own_role(name), _unwritten)
    session.run(statements.drop_account(name), _unwritten)


def reads_processes(session: Session) -> bool:
    """Whether we see more than our own sessions."""
    sql = "SELECT 1 FROM information_schema.user_privileges WHERE privilege_type = 'PROCESS'"
    return bool(session.rows(sql))


def _remedy(target: Target, session: Session, error: ConnectorError) -> Remedy:
    if target.tls is Tls.DISABLE and session.texts("SELECT @@GLOBAL.require_secure_transport") == ["1"]:
        return Remedy(
            "The server takes connections with TLS alone (require_secure_transport), and Lockgate is set to use none.",
            "Choose 'verify-full', or 'require' at least, for the encryption of this server.",
        )
    if error.code == str(failures.INIT_CONNECT_FAILED):
        return Remedy(
            "What the server runs at each login (init_connect) fails for accounts of Lockgate's, so none of them gets in.",
            "SET GLOBAL init_connect = ''; or grant what it needs to PUBLIC, and correct the server's configuration.",
        )
    if error.detail == provisioning.WITHOUT_ITS_ROLE:
        return Remedy(
            "What the server runs at each login (init_connect) takes the role from accounts of Lockgate's, and with it all"
            " that they may do.",
            _WITHOUT_INIT_CONNECT,
        )
    nameless = session.texts(_NAMELESS) if error.code == str(failures.WRONG_PASSWORD) else []
    if nameless:
        return Remedy(
            f"An account without a name takes the place of Lockgate's accounts, from {', '.join(nameless)}.",
            " ".join(f"DROP USER ''@{mariadb_text(host)};" for host in nameless),
        )
    told = f"{error.detail} [{error.code}]"
    if isinstance(error, _AT_LOGIN) and session.texts("SELECT @@GLOBAL.init_connect") != [""]:
        return Remedy(
            "An account as Lockgate makes them cannot work here, most likely for what the server runs at each login"
            f" (init_connect): {told}",
            _WITHOUT_INIT_CONNECT,
        )
    if isinstance(error, _AT_LOGIN):
        return Remedy(
            f"An account as Lockgate makes them cannot log in from here: {told}",
            "See what the server asks of every login: TLS, plugins, limits, what it runs at each login.",
        )
    return Remedy(
        f"The server makes no account as Lockgate makes them: {told}",
        "See what it asks of new accounts: password checks, plugins, limits.",
    )


def _unwritten(entry: JournalEntry) -> None:
    """No grant has a part in it, so nothing keeps a journal of it."""
