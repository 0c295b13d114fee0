"""What many tests begin with, made once through the product's services and then put back as rows.

A small world takes a fifth of a second to make, and more than a thousand tests begin with one. So what `make` has made in
the transaction of one test is written down, and the next ones get the same rows in one exchange with the database, and
objects of their own. Nothing is committed, so no test finds what another one left.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from django.apps import apps
from django.db import connection
from psycopg.sql import quote

#: In seconds. What is made says "now" in many places, and pages say how long ago that was.
_FRESH = 30.0

#: The entries put the end of the chain forward, and mention what they are about, by themselves.
_FOLLOWS = {"audit_head", "audit_mention"}

#: What the migrations fill.
_THERE_ALREADY = {"django_content_type", "auth_permission", "django_site", "audit_head"}

_IS_NEW = "SELECT seq = 0 FROM audit_head"


@dataclass(frozen=True, slots=True)
class _Kept:
    rows: str
    """The statements that put every row back."""
    objects: bytes
    until: float


_KEPT: dict[str, _Kept] = {}

T = TypeVar("T")


def kept(name: str, make: Callable[[], T]) -> T:
    """What `make` makes, in a database that has nothing in it yet. It is made anew wherever that is not so."""
    if not connection.in_atomic_block:
        return make()  # What is committed sends its mails, too.
    before = _KEPT.get(name)
    if before and time.monotonic() < before.until and _ask(_IS_NEW):
        with connection.cursor() as cursor:
            cursor.execute(before.rows)
        put_back: T = pickle.loads(before.objects)
        return put_back
    tables = _tables()
    is_empty = _ask(" UNION ALL ".join(f"SELECT 1 FROM {table}" for table in tables), default=0) == 0
    made = make()
    if is_empty:
        _KEPT[name] = _Kept(_rows(tables), pickle.dumps(made), time.monotonic() + _FRESH)
    return made


def _tables() -> dict[str, str]:
    """The tables that begin empty, each with the column that its rows are known by."""
    models = apps.get_models(include_auto_created=True)
    every = {model._meta.db_table: model._meta.pk.column or "ctid" for model in models if model._meta.managed}
    return {table: key for table, key in sorted(every.items()) if table not in _THERE_ALREADY}


def _rows(tables: dict[str, str]) -> str:
    """A statement for each table that has rows, in any order: what they point at is looked at when all is over."""
    statements = []
    for table, key in tables.items():
        if table in _FOLLOWS:
            continue
        rows = _ask(f"SELECT json_agg(one ORDER BY {key})::text FROM {table} one")
        if rows:
            columns = _ask(
                "SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns"
                f" WHERE table_schema = current_schema() AND table_name = '{table}' AND is_generated = 'NEVER'"
            )
            read = f"SELECT {columns} FROM json_populate_recordset(NULL::{table}, {quote(rows)})"
            statements.append(f"INSERT INTO {table} ({columns}) {read}")
    return ";\n".join(statements)


def _ask(question: str, default: object = None) -> object:
    with connection.cursor() as cursor:
        cursor.execute(question)
        row = cursor.fetchone()
    return row[0] if row else default
