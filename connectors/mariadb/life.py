"""One short look at a server: when it was started, and which accounts of ours it has."""

from __future__ import annotations

from datetime import UTC, timedelta

from connectors.base import PRINCIPAL_PREFIX, SignsOfLife
from connectors.mariadb.session import Session

#: It tells for how many whole seconds it has run.
_UPTIME = "SELECT UTC_TIMESTAMP(6), VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME'"
_ACCOUNTS = """
    SELECT User FROM mysql.global_priv
    WHERE LOCATE(%s, User) = 1 AND COALESCE(JSON_VALUE(Priv, '$.is_role'), 0) = 0
"""


def signs_of_life(session: Session) -> SignsOfLife:
    """See `Connector.signs_of_life`."""
    now, uptime = session.rows(_UPTIME)[0]
    started_at = now.replace(tzinfo=UTC) - timedelta(seconds=int(uptime))
    return SignsOfLife(started_at, tuple(session.texts(_ACCOUNTS, PRINCIPAL_PREFIX)))
