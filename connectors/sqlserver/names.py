"""Names as SQL Server's account statements want them. Pure."""

from __future__ import annotations

from connectors.base import PRINCIPAL_PREFIX, Scope
from connectors.errors import ScopeNotOnServer, ServerRefused
from connectors.quoting import UnquotableName, sqlserver_name


def require_ours(principal: str) -> None:
    """Raise `ServerRefused` for a name that Lockgate does not give: such an account is not ours to touch."""
    if not principal.startswith(PRINCIPAL_PREFIX):
        raise ServerRefused(f"{principal!r} is not an account of Lockgate's: those begin with {PRINCIPAL_PREFIX}.")
    _require_name(principal, ServerRefused)
    if "\\" in principal:
        raise ServerRefused(f"{principal!r} holds a backslash, which SQL Server keeps for the logins of Windows.")


def require_heir(heir: str) -> None:
    """Raise `ServerRefused` for an heir that no database can have."""
    _require_name(heir, ServerRefused)


def require_scope(scope: Scope) -> None:
    """Raise `ScopeNotOnServer` when a name in the scope is one that nothing on the server can have."""
    names = [*scope.databases, *scope.schemas, *scope.database_roles, *(name for pair in scope.tables for name in pair)]
    for name in [*names, *([scope.group] if scope.group else [])]:
        _require_name(name, ScopeNotOnServer)


def _require_name(name: str, kind: type[ServerRefused] | type[ScopeNotOnServer]) -> None:
    try:
        sqlserver_name(name)
    except UnquotableName as error:
        raise kind(f"Nothing can have this name: {error}") from error
