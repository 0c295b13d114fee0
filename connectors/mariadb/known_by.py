"""By what a server is known, whatever its address: a mark that Lockgate leaves in its own schema.

MariaDB has nothing of the kind itself. `@@server_uid` is made of the machine's network address and the port (10.11 and 11.8):
it changes when a container is made anew, and stays when another server takes the first one's place. The mark is an event
that is switched off and never runs; what it is for stands in its comment. It lies in the data, so it goes with them to
replicas, to the nodes of a cluster, through upgrades, and into a copy that is restored from a backup.
"""

from __future__ import annotations

import uuid

from connectors.errors import ConnectorError
from connectors.mariadb import names
from connectors.mariadb.session import LOST, Session
from connectors.quoting import mariadb_text

#: Not a name that an account of ours could have.
MARK = "server_mark"
READ = "SELECT comment FROM mysql.event WHERE db = %s AND name = %s"
_SAYS = "Lockgate: this server is "


def identify(session: Session) -> str:
    """See `Connector.identify`. Leaves the mark where there is none; where that cannot be, nothing is known."""
    try:
        found = session.texts(READ, names.OWN_SCHEMA, MARK)
        if not found:
            # Of two who are here for the first time, one is quicker, and both read what that one wrote.
            session.rows(_leave(uuid.uuid4().hex))
            found = session.texts(READ, names.OWN_SCHEMA, MARK)
    except LOST:
        raise
    except ConnectorError:
        return ""
    return f"mariadb:{found[0].removeprefix(_SAYS)}" if found else ""


def _leave(mark: str) -> str:
    return (
        f"CREATE EVENT IF NOT EXISTS {names.table(names.OWN_SCHEMA, MARK)}"
        " ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE"
        f" COMMENT {mariadb_text(_SAYS + mark)} DO DO 0"
    )
