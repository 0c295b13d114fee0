"""What an access role may say of the gateway, each thing that is not possible with the sentence that says what to do."""

from __future__ import annotations

import re
from datetime import timedelta

from access.errors import BadRequest
from access.gateway_rules import ALWAYS, CHOSEN, Rules
from connectors.base import Level

#: What a server takes as a timeout, in milliseconds, is 31 bits long.
LONGEST_LIMIT = timedelta(days=24)
SHORTEST_LIMIT = timedelta(seconds=1)
#: Larger ones are more than any client can take, and than every JSON reader reads exactly.
HIGHEST_LIMIT = 10**15
MOST_PATTERNS = 200
_LONGEST_PATTERN = 200

#: A name with `*` for any part of it; what else a pattern could mean to `fnmatch` is left out.
_NAME = r"""[^\s."'`\[\]?();,]+"""
_TABLE = re.compile(rf"(?:{_NAME}\.)?{_NAME}")
_FUNCTION = re.compile(_NAME)


class NoStatementClass(BadRequest):
    """Tick at least one kind of statement: with none of them nothing could be asked of the server."""

    field = "gateway_classes"


class TablePatternNotPossible(BadRequest):
    """Write each table as schema.table or table, without quotes, with * for any part of a name."""

    field = "gateway_tables"


class FunctionPatternNotPossible(BadRequest):
    """Write each function by its name alone, without schema and parentheses, with * for any part of it."""

    field = "gateway_denied_functions"


class ReadsAreReadOnly(BadRequest):
    """A role of the level read is read-only on the server as well. Tick it, or choose another level."""

    field = "gateway_read_only"


class StatementLimitNotPossible(BadRequest):
    """The longest statement has to lie between one second and 24 days. Leave it empty for no limit."""

    field = "gateway_longest_statement"


class IdleLimitNotPossible(BadRequest):
    """The longest silence has to lie between one second and 24 days. Leave it empty for no limit."""

    field = "gateway_longest_idle"


class RowLimitNotPossible(BadRequest):
    """The most rows have to be 1 or more. Leave it empty for no limit."""

    field = "gateway_most_rows"


class ByteLimitNotPossible(BadRequest):
    """The largest result has to be 1 byte or more. Leave it empty for no limit."""

    field = "gateway_most_bytes"


def check_gateway(level: Level, rules: Rules | None) -> None:
    """Raises one of the errors above; None, the rules of the level, are always possible."""
    if rules is None:
        return
    if not rules.classes & set(CHOSEN) or not rules.classes <= ALWAYS | set(CHOSEN):
        raise NoStatementClass
    if level is Level.READ and not rules.read_only:
        raise ReadsAreReadOnly
    _check_patterns(rules.tables or (), _TABLE, TablePatternNotPossible)
    _check_patterns(rules.denied_functions, _FUNCTION, FunctionPatternNotPossible)
    _check_limits(rules)


def _check_patterns(patterns: tuple[str, ...], form: re.Pattern[str], error: type[BadRequest]) -> None:
    if len(patterns) > MOST_PATTERNS:
        raise error(f"At most {MOST_PATTERNS} of them.")
    for pattern in patterns:
        if len(pattern) > _LONGEST_PATTERN or not pattern.isprintable() or not form.fullmatch(pattern):
            raise error(f"This is none: {pattern[:_LONGEST_PATTERN]}")


def _check_limits(rules: Rules) -> None:
    for span, error in (
        (rules.longest_statement, StatementLimitNotPossible),
        (rules.longest_idle, IdleLimitNotPossible),
    ):
        if span is not None and not SHORTEST_LIMIT <= span <= LONGEST_LIMIT:
            raise error
    for most, wrong in ((rules.most_rows, RowLimitNotPossible), (rules.most_bytes, ByteLimitNotPossible)):
        if most is not None and not 1 <= most <= HIGHEST_LIMIT:
            raise wrong
