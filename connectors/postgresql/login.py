"""The proof: a login as the account itself, through the driver that a person would use."""

from __future__ import annotations

import psycopg

from connectors.base import Secret, Target
from connectors.errors import ConnectorError, PrincipalCannotLogIn, TriggerInTheWay
from connectors.postgresql.event_triggers import at_login
from connectors.postgresql.failures import refused_login
from connectors.postgresql.session import Sessions, login_parameters

_READ_ONLY = "25006"


def prove_account(target: Target, sessions: Sessions, principal: str, password: Secret, database: str) -> None:
    """Log in, and where a login event trigger refuses that, say which. Raises `PrincipalCannotLogIn`."""
    try:
        prove_login(target, principal, password, database)
    except PrincipalCannotLogIn as error:
        if isinstance(error.__cause__, TriggerInTheWay):
            error.likely = _about_trigger(sessions, database, error.code)
            # Nobody but the server's administrator can change that, so there is no use in trying again.
            error.transient = False
        raise


def prove_login(target: Target, principal: str, password: Secret, database: str) -> None:
    """Log in, and see that the server takes us for the account. Raises `PrincipalCannotLogIn`."""
    parameters = login_parameters(target, principal, password, database)
    try:
        with psycopg.connect(**parameters, autocommit=True) as connection:  # type: ignore[arg-type]
            row = connection.execute("SELECT session_user").fetchone()
    except psycopg.Error as error:
        patience = target.connect_timeout.total_seconds()
        reason = refused_login(error, parameters, patience, [password, target.password])
        refusal = PrincipalCannotLogIn(f"Database {database!r}: {reason.detail}", code=reason.code)
        raise refusal from reason if isinstance(reason, TriggerInTheWay) else reason.__cause__
    if row is None or row[0] != principal:
        raise PrincipalCannotLogIn(f"Database {database!r}: the server takes the account for somebody else.")


def _about_trigger(sessions: Sessions, database: str, code: str) -> str:
    try:
        named = ", ".join(at_login(sessions.on(database).rows, database)) or "An event trigger on login"
    except ConnectorError:
        named = "An event trigger on login"
    if code == _READ_ONLY:
        return (
            f"{named} writes, which an account that reads cannot do: default_transaction_read_only is on for it. Let the"
            " trigger's function write only where transaction_read_only is off."
        )
    return f"{named} fails for this account. Give its function a fixed search_path, and what it needs."
