"""The groups under which accounts live hold what their access roles say: seen to by each sweep, not by the next grant alone.

What a group has beyond that, from an earlier version of Lockgate or by somebody's hand, every account in it has as well. It
is taken away, what is lacking is given, and the audit trail keeps the statements; what Lockgate may not take away is shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import structlog

from access.content import scope_from_json
from access.models import Grant, Server
from audit.events import Event
from audit.log import Actor, Subject, record
from connectors.base import Connector, JournalEntry, Level, Scope
from connectors.errors import ConnectorError, ServerUnreachable

log = structlog.get_logger(__name__)

SWEEPER = Actor("worker", "sweep", "sweep")
_SET_RIGHT = "The group {} was not what its access role says, in what it holds or in who is in it. It was set right."


def keep_groups(server: Server, connector: Connector, grants: Iterable[Grant]) -> dict[str, str]:
    """Bring the groups of these grants in step; gives, by group, what could not be. Raises `ServerUnreachable`."""
    scopes: dict[str, Scope] = {}
    members: defaultdict[str, list[str]] = defaultdict(list)
    for grant in grants:
        scope = scope_from_json(grant.scope)
        if scope.level is not Level.MEMBER:
            scopes[scope.group] = scope
            members[scope.group].append(grant.principal)
    left: dict[str, str] = {}
    for group, scope in sorted(scopes.items()):
        if told := _keep(server, connector, scope, members[group]):
            left[group] = told
    return left


def _keep(server: Server, connector: Connector, scope: Scope, members: list[str]) -> str:
    """What could not be set right, in words; empty where nothing is amiss."""
    journal: list[JournalEntry] = []
    try:
        connector.keep_group(scope, journal.append, members)
    except ServerUnreachable:
        raise
    except ConnectorError as error:
        log.warning("sweep.group_failed", server=server.slug, group=scope.group, error=str(error))
        # What may pass by itself is looked at again by the next sweep.
        return "" if error.transient else f"Whoever is in the group may have more, or less, than was granted. {error}"
    if ran := [entry.statement.sql for entry in journal if not entry.statement.sql.startswith("--")]:
        record(
            Event.SWEEP_DRIFT_FOUND,
            actor=SWEEPER,
            subject=Subject("server", server.slug, server.name),
            after={"principal": scope.group, "kind": "drift", "statements": ran},
            reason=_SET_RIGHT.format(scope.group),
        )
    return ""
