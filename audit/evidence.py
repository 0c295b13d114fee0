"""Exports the log, the record of statements, the checkpoints and their keys as one file that `lockgate_verify` checks.

Its form is documented in `audit/lockgate_verify.py`, which an outsider reads before running it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from django.db import transaction

from audit.chain import canonical
from audit.events import Event
from audit.lockgate_verify import FIRST_LINE
from audit.log import Actor, Subject, record
from audit.models import Checkpoint, CheckpointKey, StatementEntry, Stream
from audit.search import Filters, matching

_BATCH = 2000


def evidence(*, actor: Actor) -> Iterator[str]:
    """Record the export, then return its lines, each with its line end. Nothing is read before the first is taken."""
    with transaction.atomic():
        # Before the entry, so that all that they name is in the log up to it.
        keys = list(CheckpointKey.objects.order_by("number"))
        last = Checkpoint.objects.order_by("-number").values_list("number", flat=True).first() or 0
        entry = record(
            Event.AUDIT_EXPORTED,
            actor=actor,
            subject=Subject("audit", "log", "Audit log"),
            after={"format": "evidence", "filters": {}},
        )
    return _lines(keys, last, entry.seq)


def _lines(keys: list[CheckpointKey], last: int, upto: int) -> Iterator[str]:
    """Checkpoints first: what they name is there by then, and whatever is shipped meanwhile is only more."""
    counts = {"keys": len(keys), "checkpoints": 0, "log": 0, "statements": 0}
    yield f"{FIRST_LINE}\n"
    for key in keys:
        yield _line("key", canonical({"key": json.loads(key.content), "introduced": key.signature}).decode())
    for checkpoint in Checkpoint.objects.filter(number__lte=last).order_by("number").iterator(_BATCH):
        counts["checkpoints"] += 1
        yield f"checkpoint {checkpoint.hash} {checkpoint.content} {checkpoint.signature}\n"
    for entry in matching(Filters(), upto=upto):
        counts["log"] += 1
        yield f"log {entry.hash} {canonical(entry.content()).decode()}\n"
    for stream in Stream.objects.order_by("seen_at", "id"):
        for sealed, content in _statements(stream):
            counts["statements"] += 1
            yield f"statement {sealed} {content}\n"
    yield f"end {json.dumps(counts)}\n"


def _statements(stream: Stream) -> Iterator[tuple[str, str]]:
    rows = StatementEntry.objects.filter(stream=stream.pk).order_by("seq").values_list("seq", "hash", "content")
    after = 0
    while batch := list(rows.filter(seq__gt=after)[:_BATCH]):
        yield from ((sealed, content) for _, sealed, content in batch)
        after = batch[-1][0]


def _line(word: str, text: str) -> str:
    return f"{word} {hashlib.sha256(text.encode()).hexdigest()} {text}\n"
