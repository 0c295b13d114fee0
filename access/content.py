"""What exactly is approved: the frozen content of a request, and the hash that a vote carries.

Pure. The content is stored as JSON; its hash is SHA-256 over that JSON with sorted keys and no spaces, so that anybody can
compute it again. Durations are whole seconds, times are ISO 8601 in UTC.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from access.gateway_rules import Rules, rules_from_json, rules_to_json
from connectors.base import Level, Limits, Scope


@dataclass(frozen=True, slots=True)
class Content:
    """Everything an approver says yes to."""

    reference: str
    requester: int
    principal: str
    server: str
    address: Mapping[str, Any]
    heir: str
    role: str
    scope: Scope
    limits: Limits
    duration: timedelta
    reason: str
    ticket: str
    wished_start: datetime | None
    terms_hash: str
    extends: str = ""
    identity: str = ""
    """The requester as their directory names them, where they come in as themselves."""
    gateway: Rules | None = None
    """What the access may do at the gateway; None in contents that were frozen before there was one."""
    submission: int = 0
    """Counts what was submitted under this reference, so that an edit and its undoing are two submissions and a vote is for
    one of them; 0 in contents that were frozen before it was counted."""

    def to_json(self) -> dict[str, Any]:
        """The content as it is stored and hashed."""
        data = {
            "reference": self.reference,
            "requester": self.requester,
            "principal": self.principal,
            "server": self.server,
            "address": dict(self.address),
            "heir": self.heir,
            "role": self.role,
            "scope": scope_to_json(self.scope),
            "limits": limits_to_json(self.limits),
            "duration_s": int(self.duration.total_seconds()),
            "reason": self.reason,
            "ticket": self.ticket,
            "wished_start": self.wished_start.astimezone(UTC).isoformat() if self.wished_start else "",
            "terms_hash": self.terms_hash,
            "extends": self.extends,
            "identity": self.identity,
        }
        # Contents that were frozen before keep their hash.
        if self.gateway is not None:
            data["gateway"] = rules_to_json(self.gateway)
        if self.submission:
            data["submission"] = self.submission
        return data

    @property
    def hash(self) -> str:
        """64 hexadecimal digits."""
        return hash_of(self.to_json())

    @classmethod
    def from_json(cls, data: Mapping[str, Any], expected_hash: str) -> Content:
        """The content stored as `data`; raises `ContentChanged` when it is not what `expected_hash` names."""
        if hash_of(data) != expected_hash:
            raise ContentChanged(data.get("reference", ""))
        fields = dict(data)
        fields["scope"] = scope_from_json(data["scope"])
        fields["limits"] = limits_from_json(data["limits"])
        fields["gateway"] = rules_from_json(data["gateway"]) if "gateway" in data else None
        fields["duration"] = timedelta(seconds=fields.pop("duration_s"))
        start = fields["wished_start"]
        fields["wished_start"] = datetime.fromisoformat(start) if start else None
        return cls(**fields)

    def changed(self, **fields: Any) -> Content:
        """The same content with other values; its hash differs, which voids the votes."""
        return replace(self, **fields)

    @property
    def submitted_anew(self) -> Content:
        """The next submission: its hash is none that a vote was ever cast on."""
        return self.changed(submission=self.submission + 1)


class ContentChanged(ValueError):
    """The stored content of a request is not the content that was voted on."""


def hash_of(data: Mapping[str, Any]) -> str:
    """SHA-256 over canonical JSON, in hexadecimal."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def scope_to_json(scope: Scope) -> dict[str, Any]:
    """A scope as plain JSON values."""
    data: dict[str, Any] = json.loads(json.dumps(asdict(scope)))
    return data


def scope_from_json(data: Mapping[str, Any]) -> Scope:
    """The scope that `scope_to_json` wrote."""
    return Scope(
        level=Level(data["level"]),
        databases=tuple(data["databases"]),
        schemas=tuple(data["schemas"]),
        tables=tuple((container, table) for container, table in data["tables"]),
        database_roles=tuple(data["database_roles"]),
        group=data["group"],
    )


def limits_to_json(limits: Limits) -> dict[str, Any]:
    """Limits as plain JSON values, times in seconds."""
    return {
        "connections": limits.connections,
        "statement_timeout_s": _seconds(limits.statement_timeout),
        "idle_in_transaction_timeout_s": _seconds(limits.idle_in_transaction_timeout),
    }


def limits_from_json(data: Mapping[str, Any]) -> Limits:
    """The limits that `limits_to_json` wrote."""
    return Limits(
        connections=data["connections"],
        statement_timeout=_duration(data["statement_timeout_s"]),
        idle_in_transaction_timeout=_duration(data["idle_in_transaction_timeout_s"]),
    )


def _seconds(duration: timedelta | None) -> int | None:
    return None if duration is None else int(duration.total_seconds())


def _duration(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
