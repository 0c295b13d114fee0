"""What the fake's statements look like: close enough to SQL to be shown, and telling the same story."""

from __future__ import annotations

from connectors.base import Level, ProvisionRequest, RevokeRequest, Scope, Statement
from connectors.quoting import postgresql_name as name
from connectors.quoting import postgresql_text as text
from connectors.redaction import MASK


def set_group(scope: Scope) -> Statement:
    """The group's privileges, made exactly what the scope says."""
    schemas = ", ".join(name(schema) for schema in scope.schemas)
    tables = ", ".join(f"{name(container)}.{name(table)}" for container, table in scope.tables)
    what = "; ".join(part for part in (schemas and f"schemas {schemas}", tables and f"tables {tables}") if part)
    databases = ", ".join(name(database) for database in scope.databases)
    return Statement(f"SET GROUP {name(scope.group)} TO {scope.level} ON {databases} ({what or 'everything'})")


def make_account(request: ProvisionRequest, password: str = MASK) -> Statement:
    """The account, with what the server keeps of its password."""
    return Statement(
        f"MAKE ACCOUNT {name(request.principal)} PASSWORD {text(password)} VALID UNTIL {request.valid_until.isoformat()}"
    )


def join(principal: str, role: str) -> Statement:
    """Membership in a role."""
    return Statement(f"GRANT {name(role)} TO {name(principal)}")


def move_end(principal: str, until: str) -> Statement:
    """Another end."""
    return Statement(f"ALTER ACCOUNT {name(principal)} VALID UNTIL {until}")


def block_logins(principal: str) -> Statement:
    """No new session."""
    return Statement(f"ALTER ACCOUNT {name(principal)} NOLOGIN")


def end_sessions(principal: str) -> Statement:
    """No session."""
    return Statement(f"END SESSIONS OF {name(principal)}")


def hand_over(principal: str, heir: str) -> Statement:
    """Nothing owned."""
    return Statement(f"REASSIGN OWNED BY {name(principal)} TO {name(heir)}", note="Where the account owns something.")


def drop_account(principal: str) -> Statement:
    """No account."""
    return Statement(f"DROP ACCOUNT {name(principal)}")


def set_own_password(account: str) -> Statement:
    """Another password for Lockgate's own account."""
    return Statement(f"ALTER ADMINISTRATOR {name(account)} PASSWORD '{MASK}'")


def roles_to_join(scope: Scope) -> tuple[str, ...]:
    """The roles whose member an account of this scope is."""
    return scope.database_roles if scope.level is Level.MEMBER else (scope.group,)


def planned_provision(request: ProvisionRequest) -> tuple[Statement, ...]:
    """Everything, where nothing is there yet."""
    group = () if request.scope.level is Level.MEMBER else (set_group(request.scope),)
    joining = tuple(join(request.principal, role) for role in roles_to_join(request.scope))
    return (*group, make_account(request), *joining)


def planned_revoke(request: RevokeRequest) -> tuple[Statement, ...]:
    """Everything, where there is something to hand over."""
    return (
        block_logins(request.principal),
        end_sessions(request.principal),
        hand_over(request.principal, request.heir),
        drop_account(request.principal),
    )
