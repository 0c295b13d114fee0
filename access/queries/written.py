"""Questions whose SQL is worked out once: what every page and every poll asks is answered by the database in less time than
the ORM takes to write it.

The question itself stays a queryset, written for stand-ins: somebody of a kind, and a moment. What they stand for is filled in
at each asking.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from people.models import User

#: Stand-ins, unlike anything that a question says by itself.
NOW = datetime(1000, 1, 1, tzinfo=UTC)
_PERSON = -(2**62)
_TEAM = "\x01"
_NEAR = timedelta(days=3660)

Kind = tuple[bool, frozenset[str], int]
"""Whether somebody is active, what their teams allow, and how many those are: all that a question's SQL may differ by."""


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


class Written:
    """The SQL of one question, asked about whoever and whenever it is."""

    def __init__(self, rows: QuerySet[Any, Any]) -> None:
        self._sql, self._parameters = rows.query.sql_with_params()

    def row(self, person: User, now: datetime) -> tuple[Any, ...] | None:
        """The first row of the answer, as the driver reads it."""
        with connection.cursor() as cursor:
            cursor.execute(self._sql, list(_filled(self._parameters, person.pk, sorted(person.team_slugs), now)))
            found: tuple[Any, ...] | None = cursor.fetchone()
            return found


def _filled(parameters: Iterable[Any], pk: int, teams: list[str], now: datetime) -> Iterable[Any]:
    for value in parameters:
        if isinstance(value, datetime) and abs(value - NOW) < _NEAR:
            yield now + (value - NOW)
        elif isinstance(value, str) and value.startswith(_TEAM):
            yield teams[int(value.removeprefix(_TEAM))]
        elif isinstance(value, list):
            yield list(_filled(value, pk, teams, now))
        else:
            yield pk if value == _PERSON else value
