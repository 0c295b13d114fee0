"""Triggers on the server's own events: on statements that define something, and from version 17 on on logins.

Their functions run as whoever causes the event, so they run as Lockgate's account too, with its pinned `search_path`: one
that names its table without a schema fails, and the statement with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectors.errors import ConnectorError, TriggerInTheWay

#: What a query gives in the database in question.
Rows = Callable[[str], list[tuple[Any, ...]]]

#: `regprocedure` names the schema, because our `search_path` is the system catalog: as the server's own context does.
_ENABLED = """
SELECT evtname::text, evtfoid::regprocedure::text,
  (SELECT proname::text FROM pg_proc p WHERE p.oid = evtfoid), evtevent = 'login'
FROM pg_event_trigger WHERE evtenabled IN ('O', 'A') ORDER BY evtname
"""


def at_login(rows: Rows, database: str) -> list[str]:
    """The event triggers of a database that run at each login, in words."""
    return [_worded(name, function, database) for name, function, _, login in rows(_ENABLED) if login]


def blamed(rows: Rows, database: str, error: ConnectorError) -> ConnectorError:
    """The error, or a `TriggerInTheWay` that names the event trigger in whose function it arose."""
    if not error.context or isinstance(error, TriggerInTheWay):
        return error
    for name, function, bare, _ in rows(_ENABLED):
        if function in error.context or f'"{bare}"' in error.context:
            worded = _worded(name, function, database)
            told = TriggerInTheWay(f"{worded}: {error.detail}", code=error.code, likely=_REMEDY)
            told.context = error.context
            told.__cause__ = error.__cause__
            return told
    return error


_REMEDY = (
    "Give its function a fixed search_path and names with their schema, or let it pass where session_user is Lockgate's"
    " account."
)


def _worded(name: str, function: str, database: str) -> str:
    return f"Event trigger {name} ({function}) in database {database}"
