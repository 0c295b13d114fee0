"""What Lockgate's own account may do on the server as a whole, and the line that gives it what it lacks.

From PostgreSQL 16 on, CREATEROLE reaches only the roles that one has made. An upgrade, a dump and restore and a new account for
Lockgate all leave its groups and accounts without it: then nothing can be granted or revoked, and nothing else shows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from connectors.base import Level, Remedy, Scope
from connectors.postgresql.group_privileges import is_accounts
from connectors.postgresql.session import Session
from connectors.postgresql.setup import DEFAULT_HEIR
from connectors.quoting import postgresql_name as name

#: From this version on a role can be administered only with ADMIN on it, and a membership says whether it is inherited.
ADMIN_SINCE = 160000

_OURSELVES = """
SELECT current_user::text, current_setting('server_version_num')::int, r.rolsuper, r.rolcreaterole, r.rolinherit,
  pg_has_role(current_user, 'pg_signal_backend', 'USAGE'),
  coalesce((SELECT pg_has_role(current_user, p.oid, 'USAGE') FROM pg_roles p
            WHERE p.rolname = 'pg_use_reserved_connections'), true),
  coalesce((SELECT setting::int FROM pg_settings WHERE name = 'reserved_connections'), 0),
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - coalesce((SELECT setting::int FROM pg_settings WHERE name = 'reserved_connections'), 0)
    - (SELECT count(*)::int FROM pg_stat_activity WHERE usesysid IS NOT NULL AND datid IS NOT NULL)
FROM pg_roles r WHERE r.rolname = current_user
"""

_HEIR = """
SELECT r.rolsuper OR r.rolcanlogin OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls,
  ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid),
  pg_has_role(r.oid, 'USAGE') AND pg_has_role(r.oid, %(acted_as)s),
  EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid AND m.admin_option AND pg_has_role(m.member, 'USAGE'))
FROM pg_roles r WHERE r.rolname = %(heir)s
"""

#: Groups and accounts of ours, and roles that access roles join, that are not ours to administer; ours first.
_WITHOUT_ADMIN = f"""
SELECT r.rolname::text, r.rolname ~ '^(lg|lockgate)_' OR {is_accounts("r.oid")} FROM pg_roles r
WHERE NOT r.rolsuper AND r.rolname <> current_user AND r.rolname <> %(heir)s
  AND ({is_accounts("r.oid")} OR r.rolname ~ '^lockgate_' AND NOT r.rolcanlogin OR r.rolname = ANY (%(joined)s::text[])
       OR r.rolname !~ '^pg_' AND EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles a ON a.oid = m.member
                                          WHERE m.roleid = r.oid AND {is_accounts("a.oid")}))
  AND NOT EXISTS (SELECT FROM pg_auth_members m
                  WHERE m.roleid = r.oid AND m.admin_option AND pg_has_role(m.member, 'USAGE'))
ORDER BY 2 DESC, 1
"""

#: How many roles one line names. Beyond that, part 1 of the setup SQL does the same.
_NAMED_AT_MOST = 50
#: How many connections one grant takes at the same time.
_CONNECTIONS_OF_A_GRANT = 2


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """Our own account, as the server sees it."""

    user: str
    version: int
    is_superuser: bool
    creates_roles: bool
    inherits: bool
    may_signal: bool
    may_use_reserved: bool
    reserved: int
    free_connections: int

    @property
    def with_inherit(self) -> str:
        """What a GRANT says from version 16 on, lest it follow an account that does not inherit."""
        return " WITH INHERIT TRUE" if self.version >= ADMIN_SINCE else ""


def own_account(home: Session) -> OwnAccount:
    """Read it. Raises `ConnectorError`."""
    return OwnAccount(*home.rows(_OURSELVES)[0])


def about_account(home: Session, us: OwnAccount, scopes: Iterable[Scope]) -> list[Remedy]:
    """All that is lacking on the server as a whole, worst first."""
    found = (
        [] if us.is_superuser else [*_about_attributes(us), *_about_memberships(us), *_about_admin(home, us, scopes)]
    )
    return [*found, *_about_heir(home, us), *_about_connections(us)]


def _about_attributes(us: OwnAccount) -> list[Remedy]:
    found = []
    if not us.creates_roles:
        problem = "Lockgate's account may not make accounts (CREATEROLE). As a superuser, run:"
        found.append(Remedy(problem, f"ALTER ROLE {name(us.user)} CREATEROLE;"))
    if not us.inherits and us.version < ADMIN_SINCE:  # From then on each membership says it for itself.
        problem = (
            "Lockgate's account does not inherit from the roles it is a member of (NOINHERIT). As a superuser, run:"
        )
        found.append(Remedy(problem, f"ALTER ROLE {name(us.user)} INHERIT;"))
    return found


def _about_memberships(us: OwnAccount) -> list[Remedy]:
    found = []
    if not us.may_signal and (us.inherits or us.version >= ADMIN_SINCE):
        problem = (
            "Lockgate's account may not end sessions (it is no member of pg_signal_backend). As a superuser, or as whoever"
            " may pass that role on, run:"
        )
        found.append(Remedy(problem, f"GRANT pg_signal_backend TO {name(us.user)}{us.with_inherit};"))
    if us.reserved and not us.may_use_reserved:
        problem = (
            f"The server reserves {us.reserved} connections, and Lockgate may not use them: when the server is full, nothing"
            " can be revoked. As a superuser, or as whoever may pass that role on, run:"
        )
        line = f"GRANT pg_use_reserved_connections TO {name(us.user)}{us.with_inherit};"
        found.append(Remedy(problem, line, blocking=False))
    return found


def _about_admin(home: Session, us: OwnAccount, scopes: Iterable[Scope]) -> list[Remedy]:
    if us.version < ADMIN_SINCE:
        return []
    joined = sorted({role for scope in scopes if scope.level is Level.MEMBER for role in scope.database_roles})
    rows = home.rows(_WITHOUT_ADMIN, {"heir": DEFAULT_HEIR, "joined": joined})
    ours = [role for role, is_ours in rows if is_ours]
    found = []
    if ours:
        problem = (
            f"{len(ours)} of Lockgate's groups and accounts are not its account's to administer, as after an upgrade or when"
            " its account was made anew: they can be neither granted nor revoked. As a superuser, run:"
        )
        found.append(Remedy(problem, _admin_line(ours, us)))
    if others := [role for role, is_ours in rows if not is_ours]:
        problem = (
            f"Access roles join {', '.join(others[:5])}{' …' if len(others) > 5 else ''}, and Lockgate's account may not let"
            " anybody join. As a superuser, or as whoever may pass these roles on, run:"
        )
        found.append(Remedy(problem, _admin_line(others, us)))
    return found


def _admin_line(roles: list[str], us: OwnAccount) -> str:
    named = ", ".join(map(name, roles[:_NAMED_AT_MOST]))
    line = f"GRANT {named} TO {name(us.user)} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;"
    if len(roles) > _NAMED_AT_MOST:
        line += f" -- And {len(roles) - _NAMED_AT_MOST} more: part 1 of the SQL that this page shows does all of them."
    return line


def _about_heir(home: Session, us: OwnAccount) -> list[Remedy]:
    acted_as = "SET" if us.version >= ADMIN_SINCE else "MEMBER"
    rows = home.rows(_HEIR, {"heir": DEFAULT_HEIR, "acted_as": acted_as})
    if not rows:
        return []  # Made when it is needed first.
    has_attributes, memberships, is_ours, is_ours_to_give = rows[0]
    heir, found = name(DEFAULT_HEIR), []
    if has_attributes or memberships:
        problem = (
            f"{DEFAULT_HEIR} has attributes or memberships, with which what ended accounts leave behind would run. As a"
            " superuser, run:"
        )
        lines = [f"ALTER ROLE {heir} NOLOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS;"]
        lines += [f"REVOKE {name(role)} FROM {heir};" for role in memberships]
        found.append(Remedy(problem, " ".join(lines)))
    helps_itself = is_ours_to_give or us.version < ADMIN_SINCE or us.is_superuser
    if not is_ours and not helps_itself:
        problem = (
            f"Lockgate's account cannot hand anything over to {DEFAULT_HEIR}, of which it is no member. As a superuser, or as"
            " whoever may pass that role on, run:"
        )
        found.append(Remedy(problem, f"GRANT {heir} TO {name(us.user)} WITH INHERIT TRUE, SET TRUE;"))
    return found


def _about_connections(us: OwnAccount) -> list[Remedy]:
    if us.free_connections >= _CONNECTIONS_OF_A_GRANT:
        return []
    problem = "The server is full: an account that is made now cannot log in."
    return [Remedy(problem, "Have whoever holds its connections let some go, or raise max_connections and restart it.")]
