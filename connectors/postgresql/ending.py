"""Ending the sessions of one account until the server shows none: those it shows, logins that had begun, and those of
whoever could act as the account.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from connectors.base import Journal, JournalEntry
from connectors.errors import AdminLacksPrivilege, ServerRefused
from connectors.postgresql import statements
from connectors.postgresql.accounts import FoundAccount
from connectors.postgresql.reading_back import LOGINS_UNDER_WAY, STRAYS
from connectors.postgresql.session import Session
from connectors.postgresql.statements import Command

#: How long to go on ending sessions before the receipt says that some are left.
PATIENCE_SECONDS = 6.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.002, 0.1

_SESSIONS = "SELECT pid FROM pg_stat_activity WHERE usesysid = %s"

#: Roles that the account has the rights of and that somebody can log in as, or that may end everybody's sessions.
_LENDERS = """
SELECT r.rolname::text FROM pg_roles r
WHERE r.oid <> %(oid)s AND pg_has_role(%(oid)s, r.oid, 'USAGE')
  AND (r.rolcanlogin OR r.rolname IN ('pg_signal_backend', 'pg_signal_autovacuum_worker'))
"""


class Ending:
    """The sessions of one account."""

    def __init__(self, home: Session, account: FoundAccount, journal: Journal) -> None:
        self._home = home
        self._account = account
        self._journal = journal
        self.ended: set[int] = set()
        """Processes that were told to end."""
        self.under_way: set[int] = set()
        """Of these, or besides them: logins that had begun, which may yet become sessions of the account."""

    def end_sessions(self) -> None:
        """Until the server shows none; raises when some are left after a while."""
        if self._end(statements.end_sessions(self._account.name, self._home.database)):
            self._wait_for_end()

    def end_logins_under_way(self) -> None:
        """End logins that were past the check of NOLOGIN and that `pg_stat_activity` does not tell the account of.

        Whose they are is not to be read anywhere, but the server knows it: acting as the account, which by now is a
        member of nothing, we are allowed to end the account's processes and no others. Where it still is a member of
        something, because somebody else's GRANT is his to take back, nothing is ended, and what does not come to an end
        by itself is told.
        """
        pids = {row[0] for row in self._home.rows(LOGINS_UNDER_WAY)}
        if pids and self._home.rows(_LENDERS, {"oid": self._account.oid}):
            self.under_way = pids
        elif pids:
            with self._home.acting_as(self._account.name):
                self.under_way = {pid for pid in pids if self._end_as_owner(pid)}
            self.ended |= self.under_way
        if self._still_there():
            self._wait_for_end()

    def end_borrower(self, borrower: str) -> int:
        """End the sessions of somebody who could act as the account; how many there were."""
        return len(self._run(statements.end_sessions(borrower, self._home.database)))

    def _end(self, command: Command) -> bool:
        told = {pid for pid, _ in self._run(command)}
        self.ended |= told
        return bool(told)

    def _wait_for_end(self) -> None:
        deadline, pause = time.monotonic() + PATIENCE_SECONDS, SHORTEST_PAUSE
        while there := self._still_there():
            if time.monotonic() > deadline:
                raise ServerRefused(f"{len(there)} session(s) have not ended in {PATIENCE_SECONDS:g} seconds.")
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            if there - self.ended - self.under_way:
                self._end(statements.end_sessions(self._account.name, self._home.database))

    def _still_there(self) -> set[int]:
        there = {row[0] for row in self._home.rows(_SESSIONS, [self._account.oid])}
        if self.under_way:
            there |= self.under_way & {row[0] for row in self._home.rows(LOGINS_UNDER_WAY)}
        return there

    def _end_as_owner(self, pid: int) -> bool:
        command = statements.end_process(pid, self._home.database)
        try:
            with self._home.transaction():
                is_ours: bool = self._home.rows(command.text)[0][0]
        except AdminLacksPrivilege:
            return False
        if is_ours:
            self._journal(JournalEntry(command.shown, datetime.now(UTC)))
        return is_ours

    def _run(self, command: Command) -> list[tuple[Any, ...]]:
        return self._home.insist(partial(self._home.run, command, self._journal))


def end_strays(home: Session, end: Callable[[Command], object]) -> None:
    """End sessions of accounts that are gone: they belong to nobody, and may be the account's."""
    if home.rows(STRAYS):
        end(statements.end_strays(home.database))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while home.rows(STRAYS) and time.monotonic() < deadline:
            time.sleep(SHORTEST_PAUSE)
