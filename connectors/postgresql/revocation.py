"""Taking an account away: no new logins, no sessions, no memberships, nothing owned, no account, and then the reading.

Each step goes on where the one before has failed; what went wrong is told in the receipt, and only the reading decides.
The order matters: a session outlives NOLOGIN and the loss of its memberships, so sessions are ended before anything is
taken from the account, and again after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from connectors.base import Journal, Receipt, RevokeRequest, Target
from connectors.errors import ConnectorError, ScopeNotOnServer
from connectors.postgresql import replicas, statements
from connectors.postgresql.accounts import CAN_ACT, FoundAccount, find
from connectors.postgresql.ending import Ending, end_strays
from connectors.postgresql.failures import UNDEFINED_OBJECT, UNKNOWN_DATABASE
from connectors.postgresql.handing_over import HandingOver, planned_giving
from connectors.postgresql.provisioning import refuse_foreign
from connectors.postgresql.reading_back import read_back
from connectors.postgresql.session import Session, Sessions
from connectors.postgresql.statements import Command, Membership

#: Who could act as the account, directly or through others. The walk ends at ourselves and at superusers: who is in there
#: has no need of the account.
_LEFT = f"""
WITH RECURSIVE account AS (SELECT %(oid)s::oid AS oid), borrower (oid) AS (
  SELECT m.member FROM pg_auth_members m JOIN account a ON m.roleid = a.oid JOIN pg_roles r ON r.oid = m.member
  WHERE {CAN_ACT} AND r.rolname <> current_user AND NOT r.rolsuper
  UNION
  SELECT m.member FROM pg_auth_members m JOIN borrower b ON m.roleid = b.oid JOIN pg_roles r ON r.oid = m.member
  WHERE {CAN_ACT} AND r.rolname <> current_user AND NOT r.rolsuper
)
SELECT
  ARRAY(SELECT r.rolname::text FROM borrower b JOIN pg_roles r ON r.oid = b.oid WHERE r.oid <> %(oid)s),
  ARRAY(SELECT DISTINCT coalesce(d.datname::text, '')
        FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid, account
        WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = account.oid
          -- A membership that it gave ends with `leave`, the account's own with the account.
          AND s.classid <> 'pg_auth_members'::regclass),
  ARRAY(SELECT DISTINCT d.datname::text FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
        JOIN pg_roles g ON g.oid = s.refobjid
        WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o' AND s.classid <> 'pg_default_acl'::regclass
          AND g.rolname = %(group)s),
  ARRAY(SELECT gid FROM pg_prepared_xacts WHERE owner = %(name)s ORDER BY gid),
  ARRAY(SELECT database::text FROM pg_prepared_xacts WHERE owner = %(name)s ORDER BY gid)
"""

#: Memberships of the account, in it, and given by it, in the order in which they are taken away: what it gave first,
#: because from version 16 on what hangs on another cannot be left behind. What makes us able to do this stays.
_MEMBERSHIPS = f"""
SELECT g.rolname::text, p.rolname::text, CASE WHEN r.rolname <> current_user THEN r.rolname::text ELSE '' END,
  m.grantor = %(oid)s,
  r.rolname = current_user OR pg_has_role(r.oid, 'USAGE')
FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles p ON p.oid = m.member
  LEFT JOIN pg_roles r ON r.oid = m.grantor
WHERE (m.member = %(oid)s OR m.grantor = %(oid)s OR m.roleid = %(oid)s AND {CAN_ACT})
  AND NOT (m.roleid = %(oid)s AND p.rolname = current_user)
ORDER BY m.grantor <> %(oid)s, 1, 2, 3
"""

#: Whether somebody who has lost one membership in a role has none of another's making.
_LOST = """
SELECT NOT pg_has_role(p.oid, g.oid, 'MEMBER') FROM pg_roles p, pg_roles g
WHERE p.rolname = %s AND g.rolname = %s AND NOT p.rolsuper AND p.rolname <> current_user
"""


@dataclass(frozen=True, slots=True)
class _Left:
    """What an account without sessions still has."""

    borrowers: list[str]
    """Accounts that can act as it, directly or through others: up to version 14 it may lend itself out."""
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
        self._home: Session = sessions.home
        self._request = request
        self._group = request.scope.group
        self._journal = journal
        self._handing_over = HandingOver(sessions, request.heir, journal)
        self._errors: list[str] = []
        self._ended: set[int] = set()
        self._under_way: set[int] = set()

    def run(self) -> Receipt:
        """Take the account away and read the server back. Raises only when nothing is known."""
        found = find(self._home, self._request.principal, self._request.identifier)
        if not found:
            self._attempt(partial(end_strays, self._home, self._end))
        for account in found:
            self._take_away(account)
        oids = [account.oid for account in found]
        followers = replicas.end_sessions(self._sessions, oids, self._journal)
        server_time, findings = read_back(self._sessions, self._request.principal, oids, self._under_way)
        return Receipt(
            principal=self._request.principal,
            server_time=server_time,
            findings=(*findings, *followers.findings),
            handed_over=tuple(self._handing_over.lines),
            errors=(*self._errors, *followers.errors),
            sessions_ended=len(self._ended) + followers.ended,
            not_seen=followers.not_seen,
        )

    def _take_away(self, account: FoundAccount) -> None:
        database = self._home.database
        ending = Ending(self._home, account, self._journal)
        if account.name != self._request.principal:
            self._errors.append(f"{self._request.principal} had been renamed to {account.name}.")
        self._attempt(partial(self._run, statements.block_logins(account.name, database)))
        self._attempt(ending.end_sessions)
        left = self._what_is_left(account)
        for place in left.places:
            self._attempt(partial(self._hand_over, self._handing_over.take_back, account.name, place))
        self._leave_all(account, ending)
        self._attempt(ending.end_logins_under_way)
        for borrower in left.borrowers:
            self._attempt(partial(self._end_loan, ending, borrower))
        self._under_way |= ending.under_way
        self._ended |= ending.ended
        rolled_back = [self._attempt(partial(self._roll_back, account, gid, place)) for gid, place in left.prepared]
        for place in left.places:
            self._attempt(partial(self._hand_over, self._handing_over.from_account, account.name, place))
        for place in left.group_places:
            self._attempt(partial(self._hand_over, self._handing_over.from_group, self._group, place))
        if all(rolled_back):
            # A prepared transaction forgets whose it was when its account goes: then nobody would find it again.
            self._attempt(partial(self._run, statements.drop_account(account.name, database)))
        for borrower in left.borrowers:
            # One that came back while it still was a member of the account, in whose roles it may be.
            self._attempt(partial(ending.end_borrower, borrower))

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

    def _end(self, command: Command) -> None:
        self._ended |= {pid for pid, _ in self._run(command)}

    def _what_is_left(self, account: FoundAccount) -> _Left:
        parameters = {"oid": account.oid, "group": self._group, "name": account.name}
        borrowers, places, group_places, transactions, databases = self._home.rows(_LEFT, parameters)[0]
        home = self._home.database
        return _Left(
            borrowers=borrowers,
            places=list(dict.fromkeys(place or home for place in places)),
            group_places=group_places,
            prepared=list(zip(transactions, databases, strict=True)),
        )

    # --- Memberships

    def _leave_all(self, account: FoundAccount, ending: Ending) -> None:
        """Its own memberships, those it gave to others, and those of others in it."""
        version = self._home.version
        for role, member, grantor, given, may_revoke in self._home.rows(_MEMBERSHIPS, {"oid": account.oid}):
            membership = Membership(role, member, grantor)
            if given:
                self._attempt(partial(self._end_given, ending, account, membership))
            elif may_revoke or version < statements.MEMBERSHIP_OPTIONS_SINCE:
                # From version 16 on one of somebody else's making is his to take back, and ends with the account.
                self._attempt(partial(self._run, statements.leave_granted(membership, self._home.database, version)))

    def _end_given(self, ending: Ending, account: FoundAccount, given: Membership) -> None:
        """The account could pass a role of its own on: what it passed on ends with it, and who got there by it is out."""
        home = self._home
        commands = statements.leave_given(given, account.name, home.database, home.version)
        home.run_together(lambda: commands, self._journal)
        self._errors.append(f"{account.name} had made {given.member} a member of {given.role}: that ended with it.")
        if home.rows(_LOST, [given.member, given.role]) == [(True,)] and (ended := ending.end_borrower(given.member)):
            self._errors.append(f"{ended} session(s) of {given.member} were ended.")

    def _end_loan(self, ending: Ending, borrower: str) -> None:
        """Others may be members of the account, and their sessions may have got to its roles by SET ROLE, for good."""
        if ended := ending.end_borrower(borrower):
            self._errors.append(f"{borrower} was a member of the account: {ended} session(s) of it were ended.")

    # --- What it leaves in the databases

    def _roll_back(self, account: FoundAccount, transaction: str, database: str) -> None:
        """A prepared transaction may be ended by the account that prepared it, and by nobody else but a superuser."""
        session = self._sessions.on(database)
        session.spoil()
        session.run(statements.act_for(account.name, database, session.version), self._journal)
        session.rows(statements.become(account.name))
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


def composed_revoke(target: Target, request: RevokeRequest, database: str) -> list[Command]:
    """What a revocation runs where there is everything to do, for a plan."""
    version = statements.version_told(target.version)
    refuse_foreign(request.principal)
    principal, heir = request.principal, request.heir
    found = [statements.block_logins(principal, database), statements.end_sessions(principal, database)]
    found += [statements.leave(role, principal, database) for role in statements.roles_to_join(request.scope)]
    found += statements.make_heir(heir, database)
    for place in request.scope.databases:
        found.append(statements.act_for(principal, place, version))
        found += planned_giving(principal, heir, place)
        found.append(statements.drop_privileges(principal, place))
    return [*found, statements.drop_account(principal, database)]
