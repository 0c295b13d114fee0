"""Questions whose SQL is worked out once: what every page and every poll asks is answered by the database in less time than
the ORM takes to write it.

The question itself stays a queryset, written for stand-ins: somebody of a kind, and a moment. What they stand for is given to
a prepared statement at each asking, so that the database plans it once for each connection and not at every poll: planning
takes it several times as long as answering. What is the same for everybody is part of the statement, since the planner needs
the states to find the partial indexes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import psycopg
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet
from psycopg.sql import Literal

from people.models import User

#: Stand-ins, unlike anything that a question says by itself.
NOW = datetime(1000, 1, 1, tzinfo=UTC)
_PERSON = -(2**62)
_TEAM = "\x01"
_NEAR = timedelta(days=3660)

Kind = tuple[bool, frozenset[str], int]
"""Whether somebody is active, what their teams allow, and how many those are: all that a question's SQL may differ by."""


def plan_once(connection: BaseDatabaseWrapper, **details: Any) -> None:
    """Have a new connection plan a prepared statement once, for whoever asks; nothing else is prepared on it.

    Left to itself the server would plan it for each person anew, since a plan for all of them looks dearer beforehand.
    """
    if connection.vendor == "postgresql":
        connection.connection.execute("SET plan_cache_mode = force_generic_plan")


def kind_of(person: User) -> Kind:
    """What the SQL of a question about the person depends on."""
    return person.is_active, person.capabilities, len(person.team_slugs)


def somebody(kind: Kind) -> User:
    """A stand-in for everybody of a kind, for a question to be written about."""
    is_active, capabilities, count = kind
    person = User(pk=_PERSON, is_active=is_active)
    allowed = [*sorted(capabilities), *[""] * count][:count]
    person.__dict__["teams_read"] = [{"slug": f"{_TEAM}{n}", "capability": each} for n, each in enumerate(allowed)]
    return person


class _PreparingCursor(psycopg.Cursor[tuple[Any, ...]]):
    """Django's own writes the parameters into the text, and each text is planned anew."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        """Run it as a prepared statement."""
        return super().execute(query, params, **{**options, "prepare": True})


class Written:
    """The SQL of one question, asked about whoever and whenever it is."""

    def __init__(self, rows: QuerySet[Any, Any]) -> None:
        sql, parameters = rows.query.sql_with_params()
        self._sql, self._parameters = _with_constants(sql, parameters)

    def row(self, person: User, now: datetime) -> tuple[Any, ...] | None:
        """The first row of the answer, as the driver reads it."""
        connection.ensure_connection()
        wrapped = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
        with wrapped(_PreparingCursor(connection.connection)) as cursor:  # type: ignore[arg-type]
            cursor.execute(self._sql, list(_filled(self._parameters, person.pk, sorted(person.team_slugs), now)))
            found: tuple[Any, ...] | None = cursor.fetchone()
            return found


def _with_constants(sql: str, parameters: Iterable[Any]) -> tuple[str, list[Any]]:
    """The text with all that stands for nobody written into it, and the parameters that are left."""
    left: list[Any] = []
    values = iter(parameters)

    def write(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%%"
        value = next(values)
        if _stands_for_something(value):
            left.append(value)
            return "%s"
        return Literal(value).as_string(connection.connection).replace("%", "%%")

    connection.ensure_connection()
    return re.sub("%[%s]", write, sql), left


def _stands_for_something(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_stands_for_something, value))
    if isinstance(value, datetime):
        return abs(value - NOW) < _NEAR
    return value == _PERSON or (isinstance(value, str) and value.startswith(_TEAM))


def _filled(parameters: Iterable[Any], pk: int, teams: list[str], now: datetime) -> Iterator[Any]:
    for value in parameters:
        if isinstance(value, datetime):
            yield now + (value - NOW)
        elif isinstance(value, list):
            yield list(_filled(value, pk, teams, now))
        elif isinstance(value, str) and value.startswith(_TEAM):
            yield teams[int(value.removeprefix(_TEAM))]
        else:
            yield pk if value == _PERSON else value
