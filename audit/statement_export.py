"""Exports exactly the statements that a search finds, as CSV for people or JSON Lines for machines.

No text that was kept is in it: reading one is recorded by itself. What an outsider can verify is `audit.evidence`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import transaction

from audit.chain import timestamp
from audit.events import Event
from audit.export import Format, cell, written
from audit.log import Actor, Subject, record
from audit.statement_search import Place, Statement, StatementFilters, page

_BATCH = 500

CSV_COLUMNS = (
    *("at", "person", "person_id", "access", "role", "server", "database", "account", "client_ip", "application"),
    *("outcome", "code", "rows", "bytes", "took_ms", "reason"),
    *("kind", "parsed", "fingerprint", "statement", "sha256", "stream", "seq"),
)


def export_statements(filters: StatementFilters, form: Format, *, actor: Actor) -> Iterator[str]:
    """Record the export, then return its lines, each with its line end, newest statement first, as the page shows them.

    Nothing is read before the first line is taken.
    """
    with transaction.atomic():
        record(
            Event.AUDIT_EXPORTED,
            actor=actor,
            subject=Subject("audit", "statements", "Record of statements"),
            after={"format": form.value, "filters": filters.as_query()},
        )
    return _csv(filters) if form is Format.CSV else _jsonl(filters)


def _found(filters: StatementFilters) -> Iterator[Statement]:
    older_than: Place | None = None
    while True:
        found = page(filters, older_than=older_than, size=_BATCH)
        yield from found.statements
        older_than = found.older_than
        if older_than is None:
            return


def _jsonl(filters: StatementFilters) -> Iterator[str]:
    for one in _found(filters):
        told = {
            "stream": str(one.stream),
            "seq": one.seq,
            "at": timestamp(one.at),
            "session": dict(one.opened),
            "statement": {name: value for name, value in one.begun.items() if name != "sealed"},
            "outcome": dict(one.outcome),
        }
        yield json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n"


def _csv(filters: StatementFilters) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line)
    yield written(writer, line, CSV_COLUMNS)
    for one in _found(filters):
        yield written(writer, line, [cell(value) for value in _row(one)])


def _row(one: Statement) -> Iterator[Any]:
    opened, begun, outcome = one.opened, one.begun, one.outcome
    person, grant, role = opened.get("person", {}), opened.get("grant", {}), opened.get("role", {})
    yield from (timestamp(one.at), person.get("label", ""), person.get("id", ""), grant.get("reference", ""))
    yield from (role.get("name", ""), opened.get("server", ""), opened.get("database", ""), opened.get("principal", ""))
    yield from (opened.get("client_ip", ""), opened.get("application", ""))
    yield from (one.verdict, outcome.get("code", ""), outcome.get("rows", ""), outcome.get("bytes", ""))
    yield from ("" if one.took is None else one.took / timedelta(milliseconds=1), begun.get("reason", ""))
    yield from (" ".join(begun.get("classes", [])), begun.get("parsed", ""), begun.get("fingerprint", ""))
    yield from (begun.get("shape", ""), begun.get("sha256", ""), one.stream, one.seq)
