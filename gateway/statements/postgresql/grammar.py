"""The one reading of a text: PostgreSQL's own grammar, version 17, by libpg_query.

What it takes, the servers from 13 to 18 take as well, but for a few words that one of them does not know: those are the
server's own syntax errors. What it does not take is not sent at all where the rules refuse what is not understood.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import orjson
import pgparse

from access.gateway_rules import StatementClass as Class
from gateway.statements.postgresql.reading import Reader
from gateway.statements.postgresql.shape import shape_of, shortened, without_comments
from gateway.statements.statement import UNKNOWN, Fault, Statement, Understood

#: The tree comes as JSON, whose reader counts every level of it as a call. The bound is for texts that are short enough to be
#: read beside others: it takes a level for every two characters or so.
_DEEPEST = 20_000
_STACK = "stack depth limit exceeded"


def understand(text: str, *, bare: str = "") -> Understood:
    """What a text does; `bare` as in `shape_of`."""
    try:
        if len(text) > _LONG and (short := _shortened(text)) is not None:
            understood = _understood(short, text)
            if not understood.hangs_on_literals:
                return understood
        return _understood(text, text, bare)
    except pgparse.PGQueryError as error:
        if ("--" in text or "/*" in text) and (bare := without_comments(text)) != text:
            # libpg_query's scanner makes tokens of comments: behind one no string goes on, and NOT IN, NULLS FIRST, WITH TIME
            # are no pairs of words with one between them.
            return understand(bare)
        return Understood(_faulty(str(error.message), int(error.position)))
    except RecursionError:
        return Understood(_faulty(_STACK, 0))


def _understood(read: str, text: str, bare: str = "") -> Understood:
    tree = _tree(read)
    reader = Reader()
    statement = reader.read(tree)
    return Understood(
        statement,
        shape_of(read, shown=_is_open(statement), bare=bare),
        pgparse.fingerprint(text) if tree else _NO_FINGERPRINT,
        hangs_on_literals=reader.hangs_on_literals,
    )


def _tree(text: str) -> list[dict[str, Any]]:
    tree: list[dict[str, Any]] = pgparse.parse(text)
    return tree


class _Trees:
    """Reads the JSON that a tree comes as in half the time of the reader that pgparse itself takes."""

    @staticmethod
    def loads(tree: str) -> Any:
        """What it says. Raises `RecursionError` where it is nested too deeply for either."""
        try:
            return orjson.loads(tree)
        except orjson.JSONDecodeError:
            # It is nested more than a thousand deep.
            return _deep(tree)


def _deep(tree: str) -> Any:
    # For this call alone: others want to hear of their own depth early.
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(_DEEPEST, limit))
    try:
        return json.loads(tree)
    finally:
        sys.setrecursionlimit(limit)


pgparse.json = _Trees


def _shortened(text: str) -> str | None:
    """The same statement with fewer and shorter constants, where the grammar itself says that it is the same.

    The tree of a hundred thousand rows would take a gigabyte. Its fingerprint is made without one, and leaves out what
    constants say and how many there are.
    """
    short = shortened(text)
    if len(short) > len(text) // 2 or pgparse.fingerprint(short) != pgparse.fingerprint(text):
        return None
    return short


#: Longer texts are worth it.
_LONG = 16_000
_NO_FINGERPRINT = "0" * 16
#: Settings whose values change what a text means, or what is told of it: they stand in the record as they are.
_OPEN = frozenset(
    {
        *("search_path", "client_encoding", "standard_conforming_strings", "default_transaction_read_only"),
        *("transaction_read_only", "timezone", "datestyle", "intervalstyle", "role", "session_authorization"),
    }
)


def _is_open(statement: Statement) -> bool:
    """Whether it does nothing but to set what the record has to tell."""
    return (
        statement.classes == {Class.SESSION}
        and statement.count == 1
        and bool(statement.settings)
        and not statement.functions
        and all(setting.name in _OPEN for setting in statement.settings)
    )


def _faulty(message: str, position: int) -> Statement:
    sqlstate = "54001" if message.startswith(_STACK) else "42601"
    return Statement(UNKNOWN.classes, is_parsed=False, fault=Fault(message, position, sqlstate))
