"""Statements and sessions to be recorded, for the tests of the journal; and a process that records until it is killed.

    python -m tests.gateway.recording <journal> <report>

writes a line `<number of entries>` to <report> each time that `Journal.write` has returned.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from access.gateway_rules import Durability, Keep, Rules, StatementClass
from audit.statement_lines import Line, parsed
from connectors.base import Secret, Target
from gateway.admission import Admitted
from gateway.journal.journal import Journal
from gateway.recording import Examined, Verdict

ORDERS = Target("postgresql", "orders.test", 5432, "lg_x1_alice", Secret("secret"), "orders")


def admitted(
    *, person: str = "7", grant: str = "G-7K2M9QXT", keep: Keep = Keep.SHAPE, durability: Durability = Durability.STRICT
) -> Admitted:
    """Alice, reading orders."""
    return Admitted(
        credential_kind="personal_token",
        credential_id="41",
        person_id=person,
        person_label="alice@example.com",
        grant_id=3,
        grant_reference=grant,
        role_slug="orders-read",
        role_name="Orders, read",
        server_name="Orders",
        upstream=ORDERS,
        ends_at=datetime(2026, 3, 2, 10, 0, tzinfo=UTC),
        rules=Rules(classes=frozenset({StatementClass.READ}), keep=keep, durability=durability),
        parsed_as="postgres",
    )


def examined(text: str, *, fingerprint: str = "00ff00ff00ff00ff", refusal: str = "", rule: str = "") -> Examined:
    """What would be known of a text."""
    sha256 = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return Examined(sha256, fingerprint, ("read",), True, "SELECT ?", refusal=refusal, rule=rule)


def run_statements(journal: Journal, session: int, count: int) -> None:
    """Statements that run and are done."""
    for number in range(count):
        text = f"SELECT {number}"
        statement = journal.intent(session, examined(text), text)
        journal.write()
        journal.outcome(statement, Verdict.DONE, rows=1, size=8)
    journal.write()


def journals(journal: Path) -> list[Path]:
    """The folders of streams."""
    return sorted(path for path in journal.iterdir() if path.is_dir() and _is_uuid(path.name))


def written(folder: Path) -> Iterator[Line]:
    """What stands in a stream's segments, without their first lines and without what was repeated."""
    last = 0
    for segment in sorted(folder.glob("*.journal")):
        for raw in segment.read_bytes().split(b"\n")[1:-1]:
            line = parsed(raw)
            if line.seq > last:
                last = line.seq
                yield line


def _is_uuid(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True


async def _record_for_ever(folder: Path, report: Path) -> None:
    journal = Journal.begin(folder, loop=asyncio.get_running_loop(), seal=lambda key: key.hex())
    entries = 1
    session = journal.opened(admitted(durability=Durability.BATCHED), client_ip="192.0.2.1", application="load")
    with report.open("w", buffering=1) as told:
        while True:
            numbers = [journal.intent(session, examined("SELECT 1"), "SELECT 1") for _ in range(20)]
            journal.write()
            for number in numbers[:-1]:
                journal.outcome(number, Verdict.DONE, rows=1)
            entries += 20 + (entries == 1)
            told.write(f"{entries}\n")
            journal.write()
            entries += 19
            told.write(f"{entries}\n")
            await asyncio.sleep(0.02)  # some thousand entries a second are a load, and are soon looked through


if __name__ == "__main__":
    asyncio.run(_record_for_ever(Path(sys.argv[1]), Path(sys.argv[2])))
