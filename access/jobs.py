"""What is done at intervals whatever happens. Beat asks for it through the queue; a worker does it by itself when that fails.

The last beginning is a row, so that neither a queue that was full of requests nor two who ask at once do it twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q

from access.intervals import EVERY
from access.models import Job


def is_wanted(name: str, *, now: datetime) -> bool:
    """Take the job that somebody asks for; False when it was begun a moment ago, and the request lay in the queue since."""
    return _take(name, EVERY[name] / 2, now)


def is_missed(name: str, *, now: datetime) -> bool:
    """Take the job that nobody has asked for in time; False when it is not late."""
    return _take(name, EVERY[name] * 1.5, now)


def _take(name: str, age: timedelta, now: datetime) -> bool:
    _, is_new = Job.objects.get_or_create(name=name, defaults={"begun_at": now})
    if is_new:
        return age < EVERY[name]
    # A beginning that lies ahead was noted before the database's clock was set back.
    old = Job.objects.filter(Q(begun_at__lte=now - age) | Q(begun_at__gt=now + age), name=name)
    return bool(old.update(begun_at=now))
