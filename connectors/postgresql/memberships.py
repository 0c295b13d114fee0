"""What an account is a member of: what it may join, and what somebody else has made it a member of besides.

From version 16 on, every membership belongs to who granted it, and two of them may stand side by side: taking back our
own is then no more than a warning that changes nothing. So what an account is a member of is read, whoever granted it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.base import Level, Scope
from connectors.errors import GrantedByOthers, ServerRefused
from connectors.postgresql import statements
from connectors.postgresql.session import Session
from connectors.postgresql.statements import MEMBERSHIP_OPTIONS_SINCE, Command, command
from connectors.quoting import postgresql_name as name

#: Which of some roles lead, directly or through others, to rights that nobody gets from Lockgate: those of a superuser
#: (PostgreSQL counts the server's files and programs among them), of making roles or replicating, which outlive the
#: account, and of Lockgate itself, its heir, its groups and its accounts. Being allowed to pass a role on is enough.
_SUPERIOR = """
SELECT j.rolname::text, string_agg(s.rolname::text, ', ' ORDER BY s.rolname::text)
FROM pg_roles j JOIN pg_roles s ON s.oid = j.oid OR NOT j.rolsuper AND pg_has_role(j.oid, s.oid, 'MEMBER')
WHERE j.rolname = ANY (%s::text[]) AND (
  s.rolsuper OR s.rolcreaterole OR s.rolreplication OR s.rolname = current_user OR s.rolname ~ '^(lg|lockgate)_'
  OR s.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'))
GROUP BY j.rolname ORDER BY j.rolname
"""

#: Memberships of an account that the scope does not explain: in other roles, or with the right to pass one on, or, in a
#: group of ours, to act as it. `to_jsonb` gives the options that the version at hand has.
_STRAYS = """
SELECT r.rolname::text, coalesce(pg_get_userbyid(m.grantor)::text, ''),
  NOT r.rolsuper AND (current_setting('server_version_num')::int < %(options_since)s
    OR pg_has_role(m.grantor, 'USAGE') AND pg_has_role(r.oid, 'USAGE WITH ADMIN OPTION'))
FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles p ON p.oid = m.member
WHERE p.rolname = %(principal)s AND (NOT r.rolname = ANY (%(wanted)s::text[]) OR m.admin_option
  OR %(is_group)s AND coalesce((to_jsonb(m) ->> 'set_option')::bool, false))
ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Stray:
    """A membership that no scope explains."""

    role: str
    member: str
    grantor: str
    may_take: bool
    """Whether it is ours to take away."""

    def revoked(self, version: int) -> str:
        """The statement that takes it away, for us or for whoever granted it."""
        plainly = f"REVOKE {name(self.role)} FROM {name(self.member)}"
        return plainly if version < MEMBERSHIP_OPTIONS_SINCE else f"{plainly} GRANTED BY {name(self.grantor)} CASCADE"


def refuse_superior(home: Session, roles: Sequence[str]) -> None:
    """Raise `ServerRefused`, naming each role that nobody joins and what it leads to."""
    if found := home.rows(_SUPERIOR, [list(roles)]):
        named = ", ".join(role if role == leads_to else f"{role} (through {leads_to})" for role, leads_to in found)
        raise ServerRefused(
            "Nobody joins a role that is or leads to a superuser, to making roles or replicating, to the server's files and"
            f" programs, or to Lockgate's own roles: {named}. Take it out of the access role."
        )


def strays(home: Session, principal: str, scope: Scope) -> list[Stray]:
    """What the account is a member of, or how, beyond the scope. Nothing where there is no such account."""
    asked = {
        "principal": principal,
        "wanted": list(statements.roles_to_join(scope)),
        "is_group": scope.level is not Level.MEMBER,
        "options_since": MEMBERSHIP_OPTIONS_SINCE,
    }
    return [Stray(role, principal, grantor, may_take) for role, grantor, may_take in home.rows(_STRAYS, asked)]


def end_strays(home: Session, found: Sequence[Stray], version: int) -> list[Command]:
    """What takes them away. Raises `GrantedByOthers` where one is not ours to take."""
    refuse_to_keep([each for each in found if not each.may_take], version)
    note = "No access role gives this membership."
    return [command(each.revoked(version), home.database, note) for each in found]


def refuse_to_keep(found: Sequence[Stray], version: int) -> None:
    """Raise `GrantedByOthers`, with the statement for whoever can take each of them away."""
    if found:
        named = "; ".join(
            f"{each.member} is a member of {each.role}, granted by {each.grantor} (as {each.grantor}: {each.revoked(version)};)"
            for each in found
        )
        raise GrantedByOthers(f"{named}.")
