"""Taking an account away, in the order that leaves no way in: disable, end sessions, hand over, drop, read back.

A login is found by its SID and by its name, whatever somebody has called it since, and so are its users, in every database
of the server that is online: somebody may have made more of them than we did. A database that cannot be read is named in
the receipt, which is then not clean.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from connectors.base import Finding, Journal, Receipt, RevokeRequest
from connectors.errors import ConnectorError
from connectors.sqlserver import accounts, ending, group, handing_over, names, reading_back, replicas, statements
from connectors.sqlserver.catalogue import EVERY_DATABASE
from connectors.sqlserver.checking import server_time
from connectors.sqlserver.provisioning import MEMBERSHIPS
from connectors.sqlserver.session import LOST, Session, Sessions
from connectors.sqlserver.statements import Command


@dataclass(slots=True)
class _Revocation:
    """One call, and what it has found so far. Each step goes on where the one before failed."""

    sessions: Sessions
    request: RevokeRequest
    journal: Journal
    sids: list[bytes] = field(default_factory=list)
    databases: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    handed_over: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    @property
    def principal(self) -> str:
        return self.request.principal

    @property
    def home(self) -> Session:
        return self.sessions.home

    def look(self) -> None:
        """The SIDs, and the databases that there are. Raises `ConnectorError`: without them nothing can be proved."""
        self.sids = accounts.sids_of(self.home, self.principal, self.request.identifier)
        for name, state, may_enter in self.home.rows(EVERY_DATABASE):
            if str(state).upper() != "ONLINE":
                self.unreadable.append(f"{name}: it is {str(state).lower()}")
            elif not may_enter:
                self.unreadable.append(f"{name}: Lockgate's account may not enter it")
            else:
                self.databases.append(str(name))

    def disable(self) -> None:
        """No new sessions."""
        with self._going_on():
            for name in self._logins():
                self._run(self.home, statements.disable_login(name, self.home.database))

    def end_sessions(self) -> None:
        """End those that there are."""
        with self._going_on():
            ending.end_sessions(self.home, self.principal, self.sids, self.journal, self.seen)

    def leave(self, database: str) -> None:
        """Take the users out of one database, with all that they have."""
        with self._going_on():
            if users := reading_back.users_in(self.home, database, self.principal, self.sids):
                with self.sessions.visit(database) as session:
                    for user in users:
                        self._take_out(session, user)

    def _take_out(self, session: Session, user: str) -> None:
        with self._going_on():
            self.handed_over += handing_over.hand_over(session, user, self.request.heir, self.journal)
        with self._going_on():
            handing_over.withdraw_granted(session, user, self.journal)
        with self._going_on():
            for role in session.texts(MEMBERSHIPS, user):
                self._run(session, statements.leave(role, user, session.database))
            # Such a server keeps a user who holds anything from being dropped.
            held = [] if session.has_catalogue_of_permissions else group.everything_of(session, user)
            for command in held:
                self._run(session, command)
        with self._going_on():
            handing_over.refuse_executing(session, user)
        self._run(session, statements.drop_user(user, session.database))

    def drop(self) -> None:
        """Drop the login; one that has just got in behind the lock would keep it, so sessions are ended once more."""
        with self._going_on():
            for name in self._logins():
                with self._going_on():
                    self._drop(statements.drop_login(name, self.home.database))

    def _drop(self, drop: Command) -> None:
        try:
            self.home.run(drop, self.journal)
        except LOST:
            raise
        except ConnectorError:
            ending.end_sessions(self.home, self.principal, self.sids, self.journal, self.seen)
            self.home.run(drop, self.journal)

    def _logins(self) -> list[str]:
        """What the account's login is called now."""
        return accounts.names_of(self.home, self.sids)

    def receipt(self) -> Receipt:
        """What the server says now."""
        findings = reading_back.about_server(self.home, self.principal, self.sids)
        for database in self.databases:
            findings += self._about(database)
        return Receipt(
            principal=self.principal,
            server_time=server_time(self.home),
            findings=tuple(findings),
            handed_over=tuple(self.handed_over),
            unreadable=tuple(self.unreadable),
            errors=tuple(self.errors),
            sessions_ended=len(self.seen),
            not_seen=replicas.not_seen(replicas.secondaries(self.home)),
        )

    def _about(self, database: str) -> list[Finding]:
        try:
            finding = reading_back.about_database(self.home, database, self.principal, self.sids)
            if finding is None:
                self.unreadable.append(f"{database}: Lockgate's account may not see its users")
            return [finding] if finding else []
        except LOST:
            raise
        except ConnectorError as error:
            if database in [row[0] for row in self.home.rows(EVERY_DATABASE)]:
                self.unreadable.append(f"{database}: {error}")
            return []  # Dropped meanwhile, with all that was in it.

    def _run(self, session: Session, command: Command) -> None:
        with self._going_on():
            session.run(command, self.journal)

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Keep an error for the receipt and go on, unless it is our own connection that is gone."""
        try:
            yield
        except LOST:
            raise
        except ConnectorError as error:
            self.errors.append(str(error))


def revoke(sessions: Sessions, request: RevokeRequest, journal: Journal) -> Receipt:
    """Take the account away and say what is left; see `Connector.revoke`."""
    names.require_heir(request.heir)
    work = _Revocation(sessions, request, journal)
    work.look()
    work.disable()
    work.end_sessions()
    for database in work.databases:
        work.leave(database)
    # A login that had begun before it was disabled has got in behind it.
    work.end_sessions()
    work.drop()
    work.end_sessions()
    return work.receipt()
