"""What a role's sessions may do at the gateway, and what of their statements is kept. Pure: values only.

The rules of a role are frozen into what is approved, like its scope and its limits: `access.content` stores them as JSON.
The wall stays the principal's privileges on the server; these rules say no earlier, and say why.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


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
    most_sessions: int | None = 5
    """Of one person through this grant, on all gateways that share a console."""
    keep: Keep = Keep.SHAPE
    durability: Durability = Durability.STRICT
