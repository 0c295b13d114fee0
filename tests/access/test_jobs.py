"""What is done at intervals is done once, whoever asks and however often; what nobody asks for is done all the same."""

from __future__ import annotations

from datetime import timedelta

import pytest
import redis
from celery import current_app
from celery.beat import ScheduleEntry

from access import jobs, own_clock, queueing, tasks
from access.intervals import EVERY
from access.models import Job, Undelivered
from access.services.server_clocks import about_its_clock
from connectors.base import CheckReport
from console.beat import MOST_WAITING, PatientScheduler
from console.celery import app
from console.settings import CELERY_BEAT_SCHEDULE
from deploy.local.servers import free_port
from tests.access.world import NOW
from tests.lifecycle.test_workers import queue_url

SECOND = timedelta(seconds=1)
SWEEP = EVERY["sweep"]


def test_a_request_that_lay_in_the_queue_behind_another_is_not_done_again(db: None) -> None:
    assert jobs.is_wanted("sweep", now=NOW)
    assert not jobs.is_wanted("sweep", now=NOW + SECOND)
    assert jobs.is_wanted("sweep", now=NOW + SWEEP - SECOND)


def test_a_job_that_nobody_asked_for_is_late_after_a_while_and_then_done_by_one(db: None) -> None:
    assert not jobs.is_missed("sweep", now=NOW)
    assert not jobs.is_missed("sweep", now=NOW + SWEEP)
    assert jobs.is_missed("sweep", now=NOW + 1.5 * SWEEP)
    assert not jobs.is_missed("sweep", now=NOW + 1.5 * SWEEP + SECOND)


def test_a_clock_that_was_set_back_stops_no_job(db: None) -> None:
    Job.objects.create(name="sweep", begun_at=NOW + timedelta(days=1))
    assert jobs.is_missed("sweep", now=NOW)


def test_no_message_of_beat_ends_by_the_clock_of_whoever_receives_it() -> None:
    assert set(CELERY_BEAT_SCHEDULE) == {"tick", *EVERY}
    assert all("expires" not in entry.get("options", {}) for entry in CELERY_BEAT_SCHEDULE.values())
    assert set(own_clock._JOBS) == set(EVERY)
    for entry in CELERY_BEAT_SCHEDULE.values():
        assert entry["task"] in {task.name for task in vars(tasks).values() if hasattr(task, "delay")}


def test_beat_leaves_a_queue_alone_that_nobody_empties(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = redis.Redis.from_url(queue_url())
    queue.flushdb()
    monkeypatch.setattr(app.conf, "broker_url", queue_url())
    scheduler = PatientScheduler(app, lazy=True)
    entry = ScheduleEntry(name="tick", task="access.tick", schedule=1.0, app=app)
    for _ in range(MOST_WAITING + 5):
        scheduler.apply_entry(entry, producer=scheduler.producer)
    assert queue.llen("clock") == MOST_WAITING
    queue.flushdb()
    scheduler.connection.release()


def test_a_message_that_the_queue_does_not_take_waits_in_the_database(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current_app.conf, "broker_url", f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setattr(queueing, "_line", type(queueing._line)())
    monkeypatch.setattr(queueing, "_away_until", 0.0)
    queueing.send(queueing.NOTIFY, "request_submitted", 0)
    assert queueing.is_away()
    queueing.send(queueing.REVOKE, 1)  # its grant's row speaks for it
    assert list(Undelivered.objects.values_list("task", "args")) == [(queueing.NOTIFY, ["request_submitted", 0])]
    # There is no such request: that is told in the log, and the message is not tried for ever.
    own_clock.deliver()
    assert not Undelivered.objects.exists()


@pytest.mark.parametrize(
    ("ahead", "says", "blocks"),
    [
        (0, None, False),
        (30, "30 seconds ahead", False),
        (3600, "3600 seconds ahead", True),
        (-3600, "3599 seconds behind", False),
    ],
)
def test_a_server_whose_own_clock_is_off_is_found_by_its_check(ahead: int, says: str | None, blocks: bool) -> None:
    report = CheckReport("Fake 1.0", SECOND, NOW + ahead * SECOND)
    remedies = list(about_its_clock(report, before=NOW - SECOND, after=NOW))
    assert [remedy.blocking for remedy in remedies] == ([blocks] if says else [])
    assert all(says in remedy.problem and remedy.what_to_do for remedy in remedies if says)
