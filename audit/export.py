"""Exports exactly what a search finds, as JSON Lines for machines (and for checking the hashes) or CSV for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any

from django.db import transaction

from audit.chain import timestamp
from audit.events import Event
from audit.log import Actor, Subject, record
from audit.models import Entry
from audit.search import Filters, matching


class Format(StrEnum):
    """How an export is written."""

    JSONL = "jsonl"
    CSV = "csv"

    @property
    def content_type(self) -> str:
        """For the header of a download."""
        return {"jsonl": "application/jsonl", "csv": "text/csv"}[self.value] + "; charset=utf-8"


CSV_COLUMNS = (
    *("seq", "at", "event", "what"),
    *("actor_kind", "actor_id", "actor"),
    *("subject_kind", "subject_id", "subject"),
    *("related", "before", "after", "reason"),
    *("channel", "ip", "request_id", "user_agent"),
    *("prev_hash", "hash"),
)


def export(filters: Filters, form: Format, *, actor: Actor) -> Iterator[str]:
    """Record the export, then return its lines, each with its line end, oldest entry first.

    What is exported ends before the entry about the export itself. Nothing is read before the first line is taken.
    """
    with transaction.atomic():
        entry = record(
            Event.AUDIT_EXPORTED,
            actor=actor,
            subject=Subject("audit", "log", "Audit log"),
            after={"format": form.value, "filters": filters.as_query()},
        )
    return _WRITERS[form](matching(filters, upto=entry.seq - 1))


def _jsonl(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        yield json.dumps({**entry.content(), "hash": entry.hash}, ensure_ascii=False, separators=(",", ":")) + "\n"


def _csv(entries: Iterable[Entry]) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line)
    yield written(writer, line, CSV_COLUMNS)
    for entry in entries:
        yield written(writer, line, [cell(value) for value in _csv_row(entry)])


def _csv_row(entry: Entry) -> Iterator[Any]:
    yield from (entry.seq, timestamp(entry.at), entry.event, entry.event_label)
    yield from (entry.actor_kind, entry.actor_id, entry.actor_label)
    yield from (entry.subject_kind, entry.subject_id, entry.subject_label)
    yield from (_compact(entry.related), _compact(entry.before), _compact(entry.after), entry.reason)
    yield from (entry.channel, entry.ip, entry.request_id, entry.user_agent, entry.prev_hash, entry.hash)


def _compact(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def cell(value: Any) -> str:
    """A value as text. A spreadsheet runs a cell that begins like a formula; the apostrophe makes it a text."""
    text = str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def written(writer: Any, line: io.StringIO, cells: Iterable[str]) -> str:
    """One line of CSV, with its line end."""
    writer.writerow(cells)
    text = line.getvalue()
    line.seek(0)
    line.truncate()
    return text


_WRITERS: dict[Format, Callable[[Iterable[Entry]], Iterator[str]]] = {Format.JSONL: _jsonl, Format.CSV: _csv}
