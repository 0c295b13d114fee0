"""The Celery application: `celery --app console worker` and `celery --app console beat`."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("lockgate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
