"""Servers under management and the access roles that can be asked for on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from django.db import models

from access.audience import Guarded
from access.content import hash_of, scope_to_json
from access.gateway_rules import Rules, rules_for, rules_from_json
from access.models.policies import Policy
from connectors.base import Level, Limits, Scope, Tls
from connectors.registry import ENGINE_LABELS

#: PostgreSQL's limit, the strictest of the engines.
_LONGEST_GROUP = 63
_GROUP_HASH = 8


class Environment(models.TextChoices):
    """How much a mistake costs on a server."""

    PRODUCTION = "production", "Production"
    STAGING = "staging", "Staging"
    DEVELOPMENT = "development", "Development"


_ENVIRONMENTS: Mapping[str, str] = dict(Environment.choices)


class Server(models.Model):
    """One database server: where it is, and as whom Lockgate works on it."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    engine = models.CharField(max_length=20)
    environment = models.CharField(max_length=20, choices=Environment.choices, default=Environment.PRODUCTION)
    host = models.CharField(max_length=255)
    port = models.PositiveIntegerField()
    database = models.CharField(max_length=128, blank=True)
    """Where server-wide work is done; empty means the engine's own."""
    tls = models.CharField(
        max_length=20, choices=[(tls.value, tls.value) for tls in Tls], default=Tls.VERIFY_FULL.value
    )
    tls_ca_file = models.CharField(max_length=500, blank=True)
    admin_user = models.CharField(max_length=128)
    admin_secret = models.CharField(max_length=500)
    """A reference such as `env:NAME` or `file:PATH`; never the secret itself."""
    heir = models.CharField(max_length=63, default="lockgate_heir")
    """Unprivileged role that receives what an ended account owned."""
    is_enabled = models.BooleanField(default=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    check_ok = models.BooleanField(null=True, blank=True)
    check_message = models.TextField(blank=True)
    replicas = models.JSONField(default=list, blank=True)
    """Pairs `[host, port]`: servers that follow this one and let people read, where sessions are ended as well."""
    replicas_seen = models.JSONField(default=list, blank=True)
    """Who followed it at the last check, as `connectors.base.Replica` has it."""
    version = models.CharField(max_length=200, blank=True)
    latency = models.DurationField(null=True, blank=True)
    swept_at = models.DateTimeField(null=True, blank=True)
    identity = models.CharField(max_length=300, blank=True)
    """What the server is, as `Connector.identify` tells it: kept when it was first seen, or confirmed. Empty: not known."""
    found_identity = models.CharField(max_length=300, blank=True)
    """What answered last while `stranger_since` is set; empty where it could not tell."""
    stranger_since = models.DateTimeField(null=True, blank=True)
    """Since when something answers here that has to be confirmed first: nothing is granted or swept meanwhile."""
    known_shut = models.JSONField(default=list, blank=True)
    """Databases that an administrator has written down as shut for good: nobody can read them, and no receipt waits for it."""
    is_copy = models.BooleanField(default=False)
    """A restored or cloned server: it has the identity of the one that it was made from, and is not that one."""
    probed_at = models.DateTimeField(null=True, blank=True)
    """When somebody looked last whether it answers; see `access.watching`."""
    down_since = models.DateTimeField(null=True, blank=True)
    """Since when it does not answer; empty while it does."""
    started_at = models.DateTimeField(null=True, blank=True)
    """When the server was started that was swept last; one that was started since may be a restored one."""
    revision = models.PositiveIntegerField(default=1)
    """Counts changes by administrators; `version` is the engine's."""

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def environment_label(self) -> str:
        """The environment in a word. What Django would offer makes the list of all choices anew, for each row of a list."""
        return _ENVIRONMENTS.get(self.environment, self.environment)

    @property
    def engine_label(self) -> str:
        """The engine as people call it."""
        return ENGINE_LABELS.get(self.engine, self.engine)

    @property
    def is_encrypted(self) -> bool:
        """Whether connections to the server are encrypted. They are unless somebody has switched it off."""
        return self.tls != Tls.DISABLE.value

    @property
    def address(self) -> dict[str, Any]:
        """Where the server is; a grant keeps it, so that it is revoked where it was made."""
        return {"engine": self.engine, "host": self.host, "port": self.port, "database": self.database}


class AccessRole(models.Model):
    """What can be requested on a server."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=300, blank=True)
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="roles")
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, null=True, blank=True, related_name="roles")
    """Without one nobody can request the role."""
    level = models.CharField(max_length=10, choices=[(level.value, level.value) for level in Level])
    databases = models.JSONField(default=list)
    schemas = models.JSONField(default=list, blank=True)
    tables = models.JSONField(default=list, blank=True)
    """Pairs `[schema, table]`; `[database, table]` on engines without schemas inside a database."""
    database_roles = models.JSONField(default=list, blank=True)
    own_identity = models.BooleanField(default=False)
    """People come in as themselves, with their identity of Entra ID: no account is made, and no password."""
    longest = models.DurationField(default=timedelta(hours=8))
    connections = models.PositiveSmallIntegerField(null=True, blank=True, default=5)
    statement_timeout = models.DurationField(null=True, blank=True, default=timedelta(minutes=5))
    idle_in_transaction_timeout = models.DurationField(null=True, blank=True, default=timedelta(minutes=5))
    gateway = models.JSONField(default=dict, blank=True)
    """The rules at the gateway, as `access.gateway_rules` writes them; empty for those of the level."""
    is_enabled = models.BooleanField(default=True)
    revision = models.PositiveIntegerField(default=1)
    """Counts changes by administrators."""

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(longest__gt=timedelta(0)), name="access_role_longest")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def scope(self) -> Scope:
        """What the role reaches, as the connectors understand it."""
        scope = Scope(
            level=Level(self.level),
            databases=tuple(self.databases),
            schemas=tuple(self.schemas),
            tables=tuple((container, table) for container, table in self.tables),
            database_roles=tuple(self.database_roles),
        )
        return scope if scope.level is Level.MEMBER else replace(scope, group=self._group_for(scope))

    def _group_for(self, scope: Scope) -> str:
        """The stable database role that carries these privileges.

        Its name has the scope's hash in it: a role that is edited gets another group, and what was granted under the old
        scope keeps it to its end.
        """
        stem = f"lockgate_{self.slug.replace('-', '_')}"[: _LONGEST_GROUP - _GROUP_HASH - 1]
        return f"{stem}_{hash_of(scope_to_json(scope))[:_GROUP_HASH]}"

    @property
    def limits(self) -> Limits:
        """What the server itself will hold an account of this role to."""
        return Limits(self.connections, self.statement_timeout, self.idle_in_transaction_timeout)

    @property
    def gateway_rules(self) -> Rules:
        """What sessions of this role may do at the gateway."""
        return rules_from_json(self.gateway) if self.gateway else rules_for(Level(self.level))

    @property
    def guarded(self) -> Guarded:
        """What of the role decides who gets it how."""
        return Guarded(self.slug, self.name, Level(self.level), self.server.environment)

    @property
    def longest_allowed(self) -> timedelta:
        """The longest duration that both the role and its policy allow."""
        return min(self.longest, self.policy.longest) if self.policy else self.longest
