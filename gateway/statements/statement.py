"""What a statement does, as far as its text tells. Values only: the same for every engine.

The rules (`gateway.policy`) are asked about this and nothing else; what it is told from is each engine's own affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from access.gateway_rules import StatementClass as Class


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that the statement sets, whether by SET or by a function."""

    name: str
    """In lower case; `*` where the text does not tell which."""
    value: str | None
    """What it is set to; None where it goes back to its default, or where the text does not tell."""
    is_known: bool = True
    """Whether the text tells the value."""


class Effect(StrEnum):
    """What SQL does to the names of prepared statements and portals."""

    PREPARE = "prepare"
    DEALLOCATE = "deallocate"
    DECLARE = "declare"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class NameChange:
    """A name that means something else once the statement has run."""

    effect: Effect
    name: str | None
    """As the server reads it; None for all of them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the server's own grammar does not take a text."""

    message: str
    """The server's words, without anything of the text but the piece it stumbled over."""
    position: int = 0
    """In characters, counted from 1; 0 where there is none."""
    sqlstate: str = "42601"


@dataclass(frozen=True, slots=True)
class Statement:
    """What one text does; where it holds several statements, what all of them do."""

    classes: frozenset[Class]
    tables: frozenset[str] = frozenset()
    """`schema.table`, or `table` where the text names no schema; as the server folds their case."""
    functions: frozenset[str] = frozenset()
    """In lower case, without their schema."""
    changes_every_row: bool = False
    """An UPDATE or DELETE whose WHERE chooses no rows of its table, or which has none; a TRUNCATE."""
    settings: frozenset[Setting] = frozenset()
    resets_settings: bool = False
    """RESET ALL, DISCARD ALL, RESET of what decides how texts are read."""
    asks_to_write: bool = False
    """READ WRITE of a transaction."""
    names: tuple[NameChange, ...] = ()
    """In the order of the text."""
    is_parsed: bool = True
    fault: Fault | None = None
    """Why it is not parsed, where the engine's own grammar says so."""
    count: int = 1
    """How many statements the text holds."""


@dataclass(frozen=True, slots=True)
class Understood:
    """A text as it is understood."""

    statement: Statement
    shape: str = ""
    """For people: the text without its literals and comments, `SELECT name FROM item WHERE id = ?`."""
    fingerprint: str = "0" * 16
    """16 hexadecimal digits: the same for texts that differ in literals, case or white space alone."""
    hangs_on_literals: bool = False
    """Another text that differs in a literal may do something else, so that this is not its understanding."""


UNKNOWN = Statement(frozenset({Class.UNKNOWN}), is_parsed=False)
