"""The Celery application: `celery --app console worker` and `celery --app console beat`."""

from __future__ import annotations

import logging
import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("lockgate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def log_as_the_console_does(loglevel: int | str | None = None, **details: Any) -> None:
    """Instead of Celery's own handlers, which know nothing of redaction. `--loglevel` still decides how much is said."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)
    if loglevel is not None:
        logging.getLogger().setLevel(loglevel)
