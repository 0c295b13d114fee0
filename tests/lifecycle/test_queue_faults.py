"""A queue that answers and takes nothing: full, a replica that may be read only, with another password, loading its file."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import redis

from access import clock
from access.models import Undelivered
from access.services import grants
from deploy.local.servers import Redis
from tests.access.world import World
from tests.lifecycle.estates import Estate
from tests.lifecycle.test_faults import SECOND, kinds, over, own_queue, wait_for_workers, wait_until
from tests.lifecycle.test_lifecycle import granted
from tests.lifecycle.test_workers import start_worker, wait_for

__all__ = ["own_queue", "start_worker"]

pytestmark = pytest.mark.parametrize("shop", ["postgresql"], indirect=True)


def full(queue: redis.Redis) -> None:
    queue.config_set("maxmemory", "1")


def read_only(queue: redis.Redis) -> None:
    queue.replicaof("127.0.0.1", "1")


def another_password(queue: redis.Redis) -> None:
    queue.config_set("requirepass", "another-one")
    queue.client_kill_filter(_type="normal", skipme=True)


@pytest.mark.wide(one_in=6)
@pytest.mark.parametrize("broken", [full, read_only, another_password], ids=["full", "read-only", "another password"])
def test_a_queue_that_takes_nothing_is_as_good_as_none(
    shop_world: World, shop: Estate, start_worker: Callable[..., object], own_queue: Redis, broken: Callable[..., None]
) -> None:
    worker = start_worker(queue=own_queue.url)
    first = granted(shop_world)
    wait_for(first, "active")
    wait_for_workers()

    broken(redis.Redis.from_url(own_queue.url))
    began = time.monotonic()
    grants.end(person=shop_world.alice, grant=first, reason="", now=clock.now())
    assert time.monotonic() - began < 2
    wait_for(first, "revoked")
    assert first.closed_at - first.ending_since < 15 * SECOND
    began = time.monotonic()
    second = granted(shop_world)
    assert time.monotonic() - began < 3
    wait_for(second, "active")
    wait_until(lambda: f"/requests/{second.request.reference}/" in worker.log.read_text(), "the mail is sent")
    wait_until(lambda: not Undelivered.objects.exists(), "and everything that waited")
    wait_until(lambda: kinds(shop_world) == ["queue"], "the console says so")
    over(second)
    wait_for(second, "revoked")
    assert second.closed_at - second.ends_at < 15 * SECOND
    assert worker.process.poll() is None
