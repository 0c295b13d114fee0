"""What an account leaves behind: tables have no owner in MariaDB, but views, routines, triggers and events run with the
rights of the account that defined them, their definer. They are re-defined, same body, to the heir.

The heir is a role without a login and without privileges, so nothing that a person wrote can go on with rights that the
person has no more: a view or routine of theirs refuses from then on, a trigger refuses the statement that fires it, an
event is switched off. A routine that ran with the rights of its caller (`SQL SECURITY INVOKER`) would go on with whatever
those may do, so it runs with the heir's as well. Whether it deserves a better definer is for an administrator, who finds it
in the receipt.

Our own account need not be allowed to set any definer it likes: whoever has made a role their current one may name it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from connectors.base import Journal, Target
from connectors.errors import ConnectorError, ServerRefused
from connectors.mariadb import administering, names, statements
from connectors.mariadb.session import LOST, SQL_MODE, Session
from connectors.quoting import mariadb_name, mariadb_text

#: Kinds in the order in which they are re-defined: making a package anew drops its body.
_KINDS = ("VIEW", "FUNCTION", "PROCEDURE", "PACKAGE", "PACKAGE BODY", "TRIGGER", "EVENT")

#: Everything with a definer, by the name of an account or role: a host holds no `@`, but a name may.
_VIEWS = """
    SELECT 'VIEW' AS kind, table_schema AS `database`, table_name AS name, definer, security_type AS as_caller,
           collation_connection AS collation
    FROM information_schema.views
    WHERE table_schema NOT IN %s
      AND CONVERT(LEFT(definer, CHAR_LENGTH(definer) - LOCATE('@', REVERSE(definer))) USING utf8mb4)
          COLLATE utf8mb4_nopad_bin IN %s
"""
_ROUTINES = """
    SELECT type AS kind, db AS `database`, name, definer, security_type AS as_caller, sql_mode,
           collation_connection AS collation
    FROM mysql.proc
    WHERE db NOT IN %s AND LEFT(definer, CHAR_LENGTH(definer) - LOCATE('@', REVERSE(definer))) IN %s
"""
_TRIGGERS = """
    SELECT 'TRIGGER' AS kind, t.* FROM (
        SELECT trigger_schema AS `database`, trigger_name AS name, definer, sql_mode,
               collation_connection AS collation,
               CONCAT(action_timing, ' ', event_manipulation) AS moment, event_object_table AS `table`,
               LEAD(trigger_name) OVER (
                   PARTITION BY trigger_schema, event_object_table, action_timing, event_manipulation
                   ORDER BY action_order
               ) AS precedes
        FROM information_schema.triggers
        WHERE trigger_schema NOT IN %s
    ) AS t
    WHERE CONVERT(LEFT(definer, CHAR_LENGTH(definer) - LOCATE('@', REVERSE(definer))) USING utf8mb4)
          COLLATE utf8mb4_nopad_bin IN %s
"""
_EVENTS = """
    SELECT 'EVENT' AS kind, db AS `database`, name, definer, sql_mode, collation_connection AS collation
    FROM mysql.event
    WHERE db NOT IN %s AND LEFT(definer, CHAR_LENGTH(definer) - LOCATE('@', REVERSE(definer))) IN %s
"""

_HOLDS = """
    SELECT 1 FROM mysql.db WHERE User = %s
    UNION ALL SELECT 1 FROM mysql.tables_priv WHERE User = %s
    UNION ALL SELECT 1 FROM mysql.columns_priv WHERE User = %s
    UNION ALL SELECT 1 FROM mysql.procs_priv WHERE User = %s
    UNION ALL SELECT 1 FROM mysql.roles_mapping WHERE User = %s
    UNION ALL SELECT 1 FROM mysql.global_priv WHERE User = %s AND JSON_VALUE(Priv, '$.access') <> 0
"""
_IS_ON = "SELECT 1 FROM mysql.event WHERE db = %s AND name = %s AND status <> 'DISABLED'"
#: How often, and with which pause, one looks whether an event stays off.
_LOOKS = 5
_PAUSE = 0.03
#: How long a definition of ours waits for whoever is using the table.
_LOCK_SECONDS = 2

#: What can do something, and not only show something, with the rights of whoever uses it.
_ROUTINE_KINDS = ("FUNCTION", "PROCEDURE", "PACKAGE", "PACKAGE BODY")
_ALTERED = ("FUNCTION", "PROCEDURE")

_NAME = r'(?:`(?:[^`]|``)+`|"(?:[^"]|"")+"|[\w$]+)'
_GAP = r"(?:\s|/\*.*?\*/|(?:--\s|\#)[^\n]*\n)*"
#: The head of a trigger, as its maker wrote it, up to where the body begins.
_TRIGGER_HEAD = re.compile(
    _GAP.join(
        [
            r"\A\s*TRIGGER",
            r"(?:IF", "NOT", "EXISTS)?",
            rf"{_NAME}(?:", r"\.", rf"{_NAME})?",
            r"(?:BEFORE|AFTER)", r"(?:INSERT|UPDATE|DELETE)", "ON",
            rf"{_NAME}(?:", r"\.", rf"{_NAME})?",
            "FOR", "EACH", r"ROW\b",
        ]
    ),
    re.IGNORECASE | re.DOTALL,
)  # fmt: skip
#: The head of a package that runs with the rights of its caller, as the server writes it.
_PACKAGE_AS_CALLER = re.compile(rf"\A(PACKAGE(?: BODY)?\s+{_NAME}(?:\.{_NAME})?\s+)SQL SECURITY INVOKER\b")


@dataclass(frozen=True, slots=True)
class Defined:
    """One thing that an account is the definer of."""

    kind: str
    database: str
    name: str
    definer: str
    """`name@host`, or the name of a role with or without an `@` behind it, as the catalog has it."""
    as_caller: bool = False
    """`SQL SECURITY INVOKER`: it runs with the rights of whoever uses it."""
    sql_mode: str = SQL_MODE
    collation: str = ""
    """Of the connection that made it: the texts in its body are in it."""
    moment: str = ""
    """Of a trigger: `BEFORE INSERT`."""
    table: str = ""
    """Of a trigger."""
    precedes: str = ""
    """Of a trigger: the next one on the same table at the same moment; empty for the last."""

    @property
    def label(self) -> str:
        """In words, for the receipt."""
        return f"{self.kind.lower()} {self.database}.{self.name}"

    @property
    def sql_name(self) -> str:
        """With its database, quoted."""
        return names.table(self.database, self.name)


def defined_by(session: Session, principal: str) -> list[Defined]:
    """Everything of which an account of this name, or its own role, is the definer, where our account can see it."""
    found: list[Defined] = []
    definers = (principal, names.own_role_name(principal))
    for sql in (_VIEWS, _ROUTINES, _TRIGGERS, _EVENTS):
        found += [_described(row) for row in session.named_rows(sql, names.SYSTEM_SCHEMAS, definers)]
    return sorted(found, key=lambda one: _KINDS.index(one.kind))


def question(principal: str) -> str:
    """The same as SQL that somebody can run."""
    values = (names.SYSTEM_SCHEMAS, (principal, names.own_role_name(principal)))
    listed = tuple(f"({', '.join(mariadb_text(each) for each in several)})" for several in values)
    return "; ".join(" ".join(sql.split()) % listed for sql in (_VIEWS, _ROUTINES, _TRIGGERS, _EVENTS))


@dataclass(slots=True)
class HandedOver:
    """What became of what an account had defined, one line each."""

    told: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    """What somebody else is using: to be tried again."""


def hand_over(target: Target, found: list[Defined], heir: str, journal: Journal) -> HandedOver:
    """Re-define what was found to the heir. Raises `ServerRefused` when the heir has privileges."""
    result = HandedOver()
    with _session_as(target, heir, journal) as session:
        shut = {one: _no_longer_as_caller(session, one, journal) for one in found}
        # All of it is read before any of it is changed, since making a package anew drops its body.
        for one, text in [(one, shut[one] or _rewritten(session, one)) for one in found]:
            problem = text if isinstance(text, ConnectorError) else _redefine(session, one, text, journal)
            if problem is None:
                result.told.append(f"{one.label}: {heir}, {_consequence(one)}")
            elif problem.transient:
                result.waiting.append(f"{one.label}: {problem}")
            else:
                result.told.append(f"{one.label}: nobody, since it could not be re-defined, and so {_as_it_is(one)}")
                result.errors.append(f"{one.label}: {problem}")
        _keep_off([one for one in found if one.kind == "EVENT"], session, journal)
    return result


def has_privileges(session: Session, role: str) -> bool:
    """Whether a role may do anything, by itself or by way of another. Raises `ConnectorError`."""
    return bool(session.rows(_HOLDS, *[role] * 6))


@contextmanager
def _session_as(target: Target, heir: str, journal: Journal) -> Iterator[Session]:
    """A session whose current role is the heir."""
    session = Session(target)
    # It gets a role, a database and other settings: nobody must have it after us.
    session.spoil()
    try:
        if not session.rows("SELECT 1 FROM mysql.global_priv WHERE Host = '' AND User = %s", heir):
            session.run(statements.create_heir(heir), journal)
        elif administering.is_out_of_hand(session, heir):
            administering.take_over(session, heir, journal)
        if has_privileges(session, heir):
            raise ServerRefused(f"The role {heir} has privileges, so nothing is handed over to it. Take them away.")
        session.rows(f"SET ROLE {names.role(heir)}")
        # To change a trigger takes the table for oneself; whoever comes later waits behind us.
        session.rows("SET SESSION lock_wait_timeout = %s", _LOCK_SECONDS)
        yield session
    finally:
        session.close()


def _no_longer_as_caller(session: Session, one: Defined, journal: Journal) -> ConnectorError | None:
    """Have a routine run with the rights of its definer; a package has them in the head that is written anew."""
    if not one.as_caller or one.kind not in _ALTERED:
        return None
    try:
        session.run(statements.as_definer(one.kind, one.sql_name, one.database), journal)
    except LOST:
        raise
    except ConnectorError as error:
        return error
    return None


def _rewritten(session: Session, one: Defined) -> str | ConnectorError:
    """The statement that makes it anew with the current role as its definer, or why there is none."""
    if one.kind == "EVENT":
        return _switched_off(one)
    try:
        made = session.named_rows(f"SHOW CREATE {one.kind} {one.sql_name}")[0]
        head, rest = _around_definer(_text_of(made), one.definer)
        if one.kind == "TRIGGER":
            rest = _ordered(one, rest)
        elif one.kind in _ROUTINE_KINDS and one.as_caller:
            rest = _PACKAGE_AS_CALLER.sub(r"\1", rest)
        return f"{head}DEFINER = CURRENT_ROLE {rest}"
    except LOST:
        raise
    except ConnectorError as error:
        return error


def _around_definer(text: str, definer: str) -> tuple[str, str]:
    """What stands before and after `DEFINER=…`, which the server puts near the beginning in one of two quotings."""
    name, _, host = definer.rpartition("@") if "@" in definer else (definer, "", "")
    for quote in '`"':
        account = "@".join(quote + part.replace(quote, quote * 2) + quote for part in (name, host) if part)
        match = re.match(rf"CREATE (?:OR REPLACE )?(ALGORITHM=\w+ )?DEFINER={re.escape(account)} ", text)
        if match:
            return f"CREATE OR REPLACE {match.group(1) or ''}", text[match.end() :]
    raise ServerRefused("The server shows its definition in an unknown form.")


def _ordered(one: Defined, text: str) -> str:
    """A trigger with a head of ours, which keeps its place among the triggers of the same moment."""
    head = _TRIGGER_HEAD.match(text)
    if head is None:
        raise ServerRefused("The server shows its definition in an unknown form.")
    place = f" PRECEDES {mariadb_name(one.precedes)}" if one.precedes else ""
    where = names.table(one.database, one.table)
    return f"TRIGGER {one.sql_name} {one.moment} ON {where} FOR EACH ROW{place} {text[head.end() :].lstrip()}"


def _redefine(session: Session, one: Defined, text: str, journal: Journal) -> ConnectorError | None:
    try:
        session.rows(f"USE {mariadb_name(one.database)}")
        session.rows(f"SET SESSION sql_mode = {mariadb_text(one.sql_mode)}")
        if one.collation:
            session.rows(f"SET SESSION collation_connection = {mariadb_text(one.collation)}")
        session.run(statements.redefine(text, one.database), journal)
    except LOST:
        raise
    except ConnectorError as error:
        return error
    return None


def _keep_off(events: list[Defined], session: Session, journal: Journal) -> None:
    """Switch off once more what the scheduler has switched on: it writes back the state that it knew when it began."""
    for _ in range(_LOOKS if events else 0):
        time.sleep(_PAUSE)
        on = [one for one in events if session.rows(_IS_ON, one.database, one.name)]
        for one in on:
            _redefine(session, one, _switched_off(one), journal)
        if not on:
            return


def _switched_off(one: Defined) -> str:
    return f"ALTER DEFINER = CURRENT_ROLE EVENT {one.sql_name} DISABLE"


def _consequence(one: Defined) -> str:
    if one.kind == "EVENT":
        return "switched off"
    if one.kind == "TRIGGER":
        what = f"every {one.moment.split()[-1]} on {one.database}.{one.table}"
        return f"so {what} is refused until an administrator re-defines or drops it"
    if one.as_caller and one.kind == "VIEW":
        return "works as before, with the rights of its caller"
    if one.as_caller and one.kind in _ALTERED:
        return (
            "refuses to work, since it ran with the rights of its caller, until an administrator has read it and runs"
            f" ALTER {one.kind} {one.sql_name} SQL SECURITY INVOKER"
        )
    return "refuses to work until an administrator re-defines it"


def _as_it_is(one: Defined) -> str:
    if one.as_caller:
        return "it works on, with the rights of its caller, until an administrator drops or re-defines it"
    return "it does not work"


def _described(row: dict[str, Any]) -> Defined:
    words = {key: _word(value) for key, value in row.items()}
    words["as_caller"] = words.get("as_caller") == "INVOKER"
    return Defined(**words)


def _word(value: Any) -> Any:
    # mysqlclient gives a SET as one text or as a Python set, depending on its version.
    return ",".join(sorted(value)) if isinstance(value, set | frozenset) else value or ""


def _text_of(row: dict[str, Any]) -> str:
    """The definition in the answer to SHOW CREATE, whose column is named after the kind of thing."""
    column = next(name for name in row if name.startswith("Create ") or name == "SQL Original Statement")
    if row[column] is None:
        raise ServerRefused("Our account may not see its definition.")
    return str(row[column])
