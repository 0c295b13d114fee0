"""Ending the sessions of a login: disabling it ends none, and each may take as long as its rollback to go."""

from __future__ import annotations

import time

from connectors.base import Journal
from connectors.errors import ConnectorError
from connectors.sqlserver import statements
from connectors.sqlserver.accounts import places
from connectors.sqlserver.session import LOST, Session

#: How long one call waits for sessions to end before it reports what is left; the caller calls again.
PATIENCE_SECONDS = 5.0
_SHORTEST_PAUSE = 0.01
_LONGEST_PAUSE = 0.2

#: A session that acts as somebody else is still that of the login it began with, and one that began while the login had
#: another name is known by the SID.
_SESSIONS = (
    "SELECT session_id, status FROM sys.dm_exec_sessions"
    " WHERE (original_login_name = %s OR original_security_id IN ({sids})) AND session_id IS NOT NULL"
)


def sessions_of(sids: list[bytes]) -> str:
    """The question for the sessions of a login, with places for its name and these SIDs."""
    return _SESSIONS.format(sids=places(sids))


def end_sessions(home: Session, principal: str, sids: list[bytes], journal: Journal, seen: set[int]) -> None:
    """Kill each session of the login once, and wait until none is left or patience is over.

    `seen` collects their numbers. Raises `ConnectorError` when one may not be killed.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause, killed = _SHORTEST_PAUSE, set[int]()
    while living := [int(number) for number, _ in home.rows(sessions_of(sids), principal, *sids)]:
        for number in living:
            if number not in killed:
                _kill(home, number, journal)
        killed |= set(living)
        seen |= killed
        if time.monotonic() > deadline:
            return
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 2)


def sessions_left(home: Session, principal: str, sids: list[bytes]) -> tuple[str, ...]:
    """The sessions that are still there, one line each."""
    rows = home.rows(sessions_of(sids), principal, *sids)
    return tuple(f"session {number} ({status})" for number, status in rows)


def _kill(home: Session, number: int, journal: Journal) -> None:
    try:
        home.run(statements.kill(number, home.database), journal)
    except LOST:
        raise
    except ConnectorError:
        # It may have gone by itself, which is what we wanted, whatever number the server has for it.
        if number in [
            int(row[0])
            for row in home.rows("SELECT session_id FROM sys.dm_exec_sessions WHERE session_id = %s", number)
        ]:
            raise
