"""Counting as far as anybody reads: past `MOST` a count is not exact, and costs no more."""

from __future__ import annotations

from typing import Any

from django.db.models import IntegerField, Model, QuerySet, Subquery

#: A badge that says more than this says `99+`.
MOST = 99


class Counted(Subquery):
    """How many rows a query finds, as a value inside another one; at most one more than `MOST`."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()
    empty_result_set_value = 0

    def __init__(self, rows: QuerySet[Any, Any], **options: Any) -> None:
        super().__init__(rows.values("pk")[: MOST + 1], **options)


def count_of(rows: QuerySet[Model, Any]) -> int:
    """How many there are, counted by the database; at most one more than `MOST`."""
    return rows[: MOST + 1].count()


def in_words(count: int) -> str:
    """`7`, and `99+` for more than `MOST`."""
    return f"{MOST}+" if count > MOST else str(count)
