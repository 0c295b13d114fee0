"""Hints to the workers: 'look at this grant'. Losing one costs a second, since every tick reads the rows themselves.

Messages carry ids and nothing else, and leave only when the transaction has committed.
"""

from __future__ import annotations

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)

PROVISION = "access.provision"
EXTEND = "access.extend"
REVOKE = "access.revoke"
NOTIFY = "access.notify"
TELL_ADMINISTRATORS = "access.tell_administrators"


def provision_on_commit(grant_id: int) -> None:
    """Ask a worker to make the grant's account."""
    transaction.on_commit(lambda: send(PROVISION, grant_id))


def extend_on_commit(grant_id: int) -> None:
    """Ask a worker to move the end that the server holds."""
    transaction.on_commit(lambda: send(EXTEND, grant_id))


def revoke_on_commit(grant_id: int) -> None:
    """Ask a worker to take the grant's account away."""
    transaction.on_commit(lambda: send(REVOKE, grant_id))


def notify_on_commit(notice: str, request_id: int) -> None:
    """Ask a worker to tell the people concerned."""
    transaction.on_commit(lambda: send(NOTIFY, notice, request_id))


def tell_administrators_on_commit(entry: int) -> None:
    """Ask a worker to tell the other administrators of the change that this audit entry is about."""
    transaction.on_commit(lambda: send(TELL_ADMINISTRATORS, entry))


def send(task: str, *args: int | str) -> None:
    """Put a message on the queue. A broker that is away is logged and not an error: the tick will find the work."""
    try:
        # No retry: nobody who clicks waits for a broker that is away.
        current_app.send_task(task, args=args, retry=False)
    except OperationalError as error:
        log.warning("queue.unreachable", task=task, args=args, error=str(error))
