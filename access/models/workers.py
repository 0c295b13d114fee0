"""Signs of life of the workers, so that the console can say loudly when there are none."""

from __future__ import annotations

from datetime import timedelta

from django.db import models

#: A worker that has not ticked for this long is silent.
SILENT_AFTER = timedelta(seconds=10)


class Heartbeat(models.Model):
    """The last tick of one worker."""

    worker = models.CharField(max_length=200, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.worker
