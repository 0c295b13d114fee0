"""The Celery application: `celery --app console worker` and `celery --app console beat`."""

from __future__ import annotations

import logging
import logging.config
import os
from typing import Any

from celery import Celery, bootsteps
from celery.signals import setup_logging, worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("lockgate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class OwnClockStep(bootsteps.StartStopStep):
    """Gives each worker its own clock, before it has to reach the queue and whether or not it ever does."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:
        from access import presence

        super().__init__(worker, **options)
        self._clock: Any = None
        presence.begin()

    def start(self, worker: Any) -> None:
        """Behind the pool, so that its processes are not forked from one that already has threads."""
        from access.own_clock import OwnClock

        self._clock = OwnClock(str(worker.hostname))
        self._clock.start()

    def stop(self, worker: Any) -> None:
        """When the worker is told to stop; while it finishes what it does, others tick."""
        if self._clock is not None:
            self._clock.stop()

    def terminate(self, worker: Any) -> None:
        """At once."""
        self.stop(worker)


app.steps["worker"].add(OwnClockStep)


@worker_process_init.connect
def be_present(**details: Any) -> None:
    """Each process of a worker's pool has a presence of its own, since each may die alone."""
    from access import presence

    presence.begin_forked()


@setup_logging.connect
def log_as_the_console_does(loglevel: int | str | None = None, **details: Any) -> None:
    """Instead of Celery's own handlers, which know nothing of redaction. `--loglevel` still decides how much is said."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)
    if loglevel is not None:
        logging.getLogger().setLevel(loglevel)
