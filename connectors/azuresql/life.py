"""One short look at a server of Azure SQL: when the database that we work from was made.

Such a database is never restored in place: what comes out of a backup is another one, made at another time. So its accounts
are left to the sweep, which asks each database for them.
"""

from __future__ import annotations

from datetime import UTC

from connectors.base import SignsOfLife
from connectors.sqlserver.session import Sessions

#: Its clocks show UTC.
_MADE = "SELECT create_date FROM sys.databases WHERE name = DB_NAME()"


def signs_of_life(sessions: Sessions) -> SignsOfLife:
    """See `Connector.signs_of_life`."""
    return SignsOfLife(sessions.home.rows(_MADE)[0][0].replace(tzinfo=UTC), ())
