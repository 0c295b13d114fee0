"""Workers are really killed in the middle of their work, and another one brings it to the right end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db import connection
from django.utils import timezone

from access.models import Grant, Heartbeat
from access.services import grants, votes
from tests.access.world import World
from tests.lifecycle.conftest import reached_at
from tests.lifecycle.estates import Estate
from tests.lifecycle.proxy import TimeStopper, time_stopper
from tests.lifecycle.test_lifecycle import granted, provisioned, refused

#: A lease of a dead worker's runs for fifteen seconds; the rest is for slow machines.
PATIENCE_SECONDS = 60

MAKES = {"postgresql": "CREATE ROLE", "mariadb": "CREATE USER"}
BLOCKS = {"postgresql": "NOLOGIN", "mariadb": "ACCOUNT LOCK"}
DROPS = {"postgresql": "DROP ROLE", "mariadb": "DROP USER"}


class Worker:
    """A real Celery worker with its own beat, in a process group of its own."""

    def __init__(self, log: Path, *, queue: str = "", offset: str = "") -> None:
        self.log = log
        self.name = f"w{time.monotonic_ns()}"
        environment = {**os.environ, "DATABASE_URL": database_url(), "REDIS_URL": queue or queue_url()}
        command = [sys.executable, "-m", "celery", "--app=console", "worker", "--beat", "--concurrency=2"]
        command += ["--queues=clock,grants", "--loglevel=INFO", f"--hostname={self.name}@%h"]
        if offset:
            command = ["faketime", "-f", offset, *command]
            environment["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def kill(self) -> None:
        """As a power cut would: the whole group, at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def database_url() -> str:
    """The test's own database, which is not the one that the settings name."""
    return re.sub(r"/[^/]+$", f"/{connection.settings_dict['NAME']}", os.environ["DATABASE_URL"])


def queue_url() -> str:
    """A corner of Redis that the other tests do not use, nor this one's neighbours in other processes."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return re.sub(r"/\d+$", f"/{1 + number % 15}", settings.REDIS_URL)


@pytest.fixture
def start_worker(shop_world: World, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts workers on the test's database, and kills what is left."""
    with workers_in(tmp_path) as start:
        yield start


@contextmanager
def workers_in(folder: Path) -> Iterator[Callable[..., Worker]]:
    """What starts workers; those that are left are killed at the end."""
    workers: list[Worker] = []
    redis.Redis.from_url(queue_url()).flushdb()

    def start(**how: str) -> Worker:
        workers.append(Worker(folder / "worker.log", **how))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()
    redis.Redis.from_url(queue_url()).flushdb()


@pytest.fixture
def stopper(shop_world: World, shop: Estate) -> Iterator[TimeStopper]:
    """Stands between Lockgate and the shop's server."""
    with time_stopper(shop.url.hostname or "", shop.url.port or 0) as proxy:
        reached_at(shop_world, proxy.port)
        shop_world.server.port = proxy.port
        shop_world.server.save()
        yield proxy


def wait_for(grant: Grant, state: str) -> None:
    """Until the grant is in `state`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        grant.refresh_from_db()
        if grant.state == state:
            return
        time.sleep(0.1)
    pytest.fail(f"{grant.state}, not {state}, after {PATIENCE_SECONDS} s: {grant.last_error}")


@contextmanager
def killed_after(stopper: TimeStopper, statement: str, start: Callable[[], Worker]) -> Iterator[None]:
    """A worker that does what the block asks for, and dies when `statement` has run, before it knows that."""
    stopper.stop_after(statement)
    worker = start()
    yield
    assert stopper.stopped.wait(PATIENCE_SECONDS), f"no worker came to {statement}"
    worker.kill()
    stopper.go_on()


@pytest.mark.wide(one_in=4)
def test_a_worker_that_dies_while_making_an_account_is_replaced(
    shop_world: World, shop: Estate, stopper: TimeStopper, start_worker: Callable[[], Worker]
) -> None:
    with killed_after(stopper, MAKES[shop.engine], start_worker):
        grant = granted(shop_world)
    grant.refresh_from_db()
    assert grant.state == "provisioning"
    start_worker()
    wait_for(grant, "active")
    password = grants.reveal_password(person=shop_world.alice, grant=grant, now=timezone.now())
    session = shop.log_in(grant.principal, password)
    assert session.ask("SELECT count(*) FROM orders") == 3
    session.close()
    assert shop.accounts(grant.principal) == 1


@pytest.mark.wide(one_in=6)
@pytest.mark.parametrize("statement", [BLOCKS, DROPS], ids=["after blocking logins", "after dropping the account"])
def test_a_worker_that_dies_while_taking_an_account_away_is_replaced(
    shop_world: World,
    shop: Estate,
    stopper: TimeStopper,
    start_worker: Callable[[], Worker],
    statement: dict[str, str],
) -> None:
    grant, password = provisioned(shop_world)
    with killed_after(stopper, statement[shop.engine], start_worker):
        grants.end(person=shop_world.alice, grant=grant, reason="", now=timezone.now())
    grant.refresh_from_db()
    assert grant.state == "revoking"
    start_worker()
    wait_for(grant, "revoked")
    assert grant.receipt["is_clean"]
    assert refused(lambda: shop.log_in(grant.principal, password))
    assert shop.accounts(grant.principal) == 0


@pytest.mark.wide(one_in=2)
def test_a_queue_that_was_flushed_costs_nothing_but_a_moment(
    shop_world: World, shop: Estate, start_worker: Callable[[], Worker]
) -> None:
    grant, password = provisioned(shop_world)
    other = granted(shop_world)
    Grant.objects.filter(pk=grant.pk).update(starts_at=timezone.now() - timedelta(hours=1), ends_at=timezone.now())
    redis.Redis.from_url(queue_url()).flushdb()
    start_worker()
    wait_for(grant, "revoked")
    wait_for(other, "active")
    assert refused(lambda: shop.log_in(grant.principal, password))
    assert Heartbeat.objects.filter(seen_at__gt=timezone.now() - timedelta(seconds=5)).exists()


def test_an_approval_reaches_a_worker_without_anybody_waiting_for_a_tick(shop_world: World, shop: Estate) -> None:
    now = timezone.now()
    request = shop_world.ask(now=now)
    queue = redis.Redis.from_url(settings.REDIS_URL)
    before = queue.llen("grants")
    votes.approve(
        person=shop_world.bob, request=request, content_hash=request.content_hash, now=now, authenticated_at=now
    )
    assert queue.llen("grants") > before
