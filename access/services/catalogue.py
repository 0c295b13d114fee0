"""What can be asked for: servers, policies and access roles, defined by administrators.

Nothing here touches an open request or a living grant: those carry their own frozen copy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from access.content import scope_to_json
from access.credentials import resolve
from access.errors import BadRequest, Refused
from access.models import AccessRole, Environment, Policy, PolicyStep, Server
from access.rules import may_manage_servers
from access.services.door import actor_of
from audit.events import Event
from audit.log import Subject, record
from connectors.base import Level, Tls
from connectors.registry import ENGINE_LABELS
from people.models import Team, User

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class NotAnAdministrator(Refused):
    """Only administrators define servers, policies and access roles."""


class BadSlug(BadRequest):
    """The short name takes lower-case letters, digits and single dashes, at most 50."""

    field = "slug"


class UnknownEngineChosen(BadRequest):
    """Choose one of the engines in the list."""

    field = "engine"


class ScopeIncomplete(BadRequest):
    """The access role has to name what it reaches."""

    field = "databases"


class PolicyIncomplete(BadRequest):
    """The policy has to say who may ask, and who has to agree or what approves itself."""

    field = "steps"


def add_server(
    *,
    person: User,
    slug: str,
    name: str,
    engine: str,
    environment: Environment,
    host: str,
    port: int,
    admin_user: str,
    admin_secret: str,
    database: str = "",
    tls: Tls = Tls.VERIFY_FULL,
    tls_ca_file: str = "",
) -> Server:
    """Put a database server under management. The secret reference must lead somewhere; the server is not called yet."""
    _check_administrator(person, slug)
    if engine not in ENGINE_LABELS and not (engine == "fake" and settings.DEVELOPMENT):
        raise UnknownEngineChosen(f"They are {', '.join(ENGINE_LABELS)}.")
    resolve(admin_secret)
    with transaction.atomic():
        server = Server.objects.create(
            slug=slug,
            name=name,
            engine=engine,
            environment=environment,
            host=host,
            port=port,
            database=database,
            tls=tls,
            tls_ca_file=tls_ca_file,
            admin_user=admin_user,
            admin_secret=admin_secret,
        )
        record(
            Event.SERVER_ADDED,
            actor=actor_of(person),
            subject=Subject("server", slug, name),
            after={**server.address, "tls": str(tls), "environment": str(environment), "admin_user": admin_user},
        )
    return server


def define_policy(
    *,
    person: User,
    slug: str,
    name: str,
    requesters: Sequence[Team],
    steps: Sequence[tuple[Team, int]] = (),
    self_approved_environments: Sequence[Environment] = (),
    break_glass_team: Team | None = None,
    longest: timedelta = timedelta(hours=8),
    lapses_after: timedelta = timedelta(days=1),
) -> Policy:
    """A new policy: who may ask, and which people of which teams have to agree, in order."""
    _check_administrator(person, slug)
    if not requesters or not (steps or self_approved_environments):
        raise PolicyIncomplete
    with transaction.atomic():
        policy = Policy.objects.create(
            slug=slug,
            name=name,
            self_approved_environments=[str(environment) for environment in self_approved_environments],
            break_glass_team=break_glass_team,
            longest=longest,
            lapses_after=lapses_after,
        )
        policy.requesters.set(requesters)
        for position, (team, count) in enumerate(steps):
            PolicyStep.objects.create(policy=policy, position=position, team=team, count=count)
        record(
            Event.POLICY_ADDED,
            actor=actor_of(person),
            subject=Subject("policy", slug, name),
            after=_described(policy),
        )
    return policy


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
    description: str = "",
    longest: timedelta = timedelta(hours=8),
    **limits: Any,
) -> AccessRole:
    """A new access role. `limits` are the model's `connections`, `statement_timeout`, `idle_in_transaction_timeout`."""
    _check_administrator(person, slug)
    _check_scope(level, databases, database_roles)
    with transaction.atomic():
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
            longest=longest,
            **limits,
        )
        record(
            Event.ROLE_ADDED,
            actor=actor_of(person),
            subject=Subject("role", slug, name),
            after={"scope": scope_to_json(role.scope), "policy": policy.slug if policy else ""},
            related=[Subject("server", server.slug, server.name)],
        )
    return role


def _check_administrator(person: User, slug: str) -> None:
    if not may_manage_servers(person):
        raise NotAnAdministrator
    if not _SLUG.fullmatch(slug) or len(slug) > 50:
        raise BadSlug


def _check_scope(level: Level, databases: Sequence[str], database_roles: Sequence[str]) -> None:
    if not databases:
        raise ScopeIncomplete("Name at least one database.")
    if (level is Level.MEMBER) != bool(database_roles):
        raise ScopeIncomplete("Existing database roles go with the level 'member', and only with it.")


def _described(policy: Policy) -> dict[str, Any]:
    return {
        "requesters": [team.slug for team in policy.requesters.all()],
        "steps": [asdict(step) for step in policy.quorum_steps()],
        "self_approved_environments": policy.self_approved_environments,
        "break_glass_team": policy.break_glass_team.slug if policy.break_glass_team else "",
        "longest_s": int(policy.longest.total_seconds()),
        "lapses_after_s": int(policy.lapses_after.total_seconds()),
    }
