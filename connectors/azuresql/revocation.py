"""Taking an account away, one database after another: block, end sessions, hand over, drop, forget, read back.

Each database stands for itself: it is done and read as if there were no other, and one that cannot be entered within the
deadline of the step is named in the receipt, which is then not clean.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from connectors.azuresql import accounts, catalogue, own_identity, statements
from connectors.azuresql.accounts import USERS
from connectors.azuresql.ending import SESSIONS, Ending, asked, sessions_left
from connectors.azuresql.own_identity import Marked
from connectors.azuresql.retrying import Retrying, is_transient
from connectors.base import Finding, Journal, Receipt, RevokeRequest
from connectors.errors import ConnectorError
from connectors.sqlserver import handing_over, names, replicas
from connectors.sqlserver import statements as shared
from connectors.sqlserver.checking import server_time
from connectors.sqlserver.reading_back import shown
from connectors.sqlserver.session import DEFAULT_DATABASE, LOST, Session, Sessions
from connectors.sqlserver.statements import Command

MARKS = "SELECT name FROM sys.extended_properties WHERE class = 4 AND name = %s"
#: A catalog that shows us only a part answers with nothing as readily as one that has nothing.
_SEES_ALL = (
    "SELECT HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DEFINITION'),"
    " HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DATABASE STATE')"
)


@dataclass(slots=True)
class Revocation:
    """One call, and what it has found so far. Each step goes on where the one before failed."""

    sessions: Sessions
    request: RevokeRequest
    journal: Journal
    retrying: Retrying
    ending: Ending
    findings: list[Finding] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    handed_over: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    not_seen: list[str] = field(default_factory=list)
    users: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """By database, what the account's users were called there, with their SIDs."""

    def run(self) -> Receipt:
        """Take the account away and say what is left; see `Connector.revoke`."""
        names.require_heir(self.request.heir)
        for database in self._databases():
            self._in_database(database)
        return Receipt(
            principal=self.request.principal,
            server_time=self._server_time(),
            findings=tuple(self.findings),
            handed_over=tuple(self.handed_over),
            unreadable=tuple(self.unreadable),
            errors=tuple(self.errors),
            sessions_ended=len(self.ending.seen),
            not_seen=tuple(dict.fromkeys(self.not_seen)),
        )

    def _databases(self) -> list[str]:
        """Every one of the server, as far as we can know. Raises `ConnectorError`: without them nothing can be proved."""
        there = self.retrying.insist(lambda: catalogue.databases(self.sessions))
        if self.sessions.home.database != DEFAULT_DATABASE:
            # Here only the one at hand is known; the others of the grant are entered by name.
            return list(dict.fromkeys([*there, *self.request.scope.databases]))
        for name, state in self.retrying.insist(lambda: self.sessions.home.rows(catalogue.OFFLINE)):
            self.unreadable.append(f"{name}: it is {str(state).lower()}")
        return there

    def _server_time(self) -> datetime:
        return self.retrying.insist(lambda: server_time(self.sessions.home))

    def _in_database(self, database: str) -> None:
        """Take away and read back, as one step that is tried again from its begin when it meets a passing error."""
        try:
            self.findings += self.retrying.insist(partial(self._once_in, database))
        except ConnectorError as error:
            self.unreadable.append(f"{database}: {error}")

    def _once_in(self, database: str) -> list[Finding]:
        with self.sessions.visit(database) as session:
            if not all(answer == 1 for answer in session.rows(_SEES_ALL)[0]):
                self.unreadable.append(f"{database}: Lockgate's account may not see its users and their sessions")
            self._take_out_account(session)
            for one in own_identity.marked(session, self.request.principal):
                self._take_out_person(session, one)
            self.not_seen += replicas.not_seen(replicas.geo_replicas(session))
            return self._read_back(session)

    # --- An account with a password

    def _take_out_account(self, session: Session) -> None:
        database = session.database
        for user in accounts.users_of(session, self.request.principal, self.request.identifier):
            self.users.setdefault(database, {})[user.name] = user.sid
            self._run(session, statements.block(user.name, database))
            self._run(session, statements.flush(database))
            self._end(session, user.name, user.sid)
            self._drop(session, user.name)
            self._run(session, statements.flush(database))
        # Dropped before, or a login that had begun before the block has got in behind it: who was in, still is.
        for name, sid in self._known_in(database):
            self._end(session, name, sid)

    def _known_in(self, database: str) -> list[tuple[str, bytes]]:
        """What sessions of the account go by: its own name, and what else it was called."""
        known = {self.request.principal: b""} | self.users.get(database, {})
        return sorted(known.items())

    def _drop(self, session: Session, user: str) -> None:
        with self._going_on():
            self.handed_over += handing_over.hand_over(session, user, self.request.heir, self.journal)
        with self._going_on():
            handing_over.withdraw_granted(session, user, self.journal)
        with self._going_on():
            handing_over.refuse_executing(session, user)
        self._run(session, shared.drop_user(user, session.database))

    # --- A person's own identity

    def _take_out_person(self, session: Session, one: Marked) -> None:
        principal, database = self.request.principal, session.database
        held = own_identity.roles_of(session, one.person)
        for role in one.roles:
            if role in held and role not in one.roles_of_others:
                self._run(session, shared.leave(role, one.person, database))
        self._run(session, statements.flush(database))
        self._end(session, one.person)
        if one.goes:
            self._drop(session, one.person)
            self._run(session, statements.flush(database))
            self._end(session, one.person)
        if session.rows(MARKS, principal) and not self._still_in(session, one):
            # Last of all: while it stands, the next call knows what is to be done.
            self._run(session, statements.unmark(principal, one.person, database))

    def _still_in(self, session: Session, one: Marked) -> bool:
        held = set(own_identity.roles_of(session, one.person))
        return bool(held & (set(one.roles) - set(one.roles_of_others)))

    # --- Pieces

    def _read_back(self, session: Session) -> list[Finding]:
        principal, database = self.request.principal, session.database
        wanted = accounts.parameters(principal, self.request.identifier)
        users = tuple(f"user {row[0]}" for row in session.rows(USERS, *wanted))
        marks = tuple(f"grant {row[0]} on a person's own user" for row in session.rows(MARKS, principal))
        question = "the user: without one it owns, is granted and is a member of nothing"
        in_roles = "roles that a person's own user has by this grant"
        return [
            Finding(question, shown(USERS, *wanted), users, database),
            *(
                Finding(
                    "sessions of the user",
                    shown(SESSIONS, *asked(name, sid)),
                    sessions_left(session, name, sid),
                    database,
                )
                for name, sid in self._known_in(database)
            ),
            Finding(in_roles, shown(MARKS, principal), marks, database),
        ]

    def _end(self, session: Session, user: str, sid: bytes = b"") -> None:
        with self._going_on():
            self.ending.end(session, user, sid)

    def _run(self, session: Session, command: Command) -> None:
        with self._going_on():
            session.run(command, self.journal)

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Keep an error for the receipt and go on, unless the step is to be tried again as a whole."""
        try:
            yield
        except LOST:
            raise
        except ConnectorError as error:
            if is_transient(error):
                raise
            self.errors.append(str(error))
