"""`make bench-lifecycle`: how long until approved access works, and how long until ended access is really gone.

Everything is started as `make demo` starts it: private servers with their data safe on disk, a web server, one worker with
four processes, beat. Everything is measured from outside, over HTTP as a browser and with the engines' own drivers.

* Single: from sending the approval to a login that works; from the end that the page promised to a refused login and a dead
  session.
* Burst: two hundred accounts, each with a session held open, that end at the same instant. A person cannot make windows end
  in the same instant, so the bench moves their ends in its own console's database; that is all it touches there.
* Beside it, the alternative that every PostgreSQL has: `VALID UNTIL` alone, and what becomes of a session under it.

The last line is one JSON object.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from deploy.local import demo, installed
from deploy.local.servers import free_port
from deploy.local.stack import Stack
from tests.bench.console import PageError, Person
from tests.bench.prober import Held, Place, hold, run

PASSWORD = "lockgate-demo"
SINGLES = 40
BURST = 200
MINUTES_OF_A_SINGLE = 1
LOOK_EVERY_SECONDS = 0.05
PATIENCE_SECONDS = 60.0
ENGINES = {"orders-read": "postgresql", "catalogue-write": "mariadb"}


@dataclass(frozen=True, slots=True)
class House:
    """A running Lockgate and the servers behind it."""

    base: str
    state_url: str
    places: dict[str, Place]
    alice: Person
    bob: Person

    def grant(self, role: str, minutes: int) -> tuple[Held, float]:
        """Ask, approve, log in; and the seconds from sending the approval to the login that worked."""
        reference = self.alice.ask(role, minutes, "Measured by the benchmark")
        content_hash = self.bob.content_hash(reference)
        begun = time.monotonic()
        self.bob.approve(reference, content_hash)
        deadline = begun + PATIENCE_SECONDS
        grant = self.alice.grant_of(reference)
        while (credentials := self.alice.reveal(grant)) is None:
            if time.monotonic() > deadline:
                raise PageError(f"{grant} did not get ready: {self.alice.status_of(grant)}")
            time.sleep(LOOK_EVERY_SECONDS)
        held = hold(self.places[role], credentials)
        return held, time.monotonic() - begun


@contextmanager
def running_house() -> Iterator[House]:
    """Everything, in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="lockgate-bench-"))
    folder.chmod(0o755)
    stack, port = Stack(folder), free_port()
    processes: list[subprocess.Popen[bytes]] = []
    try:
        stack.start()
        environment = demo.environment_of(stack, port)
        for arguments in (["migrate", "--verbosity=0"], ["load_demo"]):
            command = [str(installed.PYTHON), "manage.py", *arguments]
            subprocess.run(command, cwd=installed.ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        processes = demo.start_processes(port, environment, folder)
        base = f"http://127.0.0.1:{port}"
        yield House(
            base,
            environment["DATABASE_URL"],
            {
                "orders-read": Place("postgresql", urlsplit(stack.orders.url), "orders"),
                "catalogue-write": Place("mariadb", urlsplit(stack.catalogue.url), "catalogue"),
            },
            Person(base, "alice@demo.example", PASSWORD),
            Person(base, "bob@demo.example", PASSWORD),
        )
    finally:
        demo.stop(processes)
        stack.stop()
        stack.forget()
        shutil.rmtree(folder, ignore_errors=True)


def singles(house: House) -> tuple[list[float], list[float]]:
    """Seconds from approval to login, and from the promised end until nothing is left, for grants one after another."""
    begins: list[float] = []
    with ThreadPoolExecutor(SINGLES) as watchers:
        ends = []
        for number in range(SINGLES):
            held, seconds = house.grant(list(ENGINES)[number % 2], MINUTES_OF_A_SINGLE)
            begins.append(seconds)
            ends.append(watchers.submit(_seconds_after_end, held))
    return begins, [end.result() for end in ends]


def _seconds_after_end(held: Held) -> float:
    promised = held.credentials.ends_at.timestamp()
    time.sleep(max(promised - 0.5 - time.time(), 0))
    if not held.works():
        raise PageError(f"{held.credentials.principal} ended before its promised end.")
    time.sleep(max(promised - time.time(), 0))
    while not held.is_gone:
        held.look()
        if time.time() > promised + PATIENCE_SECONDS:
            raise PageError(f"{held.credentials.principal} lives a minute after its end.")
        time.sleep(LOOK_EVERY_SECONDS)
    return held.gone_at - promised


def burst(house: House) -> float:
    """Seconds from the common end until the last login is refused and the last session dead."""

    def half(role: str) -> list[Held]:
        alice = Person(house.base, "alice@demo.example", PASSWORD)
        bob = Person(house.base, "bob@demo.example", PASSWORD)
        mine = House(house.base, house.state_url, house.places, alice, bob)
        return [mine.grant(role, 60)[0] for _ in range(BURST // 2)]

    with ThreadPoolExecutor(2) as pool:
        living = [held for both in pool.map(half, ENGINES) for held in both]
    end = time.time() + 5
    with psycopg.connect(house.state_url, autocommit=True) as connection:
        moved = connection.execute(
            "UPDATE access_grant SET ends_at = to_timestamp(%s) WHERE state = 'active' AND principal = ANY (%s)",
            (end, [held.credentials.principal for held in living]),
        )
        if moved.rowcount != len(living):
            raise PageError(f"Only {moved.rowcount} of {len(living)} are active.")
    if not all(held.works() for held in living):
        raise PageError("Some access ended before its end.")
    time.sleep(max(end - time.time(), 0))
    while not all(held.is_gone for held in living):
        for held in living:
            if not held.is_gone:
                held.look()
        if time.time() > end + 5 * PATIENCE_SECONDS:
            raise PageError("Some access does not end.")
        time.sleep(LOOK_EVERY_SECONDS)
    return max(held.gone_at for held in living) - end


def valid_until_alone(house: House) -> bool:
    """Whether a session outlives its account's `VALID UNTIL` by five seconds where nobody ends it."""
    place = house.places["orders-read"]
    with place.as_root() as root:
        root.execute("CREATE ROLE bench_valid_until LOGIN PASSWORD 'bench' VALID UNTIL 'infinity'")
        root.execute("GRANT CONNECT ON DATABASE orders TO bench_valid_until")
        with place.log_in("bench_valid_until", "bench") as session:
            root.execute("ALTER ROLE bench_valid_until VALID UNTIL '2020-01-01'")
            time.sleep(5)
            refused = place.refuses("bench_valid_until", "bench")
            survives = run(session, "SELECT true") == [(True,)]
        root.execute("REVOKE CONNECT ON DATABASE orders FROM bench_valid_until")
        root.execute("DROP ROLE bench_valid_until")
    return refused and survives


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of all do not exceed."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def main() -> int:
    """Run all three and print what came out."""
    with running_house() as house:
        house.grant("orders-read", 60)  # the first of everything is slower, and no part of what people see all day
        house.grant("catalogue-write", 60)
        begins, ends = singles(house)
        print(f"approval to login: {len(begins)} grants, {min(begins):.3f} to {max(begins):.3f} s")
        print(f"promised end to nothing left: {len(ends)} grants, {min(ends):.3f} to {max(ends):.3f} s")
        survives = valid_until_alone(house)
        print(f"VALID UNTIL alone: logins refused, the open session {'survives' if survives else 'ends'}")
        last_gone = burst(house)
        print(f"burst: {BURST} grants on two servers, the last gone {last_gone:.1f} s after their common end")
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=installed.ROOT, capture_output=True, text=True, check=False
    )
    result = {
        "approve_to_login_p50_s": round(percentile(begins, 0.5), 3),
        "approve_to_login_p95_s": round(percentile(begins, 0.95), 3),
        "end_to_zero_p50_s": round(percentile(ends, 0.5), 3),
        "end_to_zero_p95_s": round(percentile(ends, 0.95), 3),
        "burst_grants": BURST,
        "burst_last_gone_s": round(last_gone, 2),
        "valid_until_alone_session_survives": survives,
        "commit": commit.stdout.strip(),
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
