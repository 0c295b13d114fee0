"""Reading back what the server's own tables still say of an account: the questions of a receipt."""

from __future__ import annotations

from datetime import UTC, datetime

from connectors.base import Finding
from connectors.mariadb import catalogue, ending, names
from connectors.mariadb.session import Session
from connectors.quoting import mariadb_text

#: The account tables compare letter by letter themselves; the information schema does not.
_ACCOUNTS = """
    SELECT CONCAT(User, '@', Host) FROM mysql.global_priv
    WHERE User = %s AND COALESCE(JSON_VALUE(Priv, '$.is_role'), 0) = 0
    UNION ALL SELECT CONCAT('role ', User) FROM mysql.global_priv WHERE User = %s AND Host = ''
"""
_STORED = """
    SELECT CONCAT('on database ', Db) FROM mysql.db WHERE User IN (%s, %s)
    UNION ALL SELECT CONCAT('on table ', Db, '.', Table_name) FROM mysql.tables_priv WHERE User IN (%s, %s)
    UNION ALL
    SELECT CONCAT('on column ', Db, '.', Table_name, '.', Column_name) FROM mysql.columns_priv WHERE User IN (%s, %s)
    UNION ALL SELECT CONCAT('on routine ', Db, '.', Routine_name) FROM mysql.procs_priv WHERE User IN (%s, %s)
"""
#: Each part is asked by itself: put together first, they would fill a table on disk.
_AT_WORK = """
    SELECT CONVERT(CONCAT(privilege_type, ' on *.*') USING utf8mb4) FROM information_schema.user_privileges
    WHERE CONVERT(LEFT(grantee, CHAR_LENGTH(%s)) USING utf8mb4) COLLATE utf8mb4_nopad_bin = %s
    UNION ALL
    SELECT CONVERT(CONCAT(privilege_type, ' on ', table_schema) USING utf8mb4) FROM information_schema.schema_privileges
    WHERE CONVERT(LEFT(grantee, CHAR_LENGTH(%s)) USING utf8mb4) COLLATE utf8mb4_nopad_bin = %s
    UNION ALL
    SELECT CONVERT(CONCAT(privilege_type, ' on ', table_schema, '.', table_name) USING utf8mb4)
    FROM information_schema.table_privileges
    WHERE CONVERT(LEFT(grantee, CHAR_LENGTH(%s)) USING utf8mb4) COLLATE utf8mb4_nopad_bin = %s
    UNION ALL
    SELECT CONVERT(CONCAT(privilege_type, ' on ', table_schema, '.', table_name, '.', column_name) USING utf8mb4)
    FROM information_schema.column_privileges
    WHERE CONVERT(LEFT(grantee, CHAR_LENGTH(%s)) USING utf8mb4) COLLATE utf8mb4_nopad_bin = %s
"""
_ROLES = "SELECT Role FROM mysql.roles_mapping WHERE User IN (%s, %s)"
_PROXIES = """
    SELECT CONCAT(User, '@', Host, ' as ', Proxied_user, '@', Proxied_host) FROM mysql.proxies_priv
    WHERE User = %s OR Proxied_user = %s
"""
SWITCH = "SELECT CONCAT(db, '.', name) FROM mysql.event WHERE db = %s AND name = %s"


def findings(session: Session, principal: str) -> list[Finding]:
    """Every question with what the server answers now. Raises `ConnectorError`."""
    role = names.own_role_name(principal)
    grantee = f"'{principal}'@"
    return [
        _ask(session, "the account, on any host, and the role of its own", _ACCOUNTS, principal, role),
        Finding(
            "sessions of the account, and what runs as its role",
            shown(ending.SHOWN, principal, role),
            tuple(ending.sessions_left(session, principal)),
        ),
        _ask(session, "privileges of the account, as stored", _STORED, *[principal, role] * 4),
        _ask(session, "privileges of the account, as the server works with them", _AT_WORK, *[grantee] * 8),
        _ask(session, "roles of the account", _ROLES, principal, role),
        _ask(session, "accounts that it may act as, or that may act as it", _PROXIES, principal, principal),
        _renamed(session, principal),
        *_switch(session, principal),
    ]


def has_no_scheduler(session: Session) -> bool:
    """Whether the server was started so that it runs no event and changes none, whatever anybody sets."""
    return session.texts("SELECT @@GLOBAL.event_scheduler") == ["DISABLED"]


def _renamed(session: Session, principal: str) -> Finding:
    found = tuple(f"{one.name}@{one.host}" for one in catalogue.renamed(session, principal))
    return Finding("the account under another name, by the limits it was made with", catalogue.MARKED_BEYOND, found)


def _switch(session: Session, principal: str) -> list[Finding]:
    """Not asked where it can be neither run nor dropped."""
    if has_no_scheduler(session):
        return []
    values = (names.OWN_SCHEMA, names.switch_name(principal))
    return [_ask(session, "the switch that would have ended it", SWITCH, *values)]


def server_time(session: Session) -> datetime:
    """The server's clock, aware UTC."""
    now: datetime = session.rows("SELECT UTC_TIMESTAMP(6)")[0][0]
    return now.replace(tzinfo=UTC)


def _ask(session: Session, question: str, sql: str, *values: str) -> Finding:
    return Finding(question, shown(sql, *values), tuple(session.texts(sql, *values)))


def shown(sql: str, *values: str) -> str:
    """A query as somebody can run it again."""
    return " ".join(sql.split()) % tuple(mariadb_text(value) for value in values)
