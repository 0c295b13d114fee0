"""How a worker listens to the queue: for ever, whatever becomes of it."""

from __future__ import annotations

from typing import Any

import structlog
from celery.worker.consumer import Consumer
from kombu.exceptions import OperationalError
from redis import RedisError

log = structlog.get_logger(__name__)


class LastingConsumer(Consumer):
    """Celery's, which also goes on when the queue is lost in an instant in which Celery takes that for the end.

    While it greets its neighbours at the start, say, or when Redis answers and takes nothing, since its memory is full or it
    has become a replica (Celery 5.7): the whole worker would end, its own clock included.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.connection_errors: Any = (*vars(self)["connection_errors"], OperationalError, RedisError)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Put the lost connection away. Raises nothing: what comes next is a new one.

        Closing it, kombu 5.7 wants to give back the messages that were not acknowledged, over a connection that it has
        just let go, and fails with AttributeError. What they asked for is in the grants' rows.
        """
        try:
            super().on_connection_error_after_connected(exc)
        except Exception:
            log.warning("queue.not_closed", exc_info=True)
            self.connection = None
