"""Access with a person's own identity: their user of Entra ID is in the group's role for the window, and not after it.

What a grant did is written on the user itself, as an extended property of the grant's name, in the same transaction. So
the end of a grant finds what to undo on the server alone, two grants of one person know of each other, and a user
that was there before is told from one that came with us.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.azuresql import statements
from connectors.base import PRINCIPAL_PREFIX, Journal, ProvisionRequest
from connectors.errors import PrincipalCannotLogIn
from connectors.quoting import sqlserver_text
from connectors.sqlserver import statements as shared
from connectors.sqlserver.session import Session

_USER = "SELECT type FROM sys.database_principals WHERE name = %s AND type IN ('E', 'X')"
#: Every mark on users in this database: who, the mark, and the roles.
MARKS = (
    "SELECT u.name, e.name, CAST(e.value AS nvarchar(4000)) FROM sys.extended_properties AS e"
    " JOIN sys.database_principals AS u ON u.principal_id = e.major_id WHERE e.class = 4"
    f" AND (LEFT(e.name, {len(PRINCIPAL_PREFIX)}) = {sqlserver_text(PRINCIPAL_PREFIX)}"
    f" OR e.name = {sqlserver_text(statements.MADE_BY_US)})"
)
_ROLES = """
SELECT r.name FROM sys.database_role_members AS m
JOIN sys.database_principals AS r ON r.principal_id = m.role_principal_id
JOIN sys.database_principals AS u ON u.principal_id = m.member_principal_id
WHERE u.name = %s
"""


@dataclass(frozen=True, slots=True)
class Marked:
    """What is written on the users of a database, about one grant."""

    person: str
    roles: tuple[str, ...]
    """The roles that this grant put the person into."""
    roles_of_others: tuple[str, ...]
    """Those that the person has by other grants, and keeps."""
    is_last: bool
    was_made_by_us: bool

    @property
    def goes(self) -> bool:
        """Whether the user itself is dropped with this grant."""
        return self.was_made_by_us and self.is_last


def admit(session: Session, request: ProvisionRequest, journal: Journal) -> None:
    """Put the person's own user into the roles, making it where it is missing."""
    person, database = request.identity, session.database
    roles = shared.roles_to_join(request.scope)
    exists = bool(session.rows(_USER, person))
    before = marked(session, request.principal)
    with session.transaction():
        if not exists:
            session.run(statements.create_external_user(person, database), journal)
            session.run(statements.mark_made(person, database), journal)
        for other in before:
            session.run(statements.unmark(request.principal, other.person, database), journal)
        session.run(statements.mark(request.principal, person, roles, database), journal)
        for other in before:
            # A repeated call may come with another scope, or for another person: what was approved last counts.
            for role in sorted(
                {*other.roles} - {*other.roles_of_others} - ({*roles} if other.person == person else set())
            ):
                session.run(shared.leave(role, other.person, database), journal)
        for role in roles:
            session.run(shared.join(role, person, database), journal)


def prove(session: Session, request: ProvisionRequest) -> None:
    """Nobody but the person can log in as the person; that the user is there and in its roles is read instead."""
    lacking = set(shared.roles_to_join(request.scope)) - {str(row[0]) for row in session.rows(_ROLES, request.identity)}
    if lacking or not session.rows(_USER, request.identity):
        told = ", ".join(sorted(lacking)) or request.identity
        raise PrincipalCannotLogIn(f"In database {session.database} the person's user is not in: {told}.")


def marked(session: Session, principal: str) -> list[Marked]:
    """Every user of the database that the grant has changed: one, unless somebody meddled."""
    rows = [(str(person), str(name), str(value)) for person, name, value in session.rows(MARKS)]
    return [_marked(rows, person, principal, value) for person, name, value in rows if name == principal]


def roles_of(session: Session, person: str) -> list[str]:
    """The roles that the person's user is in now."""
    return [str(row[0]) for row in session.rows(_ROLES, person)]


def _marked(rows: Sequence[tuple[str, str, str]], person: str, principal: str, value: str) -> Marked:
    of_person = {name: text for who, name, text in rows if who == person}
    others = [text for name, text in of_person.items() if name not in (principal, statements.MADE_BY_US)]
    return Marked(
        person=person,
        roles=tuple(json.loads(value)),
        roles_of_others=tuple(role for text in others for role in json.loads(text)),
        is_last=not others,
        was_made_by_us=statements.MADE_BY_US in of_person,
    )
