"""Reading back what the server still says of an account: the questions of a receipt.

A catalog that shows us only a part answers with nothing as readily as one that has nothing. So a question that is
answered with nothing counts only when we may see everything.
"""

from __future__ import annotations

from connectors.base import Finding
from connectors.quoting import sqlserver_name as quoted
from connectors.quoting import sqlserver_text
from connectors.sqlserver.accounts import places
from connectors.sqlserver.ending import sessions_left, sessions_of
from connectors.sqlserver.session import Session

_LOGINS = (
    "SELECT CAST(name AS nvarchar(128)) FROM sys.server_principals WHERE name = %s OR (sid IN ({sids}) AND type = 'S')"
)
#: Asked by the name of the database from where we are: a server has hundreds, and a login to each takes its time.
_USERS = (
    "SELECT CAST(name AS nvarchar(128)) FROM {database}.sys.database_principals"
    " WHERE type <> 'R' AND (name = %s OR sid IN ({sids}))"
)
_SEES_LOGINS = (
    "SELECT IS_SRVROLEMEMBER('sysadmin'), HAS_PERMS_BY_NAME(NULL, NULL, 'ALTER ANY LOGIN'),"
    " HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW ANY DEFINITION')"
)
#: The last is the narrower one of SQL Server 2022; older servers know it not, and answer with NULL.
_SEES_SESSIONS = (
    "SELECT IS_SRVROLEMEMBER('sysadmin'), HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE'),"
    " HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER PERFORMANCE STATE')"
)
_SEES_USERS = "SELECT IS_SRVROLEMEMBER('sysadmin'), HAS_PERMS_BY_NAME(%s, 'DATABASE', 'VIEW DEFINITION')"


def about_server(home: Session, principal: str, sids: list[bytes]) -> list[Finding]:
    """The login, by its name and by its SID, and its sessions. Raises `ConnectorError`."""
    asked = logins_of(sids)
    logins = [f"login {name}" for name in home.texts(asked, principal, *sids)]
    if not logins and not _sees_all(home, _SEES_LOGINS):
        logins = [f"not known: Lockgate's account may not see whether there is a login {principal}"]
    sessions = list(sessions_left(home, principal, sids))
    if not sessions and not _sees_all(home, _SEES_SESSIONS):
        sessions = [f"not known: Lockgate's account may not see the sessions of {principal}"]
    return [
        Finding("the login, by its name or its SID", shown(asked, principal, *sids), tuple(logins), home.database),
        Finding("sessions of the login", shown(sessions_of(sids), principal, *sids), tuple(sessions), home.database),
    ]


def users_in(home: Session, database: str, principal: str, sids: list[bytes]) -> list[str]:
    """The users of the login in one database. Raises `ConnectorError`."""
    return home.texts(_users_sql(database, sids), principal, *sids)


def about_database(home: Session, database: str, principal: str, sids: list[bytes]) -> Finding | None:
    """The users of the login, and with them all that they could hold; `None` where we may not see who they are.

    Raises `ConnectorError`.
    """
    users = tuple(f"user {name}" for name in users_in(home, database, principal, sids))
    if not users and not _sees_all(home, _SEES_USERS, quoted(database)):
        return None
    question = "users of the login, by its name or its SID: without one it owns, is granted and is a member of nothing"
    return Finding(question, shown(_users_sql(database, sids), principal, *sids), users, database)


def logins_of(sids: list[bytes]) -> str:
    """The question for the logins of an account, with places for its name and these SIDs."""
    return _LOGINS.format(sids=places(sids))


def _users_sql(database: str, sids: list[bytes]) -> str:
    # A percent sign would be the place of a value.
    return _USERS.format(database=quoted(database).replace("%", "%%"), sids=places(sids))


def _sees_all(session: Session, sql: str, *values: str) -> bool:
    return any(answer == 1 for answer in session.rows(sql, *values)[0])


def shown(sql: str, *values: str | bytes) -> str:
    """A query as somebody can run it again."""
    literals = [f"0x{value.hex()}" if isinstance(value, bytes) else sqlserver_text(value) for value in values]
    return " ".join(sql.split()) % tuple(literals)
