"""Checks the checkpoints: their signatures, the succession of their keys, and that what they name is still there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from audit.chain import GENESIS
from audit.events import Event
from audit.models import Checkpoint, CheckpointKey, Entry
from audit.signing import is_signed_by, key_id
from audit.walk import Fault, FaultKind

_BATCH = 500

#: How many of the last checkpoints are looked at when not all are.
_LATEST = 500

_WHERE = "checkpoints"

_NAMED = """
    SELECT named.stream, named.seq, e.hash
      FROM unnest(%s::uuid[], %s::bigint[]) AS named (stream, seq)
      LEFT JOIN audit_statement_entry AS e ON e.stream = named.stream AND e.seq = named.seq
"""


def checkpoint_faults(*, whole: bool) -> Iterator[Fault]:
    """Everything that is wrong with the checkpoints, or, unless `whole`, with the latest of them."""
    yield from _key_faults()
    keys = dict(CheckpointKey.objects.values_list("key_id", "public_key"))
    newest = Checkpoint.objects.order_by("-number").values_list("number", flat=True).first() or 0
    number = 0 if whole else max(0, newest - _LATEST)
    before = Checkpoint.objects.filter(number=number).values_list("hash", flat=True).first() or GENESIS
    while batch := list(Checkpoint.objects.filter(number__gt=number).order_by("number")[:_BATCH]):
        for checkpoint in batch:
            yield from _signature_faults(checkpoint, number, before, keys)
            number, before = checkpoint.number, checkpoint.hash
        yield from _named_faults(batch)


def _key_faults() -> Iterator[Fault]:
    announced = Entry.objects.filter(event=Event.AUDIT_KEY_INTRODUCED).values_list("after", flat=True)
    told = {(after.get("key_id"), after.get("public_key")) for after in announced if after}
    before: CheckpointKey | None = None
    for key in CheckpointKey.objects.order_by("number"):
        content = _read(key.content)
        stands = (content.get("number"), content.get("key"), content.get("public_key"))
        by = before.key_id if before else ""
        expected = (before.number + 1 if before else 1, key.key_id, key.public_key)
        is_itself = stands == expected and key.number == expected[0] and key_id(key.public_key) == key.key_id
        is_introduced = content.get("introduced_by") == by and (
            before is None or is_signed_by(before.public_key, key.signature, key.content.encode())
        )
        if not (is_itself and is_introduced and (key.key_id, key.public_key) in told):
            problem = f"The key {key.key_id} is not the one that the log and the key before it introduced."
            yield Fault(FaultKind.CHANGED, key.number, "key", problem, where="checkpoint keys")
        before = key


def _signature_faults(checkpoint: Checkpoint, number: int, before: str, keys: dict[str, str]) -> Iterator[Fault]:
    text = checkpoint.content.encode()
    content = _read(checkpoint.content)
    seal = hashlib.sha256(text).hexdigest()
    if checkpoint.number != number + 1:
        problem = f"The checkpoints {number + 1} to {checkpoint.number - 1} are gone."
        yield Fault(FaultKind.REMOVED, number + 1, "", problem, where=_WHERE)
    elif content.get("prev") != before:
        problem = "The checkpoint before it is not the one that it was signed onto."
        yield Fault(FaultKind.CHANGED, checkpoint.number, "", problem, str(content.get("prev")), before, _WHERE)
    said = (content.get("checkpoint"), content.get("key"))
    is_signed = is_signed_by(keys.get(checkpoint.key_id, ""), checkpoint.signature, text)
    if seal != checkpoint.hash or said != (checkpoint.number, checkpoint.key_id) or not is_signed:
        problem = "It is not what was signed, or not signed with a key that is known."
        yield Fault(FaultKind.CHANGED, checkpoint.number, "", problem, checkpoint.hash, seal, _WHERE)


def _named_faults(batch: Sequence[Checkpoint]) -> Iterator[Fault]:
    """Entries that a checkpoint names and that are not there any more, or not with this hash."""
    contents = [_read(checkpoint.content) for checkpoint in batch]
    logs = [content["log"] for content in contents if "log" in content]
    entries = dict(Entry.objects.filter(seq__in=[log["seq"] for log in logs]).values_list("seq", "hash"))
    named = [one for content in contents for one in content.get("streams", [])]
    statements = _statements(named)
    for log in logs:
        if log["seq"] and entries.get(log["seq"]) != log["hash"]:
            yield _signed_otherwise(log["seq"], log["hash"], entries.get(log["seq"]), "")
    for one in named:
        found = statements.get((UUID(one["stream"]), one["seq"]))
        if found != one["hash"]:
            yield _signed_otherwise(one["seq"], one["hash"], found, f"stream {one['stream']}")


def _signed_otherwise(seq: int, expected: str, found: str | None, where: str) -> Fault:
    kind = FaultKind.REWRITTEN if found else FaultKind.REMOVED
    return Fault(kind, seq, "", "A signed checkpoint names it with another hash.", expected, found or "nothing", where)


def _statements(named: Sequence[dict[str, Any]]) -> dict[tuple[UUID, int], str | None]:
    with connection.cursor() as cursor:
        cursor.execute(_NAMED, [[one["stream"] for one in named], [one["seq"] for one in named]])
        return {(stream, seq): sealed for stream, seq, sealed in cursor.fetchall()}


def _read(text: str) -> dict[str, Any]:
    try:
        content = orjson.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
