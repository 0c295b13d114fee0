"""Another password for Lockgate's own login, sent as a hash where the server keeps hashes."""

from __future__ import annotations

from connectors.base import Authentication, Journal, Secret, Target
from connectors.errors import OwnPasswordFixed
from connectors.sqlserver import statements
from connectors.sqlserver.session import Session

_OURSELVES = "SELECT p.name FROM sys.server_principals AS p WHERE p.type = 'S' AND p.name = SUSER_SNAME()"


def change(target: Target, home: Session, password: Secret, journal: Journal) -> None:
    """See `Connector.change_own_password`. Raises `OwnPasswordFixed` for an identity of Windows or Entra."""
    if target.authentication is not Authentication.PASSWORD:
        raise OwnPasswordFixed("It logs in with a token.")
    names = home.texts(_OURSELVES)
    if not names:
        raise OwnPasswordFixed("It is no login with a password of the server's own.")
    home.run(statements.renew_login(names[0], password, home.database, hashed=home.has_catalogue_of_logins), journal)
