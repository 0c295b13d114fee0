"""Giving what an account has left behind to the heir, database by database, and dropping the privileges it had itself.

The heir owns and may do nothing else. Whatever the account planted (a function that runs with its owner's rights, a
trigger, a default) runs without any right from then on, which is why a heir that could do something is refused.
"""

from __future__ import annotations

from connectors.base import Journal
from connectors.errors import ServerRefused
from connectors.postgresql import statements
from connectors.postgresql.session import Session, Sessions
from connectors.postgresql.statements import Command

_HEIR = """
SELECT r.rolsuper OR r.rolcanlogin OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
    OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid),
  pg_has_role(r.oid, 'USAGE')
FROM pg_roles r WHERE r.rolname = %s
"""

#: What a role owns in the database at hand, and on the server as a whole. Default privileges and user mappings belong
#: to their role alone: they end with it.
_OWNED = """
SELECT i.type, i.identity, i.schema, d.classid IN ('pg_class'::regclass, 'pg_type'::regclass)
FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
  CROSS JOIN pg_identify_object(d.classid, d.objid, d.objsubid) i
WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o' AND r.rolname = %s
  AND d.classid NOT IN ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass)
  AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
ORDER BY i.type, i.identity
"""

#: Of some schemas (as PostgreSQL quotes them), those in which a role may not create.
_SHUT = """
SELECT n.nspname::text FROM pg_namespace n
WHERE quote_ident(n.nspname) = ANY (%s::text[]) AND NOT has_schema_privilege(%s, n.oid, 'CREATE')
"""


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
        """In one database: everything the account owns goes to the heir, every privilege of its own goes."""
        self._hand_over(principal, database, is_account=True)

    def from_group(self, group: str, database: str) -> None:
        """In one database: what members made in the name of the group goes to the heir. Its privileges stay.

        Up to version 15 a member may SET ROLE to the group, and leave a function there that anybody may call and that
        runs with the group's rights for ever.
        """
        self._hand_over(group, database, is_account=False)

    def _hand_over(self, role: str, database: str, *, is_account: bool) -> None:
        session = self._sessions.on(database)
        if session.rows(_OWNED, [role]):
            self._make_ready()
        handed: list[str] = []

        def commands() -> list[Command]:
            handed.clear()
            return self._commands(session, role, handed, is_account=is_account)

        session.run_together(commands, self._journal)
        self.lines += handed

    def _commands(self, session: Session, role: str, handed: list[str], *, is_account: bool) -> list[Command]:
        database = session.database
        owned = session.rows(_OWNED, [role])
        handed += [f"{kind} {identity} in {database}: now owned by {self._heir}" for kind, identity, _, _ in owned]
        giving: list[Command] = []
        if owned:
            schemas = sorted({schema for _, _, schema, takes_any_owner in owned if schema and not takes_any_owner})
            shut = [row[0] for row in session.rows(_SHUT, [schemas, self._heir])] if schemas else []
            giving += [statements.let_receive(schema, self._heir, database) for schema in shut]
            giving.append(statements.hand_over(role, self._heir, database))
            giving += [statements.stop_receiving(schema, self._heir, database) for schema in shut]
        acting = statements.act_for(role, database)
        if is_account:
            # In the same transaction: had the handing over failed, this would drop what the account owns.
            return [acting, *giving, statements.drop_privileges(role, database)]
        return [acting, *giving, statements.stop_acting_for(role, database)] if owned else []

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
