"""How a worker listens to the queue: for ever, whatever becomes of it."""

from __future__ import annotations

from typing import Any

from celery.worker.consumer import Consumer
from kombu.exceptions import OperationalError


class LastingConsumer(Consumer):
    """Celery's, which also goes on when the queue is lost in an instant in which Celery takes that for the end.

    While it greets its neighbours at the start, say (Celery 5.7 to Redis): the whole worker would end, its own clock included.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.connection_errors: Any = (*vars(self)["connection_errors"], OperationalError)
