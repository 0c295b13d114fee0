"""By what an instance is known, whatever its address: its own name, and the number of its `msdb`.

Logins belong to the instance: after a failover of an availability group another instance answers under the listener's
name, which has none of the accounts that were made on the first. It tells another identity, as it should.
"""

from __future__ import annotations

from connectors.sqlserver.session import Sessions

#: Everybody may ask for both. The name is what the instance itself keeps, not the one that it was reached by.
_KNOWN_BY = (
    "SELECT CAST(SERVERPROPERTY('ServerName') AS nvarchar(128)),"
    " (SELECT CAST(service_broker_guid AS nvarchar(36)) FROM sys.databases WHERE name = N'msdb')"
)


def identify(sessions: Sessions) -> str:
    """See `Connector.identify`."""
    name, number = sessions.home.rows(_KNOWN_BY)[0]
    return f"sqlserver:{str(name).lower()}/{str(number or '').lower()}" if name else ""
