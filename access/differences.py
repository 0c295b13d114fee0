"""What changed, in words: from the `before` and `after` of an audit entry about the catalogue. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LABELS: Mapping[str, str] = {
    "name": "Name",
    "description": "Description",
    "requesters": "May ask",
    "steps": "Must approve",
    "self_approved_environments": "Reads are approved automatically on",
    "break_glass_team": "May take emergency access",
    "longest_s": "Longest access",
    "lapses_after_s": "A request stays open for",
    "policy": "Policy",
    "server": "Server",
    "level": "Level",
    "databases": "Databases",
    "schemas": "Schemas",
    "tables": "Tables",
    "database_roles": "Database roles",
    "own_identity": "With people's own identity",
    "connections": "Connections",
    "statement_timeout_s": "Longest statement",
    "idle_in_transaction_timeout_s": "Longest idle transaction",
    "gateway_rules": "At the gateway: rules",
    "gateway_classes": "At the gateway: statements",
    "gateway_tables": "At the gateway: tables",
    "gateway_denied_functions": "At the gateway: functions not to be called",
    "gateway_where_required": "At the gateway: changes need a WHERE",
    "gateway_read_only": "At the gateway: read-only on the server",
    "gateway_unparsed": "At the gateway: what is not understood",
    "gateway_longest_statement_s": "At the gateway: longest statement",
    "gateway_longest_idle_s": "At the gateway: longest silence",
    "gateway_most_rows": "At the gateway: most rows",
    "gateway_most_bytes": "At the gateway: most bytes",
    "gateway_keep": "At the gateway: kept of a statement",
    "gateway_durability": "At the gateway: durability of the record",
    "is_enabled": "Can be requested",
    "engine": "Engine",
    "environment": "Environment",
    "host": "Host",
    "port": "Port",
    "database": "Database for server-wide work",
    "tls": "TLS",
    "tls_ca_file": "Certificate authority",
    "admin_user": "Lockgate's own account",
    "replicas": "Replicas that people may read from",
    "capability": "Allows by itself",
    "memberships": "People",
    "groups": "Groups mapped to it",
    "admin_secret": "Password reference or cloud identity",
    "waits_for": "Held back until another administrator confirms: its secret for",
}
NOTHING = "nothing"
#: What nothing means, where it does not mean nothing.
_EMPTY: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "connections",
            "statement_timeout_s",
            "idle_in_transaction_timeout_s",
            "gateway_longest_statement_s",
            "gateway_longest_idle_s",
            "gateway_most_rows",
            "gateway_most_bytes",
        ),
        "no limit",
    ),
    "gateway_tables": "whatever the account may",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that changed."""

    name: str
    label: str
    before: str
    after: str


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> tuple[Difference, ...]:
    """What differs, in the order in which people read it; for something new, `before` is None."""
    old, new = before or {}, after or {}
    named = [name for name in LABELS if name in old or name in new]
    return tuple(
        Difference(name, LABELS[name], in_words(name, old.get(name)) if before else "", in_words(name, new.get(name)))
        for name in named
        if before or new.get(name) not in (None, "", [])
    )


def in_words(name: str, value: Any) -> str:
    """One recorded value as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in (None, "", []):
        return _EMPTY.get(name, NOTHING)
    if name.endswith("_s") and isinstance(value, int):
        return _duration(value)
    if name == "steps":
        return ", then ".join(f"{step['count']} of {step['team']}" for step in value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(".".join(item) if isinstance(item, list) else str(item) for item in value)
    return str(value)


def _duration(seconds: int) -> str:
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    pieces = []
    for unit, length in units:
        number, seconds = divmod(seconds, length)
        if number:
            pieces.append(f"{number} {unit}")
    return " ".join(pieces) or "0 s"
