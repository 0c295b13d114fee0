"""Whether everything that a scope names is on the server, asked before anything is made."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.base import Level, Scope
from connectors.errors import ScopeNotOnServer
from connectors.mariadb import names, statements
from connectors.mariadb.session import Session
from connectors.quoting import UnquotableName, mariadb_name

#: Names of roles; a role is an account without a host. PUBLIC is none to join: what it holds, everybody has.
ROLES_SQL = (
    "SELECT User FROM mysql.global_priv WHERE Host = '' AND JSON_VALUE(Priv, '$.is_role') AND UPPER(User) <> 'PUBLIC'"
)
_DATABASES = "SELECT schema_name FROM information_schema.schemata WHERE schema_name IN %s"
_TABLE = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = %s AND table_name = %s"


def require_on_server(session: Session, scope: Scope) -> None:
    """Raise `ScopeNotOnServer`, which names everything that is missing, unless the whole scope is there."""
    _require_sensible(scope)
    try:
        _require_quotable(scope)
        missing = _missing_databases(session, scope) + _missing_tables(session, scope) + _missing_roles(session, scope)
    except UnquotableName as error:
        raise ScopeNotOnServer(f"MariaDB cannot have or grant this name: {error}") from error
    if missing:
        raise ScopeNotOnServer(f"Missing: {', '.join(missing)}.")


def _require_sensible(scope: Scope) -> None:
    if scope.schemas:
        listed = ", ".join(scope.schemas)
        raise ScopeNotOnServer(f"MariaDB has no schemas inside a database, name databases or tables instead: {listed}.")
    if reserved := [name for name in _containers(scope) if name.lower() in names.SYSTEM_SCHEMAS]:
        raise ScopeNotOnServer(f"Access to the server's own databases is never given: {', '.join(reserved)}.")
    if outside := [f"{database}.{table}" for database, table in scope.tables if database not in scope.databases]:
        raise ScopeNotOnServer(f"Tables outside the databases of the access role: {', '.join(outside)}.")


def _require_quotable(scope: Scope) -> None:
    """Compose once all that would run. Raises `UnquotableName`."""
    statements.group_from_nothing(scope)
    for database in scope.databases:
        mariadb_name(database)


def _containers(scope: Scope) -> Iterable[str]:
    return dict.fromkeys([*scope.databases, *(database for database, _ in scope.tables)])


def _missing_databases(session: Session, scope: Scope) -> list[str]:
    found = session.texts(_DATABASES, scope.databases)
    # The catalog compares without case and accents; the names it gives back are compared letter by letter.
    return [f"database {database}" for database in scope.databases if database not in found]


def _missing_tables(session: Session, scope: Scope) -> list[str]:
    missing = []
    for database, table in scope.tables:
        if (database, table) not in session.rows(_TABLE, database, table):
            missing.append(f"table {database}.{table}")
    return missing


def _missing_roles(session: Session, scope: Scope) -> list[str]:
    if scope.level is not Level.MEMBER:
        return []
    found = set(session.texts(ROLES_SQL))
    return [f"role {role}" for role in scope.database_roles if role not in found]
