"""Hints to the workers: 'look at this grant'. Losing one costs a second, since every tick reads the rows themselves.

Messages carry ids and nothing else, and leave only when the transaction has committed. Nobody waits for a queue that is
away: after one failure it is not tried again for some seconds, and a worker finds by itself what there is to do.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import redis
import structlog
from celery import current_app
from django.db import transaction
from kombu import Producer
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

from access.models import Undelivered

log = structlog.get_logger(__name__)

PROVISION = "access.provision"
EXTEND = "access.extend"
REVOKE = "access.revoke"
NOTIFY = "access.notify"
TELL_ADMINISTRATORS = "access.tell_administrators"

#: What the rows of grants speak for; any other message is kept where a worker finds it.
_FOUND_BY_TICKS = frozenset({PROVISION, EXTEND, REVOKE})

#: Seconds during which a queue that did not answer is not asked again.
_PAUSE = 3.0

#: For Redis's own client: how many seconds it has to answer. It is beside us, somebody waits, and there is no second try.
IMPATIENT: dict[str, Any] = {
    "socket_connect_timeout": 0.7,
    "socket_timeout": 0.7,
    "retry": Retry(NoBackoff(), 0),
}
#: The same for Celery's.
_IMPATIENT = {"socket_connect_timeout": 0.7, "socket_timeout": 0.7, "max_retries": 0}

_away_until = 0.0
_line = threading.local()


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
    """Put a message on the queue. A queue that is away is logged and not an error: a worker finds the work by itself."""
    is_lost = is_away() or not _is_sent(task, args)
    if is_lost and task not in _FOUND_BY_TICKS:
        Undelivered.objects.create(task=task, args=list(args))


def is_away() -> bool:
    """Whether the queue has just failed this process."""
    return time.monotonic() < _away_until


def note_away() -> None:
    """It does not answer: nobody in this process tries it for a while."""
    global _away_until
    _away_until = time.monotonic() + _PAUSE


def _is_sent(task: str, args: tuple[int | str, ...]) -> bool:
    is_used = _is_connected()
    try:
        try:
            _publish(task, args)
        except OperationalError as error:
            # Perhaps the connection alone was old; a queue that is silent is not asked twice.
            if not is_used or isinstance(error.__cause__, redis.TimeoutError):
                raise
            _publish(task, args)
    except OperationalError as error:
        note_away()
        log.warning("queue.unreachable", task=task, args=args, error=str(error))
        return False
    return True


def _publish(task: str, args: tuple[int | str, ...]) -> None:
    if not _is_connected():
        # A connection of this thread's own, which waits less long than those that workers listen on.
        _line.connection = current_app.connection_for_write(transport_options=_IMPATIENT)
        _line.producer, _line.process = Producer(_line.connection), os.getpid()
    try:
        current_app.send_task(task, args=args, retry=False, producer=_line.producer)
    except OperationalError:
        _line.producer = None
        _line.connection.release()
        raise


def _is_connected() -> bool:
    """Whether this thread of this process has a connection: one from before a fork is the parent's."""
    return getattr(_line, "producer", None) is not None and _line.process == os.getpid()
