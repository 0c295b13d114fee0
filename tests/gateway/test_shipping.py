"""From the journal into the database: each entry once, whoever is killed and whatever is cut."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, ProgrammingError, connection, transaction

from audit import lockgate_verify, streams
from audit.errors import StreamBroken
from audit.evidence import evidence
from audit.log import Actor
from audit.models import StatementEntry, Stream
from audit.statement_lines import parsed
from audit.verification import verify
from gateway.errors import NotRecorded
from gateway.journal import folder as folders
from gateway.journal.journal import Journal, Limits
from gateway.journal.segment import ROOM
from gateway.journal.shipping import Shipper
from gateway.recording import Verdict
from tests.gateway.recording import admitted, examined, journals, run_statements, written

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    loop = asyncio.new_event_loop()
    limits = Limits(segment_bytes=4000)
    journal = Journal.begin(tmp_path, loop=loop, seal=lambda key: key.hex(), limits=limits)
    yield journal
    journal._syncer.abandon()
    loop.close()


def die(journal: Journal) -> None:
    """What is left of a worker that was killed: its files, and nobody who holds the lock."""
    os.close(journal._lock)


def shipped() -> list[tuple[int, str]]:
    return list(StatementEntry.objects.order_by("stream", "seq").values_list("seq", "kind"))


def chain_is_whole() -> bool:
    """Every stream's entries, without a gap, each with a hash that fits and that the next one holds."""
    for stream in Stream.objects.all():
        seq, last = 0, "0" * 64
        for row in StatementEntry.objects.filter(stream=stream.pk).order_by("seq"):
            line = parsed(f"{row.hash} {row.content}".encode())
            if (line.seq, row.seq, line.prev) != (seq + 1, seq + 1, last):
                return False
            seq, last = row.seq, row.hash
        if (stream.seq, stream.hash) != (seq, last):
            return False
    return True


def test_entries_are_shipped_as_they_were_written_and_are_found_by_whom_and_what(
    journal: Journal, tmp_path: Path
) -> None:
    session = journal.opened(admitted(), client_ip="192.0.2.1", application="a\\b\tc")
    statement = journal.intent(session, examined("SELECT 1"), "SELECT 1")
    journal.refused(session, examined("DROP TABLE t", refusal="No.", rule="classes"), "DROP TABLE t")
    journal.outcome(statement, Verdict.FAILED, code="42P01")
    journal.write()
    (folder,) = journals(tmp_path)
    lines = list(written(folder))
    Shipper(tmp_path).once()
    rows = list(StatementEntry.objects.order_by("seq"))
    assert [(row.hash, row.content) for row in rows] == [(line.hash, line.text) for line in lines]
    assert [row.verdict for row in rows] == ["", "", "", "refused", "failed"]
    assert {(row.person, row.grant_reference, row.role, row.server) for row in rows[1:]} == {
        ("7", "G-7K2M9QXT", "orders-read", "Orders")
    }
    assert [row.fingerprint for row in rows[2:]] == ["00ff00ff00ff00ff"] * 3
    assert (rows[4].statement, rows[4].session) == (3, session)
    assert json.loads(rows[1].content)["application"] == "a\\b\tc"
    stream = Stream.objects.get()
    assert (stream.seq, stream.hash, stream.at, stream.ended_at) == (5, rows[4].hash, rows[4].at, None)
    assert stream.sealed_key == (folder / "key").read_text()


def test_what_is_shipped_is_shipped_once_also_by_another_shipper(journal: Journal, tmp_path: Path) -> None:
    session = journal.opened(admitted(), client_ip="", application="")
    run_statements(journal, session, 40)
    shipper = Shipper(tmp_path)
    assert shipper.once() == 82
    assert shipper.once() == 0
    run_statements(journal, session, 3)
    assert Shipper(tmp_path).once() == 6
    run_statements(journal, session, 1)
    assert shipper.once() == 8, "It reads what the other shipped, and the database has it already."
    assert len(shipped()) == 90
    assert chain_is_whole()


def test_an_outcome_finds_its_intent_when_another_shipper_shipped_that(journal: Journal, tmp_path: Path) -> None:
    session = journal.opened(admitted(), client_ip="", application="")
    statement = journal.intent(session, examined("SELECT 1"), "SELECT 1")
    journal.write()
    Shipper(tmp_path).once()
    journal.outcome(statement, Verdict.DONE)
    journal.write()
    Shipper(tmp_path).once()
    outcome = StatementEntry.objects.get(kind="outcome")
    assert (outcome.person, outcome.fingerprint) == ("7", "00ff00ff00ff00ff")


def test_segments_go_once_they_are_shipped_and_the_folder_once_the_stream_has_ended(
    journal: Journal, tmp_path: Path
) -> None:
    session = journal.opened(admitted(), client_ip="", application="")
    run_statements(journal, session, 40)
    (folder,) = journals(tmp_path)
    assert len(list(folder.glob("*.journal"))) > 3
    Shipper(tmp_path).once()
    assert len(list(folder.glob("*.journal"))) == 1
    shipped_size = int((folder / "shipped").read_text().split()[1])
    assert shipped_size == journal._size, "The worker counts its backlog from here."
    journal.close()
    Shipper(tmp_path).once()
    assert journals(tmp_path) == []
    assert shipped()[-1][1] == "ended"
    assert Stream.objects.get().ended_at is not None
    assert chain_is_whole()


def test_a_worker_that_died_leaves_statements_of_which_nobody_knows_what_became(
    journal: Journal, tmp_path: Path
) -> None:
    session = journal.opened(admitted(), client_ip="", application="")
    run_statements(journal, session, 2)
    for _ in range(3):
        journal.intent(session, examined("UPDATE t"), "UPDATE t")
    journal.write()
    Shipper(tmp_path).once()
    assert len(journals(tmp_path)) == 1
    die(journal)
    Shipper(tmp_path).once()
    assert journals(tmp_path) == []
    outcomes = StatementEntry.objects.filter(verdict="unknown")
    assert [row.statement for row in outcomes.order_by("seq")] == [7, 8, 9]
    last = json.loads(StatementEntry.objects.get(kind="ended").content)
    assert (last["how"], last["unknown"], last["torn"]) == ("cut", 3, [])
    assert chain_is_whole()


@pytest.mark.parametrize("tail", [b"0123abc {", b"\0" * 5000 + b"behind a hole", b"no hash fits\nthese lines\n"])
def test_what_is_torn_is_told_and_kept(journal: Journal, tmp_path: Path, tail: bytes) -> None:
    session = journal.opened(admitted(), client_ip="", application="")
    run_statements(journal, session, 2)
    die(journal)
    (folder,) = journals(tmp_path)
    with sorted(folder.glob("*.journal"))[-1].open("ab") as segment:
        segment.write(tail)
    Shipper(tmp_path).once()
    (torn,) = json.loads(StatementEntry.objects.get(kind="ended").content)["torn"]
    assert (torn["bytes"], torn["entries"]) == (len(tail), 0)
    assert (tmp_path / "torn" / f"{journal.stream}.1").read_bytes() == tail
    assert len(shipped()) == 7
    assert chain_is_whole()


def test_room_that_was_not_used_is_not_torn(journal: Journal, tmp_path: Path) -> None:
    session = journal.opened(admitted(), client_ip="", application="")
    run_statements(journal, session, 2)
    (folder,) = journals(tmp_path)
    segment = sorted(folder.glob("*.journal"))[-1]
    os.truncate(segment, segment.stat().st_size + 2 * ROOM)
    Shipper(tmp_path).once()
    assert len(shipped()) == 6
    run_statements(journal, session, 1)
    Shipper(tmp_path).once()
    assert len(shipped()) == 8
    die(journal)
    Shipper(tmp_path).once()
    assert json.loads(StatementEntry.objects.get(kind="ended").content)["torn"] == []
    assert not (tmp_path / "torn").exists()
    assert chain_is_whole()


@pytest.mark.parametrize("room", [0, 3 * ROOM])
def test_a_last_line_that_lacks_only_its_end_is_an_entry(journal: Journal, tmp_path: Path, room: int) -> None:
    session = journal.opened(admitted(), client_ip="", application="")
    run_statements(journal, session, 2)
    die(journal)
    (folder,) = journals(tmp_path)
    segment = sorted(folder.glob("*.journal"))[-1]
    os.truncate(segment, segment.stat().st_size - 1)
    os.truncate(segment, segment.stat().st_size + room)
    Shipper(tmp_path).once()
    assert [kind for _, kind in shipped()][-2:] == ["outcome", "ended"]
    assert json.loads(StatementEntry.objects.get(kind="ended").content)["torn"] == []


@pytest.mark.parametrize("instead", [b'"rows":2', b"\0" * 8])
def test_a_changed_line_of_a_living_stream_is_not_shipped_and_nothing_behind_it(
    journal: Journal, tmp_path: Path, instead: bytes
) -> None:
    session = journal.opened(admitted(), client_ip="", application="")
    run_statements(journal, session, 1)
    (folder,) = journals(tmp_path)
    segment = folder / "00000001.journal"
    segment.write_bytes(segment.read_bytes().replace(b'"rows":1', instead))
    Shipper(tmp_path).once()
    assert [kind for _, kind in shipped()] == ["began", "opened", "intent"]
    assert len(journals(tmp_path)) == 1


def test_a_journal_that_lacks_entries_is_left_alone(journal: Journal, tmp_path: Path) -> None:
    session = journal.opened(admitted(), client_ip="", application="")
    run_statements(journal, session, 40)
    (folder,) = journals(tmp_path)
    (folder / "00000002.journal").unlink()
    die(journal)
    Shipper(tmp_path).once()
    Shipper(tmp_path).once()
    assert 0 < len(shipped()) < 82
    assert len(journals(tmp_path)) == 1
    assert chain_is_whole()


def test_a_database_that_is_away_is_waited_for(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = journal.opened(admitted(), client_ip="", application="")
    run_statements(journal, session, 5)
    stopped, calls = threading.Event(), []
    once = Shipper.once

    def cut_at_first(shipper: Shipper, **how: Any) -> int:
        calls.append(1)
        if len(calls) == 1:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        shipped = once(shipper, **how)
        stopped.set()
        return shipped

    monkeypatch.setattr(Shipper, "once", cut_at_first)
    Shipper(tmp_path).run(stopped, pause=0.01)
    assert len(calls) == 3, "One that failed, one that shipped, and one at the end."
    assert len(shipped()) == 12


def test_a_disk_that_the_journal_itself_has_filled_is_free_again_once_it_is_shipped(small_disk: Path) -> None:
    loop = asyncio.new_event_loop()
    journal = Journal.begin(small_disk, loop=loop, seal=lambda key: key.hex())
    shipper = Shipper(small_disk)
    for _ in range(3):
        session = journal.opened(admitted(), client_ip="", application="")
        with pytest.raises(NotRecorded, match="No space left"):
            run_statements(journal, session, 5000)
        _until(lambda: _goes_on(journal, shipper))
    journal.close()
    shipper.once()
    assert journals(small_disk) == []
    assert StatementEntry.objects.filter(kind="trouble").count() >= 3
    assert StatementEntry.objects.count() > 3000
    rows = StatementEntry.objects.values_list("kind", flat=True)
    assert list(rows).count("intent") == list(rows).count("outcome")
    assert chain_is_whole()
    loop.close()


def _goes_on(journal: Journal, shipper: Shipper) -> bool:
    """As a gateway and its shipper do it, several times a second: whichever of the two makes room first."""
    shipper.once()
    try:
        journal.write()
    except NotRecorded:
        return False
    return True


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "It did not come to pass."
        time.sleep(0.02)


def test_two_shippers_do_not_ship_the_same_folder(tmp_path: Path) -> None:
    lock = folders.try_lock(tmp_path / "shipper.lock")
    stopped = threading.Event()
    shipper = threading.Thread(target=Shipper(tmp_path).run, args=[stopped], kwargs={"pause": 0.01})
    shipper.start()
    time.sleep(0.1)
    assert shipper.is_alive()
    stopped.set()
    shipper.join(5)
    assert not shipper.is_alive()
    assert lock is not None
    os.close(lock)


def test_killed_under_load_nothing_is_lost_and_nothing_is_doubled(tmp_path: Path) -> None:
    """The worker is killed, and so is the shipper, in the middle of it, again and again."""
    folder, report = tmp_path / "journal", tmp_path / "report"
    folder.mkdir()
    environment = {**os.environ, "DATABASE_URL": _test_database_url(), "LOCKGATE_GATEWAY_JOURNAL": str(folder)}
    worker = _start("tests.gateway.recording", str(folder), str(report), environment=environment)
    try:
        for _ in range(4):
            before = StatementEntry.objects.count()
            shipper = _start("gateway.journal", environment=environment)
            _wait_until_more_is_shipped_than(before)
            shipper.send_signal(signal.SIGKILL)
            shipper.wait()
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    promised = int(report.read_text().rsplit("\n", 2)[-2])
    (left,) = journals(folder)
    before = StatementEntry.objects.count()
    assert before > 0
    last = list(written(left))[-1].seq
    rest = Shipper(folder)
    while rest.once():
        pass  # a good piece at a time
    assert promised > 1000
    rows = list(StatementEntry.objects.order_by("seq").values_list("seq", "kind", "verdict"))
    assert [seq for seq, _, _ in rows] == list(range(1, len(rows) + 1))
    closing = [row for row in rows if row[0] > last]
    assert last >= promised
    assert {(kind, verdict) for _, kind, verdict in closing} == {("outcome", "unknown"), ("ended", "")}
    assert sum(kind == "intent" for _, kind, _ in rows) == sum(kind == "outcome" for _, kind, _ in rows)
    assert journals(folder) == []
    report = verify(now=datetime.now(UTC), whole=True)
    assert (report.faults, report.statements.entries) == ((), len(rows))
    read = lockgate_verify.check(evidence(actor=Actor("command", "tests", "tests")))
    assert read.statements == len(rows)


def _wait_until_more_is_shipped_than(count: int) -> None:
    end = time.monotonic() + 30
    while StatementEntry.objects.count() == count:
        assert time.monotonic() < end, "Nothing was shipped."
        time.sleep(0.05)


def _start(module: str, *arguments: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment)


def _test_database_url() -> str:
    base, _, query = os.environ["DATABASE_URL"].partition("?")
    name = connection.settings_dict["NAME"]
    return base.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")


def test_an_account_that_owns_nothing_ships_and_makes_months(journal: Journal, tmp_path: Path) -> None:
    """With the rights that docs/gateway-record.md names, and none besides."""
    grants = re.findall(r"^GRANT .*;$", (ROOT / "docs" / "gateway-record.md").read_text(), re.MULTILINE)
    assert len(grants) == 2
    run_statements(journal, journal.opened(admitted(), client_ip="", application=""), 2)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE ROLE lockgate_app")
        for grant in grants:
            cursor.execute(grant)
        cursor.execute("SET LOCAL ROLE lockgate_app")
        streams.make_partitions(datetime(2033, 5, 9, tzinfo=UTC))
        assert Shipper(tmp_path).once() == 6
        for statement in ("DELETE FROM audit_statement_entry", "DROP TABLE audit_statement_entry_2033_05"):
            with pytest.raises(ProgrammingError), transaction.atomic():
                cursor.execute(statement)
        cursor.execute("RESET ROLE")
        transaction.set_rollback(True)


STATEMENTS = [
    "UPDATE audit_statement_entry SET content = 'better' WHERE seq = 2",
    "UPDATE audit_statement_entry SET content = 'better' WHERE false",
    "DELETE FROM audit_statement_entry",
    "TRUNCATE audit_statement_entry",
    "UPDATE {partition} SET content = content",
    "DELETE FROM {partition}",
    "TRUNCATE {partition}",
    "INSERT INTO {partition} SELECT * FROM {partition} LIMIT 1",
    "UPDATE audit_statement_entry_other SET content = content",
    "INSERT INTO audit_statement_entry_other SELECT * FROM {partition} LIMIT 1",
    "DELETE FROM audit_stream",
    "TRUNCATE audit_stream",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_record_is_append_only(journal: Journal, tmp_path: Path, statement: str) -> None:
    run_statements(journal, journal.opened(admitted(), client_ip="", application=""), 2)
    Shipper(tmp_path).once()
    partition = f"audit_statement_entry_{StatementEntry.objects.latest('at').at:%Y_%m}"
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(partition=partition))
    assert chain_is_whole()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_stream SET seq = seq - 1",
        "UPDATE audit_stream SET seq = seq + 1",
        "UPDATE audit_stream SET hash = repeat('0', 64)",
        "UPDATE audit_stream SET ended_at = now()",
        "UPDATE audit_stream SET host = 'another'",
        "INSERT INTO audit_stream SELECT gen_random_uuid(), host, sealed_key, seen_at, seq, hash, at FROM audit_stream",
        "INSERT INTO audit_statement_entry SELECT * FROM audit_statement_entry WHERE seq = 6",
        "INSERT INTO audit_statement_entry SELECT stream, 7, at, kind, session, statement, person, grant_reference, role,"
        " server, fingerprint, verdict, hash, content FROM audit_statement_entry WHERE seq = 6",
        "INSERT INTO audit_statement_entry SELECT gen_random_uuid(), 1, at, kind, session, statement, person,"
        " grant_reference, role, server, fingerprint, verdict, hash, content FROM audit_statement_entry WHERE seq = 1",
    ],
)
def test_only_what_follows_is_let_in(journal: Journal, tmp_path: Path, statement: str) -> None:
    run_statements(journal, journal.opened(admitted(), client_ip="", application=""), 2)
    Shipper(tmp_path).once()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert chain_is_whole()


def test_nothing_follows_the_end_of_a_stream(journal: Journal, tmp_path: Path) -> None:
    run_statements(journal, journal.opened(admitted(), client_ip="", application=""), 2)
    (folder,) = journals(tmp_path)
    lines = list(written(folder))
    die(journal)
    Shipper(tmp_path).once()
    extra = [parsed(f"{line.hash} {line.text}".encode()) for line in lines[-1:]]
    extra[0].seq = 8
    with pytest.raises(StreamBroken, match="has ended"):
        streams.append(journal.stream, extra, streams.rows(journal.stream))


def test_a_month_that_no_table_was_made_for_is_no_reason_to_refuse(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 4_102_444_800_000_000_000)
    run_statements(journal, journal.opened(admitted(), client_ip="", application=""), 2)
    Shipper(tmp_path).once()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_statement_entry_other")
        assert cursor.fetchone() == (5,)
    monkeypatch.undo()
    assert chain_is_whole()


def test_months_are_made_ahead_and_each_is_guarded() -> None:
    streams.make_partitions(datetime(2031, 12, 9, tzinfo=UTC))
    streams.make_partitions(datetime(2031, 12, 9, tzinfo=UTC))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid JOIN pg_trigger AS t"
            " ON t.tgrelid = c.oid WHERE i.inhparent = 'audit_statement_entry'::regclass AND t.tgenabled = 'A'"
            " AND t.tgfoid = 'audit_refuse'::regproc"
        )
        guarded = {name for (name,) in cursor.fetchall()}
        cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_statement_entry'::regclass")
        assert cursor.fetchone() == (len(guarded),)
    assert {f"audit_statement_entry_{month}" for month in ("2031_12", "2032_01", "2032_02")} <= guarded


def test_a_query_error_is_not_taken_for_a_database_that_is_away() -> None:
    with pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    connection.close()
