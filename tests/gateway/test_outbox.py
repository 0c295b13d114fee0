"""What is sent is in the journal by then, in the clients' order; and who waits for whom."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import NotRecorded
from gateway.journal.journal import Journal
from gateway.outbox import Outbox, Sender
from tests.gateway.recording import admitted, examined


class Session(Sender):
    """Sends what it is told to, and keeps what became of it and whether its intent was in the journal then."""

    def __init__(self, house: House, *, waits: bool = False) -> None:
        self._house, self._waits = house, waits
        self._number = house.journal.opened(admitted(), client_ip="", application="")
        self.sent: list[bytes] = []
        self.told: list[Exception | None] = []
        self.refused: list[NotRecorded] = []

    def says(self, text: str) -> int:
        statement = self._house.journal.intent(self._number, examined(text), text)
        self._house.outbox.send(self, text.encode())
        return statement

    def recorded(self, data: bytes) -> bool:
        assert examined(data.decode()).text_sha256 in self._house.written()
        self.sent.append(data)
        return self._waits

    def durable(self, error: Exception | None) -> None:
        self.told.append(error)

    def not_recorded(self, error: NotRecorded) -> None:
        self.refused.append(error)


class House:
    """A loop, a journal on a disk, and its outbox."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = folder
        self.journal = Journal.begin(folder, loop=self.loop, seal=lambda key: key.hex())
        self.outbox = Outbox(self.loop, self.journal)

    def written(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*/*.journal"))

    def goes_on(self, seconds: float = 0.0) -> None:
        """One turn of the loop and what that makes due, or some time of it."""
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.loop.run_until_complete(asyncio.sleep(0))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.journal.close()
    made.loop.close()


def test_one_statement_alone_waits_for_nothing(house: House) -> None:
    alice = Session(house)
    alice.says("SELECT 1")
    assert alice.sent == [], "Not before it is written, which is at the end of the turn."
    house.goes_on()
    assert alice.sent == [b"SELECT 1"]


def test_what_is_said_in_one_turn_is_sent_in_its_order(house: House) -> None:
    alice, bob = Session(house), Session(house)
    alice.says("SELECT 1")
    bob.says("SELECT 2")
    alice.says("SELECT 3")
    house.goes_on()
    assert (alice.sent, bob.sent) == ([b"SELECT 1", b"SELECT 3"], [b"SELECT 2"])


def test_all_of_one_turn_is_one_write(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = os.write, []
    monkeypatch.setattr(os, "write", lambda file, data: (written.append(data), write(file, data))[1])
    sessions = [Session(house) for _ in range(40)]
    house.journal.write()
    written.clear()
    for session in sessions:
        session.says("SELECT 1")
    house.goes_on()
    assert [session.sent for session in sessions] == [[b"SELECT 1"]] * 40
    assert [data.count(b'"intent"') for data in written] == [40]


def test_nobody_waits_for_those_who_run(house: House) -> None:
    others, alice = Session(house), Session(house)
    for number in range(40):
        others.says(f"SELECT {number}")
    house.goes_on()
    alice.says("SELECT 100")
    house.goes_on()
    assert alice.sent == [b"SELECT 100"]


def test_who_waits_for_the_disk_is_told_once_for_each(house: House) -> None:
    strict, batched = Session(house, waits=True), Session(house)
    strict.says("SELECT 1")
    strict.says("SELECT 2")
    batched.says("SELECT 3")
    house.goes_on(0.2)
    assert strict.told == [None, None]
    assert batched.told == []


def test_nothing_is_sent_of_what_could_not_be_written(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    alice, bob = Session(house), Session(house)
    house.journal.write()
    monkeypatch.setattr(os, "write", full)
    alice.says("SELECT 1")
    bob.says("SELECT 2")
    house.goes_on()
    assert (alice.sent, bob.sent) == ([], [])
    assert len(alice.refused) == len(bob.refused) == 1
    monkeypatch.undo()
    house.goes_on(0.6)
