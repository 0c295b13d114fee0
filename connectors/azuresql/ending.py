"""Ending the sessions of a user in one database, with the right to end connections that Azure gives for a database."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.azuresql import statements
from connectors.base import Journal
from connectors.errors import ConnectorError
from connectors.sqlserver.failures import NO_SUCH_SESSION
from connectors.sqlserver.session import LOST, Session

#: How long one call waits for sessions to end before it reports what is left; the caller calls again.
PATIENCE_SECONDS = 5.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.01, 0.2

#: Found by the SID too, which nobody can take from a session by acting as somebody else, and which stays when somebody
#: renames the user, or drops it.
SESSIONS = """
SELECT s.session_id, s.status FROM sys.dm_exec_sessions AS s
WHERE s.session_id IS NOT NULL AND s.session_id <> @@SPID AND (s.original_login_name = %s
  OR s.original_security_id = %s
  OR s.original_security_id IN (SELECT u.sid FROM sys.database_principals AS u WHERE u.name = %s))
"""
_NOBODY = b"\0"


@dataclass(slots=True)
class Ending:
    """The ending of one user's sessions, in one database after another."""

    journal: Journal
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    seen: set[tuple[str, int]] = field(default_factory=set)
    """Every session that was found, with its database."""

    def end(self, session: Session, user: str, sid: bytes = b"") -> None:
        """Kill each session of the user once, and wait until none is left or patience is over."""
        deadline = self.clock() + PATIENCE_SECONDS
        pause, killed = _SHORTEST_PAUSE, set[int]()
        while living := [int(number) for number, _ in session.rows(SESSIONS, *asked(user, sid))]:
            for number in living:
                if number not in killed:
                    self._kill(session, number)
            killed |= set(living)
            self.seen |= {(session.database, number) for number in killed}
            if self.clock() > deadline:
                return
            self.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    def _kill(self, session: Session, number: int) -> None:
        try:
            session.run(statements.kill(number, session.database), self.journal)
        except LOST:
            raise
        except ConnectorError as error:
            # It went by itself, which is what we wanted.
            if error.code != str(NO_SUCH_SESSION):
                raise


def asked(user: str, sid: bytes) -> tuple[str, bytes, str]:
    """What `SESSIONS` is asked with."""
    return user, sid or _NOBODY, user


def sessions_left(session: Session, user: str, sid: bytes = b"") -> tuple[str, ...]:
    """The sessions that are still there, one line each."""
    rows = session.rows(SESSIONS, *asked(user, sid))
    return tuple(f"session {number} ({status})" for number, status in rows)
