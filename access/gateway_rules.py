"""What a role's sessions may do at the gateway, and what of their statements is kept. Pure: values only.

The rules of a role are frozen into what is approved, like its scope and its limits: `access.content` stores them as JSON.
The wall stays the principal's privileges on the server; these rules say no earlier, and say why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from connectors.base import Level


class StatementClass(StrEnum):
    """What a statement does, as far as it can be told from its text."""

    READ = "read"
    WRITE = "write"
    DDL = "ddl"
    TRANSACTION = "transaction"
    """BEGIN, COMMIT, SAVEPOINT and the like."""
    SESSION = "session"
    """SET, SHOW, RESET, DISCARD, LISTEN, cursors and prepared statements by name."""
    CALL = "call"
    """CALL, DO, EXECUTE of a routine: what it does is not in the text."""
    ADMIN = "admin"
    """VACUUM, ANALYZE, GRANT, CREATE ROLE, COPY to or from a file of the server and the like."""
    UNKNOWN = "unknown"
    """Not parsed."""


class Unparsed(StrEnum):
    """What becomes of a statement that the parser does not understand."""

    REFUSE = "refuse"
    PASS = "pass"  # noqa: S105
    """To the database's own walls, and marked in the record."""


class Keep(StrEnum):
    """What of a statement's text the record keeps."""

    FINGERPRINT = "fingerprint"
    """The fingerprint and the SHA-256 of the text alone."""
    SHAPE = "shape"
    """The text with its literals removed."""
    TEXT = "text"
    """The whole text and its parameters, encrypted."""


class Durability(StrEnum):
    """When the intent of a statement is on disk."""

    STRICT = "strict"
    """Before the statement is sent: every intent is fsynced first."""
    BATCHED = "batched"
    """Written to the file before the statement is sent, fsynced at least every ten milliseconds."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What one access role allows at the gateway. None means no limit of this kind."""

    classes: frozenset[StatementClass]
    tables: tuple[str, ...] | None = None
    """`schema.table` or `table`, `*` for any piece; None: whatever the principal's privileges allow."""
    denied_functions: tuple[str, ...] = ()
    where_required: bool = True
    """Whether UPDATE and DELETE without WHERE are refused."""
    unparsed: Unparsed = Unparsed.REFUSE
    read_only: bool = False
    """The server is told that every transaction is read-only."""
    longest_statement: timedelta | None = timedelta(minutes=5)
    longest_idle: timedelta | None = timedelta(minutes=30)
    most_rows: int | None = None
    """Of one statement."""
    most_bytes: int | None = None
    """Of one statement's result, as the wire carries it."""
    keep: Keep = Keep.SHAPE
    durability: Durability = Durability.STRICT


#: What a role of each level may do at the gateway until an administrator says otherwise.
_CLASSES = {
    Level.READ: {StatementClass.READ},
    Level.WRITE: {StatementClass.READ, StatementClass.WRITE},
    Level.DDL: {StatementClass.READ, StatementClass.WRITE, StatementClass.DDL},
    Level.MEMBER: {StatementClass.READ, StatementClass.WRITE, StatementClass.CALL},
}
#: Every session needs these: no driver works without.
ALWAYS = frozenset({StatementClass.TRANSACTION, StatementClass.SESSION})
#: What an administrator allows or does not.
CHOSEN = tuple(one for one in StatementClass if one not in ALWAYS and one is not StatementClass.UNKNOWN)


def rules_for(level: Level) -> Rules:
    """The rules of a role of this level that nobody has changed."""
    return Rules(classes=ALWAYS | _CLASSES[level], read_only=level is Level.READ)


def loosens(before: Rules, after: Rules) -> bool:
    """Whether somebody could do more under `after`, or less would be known of what they did."""
    return bool(
        after.classes - before.classes
        or _reaches_further(before.tables, after.tables)
        or set(before.denied_functions) - set(after.denied_functions)
        or (before.where_required and not after.where_required)
        or (before.read_only and not after.read_only)
        or (after.unparsed is Unparsed.PASS and before.unparsed is not Unparsed.PASS)
        or _grows(before.longest_statement, after.longest_statement)
        or _grows(before.longest_idle, after.longest_idle)
        or _grows(before.most_rows, after.most_rows)
        or _grows(before.most_bytes, after.most_bytes)
        or list(Keep).index(after.keep) < list(Keep).index(before.keep)
        or (after.durability is Durability.BATCHED and before.durability is not Durability.BATCHED)
    )


def _reaches_further(before: tuple[str, ...] | None, after: tuple[str, ...] | None) -> bool:
    if before is None:
        return False
    return after is None or not set(after) <= set(before)


def _grows(before: timedelta | int | None, after: timedelta | int | None) -> bool:
    if before is None:
        return False
    return after is None or after > before  # type: ignore[operator]  # both are of one kind


def rules_to_json(rules: Rules) -> dict[str, Any]:
    """Rules as plain JSON values, times in seconds, lists in one order."""
    return {
        "classes": sorted(rules.classes),
        "tables": None if rules.tables is None else list(rules.tables),
        "denied_functions": list(rules.denied_functions),
        "where_required": rules.where_required,
        "unparsed": rules.unparsed.value,
        "read_only": rules.read_only,
        "longest_statement_s": _seconds(rules.longest_statement),
        "longest_idle_s": _seconds(rules.longest_idle),
        "most_rows": rules.most_rows,
        "most_bytes": rules.most_bytes,
        "keep": rules.keep.value,
        "durability": rules.durability.value,
    }


def rules_from_json(data: Mapping[str, Any]) -> Rules:
    """The rules that `rules_to_json` wrote."""
    return Rules(
        classes=frozenset(StatementClass(name) for name in data["classes"]),
        tables=None if data["tables"] is None else tuple(data["tables"]),
        denied_functions=tuple(data["denied_functions"]),
        where_required=data["where_required"],
        unparsed=Unparsed(data["unparsed"]),
        read_only=data["read_only"],
        longest_statement=_duration(data["longest_statement_s"]),
        longest_idle=_duration(data["longest_idle_s"]),
        most_rows=data["most_rows"],
        most_bytes=data["most_bytes"],
        keep=Keep(data["keep"]),
        durability=Durability(data["durability"]),
    )


def as_recorded(rules: Rules, *, are_own: bool) -> dict[str, Any]:
    """The rules of an access role as the audit trail tells them, each under a name of its own."""
    whose = "its own" if are_own else "those of the level"
    return {"gateway_rules": whose, **{f"gateway_{name}": value for name, value in rules_to_json(rules).items()}}


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else int(span.total_seconds())


def _duration(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


_KEPT = {
    Keep.FINGERPRINT: "of each text only the fingerprint is kept",
    Keep.SHAPE: "texts are kept without literals",
    Keep.TEXT: "whole texts are kept, encrypted",
}


def in_words(rules: Rules) -> str:
    """What the rules allow, in one sentence, for whoever asks and whoever approves."""
    parts = [f"statements of the classes {', '.join(sorted(rules.classes)) or 'none'}"]
    if rules.tables is not None:
        parts.append(f"on the tables {', '.join(rules.tables) or 'none'}")
    if rules.denied_functions:
        parts.append(f"without the functions {', '.join(rules.denied_functions)}")
    if rules.read_only:
        parts.append("in read-only transactions")
    if not rules.where_required:
        parts.append("also without WHERE")
    if rules.unparsed is Unparsed.PASS:
        parts.append("also what is not understood")
    if limits := _limits(rules):
        parts.append(f"up to {' and '.join(limits)} each")
    sentences = [", ".join(parts)]
    if rules.longest_idle is not None:
        sentences.append(f"a session ends after {_span(rules.longest_idle)} without a statement")
    sentences.append(_KEPT[rules.keep])
    if rules.durability is Durability.BATCHED:
        sentences.append("the last ten milliseconds of the record are at risk if the machine itself dies")
    return "; ".join(sentences)


def _limits(rules: Rules) -> list[str]:
    limits = [] if rules.longest_statement is None else [_span(rules.longest_statement)]
    return limits + [
        f"{most} {what}" for most, what in ((rules.most_rows, "rows"), (rules.most_bytes, "bytes")) if most
    ]


def _span(span: timedelta) -> str:
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    pieces = ((minutes, "minute"), (seconds, "second"))
    return " ".join(f"{number} {unit}{'' if number == 1 else 's'}" for number, unit in pieces if number)
