"""The journal itself: what it writes, when it refuses, how it comes back. Real files, a real full disk."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from access.gateway_rules import Keep
from access.statement_sealing import opened_text
from audit.chain import GENESIS
from gateway.errors import NotRecorded
from gateway.journal.folder import Shipped, StreamFolder, try_lock
from gateway.journal.journal import Journal, Limits
from gateway.journal.segment import ROOM
from gateway.journal.syncing import Syncer
from gateway.recording import Verdict
from tests.gateway.recording import admitted, examined, journals, run_statements, written

Begin = Callable[..., Journal]


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def begin(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> Iterator[Begin]:
    begun: list[Journal] = []

    def begin(folder: Path = tmp_path, limits: Limits | None = None) -> Journal:
        begun.append(Journal.begin(folder, loop=loop, seal=lambda key: key.hex(), limits=limits))
        return begun[-1]

    yield begin
    for journal in begun:
        journal._syncer.abandon()


def session(journal: Journal, keep: Keep = Keep.SHAPE) -> int:
    return journal.opened(admitted(keep=keep), client_ip="192.0.2.1", application="psql")


def durable(journal: Journal, loop: asyncio.AbstractEventLoop) -> Exception | None:
    """What `when_durable` says."""
    said: asyncio.Future[Exception | None] = loop.create_future()
    journal.when_durable(said.set_result)
    return loop.run_until_complete(asyncio.wait_for(said, 5))


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "It did not come to pass."
        time.sleep(0.02)


def test_each_line_is_a_hash_and_the_text_that_it_is_of_and_holds_the_hash_before(begin: Begin, tmp_path: Path) -> None:
    journal = begin()
    number = session(journal)
    statement = journal.intent(number, examined("SELECT 1"), "SELECT 1")
    journal.refused(number, examined("DROP TABLE t", refusal="Not allowed.", rule="classes"), "DROP TABLE t")
    journal.outcome(statement, Verdict.DONE, rows=3, size=70)
    journal.closed(number, "The client left.")
    journal.close()
    (folder,) = journals(tmp_path)
    previous, entries = GENESIS, []
    for line in (folder / "00000001.journal").read_bytes().split(b"\n")[1:-1]:
        sealed, body = line.split(b" ", 1)
        assert hashlib.sha256(body).hexdigest().encode() == sealed
        entries.append(json.loads(body))
        assert entries[-1]["prev"] == previous
        previous = sealed.decode()
    assert [entry["seq"] for entry in entries] == list(range(1, 8))
    assert [entry["kind"] for entry in entries] == [
        *("began", "opened", "intent", "refused", "outcome", "closed", "ended")
    ]
    who, intent, refused, outcome = entries[1:5]
    assert (who["person"]["label"], who["grant"]["reference"]) == ("alice@example.com", "G-7K2M9QXT")
    assert (who["principal"], who["keep"], who["durability"]) == ("lg_x1_alice", "shape", "strict")
    assert (intent["shape"], intent["session"]) == ("SELECT ?", who["session"])
    assert intent["sha256"] == hashlib.sha256(b"SELECT 1").hexdigest()
    assert (refused["rule"], refused["reason"]) == ("classes", "Not allowed.")
    assert (outcome["statement"], outcome["verdict"], outcome["rows"], outcome["bytes"]) == (3, "done", 3, 70)
    assert "secret" not in (folder / "00000001.journal").read_text()


def test_no_number_is_said_before_it_is_written(begin: Begin, tmp_path: Path) -> None:
    journal = begin()
    number = session(journal)
    journal.write()
    journal.intent(number, examined("SELECT 1"), "SELECT 1")
    (folder,) = journals(tmp_path)
    assert len(list(written(folder))) == 2
    journal.write()
    assert len(list(written(folder))) == 3


@pytest.mark.parametrize("keep", Keep)
def test_what_is_kept_of_a_text_is_what_the_role_says(begin: Begin, tmp_path: Path, keep: Keep) -> None:
    journal = begin()
    number = session(journal, keep)
    journal.intent(number, examined("SELECT 'Köln\udcff'"), "SELECT 'Köln\udcff'", b"\x00\x01")
    journal.write()
    (folder,) = journals(tmp_path)
    entry = list(written(folder))[-1].content
    assert ("shape" in entry, "sealed" in entry) == (keep is Keep.SHAPE, keep is Keep.TEXT)
    assert "Köln" not in json.dumps(dict(entry), ensure_ascii=False)
    if keep is Keep.TEXT:
        key = bytes.fromhex((folder / "key").read_text())
        assert opened_text(key, stream=journal.stream.bytes, sealed=entry["sealed"]) == (
            "SELECT 'Köln\\xff'",
            b"\x00\x01",
        )


def test_a_text_that_is_very_long_is_shortened_and_says_so(begin: Begin, tmp_path: Path) -> None:
    journal = begin(limits=Limits(longest_text=20))
    number = session(journal, Keep.TEXT)
    journal.intent(number, examined("SELECT 1"), "SELECT " + "1" * 100, b"parameters")
    journal.write()
    (folder,) = journals(tmp_path)
    entry = list(written(folder))[-1].content
    key = bytes.fromhex((folder / "key").read_text())
    assert entry["shortened"] is True
    assert opened_text(key, stream=journal.stream.bytes, sealed=entry["sealed"]) == ("SELECT " + "1" * 13, b"")


def test_durable_is_told_on_the_event_loop_once_for_all_who_wait(begin: Begin, loop: asyncio.AbstractEventLoop) -> None:
    journal = begin()
    number = session(journal)
    told: list[Exception | None] = []
    for _ in range(10):
        run_statements(journal, number, 1)
        journal.when_durable(told.append)
    assert told == []
    assert durable(journal, loop) is None
    assert told == [None] * 10


def test_what_nobody_waits_for_is_on_the_disk_soon_without_being_asked_for(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = begin()
    number = session(journal)
    synced: list[float] = []
    sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (sync(descriptor), synced.append(time.monotonic()))[0])
    for _ in range(20):
        run_statements(journal, number, 1)
        said = time.monotonic()
        until(lambda: bool(synced) and synced[-1] > said)  # noqa: B023
    # How long that takes is the machine's business, but for how long is waited before it is begun.
    assert Limits().flush_every < 0.010


def test_at_the_bound_statements_are_refused_and_outcomes_are_not(begin: Begin, tmp_path: Path) -> None:
    journal = begin(limits=Limits(unshipped_entries=20))
    number = session(journal)
    statements = []
    for _ in range(18):
        statements.append(journal.intent(number, examined("SELECT 1"), "SELECT 1"))
        journal.write()
    with pytest.raises(NotRecorded, match="holds as much as it may"):
        journal.intent(number, examined("SELECT 1"), "SELECT 1")
    with pytest.raises(NotRecorded):
        journal.refused(number, examined("SELECT 1"), "SELECT 1")
    with pytest.raises(NotRecorded):
        session(journal)
    for statement in statements:
        journal.outcome(statement, Verdict.DONE)
    journal.write()
    (folder,) = journals(tmp_path)
    assert len(list(written(folder))) == 38
    StreamFolder(folder).note_shipped(Shipped(38, sum(path.stat().st_size for path in folder.glob("*.journal"))))
    time.sleep(0.06)
    journal.intent(number, examined("SELECT 1"), "SELECT 1")


def test_the_bound_also_counts_bytes(begin: Begin) -> None:
    journal = begin(limits=Limits(unshipped_bytes=5000))
    with pytest.raises(NotRecorded):
        run_statements(journal, session(journal), 100)


def test_a_full_segment_is_followed_by_the_next(begin: Begin, tmp_path: Path, loop: asyncio.AbstractEventLoop) -> None:
    journal = begin(limits=Limits(segment_bytes=3000))
    run_statements(journal, session(journal), 30)
    assert durable(journal, loop) is None
    (folder,) = journals(tmp_path)
    assert len(list(folder.glob("*.journal"))) > 5
    assert [line.seq for line in written(folder)] == list(range(1, 63))


def busy(journal: Journal) -> int:
    """A session of a journal that has written so much that it gets room."""
    number = session(journal)
    until(lambda: run_statements(journal, number, 50) is None and journal._syncer.segment_size > 300_000)
    return number


def test_a_busy_segment_is_written_into_room_and_ends_with_its_last_line(
    begin: Begin, tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> None:
    journal = begin(limits=Limits(segment_bytes=3 * ROOM))
    number = busy(journal)
    (folder,) = journals(tmp_path)
    first = folder / "00000001.journal"
    until(lambda: first.stat().st_size > journal._syncer.segment_size + ROOM // 2)
    length = first.stat().st_size
    run_statements(journal, number, 50)
    assert durable(journal, loop) is None
    assert first.stat().st_size == length
    until(lambda: run_statements(journal, number, 50) is None and (folder / "00000002.journal").exists())
    assert durable(journal, loop) is None
    assert first.read_bytes().endswith(b"}\n")
    busy(journal)
    journal.close()
    assert (folder / "00000002.journal").read_bytes().endswith(b"}\n")
    lines = list(written(folder))
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    assert [line.content["prev"] for line in lines[1:]] == [line.hash for line in lines[:-1]]


def test_what_is_appended_while_room_is_made_waits_or_lies_before_it(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece of room is made so slowly that all that was there before is used up meanwhile."""
    journal, pwrite, made = begin(), os.pwrite, []

    def slowly(descriptor: int, data: bytes, offset: int) -> int:
        time.sleep(0.2)
        made.append(offset)
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", slowly)
    number = session(journal)
    until(lambda: run_statements(journal, number, 200) is None and len(made) > 3)
    (folder,) = journals(tmp_path)
    lines = list(written_with_torn_ends(folder))
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    assert len(lines) == journal._chain.seq


def test_where_no_room_can_be_made_a_segment_grows(
    begin: Begin, tmp_path: Path, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes, offset: int) -> int:
        os.truncate(descriptor, offset + 5000)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    journal = begin()
    number = busy(journal)
    run_statements(journal, number, 50)
    assert durable(journal, loop) is None
    (folder,) = journals(tmp_path)
    assert (folder / "00000001.journal").read_bytes().endswith(b"}\n")
    assert len(list(written(folder))) == journal._chain.seq


def test_room_is_not_made_where_there_is_little(
    begin: Begin, small_disk: Path, loop: asyncio.AbstractEventLoop
) -> None:
    journal = begin(small_disk)
    busy(journal)
    assert durable(journal, loop) is None
    (folder,) = journals(small_disk)
    assert (folder / "00000001.journal").stat().st_size == journal._syncer.segment_size


def test_nobody_else_can_hold_the_lock_of_a_living_stream(begin: Begin, tmp_path: Path) -> None:
    journal = begin()
    (folder,) = journals(tmp_path)
    assert try_lock(folder / "lock") is None
    journal.close()
    descriptor = try_lock(folder / "lock")
    assert descriptor is not None
    os.close(descriptor)


def fill(ballast: Path) -> None:
    """Until not one byte more fits."""
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while os.write(descriptor, b"x" * 1000):
            pass
    os.close(descriptor)


def test_a_full_disk_refuses_statements_and_loses_no_outcome(
    begin: Begin, small_disk: Path, loop: asyncio.AbstractEventLoop
) -> None:
    journal = begin(small_disk)
    number = session(journal)
    running = [journal.intent(number, examined("SELECT 1"), "SELECT 1") for _ in range(3)]
    journal.write()
    ballast = small_disk / "ballast"
    fill(ballast)
    with pytest.raises(NotRecorded, match="No space left"):
        run_statements(journal, number, 1000)
    with pytest.raises(NotRecorded, match="No space left"):
        journal.intent(number, examined("SELECT 2"), "SELECT 2")
    for statement in running:
        journal.outcome(statement, Verdict.DONE)
    with pytest.raises(NotRecorded):
        journal.write()
    assert isinstance(durable(journal, loop), NotRecorded)
    ballast.unlink()
    until(lambda: journal._syncer.is_mended)
    run_statements(journal, number, 5)
    assert durable(journal, loop) is None
    (folder,) = journals(small_disk)
    lines = list(written_with_torn_ends(folder))
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    assert [line.content["prev"] for line in lines[1:]] == [line.hash for line in lines[:-1]]
    assert {line.kind for line in lines} == {"began", "opened", "intent", "outcome", "trouble"}
    intents = {line.seq for line in lines if line.kind == "intent"}
    outcomes = [line.content["statement"] for line in lines if line.kind == "outcome"]
    assert sorted(outcomes) == sorted(intents), "Each statement has one outcome, also those that were never sent."
    header = sorted(folder.glob("*.journal"))[-1].read_bytes().split(b"\n")[0]
    assert "No space left" in json.loads(header.split(b" ", 1)[1])["why"]


def written_with_torn_ends(folder: Path) -> Iterator:  # type: ignore[type-arg]
    from gateway.journal.reading import Tail

    tail = Tail(StreamFolder(folder))
    while lines := tail.read():
        yield from lines


def test_after_a_failed_sync_nothing_more_is_written_to_that_file(
    begin: Begin, tmp_path: Path, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = begin()
    number = session(journal)
    run_statements(journal, number, 3)
    assert durable(journal, loop) is None
    syncing = os.fdatasync
    failing = [OSError(5, "Input/output error")]

    def fail_once(descriptor: int) -> None:
        if failing:
            raise failing.pop()
        syncing(descriptor)

    monkeypatch.setattr(os, "fdatasync", fail_once)
    statement = journal.intent(number, examined("SELECT 9"), "SELECT 9")
    journal.write()
    problem = durable(journal, loop)
    assert isinstance(problem, NotRecorded)
    assert "Input/output error" in str(problem)
    until(lambda: journal._syncer.is_mended)
    journal.outcome(statement, Verdict.UNSENT, code="58030")
    run_statements(journal, number, 1)
    assert durable(journal, loop) is None
    (folder,) = journals(tmp_path)
    first, second = sorted(folder.glob("*.journal"))
    assert len(first.read_bytes().split(b"\n")) - 2 == 9
    assert b'"SELECT ?"' in second.read_bytes().split(b"\n")[1], "What was not synced is there once more."
    lines = list(written(folder))
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    assert [line.kind for line in lines[9:]] == ["outcome", "intent", "trouble", "outcome"]


@pytest.mark.parametrize("missing", [0, 1, 2, 300])
def test_what_is_in_the_file_in_spite_of_a_failure_is_in_the_record_and_nothing_else(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    """Whoever reads the file sees a line as whole exactly when the writer does: also the one that lacks its end alone."""
    journal = begin()
    number = session(journal)
    journal.write()
    write, calls = os.write, []

    def fail_in_the_second_line(descriptor: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) == 1:
            end = data.index(b"\n", data.index(b"\n") + 1) + 1
            return write(descriptor, data[: end - missing])
        monkeypatch.setattr(os, "write", write)
        raise OSError(28, "No space left on device")

    for _ in range(3):
        journal.intent(number, examined("SELECT 1"), "SELECT 1")
    monkeypatch.setattr(os, "write", fail_in_the_second_line)
    with pytest.raises(NotRecorded):
        journal.write()
    until(lambda: journal._syncer.is_mended)
    run_statements(journal, number, 1)
    (folder,) = journals(tmp_path)
    lines = list(written_with_torn_ends(folder))
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    unsent = [line for line in lines if line.content.get("verdict") == "unsent"]
    assert len(unsent) == (1 if missing > 1 else 2)


def test_statements_said_while_the_disk_fails_never_begin(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop
) -> None:
    journal = begin()
    number = session(journal)
    run_statements(journal, number, 1)
    assert durable(journal, loop) is None

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    syncing = os.fdatasync
    statement = journal.intent(number, examined("SELECT 2"), "SELECT 2")
    monkeypatch.setattr(os, "fdatasync", fail)
    journal._syncer._unsynced.append(b"")
    journal._syncer._work.ring()
    until(lambda: journal._syncer.failure is not None)
    with pytest.raises(NotRecorded):
        journal.write()
    monkeypatch.setattr(os, "fdatasync", syncing)
    until(lambda: journal._syncer.is_mended)
    journal.outcome(statement, Verdict.CUT)
    run_statements(journal, number, 1)
    (folder,) = journals(tmp_path)
    kinds = [line.kind for line in written(folder)]
    assert kinds.count("intent") == kinds.count("outcome") == 2


def test_a_session_whose_beginning_was_not_written_runs_nothing(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, loop: asyncio.AbstractEventLoop
) -> None:
    journal = begin()
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    number = session(journal)
    with pytest.raises(NotRecorded):
        journal.write()
    monkeypatch.setattr(os, "write", write)
    until(lambda: journal._syncer.is_mended)
    with pytest.raises(NotRecorded, match="beginning of this session"):
        journal.intent(number, examined("SELECT 1"), "SELECT 1")
    journal.closed(number, "gone")
    run_statements(journal, session(journal), 1)
    assert durable(journal, loop) is None


def test_a_journal_that_cannot_be_begun_says_why(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotRecorded, match="cannot be begun"):
        begin(tmp_path / "file")


def test_a_file_that_may_not_grow_is_followed_by_another(tmp_path: Path) -> None:
    """Beyond RLIMIT_FSIZE a write fails like on a full disk, in the middle of a line."""
    code = (
        "import asyncio, resource, signal, sys, time; from pathlib import Path;"
        "from gateway.errors import NotRecorded; from gateway.journal.journal import Journal;"
        "from tests.gateway.recording import *;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "journal = Journal.begin(Path(sys.argv[1]), loop=asyncio.new_event_loop(), seal=lambda key: key.hex());"
        "session = journal.opened(admitted(), client_ip='', application=''); refused = 0\n"
        "for number in range(400):\n"
        "    try: run_statements(journal, session, 1)\n"
        "    except NotRecorded: refused += 1; time.sleep(0.05)\n"
        "while journal._syncer.failure and not journal._syncer.is_mended: time.sleep(0.01)\n"
        "journal.write(); journal._syncer.stop(); print(refused)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5
    (folder,) = journals(tmp_path)
    lines = list(written_with_torn_ends(folder))
    assert len(list(folder.glob("*.journal"))) > 5
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    intents = [line.seq for line in lines if line.kind == "intent"]
    assert sorted(line.content["statement"] for line in lines if line.kind == "outcome") == intents


def test_the_thread_ends_with_the_stream(begin: Begin) -> None:
    journal = begin()
    syncer: Syncer = journal._syncer
    journal.close()
    assert not syncer.is_alive()
