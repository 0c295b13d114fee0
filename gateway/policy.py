"""Whether the rules of an access role allow a statement, and if not, which rule says no and how to ask for more. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from access.gateway_rules import Rules, StatementClass, Unparsed
from gateway.statements.classifying import WRITE_SETTINGS, Statement

_ASK = "Ask in the console for an access role that allows it."


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule says no."""

    rule: str
    """`class`, `unparsed`, `read_only`, `role`, `where`, `table` or `function`."""
    reason: str
    """A sentence."""
    hint: str = _ASK


def decide(rules: Rules, statement: Statement) -> Refusal | None:
    """The first rule that refuses the statement; None when all of them allow it."""
    for rule in (_unparsed, _classes, _read_only, _role, _where, _tables, _functions):
        refusal = rule(rules, statement)
        if refusal is not None:
            return refusal
    return None


def _unparsed(rules: Rules, statement: Statement) -> Refusal | None:
    if statement.is_parsed or rules.unparsed is Unparsed.PASS:
        return None
    return Refusal(
        "unparsed",
        "Lockgate does not understand it, and the role refuses what is not understood.",
        "Write it in a simpler way. " + _ASK,
    )


def _classes(rules: Rules, statement: Statement) -> Refusal | None:
    # Whatever is not understood has passed the rule above.
    missing = sorted(statement.classes - rules.classes - {StatementClass.UNKNOWN})
    if not missing:
        return None
    allowed = ", ".join(sorted(rules.classes)) or "none"
    return Refusal("class", f"It is a statement of the class {', '.join(missing)}; the role allows {allowed}.")


def _read_only(rules: Rules, statement: Statement) -> Refusal | None:
    if not rules.read_only:
        return None
    # RESET leads back to what the gateway has said when it connected, and changes nothing.
    if statement.asks_to_write or statement.settings & WRITE_SETTINGS or "set_config" in statement.functions:
        return Refusal("read_only", "Sessions of this role are read-only, and it would change that.")
    return None


def _role(rules: Rules, statement: Statement) -> Refusal | None:
    if not statement.changes_role:
        return None
    return Refusal("role", "A session keeps the account that Lockgate made for it.", "")


def _where(rules: Rules, statement: Statement) -> Refusal | None:
    if not rules.where_required or not statement.changes_every_row:
        return None
    return Refusal(
        "where",
        "It changes every row: the role asks for a WHERE that names a column.",
        "Say in WHERE which rows you mean. " + _ASK,
    )


def _tables(rules: Rules, statement: Statement) -> Refusal | None:
    if rules.tables is None:
        return None
    for table in sorted(statement.tables):
        # Clients look there for what there is; the server shows nobody more than they may see.
        if table.partition(".")[0] in ("pg_catalog", "information_schema"):
            continue
        if not any(_matches(table, pattern) for pattern in rules.tables):
            return Refusal("table", f"The role does not reach the table {table}.")
    return None


def _matches(table: str, pattern: str) -> bool:
    """`item` is `*.item` to a pattern with a schema, since what it means hangs on the search path; the server decides."""
    if "." in pattern and "." not in table:
        return fnmatchcase(table, pattern.partition(".")[2])
    if "." not in pattern:
        return fnmatchcase(table.rpartition(".")[2], pattern)
    return fnmatchcase(table, pattern)


def _functions(rules: Rules, statement: Statement) -> Refusal | None:
    denied = sorted(
        name for name in statement.functions if any(fnmatchcase(name, one) for one in rules.denied_functions)
    )
    if not denied:
        return None
    return Refusal("function", f"The role does not allow the function {denied[0]}.")
