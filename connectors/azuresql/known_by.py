"""By what a server of Azure SQL is known: its name, which no two have at the same time, and the database that we work from.

Working from `master` reaches every database of the server, working from another one that database alone.
"""

from __future__ import annotations

from connectors.sqlserver.session import Sessions

_KNOWN_BY = "SELECT CAST(SERVERPROPERTY('ServerName') AS nvarchar(128)), DB_NAME()"


def identify(sessions: Sessions) -> str:
    """See `Connector.identify`."""
    name, database = sessions.home.rows(_KNOWN_BY)[0]
    return f"azuresql:{str(name).lower()}/{str(database).lower()}" if name else ""
