"""Servers that follow this one, and what a receipt says of them: sessions there are neither seen nor ended.

A login belongs to one instance. Where a secondary lets readers in, somebody may have made the same login there, with the same
SID; on Azure SQL the users of a geo-replica are those of the primary. Lockgate names each, and connects to none.
"""

from __future__ import annotations

from connectors.base import Replica
from connectors.errors import ConnectorError, ServerUnreachable
from connectors.sqlserver.session import Session

SECONDARIES = """
SELECT r.replica_server_name, r.endpoint_url, r.secondary_role_allow_connections_desc, s.connected_state_desc
FROM sys.availability_replicas AS r
LEFT JOIN sys.dm_hadr_availability_replica_states AS s ON s.replica_id = r.replica_id
WHERE COALESCE(s.is_local, 0) = 0 ORDER BY r.replica_server_name
"""
GEO = """
SELECT partner_server, partner_database, secondary_allow_connections_desc, replication_state_desc
FROM sys.dm_geo_replication_link_status WHERE role_desc = 'PRIMARY' ORDER BY partner_server, partner_database
"""


def secondaries(home: Session) -> tuple[Replica, ...]:
    """The other replicas of this instance's availability groups; none where it has no such catalog."""
    return tuple(
        Replica(str(name), str(address or ""), f"{_readers(readers)}, {str(state or 'state not told').lower()}")
        for name, address, readers, state in _asked(home, SECONDARIES)
    )


def geo_replicas(session: Session) -> tuple[Replica, ...]:
    """Where the session's database of Azure SQL is copied to."""
    return tuple(
        Replica(f"{server}/{database}", str(server), f"{_readers(readers)}, {str(state).lower()}")
        for server, database, readers, state in _asked(session, GEO)
    )


def not_seen(found: tuple[Replica, ...]) -> tuple[str, ...]:
    """For a receipt: those in which somebody could be reading."""
    return tuple(
        f"Sessions on {one.name}, which follows this server, were neither seen nor ended ({one.state})."
        for one in found
        if not one.state.startswith("no readers")
    )


def _readers(allowed: object) -> str:
    return "no readers" if str(allowed or "").upper() == "NO" else "lets readers in"


def _asked(session: Session, sql: str) -> list[tuple[object, ...]]:
    try:
        return session.rows(sql)
    except ServerUnreachable:
        raise
    except ConnectorError:
        return []
