"""Beat, which asks for what is done at intervals. It asks nobody who does not listen."""

from __future__ import annotations

from typing import Any

from amqp.exceptions import ChannelError
from celery.beat import ScheduleEntry, Scheduler
from kombu.exceptions import OperationalError
from redis import RedisError

#: Messages that may wait; more say that no worker takes any, and would only pile up until one does.
MOST_WAITING = 100


class PatientScheduler(Scheduler):
    """Celery's scheduler, in memory, which leaves a queue alone that nobody empties."""

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send what is due, unless its queue is long."""
        if self._waiting(entry) < MOST_WAITING:
            super().apply_entry(entry, producer=producer)

    def _waiting(self, entry: ScheduleEntry) -> int:
        try:
            queue = self.app.amqp.router.route({}, str(entry.task))["queue"]
            return int(queue(self.producer.channel).queue_declare(passive=True).message_count)
        except (ChannelError, OperationalError, RedisError):
            # There is none while it is empty; and sending tells best what is wrong with a queue that cannot be asked.
            return 0
