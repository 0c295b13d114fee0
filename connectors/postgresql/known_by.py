"""By what a cluster is known, whatever its address: the number that `initdb` drew for it.

Its standbys have the same, a failover keeps it, and so does a copy that was restored from a backup. `pg_upgrade` makes a
cluster with a number of its own. `pg_control_system()` may be run by everybody unless an administrator has taken that
away (PostgreSQL 13 to 18).
"""

from __future__ import annotations

from connectors.errors import AdminLacksPrivilege
from connectors.postgresql.session import Sessions

_NUMBER = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"


def identify(sessions: Sessions) -> str:
    """See `Connector.identify`."""
    try:
        return f"postgresql:{sessions.home.rows(_NUMBER)[0][0]}"
    except AdminLacksPrivilege:
        return ""
