"""Taking an account away, in the order that leaves no way in: lock, end sessions, hand over, drop, read back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from connectors.base import Finding, Journal, Receipt, RevokeRequest, Target
from connectors.errors import ConnectorError
from connectors.mariadb import catalogue, ending, handing_over, names, prepared, reading_back, replicas, statements
from connectors.mariadb.ending import Ended
from connectors.mariadb.handing_over import HandedOver
from connectors.mariadb.prepared import Prepared
from connectors.mariadb.replicas import Followers
from connectors.mariadb.session import LOST, Session, require_mariadb
from connectors.mariadb.statements import Command

_MEMBERSHIPS = "SELECT Host, Role FROM mysql.roles_mapping WHERE User = %s AND Host <> ''"
_OWN_ROLE = "SELECT 1 FROM mysql.global_priv WHERE User = %s AND Host = ''"
_HOSTS = """
    SELECT Host FROM mysql.global_priv
    WHERE User = %s AND COALESCE(JSON_VALUE(Priv, '$.is_role'), 0) = 0 ORDER BY Host
"""


#: How long the sessions of an account may go on because it cannot be locked.
_LOCK_SECONDS = 2.0


@dataclass(slots=True)
class _Revocation:
    """One call, and what it has found so far. Each step goes on where the one before failed."""

    target: Target
    session: Session
    request: RevokeRequest
    journal: Journal
    handed_over: HandedOver = field(default_factory=HandedOver)
    errors: list[str] = field(default_factory=list)
    ended: Ended = field(default_factory=Ended)
    other_names: list[str] = field(default_factory=list)
    """What somebody has called the account, whose sessions go by that name still."""
    prepared: Prepared = field(default_factory=Prepared)
    followers: Followers = field(default_factory=Followers)
    not_seen: list[str] = field(default_factory=list)

    @property
    def principal(self) -> str:
        return self.request.principal

    def restore_name(self) -> None:
        """Undo what somebody has renamed the account to: by its own name it is found by every step from here on."""
        with self._going_on():
            for other in catalogue.renamed(self.session, self.principal):
                self.other_names.append(other.name)
                is_taken = names.ACCOUNT_HOST in hosts_of(self.session, self.principal)
                undo = statements.drop_account(other.name, other.host)
                if not is_taken:
                    undo = statements.rename_back(other.name, other.host, self.principal)
                self._run(undo)
            # An account of that name that was there before, on another host, has sessions that nobody asked to end.
            self.other_names = [name for name in self.other_names if not hosts_of(self.session, name)]

    def note_prepared(self) -> None:
        """While its sessions live, the server tells which transactions are the account's."""
        with self._going_on():
            self.prepared = prepared.note(self.session, [self.principal, *self.other_names])

    def end_prepared(self) -> None:
        """Roll back what its sessions have prepared."""
        with self._going_on():
            prepared.end(self.session, self.prepared, self.journal)
        if self.prepared.left:
            with self._going_on():
                prepared.remember(self.session, self.principal, self.prepared, self.journal)

    def lock(self) -> None:
        """No new logins, from any host.

        A backup (FLUSH TABLES WITH READ LOCK) may hold the account tables for long: then who is in is put out first.
        """
        patience = self.target.statement_timeout.total_seconds()
        with self._going_on():
            self.session.rows(f"SET SESSION max_statement_time = {min(_LOCK_SECONDS, patience)}")
            try:
                in_the_way = [host for host in hosts_of(self.session, self.principal) if not self._is_locked(host)]
            finally:
                if not self.session.is_broken:
                    self.session.rows(f"SET SESSION max_statement_time = {patience}")
            if in_the_way:
                self.end_sessions()
            for host in in_the_way:
                self._run(statements.lock_account(self.principal, host))

    def _is_locked(self, host: str) -> bool:
        """Whether the account could be locked at once."""
        try:
            self.session.run(statements.lock_account(self.principal, host), self.journal)
        except ConnectorError as error:
            if not error.transient:
                raise
            return False
        return True

    def end_sessions(self) -> None:
        """End what the process list shows."""
        with self._going_on():
            for name in (self.principal, *self.other_names):
                ended = ending.end_sessions(self.session, name, self.journal)
                self.ended.seen |= ended.seen

    def find_hidden_sessions(self) -> None:
        """See whether anything is left that the process list does not show."""
        with self._going_on():
            ending.find_hidden(self.session, self.target, self.principal, self.ended, self.journal)

    def hand_over(self) -> None:
        """Take the account out of everything that would run with its rights."""
        # Whatever goes wrong from here on, it has not been shown that nothing is left.
        self.handed_over.waiting = ["not looked for yet"]
        with self._going_on():
            found = handing_over.defined_by(self.session, self.principal)
            self.handed_over.waiting = [one.label for one in found]
            if found:
                self.handed_over = handing_over.hand_over(self.target, found, self.request.heir, self.journal)
                self.errors += self.handed_over.errors

    def drop_elsewhere(self) -> None:
        """Drop accounts of this name that are not ours: from where we are, one of them might be let in instead."""
        with self._going_on():
            for host in hosts_of(self.session, self.principal):
                if host != names.ACCOUNT_HOST:
                    self._run(statements.drop_account(self.principal, host))

    def leave_roles(self) -> None:
        """End each membership, whatever the scope says by now."""
        with self._going_on():
            for host, role in self.session.rows(_MEMBERSHIPS, self.principal):
                self._run(statements.leave_role(self.principal, role, host))

    def drop(self) -> None:
        """Drop the account on every host, its role, and at last its switch, which would finish what we leave undone.

        While a session is left the account stays, locked: the next call counts by its name.
        """
        if self.ended.hidden:
            self.errors.append(f"The account stays until its sessions are gone: {self.ended.hidden}.")
            return
        if self.prepared.left:
            self.errors.append("The account stays until the transactions are ended that it has prepared.")
            return
        with self._going_on():
            for host in hosts_of(self.session, self.principal):
                self._run(statements.drop_account(self.principal, host))
            if self.session.rows(_OWN_ROLE, names.own_role_name(self.principal)):
                self._run(statements.drop_own_role(self.principal))
            if not hosts_of(self.session, self.principal):
                self._drop_switch()

    def _drop_switch(self) -> None:
        """A server that was started without a scheduler keeps what it has, and does nothing with it."""
        if not self.session.rows(reading_back.SWITCH, names.OWN_SCHEMA, names.switch_name(self.principal)):
            return
        if reading_back.has_no_scheduler(self.session):
            self.not_seen.append(
                "The switch of the account stays on the server, which was started with event_scheduler=DISABLED: it never"
                " runs there, and finds no account once the server is started without that."
            )
        else:
            self._run(statements.drop_switch(self.principal))

    def end_elsewhere(self) -> None:
        """The same on the servers that follow this one."""
        with self._going_on():
            known = [self.principal, *self.other_names]
            self.followers = replicas.end_sessions(self.target, self.session, known, self.journal)

    def receipt(self) -> Receipt:
        """What the server says now."""
        findings = reading_back.findings(self.session, self.principal)
        return Receipt(
            principal=self.principal,
            server_time=reading_back.server_time(self.session),
            findings=(
                *findings,
                self.ended.finding(),
                self.prepared.finding(),
                self._waiting(),
                *self.followers.findings,
                *self._under_others(),
            ),
            handed_over=(*self.prepared.told, *self.handed_over.told),
            errors=tuple(self.errors),
            sessions_ended=self.ended.count + self.followers.ended,
            not_seen=(*self.not_seen, *self.prepared.unseen, *self.followers.unseen),
        )

    def _under_others(self) -> list[Finding]:
        """Sessions that began while the account had another name go by that."""
        return [
            Finding(
                f"sessions of the account while it was called {name}",
                reading_back.shown(ending.SHOWN, name, name),
                tuple(ending.sessions_left(self.session, name)),
            )
            for name in self.other_names
        ]

    def _waiting(self) -> Finding:
        question = "what the account defined and has not been handed over yet"
        return Finding(question, handing_over.question(self.principal), tuple(self.handed_over.waiting))

    def _run(self, command: Command) -> None:
        with self._going_on():
            self.session.run(command, self.journal)

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Keep an error for the receipt and go on, unless it is our own connection that is gone."""
        try:
            yield
        except LOST:
            raise
        except ConnectorError as error:
            self.errors.append(str(error))


def revoke(target: Target, session: Session, request: RevokeRequest, journal: Journal) -> Receipt:
    """Take the account away and say what is left; see `Connector.revoke`."""
    names.role(request.heir)
    require_mariadb(session)
    work = _Revocation(target, session, request, journal)
    work.restore_name()
    work.note_prepared()
    work.lock()
    work.end_sessions()
    work.drop_elsewhere()
    work.leave_roles()
    # A login that had begun before the lock has got in behind it; one that gets in from here on has no privilege.
    work.end_sessions()
    work.find_hidden_sessions()
    work.end_prepared()
    work.hand_over()
    work.drop()
    # Whatever had begun before: such a login, or an event that was at work when it was switched off.
    work.end_sessions()
    work.end_elsewhere()
    return work.receipt()


def hosts_of(session: Session, principal: str) -> list[str]:
    """Every host for which there is an account of this name; somebody may have made more than ours."""
    return session.texts(_HOSTS, principal)
