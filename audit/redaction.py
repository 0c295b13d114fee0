"""What of an entry's `before` and `after` may be read, field by field.

Every field that leaves through the audit log is declared here. What is not declared is replaced, never shown: an
undeclared field is a mistake of the code that records, and the mistake must neither leak nor stop a revocation.
`tests/audit/test_redaction.py` finds the field that nobody declared.
"""

from __future__ import annotations

import enum
import re
import uuid
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.utils.duration import duration_iso_string

from audit.chain import timestamp
from audit.errors import NotRecordable

MASK = "********"
UNDECLARED = "[field not declared]"

#: Fields that are recorded as they are.
# fmt: off
SHOWN = frozenset({
    "account", "actor", "address", "admin_user", "approvers", "approves_itself", "at", "attempts", "break_glass",
    "break_glass_team", "capability", "channel", "checked_at", "comment", "connections", "content", "count",
    "database", "database_roles", "databases", "description", "detail", "device", "display_name", "drift",
    "duration_s", "email", "ended_by", "ends_at", "engine", "environment", "error", "errors", "event", "extend_to",
    "extends", "factor", "filters", "findings", "followed", "format", "found", "from", "gateway_classes",
    "gateway_denied_functions", "gateway_durability", "gateway_keep", "gateway_longest_idle_s",
    "gateway_longest_statement_s", "gateway_most_bytes", "gateway_most_rows", "gateway_read_only", "gateway_rules",
    "gateway_tables", "gateway_unparsed", "gateway_where_required", "gives_the_actor", "grant", "group", "groups",
    "handed_over", "heir", "host", "identity", "idle_in_transaction_timeout_s", "introduced_by", "is_active",
    "is_clean", "is_enabled", "kind", "lapses_after_s", "level", "limits", "line", "longest_s", "memberships",
    "name", "not_seen", "note", "outcome", "own_identity", "person", "policy", "port", "position", "principal",
    "problem", "provider", "question", "read_at", "reason", "receipt", "reference", "remedies", "replicas", "request",
    "requester", "requesters", "revision", "role", "roles", "schemas", "scope", "waits_for", "seen_as",
    "self_approved_environments", "server", "server_identity", "server_time", "sessions", "sessions_ended", "sha256",
    "signature", "slug", "source", "sql", "starts_at", "state", "statement_timeout_s", "statements", "steps",
    "subject", "tables", "team", "teams", "terms", "text", "through", "ticket", "tls", "tls_ca_file", "to",
    "unreadable", "user", "valid_until", "verdict", "version", "what_to_do", "wished_start",
})
# fmt: on

#: Fields that may be named but whose value is never recorded.
MASKED = frozenset({"password", "admin_secret", "secret", "token", "sealed_password", "verifier"})

#: Names that look like a secret's and are none.
HARMLESS = frozenset(
    {
        "content_hash",
        "head_hash",
        "terms_hash",
        "password_shown_at",
        "password_revealed_at",
        "public_key",
        "key_id",
    }
)

_LOOKS_SECRET = re.compile(r"passw|secret|token|credential|key|hash|verifier|dsn|cookie|private|otp", re.IGNORECASE)
#: A token of `access.services.tokens`, in whatever case somebody writes it; cut off, it is still most of a secret.
_TOKEN_BEGINNING = "lgt_"  # noqa: S105 - it is none
_TOKEN = re.compile(r"lgt_[A-Za-z0-9_-]*", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@")

_log = structlog.get_logger(__name__)


def looks_secret(name: str) -> bool:
    """Whether a field's name suggests that its value must not be read."""
    return name not in HARMLESS and _LOOKS_SECRET.search(name) is not None


def is_declared(name: str) -> bool:
    """Whether somebody has decided about this field."""
    return name in SHOWN or name in MASKED or name in HARMLESS


def disclosed(fields: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The fields as they may be recorded: declared, secrets masked, every value one that has a canonical text.

    Times, durations, decimals, enums and UUIDs become text. Raises `NotRecordable` for any other type.
    """
    if fields is None:
        return None
    return {clean_text(str(name)): _disclosed_value(str(name), value) for name, value in fields.items()}


def report_undeclared(name: str) -> None:
    """Tell the operators about a field that nobody declared. In the tests this is an error."""
    _log.error("audit_field_not_declared", field=name)


def clean_text(text: str) -> str:
    """The text as PostgreSQL can store it, with the password of any URL inside it masked, and every token of Lockgate's."""
    storable = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    return _URL_PASSWORD.sub(rf"\1:{MASK}@", without_tokens(storable))


def without_tokens(text: str) -> str:
    """The text with every token of Lockgate's masked: people type one where a user, a database or a name is asked for."""
    # Looked for first, since nearly no text has one.
    return _TOKEN.sub(MASK, text) if _TOKEN_BEGINNING in text.lower() else text


def _disclosed_value(name: str, value: Any) -> Any:
    if name in MASKED or looks_secret(name):
        return MASK
    if not is_declared(name):
        report_undeclared(name)
        return UNDECLARED
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < 2**53 else str(value)
    if isinstance(value, Mapping):
        return disclosed(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item) for item in value), key=repr)
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> str:
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, timedelta):
        return duration_iso_string(value)
    if isinstance(value, (date, Decimal, uuid.UUID)):
        return str(value)
    raise NotRecordable(f"A value of type {type(value).__name__}.")
