"""Whether the rules of an access role allow a statement, and if not, which rule says no and how to ask for more. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from access.gateway_rules import Rules, StatementClass, Unparsed
from gateway.statements.postgresql.encodings import is_readable
from gateway.statements.postgresql.settings import is_surely_on
from gateway.statements.statement import Setting, Statement

_ASK = "Ask in the console for an access role that allows it."
#: Where migration tools note that they are at work, in a row or two, and change it without WHERE: Liquibase empties its own
#: when it makes it, Knex sets its whole column, golang-migrate truncates before it writes a version.
_NOTES_OF_MIGRATIONS = frozenset({"databasechangeloglock", "knex_migrations_lock", "schema_migrations"})
#: What decides whether a session may write.
_WRITE_SETTINGS = frozenset({"default_transaction_read_only", "transaction_read_only"})
_ROLE_SETTINGS = frozenset({"role", "session_authorization"})
#: Functions that read what a text in their arguments says: no rule can see there which tables that are.
_READ_BY_TEXT = frozenset(
    {
        *("query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "cursor_to_xml", "cursor_to_xmlschema"),
        *("table_to_xml", "table_to_xmlschema", "table_to_xml_and_xmlschema", "schema_to_xml", "schema_to_xmlschema"),
        *("schema_to_xml_and_xmlschema", "database_to_xml", "database_to_xmlschema", "database_to_xml_and_xmlschema"),
        *("ts_stat", "ts_rewrite", "crosstab", "crosstab2", "crosstab3", "crosstab4", "connectby", "xpath_table"),
        *("dblink", "dblink_exec", "dblink_open", "dblink_send_query", "lo_get", "loread", "lo_export"),
    }
)
#: Relations of the catalogue with values from the tables of others in them.
_HOLDS_VALUES = frozenset({"pg_catalog.pg_stats", "pg_catalog.pg_stats_ext", "pg_catalog.pg_stats_ext_exprs"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule says no."""

    rule: str
    """`syntax`, `class`, `unparsed`, `setting`, `read_only`, `where`, `table`, `function` or `role`."""
    reason: str
    """A sentence."""
    hint: str = _ASK
    account: str = ""
    """Of the rule `role`: the one account whose sessions it does not change, and may run it."""


def decide(rules: Rules, statement: Statement) -> Refusal | None:
    """The first rule that refuses the statement; None when all of them allow it."""
    for rule in (_unparsed, _classes, _settings, _read_only, _where, _tables, _functions, _role):
        refusal = rule(rules, statement)
        if refusal is not None:
            return refusal
    return None


def _unparsed(rules: Rules, statement: Statement) -> Refusal | None:
    if statement.is_parsed or rules.unparsed is Unparsed.PASS:
        return None
    if statement.fault is not None:
        return Refusal("syntax", statement.fault.message, "")
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


def _settings(rules: Rules, statement: Statement) -> Refusal | None:
    """What would change how the texts behind it are read is followed, or refused."""
    for setting in sorted(statement.settings, key=lambda one: one.name):
        value = setting.value or ""
        if setting.name == "*":
            return Refusal(
                "setting", "It does not say which setting it sets.", "Write the setting's name into the text."
            )
        if setting.name == "standard_conforming_strings" and not is_surely_on(value):
            return Refusal("setting", "Statements are recorded as standard_conforming_strings = on reads them.", "")
        if setting.name == "client_encoding" and not (setting.is_known and is_readable(value)):
            return Refusal(
                "setting",
                f"Statements in the encoding {value or 'that it asks for'} cannot be recorded as the server reads them.",
                "Use UTF8.",
            )
        if setting.name == "search_path" and not path_is_within(rules, setting):
            return Refusal("table", f"The role does not reach all of the schemas {value or 'that it asks for'}.")
    return None


def path_is_within(rules: Rules, setting: Setting) -> bool:
    """Where tables are named with their schemas, a bare name must not mean a table of another schema."""
    schemas = [pattern.partition(".")[0] for pattern in rules.tables or () if "." in pattern]
    if not schemas:
        return True
    if not setting.is_known:
        return False
    path = [name.strip().strip('"') for name in (setting.value or "").split(",")]
    free = ("", "pg_catalog", "pg_temp", "public", "$user")
    return all(name in free or any(fnmatchcase(name, schema) for schema in schemas) for name in path)


def _read_only(rules: Rules, statement: Statement) -> Refusal | None:
    if not rules.read_only:
        return None
    # RESET leads back to what the gateway has said when it connected, and changes nothing.
    writes = any(one.name in _WRITE_SETTINGS and not is_surely_on(one.value or "") for one in statement.settings)
    if statement.asks_to_write or writes:
        return Refusal("read_only", "Sessions of this role are read-only, and it would change that.")
    return None


def _where(rules: Rules, statement: Statement) -> Refusal | None:
    if not rules.where_required or not statement.changes_every_row:
        return None
    if statement.tables and all(table.rpartition(".")[2] in _NOTES_OF_MIGRATIONS for table in statement.tables):
        return None
    return Refusal(
        "where",
        "It changes every row: the role asks for a WHERE that chooses by a column of the table.",
        "Say in WHERE which rows you mean. " + _ASK,
    )


def _tables(rules: Rules, statement: Statement) -> Refusal | None:
    if rules.tables is None:
        return None
    for table in sorted(statement.tables):
        if table in _HOLDS_VALUES:
            return Refusal(
                "table", f"The role names its tables, and {table} holds values of all that the account may read."
            )
        # Clients look there for what there is; the server shows nobody more than they may see.
        if table.partition(".")[0] in ("pg_catalog", "information_schema"):
            continue
        if not any(_matches(table, pattern) for pattern in rules.tables):
            return Refusal("table", f"The role does not reach the table {table}.")
    if hidden := sorted(statement.functions & _READ_BY_TEXT):
        return Refusal("table", f"The role names its tables, and what {hidden[0]} reads is not in the text.")
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


def _role(rules: Rules, statement: Statement) -> Refusal | None:
    wanted = [one for one in statement.settings if one.name in _ROLE_SETTINGS and (one.value or "").lower() != "none"]
    if not wanted:
        return None
    names = {one.value for one in wanted if one.is_known}
    account = names.pop() if len(names) == 1 and all(one.is_known for one in wanted) else None
    return Refusal("role", "A session keeps the account that Lockgate made for it.", "", account or "")
