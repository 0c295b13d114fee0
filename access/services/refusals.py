"""Refused attempts belong in the audit trail as well: who tried what, and why it was not allowed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from access.errors import Refused
from access.services.door import actor_of
from audit.events import Event
from audit.log import Subject, record
from people.models import User


@contextmanager
def recorded_refusal(event: Event, *, person: User, subject: Subject) -> Iterator[None]:
    """Record a `Refused` that comes out of the block, after its transaction was rolled back, and let it go on."""
    try:
        yield
    except Refused as refusal:
        with transaction.atomic():
            record(event, actor=actor_of(person), subject=subject, reason=refusal.sentence)
        raise
