"""Clocks that are wrong, a queue that is away, a server that comes back, a worker that stands still: access ends on time.

With real processes, on one engine: what they show is the work of the workers, which is the same for all.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import current_app

from access import clock, queueing
from access.claims import LEASE
from access.errors import ClocksApart
from access.models import Grant, Heartbeat, Server, Undelivered
from access.queries.status import alarms_for
from access.services import grants
from console.consuming import LastingConsumer
from deploy.local.servers import Redis, free_port
from tests.access.world import World
from tests.lifecycle.conftest import reached_at
from tests.lifecycle.estates import Estate
from tests.lifecycle.proxy import TimeStopper, time_stopper
from tests.lifecycle.test_lifecycle import granted, provisioned, refused
from tests.lifecycle.test_workers import MAKES, PATIENCE_SECONDS, Worker, start_worker, stopper, wait_for

__all__ = ["start_worker", "stopper"]

pytestmark = pytest.mark.parametrize("shop", ["postgresql"], indirect=True)

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
#: A lease that nobody wants to wait for; one that is twice as long as any of ours counts for nothing.
LONG = 2 * LEASE - SECOND

Start = Callable[..., Worker]


def wait_until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not after {PATIENCE_SECONDS} s"
        time.sleep(0.1)


def wait_for_workers(count: int = 1) -> None:
    wait_until(lambda: Heartbeat.objects.filter(holder__isnull=False).count() == count, f"{count} workers")


def kinds(world: World) -> list[str]:
    return [alarm.kind for alarm in alarms_for(world.alice, now=clock.now())]


def over(grant: Grant) -> None:
    """The window ends now."""
    now = clock.now()
    Grant.objects.filter(pk=grant.pk).update(starts_at=now - MINUTE, ends_at=now)


@pytest.mark.wide(one_in=4)
@pytest.mark.parametrize(("offset", "seconds"), [("+3600s", 3600), ("-8s", -8)], ids=["an hour ahead", "8 s behind"])
def test_a_worker_whose_clock_is_wrong_begins_and_ends_access_on_time(
    shop_world: World, shop: Estate, start_worker: Start, offset: str, seconds: int
) -> None:
    grant = granted(shop_world, duration=MINUTE)
    start_worker(offset=offset)
    wait_for(grant, "active")
    assert abs(grant.ends_at - clock.now() - MINUTE) < 30 * SECOND
    assert grant.ends_at - grant.starts_at <= MINUTE
    wait_for_workers()
    assert abs(Heartbeat.objects.get().skew - seconds) < 1
    assert kinds(shop_world) == ["clock"]
    if abs(seconds) > 60:
        with pytest.raises(ClocksApart, match="60 minutes ahead"):
            granted(shop_world)
    over(grant)
    wait_for(grant, "revoked")
    assert grant.closed_at - grant.ends_at < 10 * SECOND
    assert shop.accounts(grant.principal) == 0


def test_what_a_dead_worker_had_claimed_is_free_at_once(
    shop_world: World, shop: Estate, stopper: TimeStopper, start_worker: Start
) -> None:
    stopper.stop_after(MAKES[shop.engine])
    dies = start_worker()
    grant = granted(shop_world)
    assert stopper.stopped.wait(PATIENCE_SECONDS)
    lives = start_worker()
    wait_until(
        lambda: Heartbeat.objects.filter(worker__startswith=lives.name, holder__isnull=False).exists(), "another"
    )
    Grant.objects.filter(pk=grant.pk).update(claimed_until=clock.now() + LONG)
    killed_at = clock.now()
    dies.kill()
    stopper.go_on()
    wait_for(grant, "active")
    # Nobody waited for the lease.
    assert grant.activated_at - killed_at < LONG / 2


def test_what_one_process_of_a_worker_had_claimed_is_free_when_it_is_killed_alone(
    shop_world: World, shop: Estate, stopper: TimeStopper, start_worker: Start
) -> None:
    stopper.stop_after(MAKES[shop.engine])
    worker = start_worker()
    grant = granted(shop_world)
    assert stopper.stopped.wait(PATIENCE_SECONDS)
    Grant.objects.filter(pk=grant.pk).update(claimed_until=clock.now() + LONG)
    killed_at = clock.now()
    for child in Path(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    stopper.go_on()
    wait_for(grant, "active")
    assert grant.activated_at - killed_at < LONG / 2
    assert worker.process.poll() is None


def test_a_worker_that_stood_still_past_its_lease_takes_away_what_it_makes_when_it_wakes(
    shop_world: World, shop: Estate, stopper: TimeStopper, start_worker: Start
) -> None:
    stopper.stop_after(MAKES[shop.engine])
    sleeper = start_worker()
    grant = granted(shop_world)
    assert stopper.stopped.wait(PATIENCE_SECONDS)
    os.killpg(sleeper.process.pid, signal.SIGSTOP)
    # Its connection lives, so that only the lease says that it is not there; fifteen seconds have passed.
    Grant.objects.filter(pk=grant.pk).update(claimed_until=clock.now())
    stopper.go_on()
    grants.end(person=shop_world.alice, grant=grant, reason="", now=clock.now())
    start_worker()
    wait_for(grant, "revoked")
    os.killpg(sleeper.process.pid, signal.SIGCONT)
    wait_until(lambda: "ClaimLost" in sleeper.log.read_text(), "the sleeper sees that it is late")
    wait_until(lambda: shop.accounts(grant.principal) == 0, "nothing is left")
    grant.refresh_from_db()
    assert (grant.state, grant.receipt["is_clean"]) == ("revoked", True)


@pytest.fixture
def own_queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """A Redis that may be stopped, for this test's processes alone."""
    folder = Path(tempfile.mkdtemp(prefix="lockgate-queue-"))
    folder.chmod(0o755)
    queue = Redis(folder, durable=False)
    queue.start()
    monkeypatch.setattr(current_app.conf, "broker_url", queue.url)
    monkeypatch.setattr(queueing, "_line", threading.local())
    monkeypatch.setattr(queueing, "_away_until", 0.0)
    yield queue
    if queue.pid is not None:
        os.kill(queue.pid, signal.SIGCONT)
    queue.stop()
    shutil.rmtree(folder)


def test_without_redis_access_begins_and_ends_mails_go_out_and_nobody_waits(
    shop_world: World, shop: Estate, start_worker: Start, own_queue: Redis
) -> None:
    worker = start_worker(queue=own_queue.url)
    hung = granted(shop_world)
    wait_for(hung, "active")
    wait_for_workers()
    assert kinds(shop_world) == []

    assert own_queue.pid is not None
    os.kill(own_queue.pid, signal.SIGSTOP)
    began = time.monotonic()
    grants.end(person=shop_world.alice, grant=hung, reason="", now=clock.now())
    assert time.monotonic() - began < 2  # 0.4 s, on a machine that has nothing else to do
    wait_for(hung, "revoked")
    assert hung.closed_at - hung.ending_since < 15 * SECOND
    wait_until(lambda: kinds(shop_world) == ["queue"], "the console says so")

    os.kill(own_queue.pid, signal.SIGCONT)
    own_queue.stop()
    gone = granted(shop_world)
    wait_for(gone, "active")
    wait_until(lambda: f"/requests/{gone.request.reference}/" in worker.log.read_text(), "the mail is sent")
    wait_until(lambda: not Undelivered.objects.exists(), "and everything that waited")
    over(gone)
    wait_for(gone, "revoked")
    assert gone.closed_at - gone.ends_at < 15 * SECOND
    assert shop.accounts(gone.principal) == 0


def test_a_worker_that_loses_redis_while_it_starts_works_on(
    shop_world: World, shop: Estate, start_worker: Start, own_queue: Redis
) -> None:
    worker = start_worker(queue=own_queue.url)
    # It greets its neighbours for a second, and would end when nobody hears that.
    wait_until(lambda: "mingle: searching" in worker.log.read_text(), "it starts")
    own_queue.stop()
    grant = granted(shop_world)
    wait_for(grant, "active")
    over(grant)
    wait_for(grant, "revoked")
    assert worker.process.poll() is None


def test_a_server_that_is_away_is_said_to_be_and_served_as_soon_as_it_is_back(
    shop_world: World, shop: Estate, start_worker: Start
) -> None:
    port = free_port()
    with time_stopper(shop.url.hostname or "", shop.url.port or 0, at=port):
        reached_at(shop_world, port)
        Server.objects.filter(pk=shop_world.server.pk).update(port=port)
        shop_world.read.server.refresh_from_db()
        grant, password = provisioned(shop_world)
    start_worker()
    grants.end(person=shop_world.alice, grant=grant, reason="", now=clock.now())
    wait_until(lambda: "silence" in kinds(shop_world), "the console says so")
    grant.refresh_from_db()
    assert grant.state == "revoking"
    wait_until(lambda: Grant.objects.filter(pk=grant.pk, waits_for_server=True).exists(), "it waits")
    # As after a long while: the pauses have grown.
    Grant.objects.filter(pk=grant.pk).update(attempts=9, next_attempt_at=clock.now() + MINUTE)
    back_at = clock.now()
    with time_stopper(shop.url.hostname or "", shop.url.port or 0, at=port):
        wait_for(grant, "revoked")
        assert grant.closed_at - back_at < 20 * SECOND
        assert refused(lambda: shop.log_in(grant.principal, password))
        wait_until(lambda: kinds(shop_world) == [], "nothing is wrong any more")


def test_a_connection_that_cannot_even_be_closed_ends_no_worker(
    shop_world: World, own_queue: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kombu 5.7 fails so when Redis goes between a message and its acknowledgement; no test can choose that instant."""
    pool, controller = SimpleNamespace(num_processes=1, is_green=False), SimpleNamespace(use_eventloop=False)
    consumer = LastingConsumer(print, app=current_app, pool=pool, controller=controller)

    def fail() -> None:
        raise AttributeError("'NoneType' object has no attribute 'hostname'")

    with current_app.connection_for_read() as connection:
        monkeypatch.setattr(connection, "close", fail)
        consumer.connection = connection.ensure_connection()
        consumer.on_connection_error_after_connected(ConnectionError())
        assert consumer.connection is None
