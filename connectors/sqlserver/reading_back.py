"""Reading back what the server still says of an account: the questions of a receipt."""

from __future__ import annotations

from connectors.base import Finding
from connectors.quoting import sqlserver_text
from connectors.sqlserver.ending import SESSIONS, sessions_left
from connectors.sqlserver.session import Session

LOGINS = "SELECT name FROM sys.server_principals WHERE name = %s OR (sid = %s AND type = 'S')"
USERS = "SELECT name FROM sys.database_principals WHERE type <> 'R' AND (name = %s OR sid = %s)"


def about_server(home: Session, principal: str, sid: bytes) -> list[Finding]:
    """The login, by its name and by its SID, and its sessions. Raises `ConnectorError`."""
    logins = tuple(f"login {name}" for name in home.texts(LOGINS, principal, sid))
    return [
        Finding("the login, by its name or its SID", shown(LOGINS, principal, sid), logins, home.database),
        Finding("sessions of the login", shown(SESSIONS, principal), sessions_left(home, principal), home.database),
    ]


def about_database(session: Session, principal: str, sid: bytes) -> Finding:
    """The users of the login, and with them all that they could hold. Raises `ConnectorError`."""
    users = tuple(f"user {name}" for name in session.texts(USERS, principal, sid))
    question = "users of the login, by its name or its SID: without one it owns, is granted and is a member of nothing"
    return Finding(question, shown(USERS, principal, sid), users, session.database)


def shown(sql: str, *values: str | bytes) -> str:
    """A query as somebody can run it again."""
    literals = [f"0x{value.hex()}" if isinstance(value, bytes) else sqlserver_text(value) for value in values]
    return " ".join(sql.split()) % tuple(literals)
