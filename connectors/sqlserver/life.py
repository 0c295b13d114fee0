"""One short look at an instance: when it was started, and which logins of ours it has."""

from __future__ import annotations

from datetime import UTC

from connectors.base import PRINCIPAL_PREFIX, SignsOfLife
from connectors.quoting import sqlserver_text
from connectors.sqlserver.session import Sessions

#: `tempdb` is made anew at each start, and everybody may see when; `sys.dm_os_sys_info` takes a privilege more.
_STARTED = (
    "SELECT DATEADD(minute, DATEDIFF(minute, SYSDATETIME(), SYSUTCDATETIME()), create_date)"
    " FROM sys.databases WHERE name = N'tempdb'"
)
_LOGINS = (
    "SELECT CAST(name AS nvarchar(128)) FROM sys.server_principals WHERE type = 'S'"
    f" AND LEFT(name, {len(PRINCIPAL_PREFIX)}) = {sqlserver_text(PRINCIPAL_PREFIX)}"
)


def signs_of_life(sessions: Sessions) -> SignsOfLife:
    """See `Connector.signs_of_life`."""
    started_at = sessions.home.rows(_STARTED)[0][0].replace(tzinfo=UTC)
    return SignsOfLife(started_at, tuple(sessions.home.texts(_LOGINS)))
