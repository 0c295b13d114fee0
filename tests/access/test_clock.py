"""Whoever asks what time it is hears the database's answer, however wrong the clock of their own machine is."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.db.utils import IntegrityError
from pytest_django import Settings

from access import clock
from access.rules import is_recent

SECOND = timedelta(seconds=1)

_TELL = """
import django; django.setup()
from datetime import UTC, datetime
from access import clock
now = clock.now()
print(now.isoformat(), (datetime.now(UTC) - now).total_seconds(), clock.skew().total_seconds())
"""


def database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        shown: datetime = cursor.fetchone()[0]
    return shown


@pytest.mark.parametrize(("offset", "seconds"), [("+3600s", 3600), ("-3600s", -3600)])
def test_a_machine_whose_clock_is_wrong_goes_by_the_databases(db: None, offset: str, seconds: int) -> None:
    before = database_now()
    command = ["faketime", "-f", offset, sys.executable, "-c", _TELL]
    environment = {**os.environ, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    told, ahead, skew = done.stdout.split()
    assert before <= datetime.fromisoformat(told) <= database_now()
    assert abs(float(ahead) - seconds) < 1
    assert abs(float(skew) - seconds) < 1


def test_setting_the_machines_clock_changes_nothing(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.measure()
    monkeypatch.setattr(clock, "datetime", _Yesterday)
    assert abs(clock.now() - database_now()) < SECOND
    clock.measure()
    assert abs(clock.now() - database_now()) < SECOND
    assert clock.skew() < timedelta(hours=-23)
    monkeypatch.undo()
    clock.measure()
    assert abs(clock.skew()) < SECOND


class _Yesterday(datetime):
    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return datetime.now(UTC) - timedelta(days=1)


def test_it_is_asked_in_a_transaction_and_answers_after_one_has_failed(db: None) -> None:
    clock.measure()
    with transaction.atomic():
        with pytest.raises(IntegrityError), connection.cursor() as cursor:
            cursor.execute("INSERT INTO access_policy (slug) VALUES (NULL)")
        assert abs(clock.now() - datetime.now(UTC)) < SECOND
        transaction.set_rollback(True)
    with transaction.atomic():
        begun = clock.measure().shown
        assert clock.measure().shown > begun


def test_a_time_that_lies_ahead_is_no_fresh_authentication(settings: Settings) -> None:
    now = datetime.now(UTC)
    assert is_recent(now + SECOND, now=now)
    assert not is_recent(now + timedelta(hours=1), now=now)
    assert not is_recent(now - settings.LOCKGATE_REAUTHENTICATE_AFTER, now=now)
    assert not is_recent(None, now=now)
