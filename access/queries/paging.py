"""Pages of a list, by key: each begins behind the last row of the one before, so that page one thousand costs what page one
does, and what is added or goes meanwhile neither repeats a row nor skips one.

A cursor is `next` or `back` and the key of one row. It comes from an address, so it may be anything: one that cannot be read
leads to the beginning, and the page says so.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import DateTimeField, Field, IntegerField, Model, Q, QuerySet

Row = TypeVar("Row", bound=Model)

#: Rows of a page, where a list says nothing else.
SIZE = 30

_NEXT, _BACK = "next", "back"
_LONGEST_CURSOR = 1000
_BIGGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a list, and the cursors of its neighbours; an empty cursor where there is none."""

    rows: tuple[Row, ...]
    next: str = ""
    back: str = ""
    is_lost: bool = False
    """The cursor led nowhere, so this is the beginning."""


def page_of(
    rows: QuerySet[Row, Row],
    *,
    by: Sequence[str],
    cursor: str = "",
    size: int = SIZE,
    shown: QuerySet[Row, Row] | None = None,
) -> Page[Row]:
    """The page of `rows` to which `cursor` leads, in the order of the fields in `by`.

    The fields are as in `order_by`, all in one direction, none of them null, and together they are unique. One query.
    `shown` is what the rows of the page are read with where `rows` only finds them: what is joined to each row is then
    joined to those of one page, and not to thousands before they are sorted.
    """
    names = [name.removeprefix("-") for name in by]
    descending = by[0].startswith("-")
    place = _read(cursor, rows.model, names) if cursor else None
    if place is None:
        return _from_the_beginning(rows, by, names, size, shown, is_lost=bool(cursor))
    way, values = place
    forward = way == _NEXT
    behind = _behind(names, values, upward=forward != descending)
    order = by if forward else [name if descending else f"-{name}" for name in names]
    found = first_of(rows.filter(behind).order_by(*order), size + 1, shown)
    page = found[:size] if forward else found[:size][::-1]
    if not page or (not forward and len(found) < size):
        # Nothing is left there, or less than a page before: the beginning shows it, and what is new.
        return _from_the_beginning(rows, by, names, size, shown)
    more = len(found) > size
    return Page(
        tuple(page),
        next=_written(_NEXT, page[-1], names) if more or not forward else "",
        back=_written(_BACK, page[0], names) if more or forward else "",
    )


def first_of(rows: QuerySet[Row, Row], count: int, shown: QuerySet[Row, Row] | None = None) -> list[Row]:
    """The first rows in their order, read as `shown` is."""
    if shown is None:
        return list(rows[:count])
    keys = rows.values("pk")[:count]
    return list(shown.filter(pk__in=keys).order_by(*rows.query.order_by))


def _from_the_beginning(
    rows: QuerySet[Row, Row],
    by: Sequence[str],
    names: Sequence[str],
    size: int,
    shown: QuerySet[Row, Row] | None,
    *,
    is_lost: bool = False,
) -> Page[Row]:
    found = first_of(rows.order_by(*by), size + 1, shown)
    page = tuple(found[:size])
    return Page(page, next=_written(_NEXT, page[-1], names) if len(found) > size else "", is_lost=is_lost)


def _behind(names: Sequence[str], values: Sequence[Any], *, upward: bool) -> Q:
    """Rows behind the key. The first field is bounded by itself as well, which is what an index can begin at."""
    word = "gt" if upward else "lt"
    behind, same = Q(), Q()
    for name, value in zip(names, values, strict=True):
        behind |= same & Q(**{f"{name}__{word}": value})
        same &= Q(**{name: value})
    return Q(**{f"{names[0]}__{word}e": value for value in values[:1]}) & behind


def _written(way: str, row: Model, names: Sequence[str]) -> str:
    values = [_value(row, name) for name in names]
    text = json.dumps([value.isoformat() if isinstance(value, datetime) else value for value in values])
    return f"{way}.{base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')}"


def _value(row: Any, name: str) -> Any:
    for part in name.split("__"):
        row = getattr(row, part)
    return row


def _read(cursor: str, model: type[Model], names: Sequence[str]) -> tuple[str, list[Any]] | None:
    """Which way, and the key; None for what this module has not written for such a list."""
    way, _, text = cursor.partition(".")
    if way not in (_NEXT, _BACK) or len(cursor) > _LONGEST_CURSOR:
        return None
    try:
        parts = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return None
    if not isinstance(parts, list) or len(parts) != len(names):
        return None
    values = [_fitting(part, _field(model, name)) for part, name in zip(parts, names, strict=True)]
    return None if None in values else (way, values)


def _field(model: type[Model], name: str) -> Field[Any, Any]:
    *relations, last = name.split("__")
    for relation in relations:
        model = model._meta.get_field(relation).related_model  # type: ignore[assignment]
    found: Field[Any, Any] = model._meta.get_field(last)  # type: ignore[assignment]
    return found


def _fitting(part: Any, field: Field[Any, Any]) -> Any:
    """The value, where the column can be compared with it."""
    if isinstance(field, IntegerField):
        return part if type(part) is int and abs(part) <= _BIGGEST else None
    if not isinstance(part, str) or "\x00" in part:
        return None
    try:
        part.encode()  # half of a character is no text for the database
        moment = datetime.fromisoformat(part) if isinstance(field, DateTimeField) else None
    except ValueError:
        return None
    if not isinstance(field, DateTimeField):
        return part
    return moment if moment and moment.tzinfo else None
