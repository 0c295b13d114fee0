"""The proof: a login as the account itself, through the driver that a person would use."""

from __future__ import annotations

import psycopg

from connectors.base import Secret, Target
from connectors.errors import PrincipalCannotLogIn
from connectors.postgresql.failures import refused_login
from connectors.postgresql.session import login_parameters


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
        raise refusal from reason.__cause__
    if row is None or row[0] != principal:
        raise PrincipalCannotLogIn(f"Database {database!r}: the server takes the account for somebody else.")
