"""Every process of a gateway is killed under load: the record, shipped by the next one, against what the server really ran."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from django.utils import timezone

from access.gateway_rules import Durability, rules_for
from access.services import catalogue, tokens
from audit.models import StatementEntry
from audit.verification import verify
from connectors.base import Level
from deploy.local.processes import is_running
from gateway.journal.shipping import Shipper
from tests.access.world import World
from tests.gateway.recording import journals
from tests.gateway.test_serving import Gateway
from tests.lifecycle.conftest import shop, shop_world
from tests.lifecycle.estates import Estate
from tests.lifecycle.test_lifecycle import provisioned

__all__ = ["shop", "shop_world"]

pytestmark = pytest.mark.parametrize("shop", ["postgresql"], indirect=True)

CLIENTS = 8
#: A gateway is killed once so many statements were answered.
ENOUGH = 600


class Load:
    """Clients that insert one number after another, each in a statement of its own, until their session is gone."""

    def __init__(self, gateway: Gateway, token: str, role: str) -> None:
        self.told: list[int] = [0] * CLIENTS
        """How many each was told that they are done."""
        self._beside = ThreadPoolExecutor(CLIENTS)
        # Half of them by the extended protocol.
        self._working = [
            self._beside.submit(self._insert, client, gateway.connect(token, database=role), client % 2 == 1)
            for client in range(CLIENTS)
        ]

    def _insert(self, client: int, connection: psycopg.Connection[tuple[object, ...]], is_extended: bool) -> None:
        with suppress(psycopg.OperationalError):
            while True:
                connection.execute(text(client, self.told[client]).encode(), prepare=is_extended or None)
                self.told[client] += 1

    def wait(self) -> None:
        """Until so much is done that it is a load."""
        deadline = time.monotonic() + 60
        while sum(self.told) < ENOUGH:
            assert time.monotonic() < deadline, self.told
            time.sleep(0.01)

    def join(self) -> None:
        with self._beside:
            for work in self._working:
                work.result(30)


def text(client: int, number: int) -> str:
    return f"INSERT INTO ran VALUES ({client}, {number})"


def kill_at_once(gateway: Gateway) -> None:
    """The supervisor, its workers and the shipper, before one of them could do anything about it."""
    pid = gateway.process.pid
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    assert len(children) >= 3
    for one in (pid, *children):
        os.kill(one, signal.SIGKILL)
    gateway.process.wait()
    deadline = time.monotonic() + 10
    while any(is_running(child) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("durability", list(Durability))
def test_what_the_server_ran_is_recorded_and_what_is_recorded_as_done_was_run(
    shop_world: World, shop: Estate, tmp_path: Path, durability: Durability
) -> None:
    with shop.as_root(shop.database) as root:
        root.connection.execute("CREATE TABLE ran (client int, number int)")  # type: ignore[attr-defined]
    role = catalogue.define_role(
        person=shop_world.erin,
        slug=f"shop-write-{shop.database.replace('_', '-')}",
        name="Shop, write",
        server=shop_world.server,
        policy=shop_world.policy,
        level=Level.WRITE,
        databases=[shop.database],
        gateway=replace(rules_for(Level.WRITE), durability=durability),
        connections=CLIENTS,
    )
    grant, _ = provisioned(shop_world, role)
    _, token = tokens.make_token(person=shop_world.alice, grant=grant, name="load", now=timezone.now())
    gateway = Gateway(tmp_path)
    try:
        load = Load(gateway, token, role.slug)
        load.wait()
        kill_at_once(gateway)
        load.join()
    finally:
        gateway.kill()
    _quiet(shop, grant.principal)
    after = Gateway(tmp_path)
    # It ships what the other one has left; what it does not come to before its own end, the next shipper does.
    after.connect(token, database=role.slug).close()
    after.stop()
    _ship(tmp_path / "journal")
    _compare(shop, load)


def _ship(journal: Path) -> None:
    shipper, deadline = Shipper(journal), time.monotonic() + 60
    while journals(journal):
        assert time.monotonic() < deadline
        shipper.once()


def _quiet(shop: Estate, principal: str) -> None:
    """The server has noticed that nobody is there any more."""
    deadline = time.monotonic() + 20
    with shop.as_root() as root:
        while root.ask(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{principal}'"):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _compare(shop: Estate, load: Load) -> None:
    with shop.as_root(shop.database) as root:
        rows = root.connection.execute("SELECT client, number FROM ran").fetchall()  # type: ignore[attr-defined]
    ran = Counter(hashlib.sha256(text(client, number).encode()).hexdigest() for client, number in rows)
    entries = list(StatementEntry.objects.filter(kind__in=["intent", "outcome"]))
    intents = {(one.stream, one.seq): json.loads(one.content)["sha256"] for one in entries if one.kind == "intent"}
    outcomes = Counter((one.stream, one.statement) for one in entries if one.kind == "outcome")
    recorded = Counter(intents.values())

    assert max(ran.values()) == 1, "A statement has run twice."
    assert set(ran) <= set(recorded), "Something has run that is not recorded."
    assert {recorded[one] for one in ran} == {1}, "Something is recorded twice."
    assert outcomes == Counter(dict.fromkeys(intents, 1)), "Each statement has one outcome."
    verdicts = {intents[one.stream, one.statement]: one.verdict for one in entries if one.kind == "outcome"}
    inserts = {
        hashlib.sha256(text(client, number).encode()).hexdigest(): number < told
        for client, told in enumerate(load.told)
        for number in range(told + 1)
    }
    for one, was_told in inserts.items():
        if was_told:
            assert one in ran, "A client was told of something that the server has not."
            assert verdicts[one] in ("done", "unknown")
        if verdicts.get(one) == "done":
            assert one in ran, "Recorded as done, and the server has it not."
    known = Counter(verdicts[one] for one in ran)
    # What was in the air when it was killed, and what was not written down yet. A worker that sees its supervisor go, before
    # it is killed itself, may come to write that it has cut a session.
    assert known["done"] > ENOUGH // 2
    assert set(known) <= {"done", "unknown", "cut"}
    report = verify(now=datetime.now(UTC), whole=True)
    assert (report.faults, report.ok) == ((), True)
