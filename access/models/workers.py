"""Signs of life of the workers, so that the console can say loudly when there are none; what they do at intervals, and
what the queue did not take.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import models

#: A worker that has not ticked for this long is silent.
SILENT_AFTER = timedelta(seconds=10)


class Heartbeat(models.Model):
    """The last tick of one worker."""

    worker = models.CharField(max_length=200, primary_key=True)
    seen_at = models.DateTimeField()
    """By the clock of the console's database."""
    holder = models.IntegerField(null=True, blank=True)
    """Its presence (`access.presence`): gone, the worker is gone as well, however short ago it ticked."""
    skew = models.FloatField(default=0.0)
    """By how many seconds its machine's clock is ahead of the database's; negative when it is behind."""
    queue_down_since = models.DateTimeField(null=True, blank=True)
    """Since when it cannot reach the queue."""

    def __str__(self) -> str:
        return self.worker


class Job(models.Model):
    """When something that is done at intervals was begun last."""

    name = models.CharField(max_length=50, primary_key=True)
    begun_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Undelivered(models.Model):
    """A message that the queue did not take, and that no row of another table speaks for: a worker fetches it here."""

    task = models.CharField(max_length=100)
    args = models.JSONField()

    def __str__(self) -> str:
        return self.task
