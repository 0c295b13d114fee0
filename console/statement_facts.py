"""A statement of the record, for a reader: what each member of its entries says, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.template.defaultfilters import filesizeformat

from audit.statement_search import Statement

VERDICTS: Mapping[str, str] = {
    "done": "Done",
    "failed": "Failed on the server",
    "refused": "Refused by a rule, not sent",
    "limited": "Stopped by a limit of the access role",
    "skipped": "Skipped after an earlier error",
    "cut": "Cut: the session ended in the middle of it",
    "unsent": "Not sent: it could not be recorded",
    "unknown": "Unknown: the gateway died in the middle of it",
    "running": "Still running",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Told elsewhere on the page, or of use to a machine alone.
_NOT_SHOWN = frozenset(
    {"v", "stream", "seq", "at", "kind", "session", "prev", "statement", "shape", "sealed", "person", "grant"}
)

_NAMES: Mapping[str, str] = {
    "client_ip": "From",
    "application": "Program",
    "principal": "Account",
    "credential": "Signed in with",
    "ends_at": "Access until",
    "keep": "Text kept as",
    "durability": "Recorded",
    "settings": "Settings it began with",
    "classes": "Kind",
    "parsed": "Parsed",
    "sha256": "SHA-256 of the text",
    "took": "Took",
    "bytes": "Size of the answer",
    "code": "Code",
    "shortened": "Shortened",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One line: what it is, and a text or a time."""

    name: str
    value: str | datetime

    @property
    def is_time(self) -> bool:
        """Shown in the reader's own zone."""
        return isinstance(self.value, datetime)


def session_facts(statement: Statement) -> list[Fact]:
    """Whose session it was and where it came from."""
    return list(_facts(statement.opened))


def text_facts(statement: Statement) -> list[Fact]:
    """What kind of statement it was, and which rule refused it."""
    return list(_facts(statement.begun))


def outcome_facts(statement: Statement) -> list[Fact]:
    """What became of it."""
    return list(_facts({name: value for name, value in statement.outcome.items() if name != "verdict"}))


def _facts(content: Mapping[str, Any]) -> Iterator[Fact]:
    for name, value in content.items():
        if name not in _NOT_SHOWN and value not in (None, "", [], {}):
            yield Fact(_NAMES.get(name, name.replace("_", " ").capitalize()), _told(name, value))


def _told(name: str, value: Any) -> str | datetime:
    if name == "ends_at" and isinstance(value, int):
        return _EPOCH + timedelta(microseconds=value)
    if name == "ends_at":
        return datetime.fromisoformat(str(value))
    if name == "took":
        return f"{value / 1000:.1f} ms"
    if name == "bytes":
        return str(filesizeformat(value)).replace("\xa0", " ")
    if name == "credential":
        return f"{str(value.get('kind', '')).replace('_', ' ')} {value.get('id', '')}".strip()
    if name == "settings":
        return ", ".join(f"{setting} = {given}" for setting, given in value.items())
    if isinstance(value, Mapping):
        return str(
            value.get("name") or value.get("label") or value.get("reference") or ", ".join(map(str, value.values()))
        )
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
