"""Taking an account away: no new logins, no sessions, no memberships, nothing owned, no account, and then the reading.

Each step goes on where the one before has failed; what went wrong is told in the receipt, and only the reading decides.
The order matters: a session outlives NOLOGIN and the loss of its memberships, so sessions are ended before anything is
taken from the account, and again after.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from connectors.base import Journal, JournalEntry, Receipt, RevokeRequest
from connectors.errors import AdminLacksPrivilege, ConnectorError, ScopeNotOnServer, ServerRefused
from connectors.postgresql import statements
from connectors.postgresql.failures import UNDEFINED_OBJECT, UNKNOWN_DATABASE
from connectors.postgresql.handing_over import HandingOver
from connectors.postgresql.provisioning import refuse_foreign
from connectors.postgresql.reading_back import LOGINS_UNDER_WAY, STRAYS, read_back
from connectors.postgresql.session import Sessions
from connectors.postgresql.statements import Command

#: How long to go on ending sessions before the receipt says that some are left.
_PATIENCE_SECONDS = 6.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.002, 0.1

_NUMBER = "SELECT oid FROM pg_roles WHERE rolname = %s"

_SESSIONS = "SELECT pid FROM pg_stat_activity WHERE usesysid = %s"

_LEFT = """
WITH RECURSIVE account AS (SELECT %(oid)s::oid AS oid), borrower (oid) AS (
  SELECT member FROM pg_auth_members JOIN account ON roleid = account.oid
  UNION SELECT m.member FROM pg_auth_members m JOIN borrower b ON m.roleid = b.oid
)
SELECT
  ARRAY(SELECT DISTINCT r.rolname::text FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid, account
        WHERE m.member = account.oid),
  ARRAY(SELECT r.rolname::text FROM borrower b JOIN pg_roles r ON r.oid = b.oid
        WHERE r.rolname <> current_user AND NOT r.rolsuper),
  ARRAY(SELECT DISTINCT coalesce(d.datname::text, '')
        FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid, account
        WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = account.oid),
  ARRAY(SELECT DISTINCT d.datname::text FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
        JOIN pg_roles g ON g.oid = s.refobjid
        WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o' AND s.classid <> 'pg_default_acl'::regclass
          AND g.rolname = %(group)s),
  ARRAY(SELECT gid FROM pg_prepared_xacts WHERE owner = %(principal)s ORDER BY gid),
  ARRAY(SELECT database::text FROM pg_prepared_xacts WHERE owner = %(principal)s ORDER BY gid)
"""


@dataclass(frozen=True, slots=True)
class _Left:
    """What an account without sessions still has."""

    joined: list[str]
    """Roles whose member it is."""
    borrowers: list[str]
    """Accounts that are members of it, directly or through others: up to version 14 it may lend itself out."""
    places: list[str]
    """Databases where it owns something or has a privilege of its own; empty text for the server's shared objects."""
    group_places: list[str]
    """Databases where somebody has made things in the name of the group."""
    prepared: list[tuple[str, str]]
    """Transaction and database of each prepared transaction."""


class Revocation:
    """One revocation, from the first statement to the receipt."""

    def __init__(self, sessions: Sessions, request: RevokeRequest, journal: Journal) -> None:
        """Nothing happens before `run`."""
        refuse_foreign(request.principal)
        self._sessions = sessions
        self._home = sessions.home
        self._principal = request.principal
        self._group = request.scope.group
        self._journal = journal
        self._handing_over = HandingOver(sessions, request.heir, journal)
        self._errors: list[str] = []
        self._ended: set[int] = set()
        self._under_way: set[int] = set()

    def run(self) -> Receipt:
        """Take the account away and read the server back. Raises only when nothing is known."""
        found = self._home.rows(_NUMBER, [self._principal])
        oid: int | None = found[0][0] if found else None
        if oid is None:
            self._attempt(self._end_strays)
        else:
            self._take_away(oid)
        server_time, findings = read_back(self._home, self._principal, oid, self._under_way)
        return Receipt(
            principal=self._principal,
            server_time=server_time,
            findings=findings,
            handed_over=tuple(self._handing_over.lines),
            errors=tuple(self._errors),
            sessions_ended=len(self._ended),
        )

    def _take_away(self, oid: int) -> None:
        database = self._home.database
        self._attempt(partial(self._run, statements.block_logins(self._principal, database)))
        self._attempt(partial(self._end_sessions, oid))
        left = self._what_is_left(oid)
        for role in left.joined:
            self._attempt(partial(self._run, statements.leave(role, self._principal, database)))
        self._attempt(partial(self._end_logins_under_way, oid))
        for borrower in left.borrowers:
            self._attempt(partial(self._end_loan, borrower))
        rolled_back = [self._attempt(partial(self._roll_back, gid, place)) for gid, place in left.prepared]
        for place in left.places:
            self._attempt(partial(self._hand_over, self._handing_over.from_account, self._principal, place))
        for place in left.group_places:
            self._attempt(partial(self._hand_over, self._handing_over.from_group, self._group, place))
        if all(rolled_back):
            # A prepared transaction forgets whose it was when its account goes: then nobody would find it again.
            self._attempt(partial(self._run, statements.drop_account(self._principal, database)))

    def _attempt(self, step: Callable[[], object]) -> bool:
        """Whether a step succeeded; why not is kept for the receipt."""
        try:
            step()
        except ConnectorError as error:
            if self._home.is_broken:
                raise
            if error.code != UNDEFINED_OBJECT:  # Gone meanwhile is what was wanted.
                self._errors.append(str(error))
                return False
        return True

    def _run(self, command: Command) -> list[tuple[Any, ...]]:
        return self._home.insist(partial(self._home.run, command, self._journal))

    def _what_is_left(self, oid: int) -> _Left:
        parameters = {"oid": oid, "group": self._group, "principal": self._principal}
        joined, borrowers, places, group_places, transactions, databases = self._home.rows(_LEFT, parameters)[0]
        home = self._home.database
        return _Left(
            joined=joined,
            borrowers=borrowers,
            places=list(dict.fromkeys(place or home for place in places)),
            group_places=group_places,
            prepared=list(zip(transactions, databases, strict=True)),
        )

    # --- Sessions

    def _end_sessions(self, oid: int) -> None:
        """Until the server shows none; raises when some are left after a while."""
        if self._end(statements.end_sessions(self._principal, self._home.database)):
            self._wait_for_end(oid)

    def _end(self, command: Command) -> bool:
        """Tell sessions to end; whether there were any."""
        told = {pid for pid, _ in self._run(command)}
        self._ended |= told
        return bool(told)

    def _wait_for_end(self, oid: int) -> None:
        deadline, pause = time.monotonic() + _PATIENCE_SECONDS, _SHORTEST_PAUSE
        while there := self._still_there(oid):
            if time.monotonic() > deadline:
                raise ServerRefused(f"{len(there)} session(s) have not ended in {_PATIENCE_SECONDS:g} seconds.")
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
            if there - self._ended - self._under_way:
                self._end(statements.end_sessions(self._principal, self._home.database))

    def _still_there(self, oid: int) -> set[int]:
        there = {row[0] for row in self._home.rows(_SESSIONS, [oid])}
        if self._under_way:
            there |= self._under_way & {row[0] for row in self._home.rows(LOGINS_UNDER_WAY)}
        return there

    def _end_logins_under_way(self, oid: int) -> None:
        """End logins that were past the check of NOLOGIN and are not in `pg_stat_activity` yet.

        Whose they are is not to be read anywhere, but the server knows it: acting as the account, which by now is a
        member of nothing, we are allowed to end the account's processes and no others.
        """
        pids = [row[0] for row in self._home.rows(LOGINS_UNDER_WAY)]
        if pids:
            with self._home.acting_as(self._principal):
                self._under_way = {pid for pid in pids if self._end_as_owner(pid)}
            self._ended |= self._under_way
        if self._still_there(oid):
            self._wait_for_end(oid)

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

    def _end_loan(self, borrower: str) -> None:
        """Others may be members of the account, and their sessions may have got to its roles by SET ROLE, for good."""
        database = self._home.database
        self._run(statements.leave(self._principal, borrower, database))
        if ended := self._run(statements.end_sessions(borrower, database)):
            self._errors.append(f"{borrower} was a member of the account: {len(ended)} session(s) of it were ended.")

    def _end_strays(self) -> None:
        """The account is gone already; a session of an account that is gone belongs to nobody, and may be its."""
        if self._home.rows(STRAYS):
            self._end(statements.end_strays(self._home.database))
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while self._home.rows(STRAYS) and time.monotonic() < deadline:
                time.sleep(_SHORTEST_PAUSE)

    # --- What it leaves in the databases

    def _roll_back(self, transaction: str, database: str) -> None:
        """A prepared transaction may be ended by the account that prepared it, and by nobody else but a superuser."""
        session = self._sessions.on(database)
        session.spoil()
        session.run(statements.act_for(self._principal, database), self._journal)
        session.rows(statements.become(self._principal))
        try:
            session.run(statements.roll_back_prepared(transaction, database), self._journal)
        finally:
            session.rows("RESET ROLE")

    def _hand_over(self, hand_over: Callable[[str, str], None], role: str, database: str) -> None:
        try:
            hand_over(role, database)
        except ScopeNotOnServer as error:
            if error.code != UNKNOWN_DATABASE:  # Dropped meanwhile, with all that was in it.
                raise


def composed_revoke(request: RevokeRequest, database: str) -> list[Command]:
    """What a revocation runs where there is everything to do, for a plan."""
    refuse_foreign(request.principal)
    principal, heir = request.principal, request.heir
    found = [statements.block_logins(principal, database), statements.end_sessions(principal, database)]
    found += [statements.leave(role, principal, database) for role in statements.roles_to_join(request.scope)]
    found += statements.make_heir(heir, database)
    for place in request.scope.databases:
        found.append(statements.act_for(principal, place))
        found.append(statements.hand_over(principal, heir, place))
        found.append(statements.drop_privileges(principal, place))
    return [*found, statements.drop_account(principal, database)]
