"""Access roles: what can be asked for on a server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from access.gateway_rules import Rules, as_recorded, loosens, rules_for, rules_to_json
from access.models import AccessRole, Policy, Server
from access.services.catalogue.changes import (
    locked,
    one_at_a_time,
    record_added,
    record_changed,
    ways_on,
    with_consent_only,
)
from access.services.catalogue.checks import (
    check_administrator,
    check_longest,
    check_name,
    check_names,
    check_own_identity,
    check_scope,
    slug_taken,
)
from access.services.catalogue.gateway import check_gateway
from audit.events import Event
from audit.log import Subject
from connectors.base import Level
from people.models import User

#: What the role is about: after a change of it, it is another role in all but name.
_REACH = ("level", "databases", "schemas", "tables", "database_roles")
_OF_THE_GATEWAY = set(as_recorded(rules_for(Level.READ), are_own=True)) - {"gateway_rules"}


def define_role(
    *,
    person: User,
    slug: str,
    name: str,
    server: Server,
    policy: Policy | None,
    level: Level,
    databases: Sequence[str],
    schemas: Sequence[str] = (),
    tables: Sequence[tuple[str, str]] = (),
    database_roles: Sequence[str] = (),
    own_identity: bool = False,
    description: str = "",
    longest: timedelta = timedelta(hours=8),
    gateway: Rules | None = None,
    **limits: Any,
) -> AccessRole:
    """A new access role. `limits` are the model's `connections`, `statement_timeout`, `idle_in_transaction_timeout`.

    Without `gateway` the rules at the gateway are those of the level.
    """
    check_administrator(person)
    check_names(slug, name)
    check_scope(level, databases, database_roles, *schemas, *(name for pair in tables for name in pair))
    check_longest(longest)
    check_own_identity(server, own_identity=own_identity)
    check_gateway(level, gateway)
    with one_at_a_time():
        with slug_taken():
            role = AccessRole.objects.create(
                slug=slug,
                name=name,
                description=description,
                server=server,
                policy=policy,
                level=level,
                databases=list(databases),
                schemas=list(schemas),
                tables=[list(pair) for pair in tables],
                database_roles=list(database_roles),
                own_identity=own_identity,
                longest=longest,
                gateway=rules_to_json(gateway) if gateway else {},
                **limits,
            )
        record_added(
            Event.ROLE_ADDED,
            person=person,
            subject=Subject("role", slug, name),
            after={"server": server.slug, **_described_first(role)},
            roles=AccessRole.objects.filter(pk=role.pk),
            related=[Subject("server", server.slug, server.name)],
        )
    return role


def change_role(
    *,
    person: User,
    role: AccessRole,
    revision: int,
    name: str,
    policy: Policy | None,
    level: Level,
    databases: Sequence[str],
    schemas: Sequence[str],
    tables: Sequence[tuple[str, str]],
    database_roles: Sequence[str],
    own_identity: bool,
    description: str,
    longest: timedelta,
    connections: int | None,
    statement_timeout: timedelta | None,
    idle_in_transaction_timeout: timedelta | None,
    gateway: Rules | None,
    is_enabled: bool,
) -> AccessRole:
    """Change the role as it was at `revision`; raises `EditedMeanwhile` when that is not the latest.

    Without `gateway` the rules at the gateway are those of the level, and follow it.
    Open requests keep the content that was frozen into them, living grants keep their scope to their end.
    """
    check_administrator(person)
    check_name(name)
    check_scope(level, databases, database_roles, *schemas, *(name for pair in tables for name in pair))
    check_longest(longest)
    check_own_identity(role.server, own_identity=own_identity)
    check_gateway(level, gateway)
    with one_at_a_time():
        row = locked(AccessRole, role.pk, revision)
        this = AccessRole.objects.filter(pk=row.pk)
        before, had = _described(row), ways_on(person, this)
        if longest > row.longest or loosens(row.gateway_rules, gateway or rules_for(level)):
            had = with_consent_only(had)
        row.name, row.description, row.policy, row.level = name, description, policy, level
        row.databases, row.schemas, row.database_roles = list(databases), list(schemas), list(database_roles)
        row.tables, row.own_identity = [list(pair) for pair in tables], own_identity
        row.longest, row.connections, row.is_enabled = longest, connections, is_enabled
        row.statement_timeout, row.idle_in_transaction_timeout = statement_timeout, idle_in_transaction_timeout
        row.gateway = rules_to_json(gateway) if gateway else {}
        after = _described(row)
        if after == before:
            return row
        if any(before[name] != after[name] for name in _REACH):
            had = {}  # What somebody could do before, they could do with something else.
        row.revision += 1
        row.save()
        record_changed(
            Event.ROLE_CHANGED,
            person=person,
            subject=Subject("role", row.slug, row.name),
            before=before,
            after=after,
            had=had,
            roles=this,
            revision=row.revision,
            related=[Subject("server", row.server.slug, row.server.name)],
        )
    return row


def _described_first(role: AccessRole) -> dict[str, Any]:
    """What the level gives at the gateway need not be told one by one."""
    described = _described(role)
    return described if role.gateway else {name: described[name] for name in described if name not in _OF_THE_GATEWAY}


def _described(role: AccessRole) -> dict[str, Any]:
    return {
        "name": role.name,
        "description": role.description,
        "policy": role.policy.slug if role.policy else "",
        "level": str(role.level),
        "databases": role.databases,
        "schemas": role.schemas,
        "tables": role.tables,
        "database_roles": role.database_roles,
        "own_identity": role.own_identity,
        "longest_s": _seconds(role.longest),
        "connections": role.connections,
        "statement_timeout_s": _seconds(role.statement_timeout),
        "idle_in_transaction_timeout_s": _seconds(role.idle_in_transaction_timeout),
        **as_recorded(role.gateway_rules, are_own=bool(role.gateway)),
        "is_enabled": role.is_enabled,
    }


def _seconds(duration: timedelta | None) -> int | None:
    return None if duration is None else int(duration.total_seconds())
