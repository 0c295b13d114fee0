"""What a server holds: the things an access role can name, and the accounts that begin with our prefix."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime

from connectors.base import PRINCIPAL_PREFIX, FoundPrincipal, ServerDescription
from connectors.mariadb import names
from connectors.mariadb.scope import ROLES_SQL
from connectors.mariadb.session import Session, require_mariadb

#: Roles of ours begin with this; they are no customer's, so no access role joins them.
OWN_ROLE_PREFIX = "lockgate_"

_DATABASES = "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN %s ORDER BY 1"
_TABLES = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema NOT IN %s ORDER BY 1, 2"
_PRINCIPALS = """
    SELECT User, COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0) FROM mysql.global_priv
    WHERE LOCATE(%s, User) = 1 AND COALESCE(JSON_VALUE(Priv, '$.is_role'), 0) = 0 ORDER BY User
"""
_MEMBERSHIPS = "SELECT User, Role FROM mysql.roles_mapping WHERE LOCATE(%s, User) = 1"
#: Without logins that are just being refused: those are shown under any name that somebody tries.
_SESSIONS = """
    SELECT user FROM information_schema.processlist
    WHERE LOCATE(%s, user) = 1 AND command NOT IN ('Connect', 'Killed', 'Busy')
"""
_SWITCHES = "SELECT name, starts FROM mysql.event WHERE db = %s"


def databases(session: Session) -> list[str]:
    """Every database that is neither the server's nor ours. Raises `ConnectorError`."""
    return session.texts(_DATABASES, names.SYSTEM_SCHEMAS)


def describe(session: Session) -> ServerDescription:
    """See `Connector.describe`."""
    require_mariadb(session)
    return ServerDescription(
        databases=tuple(databases(session)),
        schemas=(),
        tables=tuple((database, "", table) for database, table in session.rows(_TABLES, names.SYSTEM_SCHEMAS)),
        roles=tuple(role for role in sorted(session.texts(ROLES_SQL)) if not role.startswith(OWN_ROLE_PREFIX)),
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
    ends: dict[str, datetime] = dict(session.rows(_SWITCHES, names.OWN_SCHEMA))
    return [
        FoundPrincipal(
            name=name,
            can_log_in=possible,
            sessions=sessions[name],
            memberships=tuple(sorted((joined[name] | joined[own := names.own_role_name(name)]) - {own})),
            valid_until=_aware(ends.get(names.switch_name(name))),
        )
        for name, possible in can_log_in.items()
    ]


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
