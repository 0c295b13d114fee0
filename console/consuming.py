"""How a worker listens to the queue: for ever, whatever becomes of it."""

from __future__ import annotations

from typing import Any

from celery.worker.consumer import Consumer
from kombu.exceptions import OperationalError
from redis import RedisError


class LastingConsumer(Consumer):
    """Celery's, which also goes on when the queue is lost in an instant in which Celery takes that for the end.

    While it greets its neighbours at the start, say, or when Redis answers and takes nothing, since its memory is full or it
    has become a replica (Celery 5.7): the whole worker would end, its own clock included.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.connection_errors: Any = (*vars(self)["connection_errors"], OperationalError, RedisError)
