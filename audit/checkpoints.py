"""Signs, now and then, where the audit log and all streams of statements end.

Who can write to the database can make a chain fit again; who lacks the key cannot make a checkpoint fit. Each checkpoint
names the end of the log, the end of each stream that grew since the one before, and the hash of the one before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from audit.chain import GENESIS, canonical, timestamp
from audit.errors import HeadMissing, KeyUnknown
from audit.events import Event
from audit.log import Actor, Subject, record
from audit.models import Checkpoint, CheckpointKey, Head, Stream
from audit.signing import Signer, configured

VERSION = 1

#: Where checkpoints are on, something is signed every few minutes while anything happens; a day without is none.
_KEPT_UP = timedelta(days=1)

#: Said where the key is not known, which is right everywhere but on the workers: the very first one takes minutes.
_NONE_OF_LATE = (
    "No checkpoint was signed in the last day. With LOCKGATE_CHECKPOINT_KEY set for the workers, they sign the first within"
    " five minutes."
)

SIGNER = Actor("worker", "checkpoint", "checkpoints")

#: Two workers never make the same checkpoint; the number is only a name for the lock.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('audit_checkpoint'))"


@dataclass(frozen=True, slots=True)
class State:
    """Whether checkpoints are made, for doctor and the audit page."""

    last: Checkpoint | None
    problem: str
    """A sentence; empty when all is well."""


def make(*, now: datetime) -> Checkpoint | None:
    """Sign where everything ends. None without a key, and when nothing has happened since the last one.

    Raises `KeyUnknown`, `HeadMissing`.
    """
    signers = configured()
    if not signers:
        return None
    _introduce(signers, now)
    with transaction.atomic():
        _take_turn()
        last = Checkpoint.objects.order_by("-number").first()
        content = _content(last, signers[0], now)
        if content is None:
            return None
        text = canonical(content)
        made = Checkpoint.objects.create(
            number=content["checkpoint"],
            at=now,
            key_id=signers[0].key_id,
            content=text.decode(),
            hash=hashlib.sha256(text).hexdigest(),
            signature=signers[0].sign(text),
        )
        for named in content["streams"]:
            Stream.objects.filter(pk=named["stream"]).update(checkpointed_seq=named["seq"])
        return made


def state() -> State:
    """What is to be said about checkpoints."""
    last = Checkpoint.objects.order_by("-number").first()
    signers = configured()
    if not signers:
        # Only the workers need the key, and a process without it can tell by what they have signed.
        is_kept_up = last is not None and timezone.now() - last.at < _KEPT_UP
        return State(last, "" if is_kept_up else _NONE_OF_LATE)
    newest = CheckpointKey.objects.order_by("-number").first()
    if newest is not None and newest.key_id not in {signer.key_id for signer in signers}:
        return State(last, str(KeyUnknown(_remedy(newest))))
    return State(last, "")


def _content(last: Checkpoint | None, signer: Signer, now: datetime) -> dict[str, Any] | None:
    head = Head.objects.values_list("seq", "hash").first()
    if head is None:
        raise HeadMissing
    grown = Stream.objects.filter(seq__gt=F("checkpointed_seq")).order_by("seen_at", "id")
    streams = [{"stream": str(stream.pk), "seq": stream.seq, "hash": stream.hash} for stream in grown]
    log = {"seq": head[0], "hash": head[1]}
    if last is not None and not streams and canonical(log).decode() in last.content:
        return None
    return {
        "v": VERSION,
        "checkpoint": last.number + 1 if last else 1,
        "at": timestamp(now),
        "key": signer.key_id,
        "log": log,
        "streams": streams,
        "prev": last.hash if last else GENESIS,
    }


def _introduce(signers: list[Signer], now: datetime) -> None:
    """Make the first of the configured keys known, if it is new: signed by the one that was in use until now."""
    newest = CheckpointKey.objects.order_by("-number").first()
    if newest is not None and newest.key_id == signers[0].key_id:
        return
    with transaction.atomic():
        _take_turn()
        newest = CheckpointKey.objects.order_by("-number").first()
        if newest is not None and newest.key_id == signers[0].key_id:
            return
        old = {signer.key_id: signer for signer in signers}.get(newest.key_id) if newest else None
        if newest is not None and (old is None or CheckpointKey.objects.filter(key_id=signers[0].key_id).exists()):
            raise KeyUnknown(_remedy(newest))
        _write_introduction(signers[0], newest, old, now)


def _write_introduction(signer: Signer, newest: CheckpointKey | None, old: Signer | None, now: datetime) -> None:
    content: dict[str, Any] = {
        "v": VERSION,
        "number": newest.number + 1 if newest else 1,
        "at": timestamp(now),
        "key": signer.key_id,
        "public_key": signer.public_key,
        "introduced_by": old.key_id if old else "",
    }
    text = canonical(content)
    key = CheckpointKey.objects.create(
        number=content["number"],
        key_id=signer.key_id,
        public_key=signer.public_key,
        content=text.decode(),
        signature=old.sign(text) if old else "",
    )
    record(
        Event.AUDIT_KEY_INTRODUCED,
        actor=SIGNER,
        subject=Subject("audit", key.key_id, f"Checkpoint key {key.key_id}"),
        after={
            "key_id": key.key_id,
            "public_key": key.public_key,
            "introduced_by": content["introduced_by"],
            "signature": key.signature,
        },
    )


def _remedy(newest: CheckpointKey) -> str:
    return (
        f"Put the key {newest.key_id}, which signed until now, behind it in LOCKGATE_CHECKPOINT_KEY until it was introduced;"
        " a key that was replaced never signs again."
    )


def _take_turn() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)
