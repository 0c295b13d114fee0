"""Giving what an account has left behind to the heir, database by database, and dropping the privileges it had itself.

The heir owns and may do nothing else. Whatever the account planted (a function that runs with its owner's rights, a
trigger, a default) runs without any right from then on, which is why a heir that could do something is refused; and
nobody runs it unawares, because what is handed over is closed to PUBLIC.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.base import Journal
from connectors.errors import ConnectorError, ServerRefused
from connectors.postgresql import receiving, statements
from connectors.postgresql.failures import UNDEFINED_OBJECT, UNKNOWN_DATABASE, is_collision
from connectors.postgresql.owned import ASK_FOR_DATABASE, Owned, owned_by
from connectors.postgresql.passed_on import passed_on
from connectors.postgresql.session import Session, Sessions
from connectors.postgresql.statements import Command

#: To give to the heir one must have its rights and be able to act as it, which are two things from version 16 on.
_HEIR = """
SELECT r.rolsuper OR r.rolcanlogin OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
    OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid),
  pg_has_role(r.oid, 'USAGE')
    AND pg_has_role(r.oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
FROM pg_roles r WHERE r.rolname = %s
"""

#: Of some schemas (as PostgreSQL quotes them), those in which a role may not create.
_SHUT = """
SELECT n.nspname::text FROM pg_namespace n
WHERE quote_ident(n.nspname) = ANY (%s::text[]) AND NOT has_schema_privilege(%s, n.oid, 'CREATE')
"""

_SHUT_HERE = "SELECT NOT has_database_privilege(%s, current_database(), 'CREATE')"

#: How much of what could not be handed over is named.
_SHOWN_AT_MOST = 20


def planned_giving(role: str, heir: str, database: str) -> list[Command]:
    """What hands over everything that a role owns in a database, the same in a plan as on the server."""
    return [
        receiving.close_to_public(role, database),
        receiving.let_receive(role, heir, database),
        statements.hand_over(role, heir, database),
        receiving.stop_receiving(heir, database),
        receiving.reach(heir, database),
    ]


class HandingOver:
    """What one revocation hands over."""

    def __init__(self, sessions: Sessions, heir: str, journal: Journal) -> None:
        """The heir is made when there is something to inherit, not before."""
        self._sessions = sessions
        self._heir = heir
        self._journal = journal
        self._heir_is_ready = False
        self.lines: list[str] = []
        """What was handed over, for the receipt."""

    def from_account(self, principal: str, database: str) -> None:
        """In one database: everything the account owns goes to the heir, every privilege of its own goes.

        Raises `ConnectorError`; what could be handed over has been then, each thing that could not is named.
        """
        self._hand_over(principal, database, is_account=True)

    def from_group(self, group: str, database: str) -> None:
        """In one database: what members made in the name of the group goes to the heir. Its privileges stay.

        Up to version 15 a member may SET ROLE to the group, and leave a function there that anybody may call and that
        runs with the group's rights for ever.
        """
        self._hand_over(group, database, is_account=False)

    def take_back(self, principal: str, database: str) -> None:
        """In one database: what the account has passed on of columns, as long as it reaches them. Raises `ConnectorError`."""
        session = self._sessions.on(database)
        if not (found := passed_on(session, principal)):
            return
        acting = statements.act_for(principal, database, self._sessions.planned_version)
        ending = [command for each in found for command in each.ending(principal, database)]
        session.run_together(lambda: [acting, *ending, statements.stop_acting_for(principal, database)], self._journal)
        self.lines += [f"{each} in {database}: taken back" for each in found]

    def _hand_over(self, role: str, database: str, *, is_account: bool) -> None:
        session = self._sessions.on(database)
        before = owned_by(session, role)
        if before:
            self._make_ready()
        try:
            session.run_together(lambda: self._at_once(session, role, is_account=is_account), self._journal)
        except ConnectorError as error:
            if session.is_broken or error.transient or error.code == UNKNOWN_DATABASE or not before:
                raise
            self._one_by_one(session, role, error, is_account=is_account)
        else:
            self._tell(before, database)

    def _tell(self, given: Sequence[Owned], database: str) -> None:
        self.lines += [f"{each} in {database}: now owned by {self._heir}" for each in given]

    def _at_once(self, session: Session, role: str, *, is_account: bool) -> list[Command]:
        giving = planned_giving(role, self._heir, session.database) if owned_by(session, role) else []
        acting = statements.act_for(role, session.database, self._sessions.planned_version)
        if is_account:
            # In the same transaction: had the handing over failed, this would drop what the account owns.
            return [acting, *giving, statements.drop_privileges(role, session.database)]
        return [acting, *giving, statements.stop_acting_for(role, session.database)] if giving else []

    def _receiving(
        self, session: Session, owned: Sequence[Owned], *, singly: bool = False
    ) -> tuple[list[Command], list[Command]]:
        """What lets the heir receive these things, and the end of it: ALTER asks for more than REASSIGN does."""
        database = session.database
        schemas = sorted({each.schema for each in owned if each.schema and (singly or not each.takes_any_owner)})
        shut = [row[0] for row in session.rows(_SHUT, [schemas, self._heir])] if schemas else []
        letting = [statements.let_receive(schema, self._heir, database) for schema in shut]
        stopping = [statements.stop_receiving(schema, self._heir, database) for schema in shut]
        if any(each.kind in ASK_FOR_DATABASE for each in owned) and session.rows(_SHUT_HERE, [self._heir]) == [(True,)]:
            letting.append(statements.let_receive_here(self._heir, database))
            stopping.append(statements.stop_receiving_here(self._heir, database))
        return letting, stopping

    # --- Where the whole cannot be had at once

    def _one_by_one(self, session: Session, role: str, error: ConnectorError, *, is_account: bool) -> None:
        """Each thing for itself, so that one that cannot be handed over keeps no other back."""
        before = owned_by(session, role)
        refused: dict[str, ConnectorError] = {}
        for each in before:
            if each.follows:
                continue
            try:
                self._give_one(session, role, each)
            except ConnectorError as refusal:
                if session.is_broken or is_collision(refusal):
                    raise
                # What another database holds, as a subscription, is there all the same: then the first words count.
                refused[str(each)] = error if refusal.code == UNDEFINED_OBJECT else refusal
        session.run_together(lambda: [receiving.reach(self._heir, session.database)], self._journal)
        left = owned_by(session, role)
        kept = {str(each) for each in left}
        self._tell([each for each in before if str(each) not in kept], session.database)
        if left:
            raise self._refusal(left, refused, error, session.database)
        if is_account:
            dropping = statements.drop_privileges(role, session.database)
            acting = statements.act_for(role, session.database, session.version)
            session.run_together(lambda: [acting, dropping], self._journal)

    def _give_one(self, session: Session, role: str, each: Owned) -> None:
        """One thing, in a transaction of its own."""
        database = session.database
        letting, stopping = self._receiving(session, [each], singly=True)
        commands = [
            statements.act_for(role, database, session.version),
            *each.closing(database),
            *letting,
            each.giving(self._heir, database),
            *stopping,
            statements.stop_acting_for(role, database),
        ]
        session.run_together(lambda: commands, self._journal)

    def _refusal(
        self, left: Sequence[Owned], refused: dict[str, ConnectorError], error: ConnectorError, database: str
    ) -> ConnectorError:
        told = []
        left = [each for each in left if not each.follows] or left
        for each in left[:_SHOWN_AT_MOST]:
            why = refused.get(str(each), error)
            told.append(f"{each}: {why.detail}. What helps: {each.remedy(self._heir, database)}.")
        if len(left) > _SHOWN_AT_MOST:
            told.append(f"and {len(left) - _SHOWN_AT_MOST} more.")
        words = f"In database {database} not everything could be handed over. {' '.join(told)}"
        # An event trigger that stops one statement stops the others too: its class says what to do about it.
        cause = next(iter(refused.values()), error)
        refusal = type(cause)(words, code=cause.code, likely=cause.likely)
        refusal.__cause__ = cause.__cause__
        return refusal

    # --- The heir

    def _make_ready(self) -> None:
        if self._heir_is_ready:
            return
        home = self._sessions.home
        home.run_together(lambda: self._heir_commands(home), self._journal)
        self._heir_is_ready = True

    def _heir_commands(self, home: Session) -> list[Command]:
        making, belonging = statements.make_heir(self._heir, home.database)
        found = home.rows(_HEIR, [self._heir])
        if not found:
            return [making, belonging]
        is_privileged, is_ours = found[0]
        if is_privileged:
            raise ServerRefused(f"Nothing was handed over: {self._heir} can do something, and a heir must not.")
        return [] if is_ours else [belonging]
