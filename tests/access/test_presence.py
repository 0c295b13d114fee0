"""A claim lasts as long as the process that made it, and no longer than its lease."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import psycopg
import pytest
from django.db import connection

from access import claims, clock, presence
from access.errors import ClocksApart
from access.management.commands import doctor
from access.models import AccessRequest, Grant, Heartbeat
from access.queries.status import alarms_for
from access.services import votes
from access.states import GrantState
from access.ticking import ending, tick
from tests.access.test_ticking import active, sent
from tests.access.world import HOUR, NOW, World

__all__ = ["sent"]

SECOND = timedelta(seconds=1)


@pytest.fixture
def elsewhere(db: None) -> Iterator[psycopg.Connection[tuple[int]]]:
    """Another process's connection to the same database."""
    names = connection.get_connection_params()
    with psycopg.connect(
        **{name: names[name] for name in ("host", "port", "user", "password", "dbname")}, autocommit=True
    ) as other:
        yield other


def hold(other: psycopg.Connection[tuple[int]], key: int) -> None:
    other.execute("SELECT pg_advisory_lock(%s, %s)", [presence._NAMESPACE, key])


def claimed_by_another(grant: Grant, key: int) -> None:
    Grant.objects.filter(pk=grant.pk).update(
        claimed_by="another", claimed_until=NOW + claims.LEASE, holder=key, queued_until=None
    )


def is_free(grant: Grant, now: datetime = NOW) -> bool:
    return claims.claim(grant_id=grant.pk, claimant="me", states=[GrantState.ACTIVE], now=now)


def test_the_claim_of_a_process_that_is_there_is_left_alone_and_free_in_the_instant_in_which_it_dies(
    world: World, elsewhere: psycopg.Connection[tuple[int]]
) -> None:
    grant = active(world)
    hold(elsewhere, 4711)
    claimed_by_another(grant, 4711)
    assert not is_free(grant)
    elsewhere.close()
    # The server lets go when it has noticed.
    deadline = time.monotonic() + 5
    while not is_free(grant) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_free(grant)


def test_a_process_that_is_there_and_stands_still_loses_its_claim_with_the_lease(
    world: World, elsewhere: psycopg.Connection[tuple[int]]
) -> None:
    grant = active(world)
    hold(elsewhere, 4711)
    claimed_by_another(grant, 4711)
    assert is_free(grant, NOW + claims.LEASE)


def test_a_lock_of_somebody_elses_is_no_presence(world: World, elsewhere: psycopg.Connection[tuple[int]]) -> None:
    grant = active(world)
    elsewhere.execute("SELECT pg_advisory_lock(%s, %s), pg_advisory_lock(%s)", [1, 4711, 4711])
    claimed_by_another(grant, 4711)
    assert is_free(grant)


def test_what_a_dead_worker_had_begun_is_queued_again_by_the_next_tick(world: World, sent: list[object]) -> None:
    grant = active(world)
    claimed_by_another(grant, 4711)
    Grant.objects.filter(pk=grant.pk).update(starts_at=NOW - HOUR, ends_at=NOW)
    assert tick(worker="w", now=NOW)["revoke"] == 1


def test_a_process_claims_with_its_own_presence_while_it_is_held(world: World) -> None:
    grant = active(world)
    key = presence.begin()
    assert is_free(grant)
    grant.refresh_from_db()
    assert grant.holder is None  # Nobody holds it yet, so nobody may take it for the presence of a dead one.
    presence.hold()
    presence.hold()
    assert is_free(grant)
    grant.refresh_from_db()
    assert grant.holder == key
    claims.release(grant_id=grant.pk, claimant="me")
    grant.refresh_from_db()
    assert (grant.holder, grant.claimed_until) == (None, None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [presence._NAMESPACE, key])
        assert cursor.fetchone() == (True,)
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [presence._NAMESPACE, key])
        assert cursor.fetchone() == (False,)  # It was taken once.


@pytest.mark.parametrize("column", ["claimed_until", "queued_until", "next_attempt_at"])
def test_what_was_put_off_before_the_databases_clock_was_set_back_is_due(
    world: World, sent: list[object], column: str
) -> None:
    grant = active(world)
    Grant.objects.filter(pk=grant.pk).update(starts_at=NOW - HOUR, ends_at=NOW, **{column: NOW + HOUR})
    assert tick(worker="w", now=NOW)["revoke"] == 1


def test_what_lies_in_the_queue_for_long_is_taken_by_hand_and_once(world: World, sent: list[object]) -> None:
    grant = active(world)
    end = grant.ends_at
    tick(worker="w", now=end)
    assert claims.take_untaken(ending(end), limit=5, now=end + 2 * SECOND) == []
    assert claims.take_untaken(ending(end), limit=5, now=end + 3 * SECOND) == [grant.pk]
    assert claims.take_untaken(ending(end), limit=5, now=end + 3 * SECOND) == []


def test_a_worker_whose_process_is_gone_is_not_alive_however_short_ago_it_ticked(
    world: World, elsewhere: psycopg.Connection[tuple[int]]
) -> None:
    hold(elsewhere, 4711)
    Heartbeat.objects.create(worker="w", seen_at=NOW, holder=4711)
    assert alarms_for(world.alice, now=NOW) == []
    elsewhere.close()
    deadline = time.monotonic() + 10
    while Heartbeat.objects.filter(holder__in=presence.living()).exists() and time.monotonic() < deadline:
        time.sleep(0.02)  # the server hears a moment later that its client has gone
    assert [alarm.kind for alarm in alarms_for(world.alice, now=NOW)] == ["worker"]


@pytest.mark.parametrize(
    ("skew", "says", "stops"), [(1.5, [], False), (8.0, ["clock"], False), (-31.0, ["clock"], True)]
)
def test_a_clock_that_is_off_is_said_on_every_page_and_far_off_stops_approvals(
    world: World, skew: float, says: list[str], stops: bool
) -> None:
    Heartbeat.objects.create(worker="w1", seen_at=NOW, skew=skew)
    Heartbeat.objects.create(worker="w2", seen_at=NOW)
    alarms = alarms_for(world.oscar, now=NOW)
    assert [alarm.kind for alarm in alarms] == says
    assert all("w1" in alarm.sentence and ("Nothing is approved" in alarm.sentence) == stops for alarm in alarms)
    request = world.ask()
    if stops:
        with pytest.raises(ClocksApart, match="31 seconds behind"):
            approve(world, request)
        # A worker that is gone says nothing of any clock.
        Heartbeat.objects.filter(worker="w1").update(seen_at=NOW - HOUR)
    approve(world, request)
    assert Grant.objects.filter(request=request).exists()


def approve(world: World, request: AccessRequest) -> None:
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)


def test_the_queue_is_said_to_be_away_when_no_worker_reaches_it(world: World) -> None:
    Heartbeat.objects.create(worker="w1", seen_at=NOW, queue_down_since=NOW)
    assert [alarm.kind for alarm in alarms_for(world.alice, now=NOW)] == ["queue"]
    Heartbeat.objects.create(worker="w2", seen_at=NOW)
    assert alarms_for(world.alice, now=NOW) == []


def test_doctor_compares_the_clocks_of_this_machine_and_of_every_living_worker(db: None) -> None:
    assert [ok for ok, _ in doctor._clocks()] == [True]
    Heartbeat.objects.create(worker="w1", seen_at=clock.now(), skew=8.2)
    Heartbeat.objects.create(worker="w2", seen_at=clock.now() - HOUR, skew=3600)
    [(ok, line)] = doctor._clocks()
    assert not ok
    assert line.startswith("The clock of w1 is 8 seconds ahead of the database's.")
