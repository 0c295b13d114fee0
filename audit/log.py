"""The one way into the audit log.

    with transaction.atomic():
        …change something…
        record(Event.REQUEST_CANCELLED, actor=…, subject=…)

The entry commits or rolls back together with the change. From `record` to the commit the transaction holds the end of
the chain, and every other `record` waits: **record last**, lock other rows before, and do nothing slow in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections, router

from audit import origin
from audit.chain import digest
from audit.errors import HeadMissing, NotInTransaction
from audit.events import Event
from audit.models import Entry
from audit.redaction import clean_text, disclosed


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it."""

    kind: str
    """`person`, `worker`, `command`, `policy` or `anonymous`."""
    id: str
    label: str
    """As people know them, e.g. the e-mail address."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What it was done to, or what it has to do with."""

    kind: str
    """`request`, `grant`, `server`, `role`, `policy`, `person`, `team`, `session`, `statement` or `audit`."""
    id: str
    label: str


#: The row lock is what makes the order. The clock is read behind it, and never goes back even where the machine's does.
#: Everybody waits for this lock: a process that is frozen while it holds it loses its transaction, not the others their time.
_TAKE_HEAD = """
    SELECT seq, hash, GREATEST(at, clock_timestamp()), set_config('idle_in_transaction_session_timeout', '30s', true)
    FROM audit_head WHERE id = 1 FOR NO KEY UPDATE
"""


def record(
    event: Event,
    *,
    actor: Actor,
    subject: Subject,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
    related: Sequence[Subject] = (),
) -> Entry:
    """Append an entry to the log, inside the caller's transaction.

    `before` and `after` hold what changed; what of it may be read is declared in `audit.redaction`. The origin comes
    from `audit.origin`. Raises `NotInTransaction`, `NotRecordable`, `HeadMissing`.
    """
    database = router.db_for_write(Entry)
    if not connections[database].in_atomic_block:
        raise NotInTransaction(f"For {event.value}.")
    where = origin.current()
    entry = Entry(
        event=event.value,
        actor_kind=actor.kind,
        actor_id=clean_text(str(actor.id)),
        actor_label=clean_text(actor.label),
        subject_kind=subject.kind,
        subject_id=clean_text(str(subject.id)),
        subject_label=clean_text(subject.label),
        related=[_as_json(other) for other in dict.fromkeys(related)],
        before=disclosed(before),
        after=disclosed(after),
        reason=clean_text(reason),
        channel=clean_text(where.channel),
        ip=where.ip,
        request_id=clean_text(where.request_id),
        user_agent=clean_text(where.user_agent),
    )
    last_seq, entry.prev_hash, entry.at = _take_head(database)
    entry.seq = last_seq + 1
    entry.hash = digest(entry.content())
    entry.save(force_insert=True, using=database)
    return entry


def _take_head(database: str) -> tuple[int, str, datetime]:
    with connections[database].cursor() as cursor:
        cursor.execute(_TAKE_HEAD)
        row = cursor.fetchone()
    if row is None:
        raise HeadMissing
    return row[0], row[1], row[2]


def _as_json(subject: Subject) -> dict[str, str]:
    return {"kind": subject.kind, "id": clean_text(str(subject.id)), "label": clean_text(subject.label)}
