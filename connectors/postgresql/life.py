"""One short look at a cluster: when its server was started, and which accounts of ours it has."""

from __future__ import annotations

from connectors.base import PRINCIPAL_PREFIX, SignsOfLife
from connectors.postgresql.session import Sessions

_LOOK = """
SELECT pg_catalog.pg_postmaster_start_time(),
  ARRAY(SELECT rolname::text FROM pg_catalog.pg_roles WHERE pg_catalog.starts_with(rolname::text, %s))
"""


def signs_of_life(sessions: Sessions) -> SignsOfLife:
    """See `Connector.signs_of_life`."""
    started_at, accounts = sessions.home.rows(_LOOK, [PRINCIPAL_PREFIX])[0]
    return SignsOfLife(started_at, tuple(accounts))
