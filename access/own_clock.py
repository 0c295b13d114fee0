"""A worker's own clock: once a second, whatever becomes of beat and of the queue.

It holds the worker's presence, measures how far the machine's clock is off, notes that the worker lives, and ticks. What the
queue does not deliver it does itself, in a few threads beside: ends, extensions, beginnings, mails, jobs that are late. All of
it may happen twice at once, here and elsewhere; `access.claims` and `access.jobs` say who does it.

Started by `console.celery` in the worker's main process, before the worker has to reach the queue.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta

import redis
import structlog
from celery import current_app
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.models import Q

from access import claims, clock, jobs, presence, provisioning, queueing, sweeping, ticking, watching
from access.models import Heartbeat, Undelivered
from access.services import servers, statements
from audit import checkpoints, verification
from audit.origin import Origin, coming_from

log = structlog.get_logger(__name__)

SECONDS = 1.0
#: Grants that one worker makes or ends by its own hand at the same time; the others of its threads look at servers.
HANDS = 4
_WATCHERS = 4
_FORGOTTEN_AFTER = timedelta(days=1)
#: What is written to see whether the queue takes anything, and for how long it stays there.
_ASKED, _ASKED_SECONDS = "lockgate-asked", 60
#: Undelivered messages that are run in one go.
_MESSAGES = 50

_WORK: tuple[tuple[Callable[[datetime], Q], Callable[..., None]], ...] = (
    (ticking.ending, provisioning.revoke),
    (ticking.growing, provisioning.extend),
    (ticking.beginning, provisioning.provision),
)

_JOBS: dict[str, Callable[[], object]] = {
    "sweep": lambda: sweeping.sweep_all(now=clock.now()),
    "verify_audit": lambda: verification.verify(now=clock.now()),
    "checkpoint": lambda: checkpoints.make(now=clock.now()),
    "seal_keys_anew": statements.seal_keys_anew,
    "check_servers": lambda: servers.check_all(now=clock.now()),
}


class OwnClock:
    """A thread that beats until it is stopped."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="own-clock", daemon=True)
        self._hands = _Threads(HANDS, "hand")
        self._watchers = _Threads(_WATCHERS, "watch")
        self._others = _Threads(1, "job")
        self._queue = redis.Redis.from_url(settings.CELERY_BROKER_URL, **queueing.IMPATIENT)
        self._queue_down_since: datetime | None = None

    def start(self) -> None:
        """Begin; the first beat is at once."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more. What is under way goes on to its end."""
        self._stopped.set()
        for threads in (self._hands, self._watchers, self._others):
            threads.stop()

    def _run(self) -> None:
        with coming_from(Origin(channel="worker", request_id="own clock")):
            while True:
                try:
                    self.beat()
                except Exception:
                    log.exception("clock.failed")
                    # Whatever it was, the next beat has another connection, and the presence with it.
                    connection.close()
                if self._stopped.wait(SECONDS):
                    connection.close()
                    return

    def beat(self) -> None:
        """All that is done each second. Raises what the database raises."""
        presence.hold()
        skew = clock.measure().skew
        now = clock.now()
        self._ask_the_queue(now)
        ticking.tick(worker=self._worker, now=now)
        Heartbeat.objects.filter(worker=self._worker).update(
            holder=presence.held(), skew=skew.total_seconds(), queue_down_since=self._queue_down_since
        )
        Heartbeat.objects.filter(seen_at__lt=now - _FORGOTTEN_AFTER).delete()
        self._do_what_is_left(now)
        for server in watching.due(now=now):
            self._watchers.run(lambda server=server: watching.look(server, clock=clock.now))  # type: ignore[misc]

    def _ask_the_queue(self, now: datetime) -> None:
        try:
            # A ping is answered by one that is full, or that has become a replica, as well.
            self._queue.set(_ASKED, "", ex=_ASKED_SECONDS)
        except redis.RedisError as error:
            if self._queue_down_since is None:
                log.warning("queue.unreachable", error=str(error))
            self._queue_down_since = self._queue_down_since or now
            queueing.note_away()
        else:
            self._queue_down_since = None

    def _do_what_is_left(self, now: datetime) -> None:
        for due, work in _WORK:
            for grant_id in claims.take_untaken(due(now), limit=self._hands.idle, now=now):
                claimant = f"own-{secrets.token_hex(8)}"
                self._hands.run(
                    lambda work=work, grant_id=grant_id, claimant=claimant: work(  # type: ignore[misc]
                        grant_id=grant_id, claimant=claimant
                    )
                )
        if not self._others.idle:
            return
        if Undelivered.objects.exists():
            self._others.run(deliver)
        elif late := next((name for name in _JOBS if jobs.is_missed(name, now=now)), None):
            self._others.run(_JOBS[late])


def deliver() -> None:
    """Run the tasks whose messages the queue did not take."""
    for _ in range(_MESSAGES):
        with transaction.atomic():
            message = Undelivered.objects.select_for_update(skip_locked=True).order_by("pk").first()
            if message is None:
                return
            try:
                current_app.tasks[message.task](*message.args)
            except Exception:
                # As on the queue: what fails is told in the log, and not tried for ever.
                log.exception("message.failed", task=message.task, args=message.args)
            message.delete()


class _Threads:
    """A few threads, and how many of them have nothing to do."""

    def __init__(self, number: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(number, thread_name_prefix=f"own-clock-{name}")
        self._running: set[Future[None]] = set()
        self._number = number

    @property
    def idle(self) -> int:
        """How many more can begin at once."""
        self._running = {one for one in self._running if not one.done()}
        return max(0, self._number - len(self._running))

    def run(self, work: Callable[[], object]) -> None:
        """Do it in one of them; it waits where all are busy. Errors go to the log."""
        self._running.add(self._pool.submit(_do, work))

    def stop(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _do(work: Callable[[], object]) -> None:
    try:
        with coming_from(Origin(channel="worker", request_id="own clock")):
            work()
    except Exception:
        log.exception("clock.work_failed")
    finally:
        connections.close_all()
