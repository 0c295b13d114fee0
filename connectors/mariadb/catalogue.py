"""What a server holds: the things an access role can name, and the accounts that begin with our prefix."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.base import PRINCIPAL_PREFIX, FoundPrincipal, ServerDescription
from connectors.mariadb import marks, names
from connectors.mariadb.scope import ROLES_SQL
from connectors.mariadb.session import Session, require_mariadb

#: Roles of ours begin with this; they are no customer's, so no access role joins them.
OWN_ROLE_PREFIX = "lockgate_"

_DATABASES = "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN %s ORDER BY 1"
_TABLES = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN %s ORDER BY 1, 2"
_PRINCIPALS = """
    SELECT User, COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0) FROM mysql.global_priv
    WHERE LOCATE(%s, User) = 1 AND COALESCE(JSON_VALUE(Priv, '$.is_role'), 0) = 0 ORDER BY User
"""
_MEMBERSHIPS = "SELECT User, Role FROM mysql.roles_mapping WHERE LOCATE(%s, User) = 1"
#: Accounts that carry the marks of ours, with the marks.
_MARKED = """
    SELECT User, Host, JSON_VALUE(Priv, '$.max_questions'), JSON_VALUE(Priv, '$.max_updates') FROM mysql.global_priv
    WHERE CAST(JSON_VALUE(Priv, '$.max_questions') AS UNSIGNED) >= %s
      AND CAST(JSON_VALUE(Priv, '$.max_updates') AS UNSIGNED) >= %s
"""
#: The same as somebody can run it.
MARKED_BEYOND = " ".join(_MARKED.split()) % (marks.BEYOND, marks.BEYOND)
#: Whoever else is in a group of ours, or in a role of an account of ours, without being its administrator.
_FOREIGN_MEMBERS = """
    SELECT User, Role FROM mysql.roles_mapping
    WHERE Host <> '' AND Admin_option <> 'Y' AND LOCATE(%s, User) <> 1 AND LOCATE(%s, User) <> 1
      AND (LOCATE(%s, Role) = 1 OR LOCATE(%s, Role) = 1 AND RIGHT(Role, 5) = '_role')
"""
_LOCKED = "SELECT MIN(COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0)) FROM mysql.global_priv WHERE User = %s"
_SESSIONS_OF = "SELECT COUNT(*) FROM information_schema.processlist WHERE BINARY user = %s AND command <> 'Killed'"
#: Without logins that are just being refused: those are shown under any name that somebody tries.
_SESSIONS = """
    SELECT user FROM information_schema.processlist
    WHERE LOCATE(%s, user) = 1 AND command NOT IN ('Connect', 'Killed', 'Busy')
"""
_SWITCHES = "SELECT name, starts, comment FROM mysql.event WHERE db = %s"


@dataclass(frozen=True, slots=True)
class Marked:
    """An account that Lockgate made, under whatever name it goes now."""

    name: str
    host: str
    identifier: str


def databases(session: Session) -> list[str]:
    """Every database that is neither the server's nor ours. Raises `ConnectorError`."""
    return session.texts(_DATABASES, names.SYSTEM_SCHEMAS)


def describe(session: Session, inside: Sequence[str] | None = None) -> ServerDescription:
    """See `Connector.describe`."""
    require_mariadb(session)
    there = databases(session)
    wanted = there if inside is None else [database for database in there if database in inside]
    rows = session.rows(_TABLES, tuple(wanted)) if wanted else []
    return ServerDescription(
        databases=tuple(there),
        schemas=(),
        tables=tuple((database, "", table) for database, table in rows),
        roles=tuple(role for role in sorted(session.texts(ROLES_SQL)) if not role.startswith(OWN_ROLE_PREFIX)),
        unseen=tuple(database for database in there if database not in wanted),
    )


def list_principals(session: Session) -> list[FoundPrincipal]:
    """See `Connector.list_principals`. An account that is on several hosts is one of which any host may log in."""
    require_mariadb(session)
    can_log_in: dict[str, bool] = {}
    for name, is_locked in session.rows(_PRINCIPALS, PRINCIPAL_PREFIX):
        can_log_in[name] = can_log_in.get(name, False) or not int(is_locked)
    joined: defaultdict[str, set[str]] = defaultdict(set)
    for name, role in session.rows(_MEMBERSHIPS, PRINCIPAL_PREFIX):
        joined[name].add(role)
    running = session.texts(_SESSIONS, PRINCIPAL_PREFIX)
    sessions = Counter(name if name in can_log_in else name.removesuffix(names.OWN_ROLE_SUFFIX) for name in running)
    for name in sessions:
        # Its account was dropped behind our back, but somebody is still there.
        can_log_in.setdefault(name, False)
    identifiers = {one.name: one.identifier for one in marked(session)}
    switches = {name: (ends, comment) for name, ends, comment in session.rows(_SWITCHES, names.OWN_SCHEMA)}
    ours = [
        FoundPrincipal(
            name=name,
            can_log_in=possible,
            sessions=sessions[name],
            memberships=tuple(sorted((joined[name] | joined[own := names.own_role_name(name)]) - {own})),
            valid_until=_aware(switches.get(names.switch_name(name), (None, ""))[0]),
            identifier=identifiers.get(name, ""),
            made_by=names.made_by(switches.get(names.switch_name(name), (None, ""))[1]),
        )
        for name, possible in can_log_in.items()
    ]
    return ours + _foreign(session, {name: of for name, of in identifiers.items() if name not in can_log_in})


def marked(session: Session) -> list[Marked]:
    """Every account of the server that carries the marks of one that Lockgate made."""
    rows = session.rows(_MARKED, marks.BEYOND, marks.BEYOND)
    return [Marked(name, host, f"{questions}.{updates}") for name, host, questions, updates in rows]


def renamed(session: Session, principal: str) -> list[Marked]:
    """What the account of this name is called now, where that is something else."""
    known = marks.identifier_of(principal)
    return [one for one in marked(session) if one.identifier == known and one.name != principal]


def _foreign(session: Session, identifiers: dict[str, str]) -> list[FoundPrincipal]:
    """Accounts under other names than ours that carry our marks, or have what a group of ours gives."""
    joined: defaultdict[str, set[str]] = defaultdict(set)
    values = (PRINCIPAL_PREFIX, names.TRIAL_PREFIX, OWN_ROLE_PREFIX, PRINCIPAL_PREFIX)
    for name, role in session.rows(_FOREIGN_MEMBERS, *values):
        joined[name].add(role)
    return [
        FoundPrincipal(
            name=name,
            can_log_in=not int(session.rows(_LOCKED, name)[0][0] or 0),
            sessions=int(session.rows(_SESSIONS_OF, name)[0][0]),
            memberships=tuple(sorted(joined[name])),
            identifier=identifiers.get(name, ""),
            is_foreign=True,
        )
        for name in sorted({*identifiers, *joined})
    ]


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
