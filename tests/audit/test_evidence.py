"""Statements, checkpoints and evidence: what was done to them is found, by the console's check and by an outsider's."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django import Settings

from audit import checkpoints, lockgate_verify, statement_verification
from audit.chain import GENESIS
from audit.errors import KeyUnknown
from audit.evidence import evidence
from audit.log import Actor
from audit.models import Checkpoint, CheckpointKey, Entry, StatementEntry, Stream
from audit.signing import Signer
from audit.verification import verify
from audit.walk import Fault, FaultKind
from gateway.journal.journal import Journal
from gateway.journal.shipping import Shipper
from gateway.recording import Verdict
from tests.audit.forging import fill, run, unguarded_everywhere
from tests.gateway.recording import admitted, examined, run_statements

pytestmark = pytest.mark.django_db

AUDITOR = Actor("person", "9", "auditor@example.com")
KEYS = [bytes(range(start, start + 32)) for start in (0, 32, 64)]


@pytest.fixture(autouse=True)
def _key(settings: Settings) -> None:
    settings.LOCKGATE_CHECKPOINT_KEYS = KEYS[:1]


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[list[Journal]]:
    """Two streams, shipped: one that has ended and one that goes on with a statement that still runs."""
    loop = asyncio.new_event_loop()
    begun = [Journal.begin(tmp_path, loop=loop, seal=lambda key: key.hex()) for _ in range(2)]
    for journal in begun:
        session = journal.opened(admitted(), client_ip="192.0.2.1", application="psql")
        run_statements(journal, session, 4)
        journal.refused(session, examined("DROP TABLE t", refusal="No.", rule="classes"), "DROP TABLE t")
    begun[1].intent(session, examined("SELECT 5"), "SELECT 5")
    begun[1].write()
    begun[0].close()
    Shipper(tmp_path).once()
    yield begun
    begun[1]._syncer.abandon()
    loop.close()


@pytest.fixture
def log(journals: list[Journal]) -> None:
    """A log, streams, and checkpoints over them."""
    fill(5)
    checkpoints.make(now=timezone.now())
    fill(3)
    checkpoints.make(now=timezone.now())


def exported() -> list[str]:
    return list(evidence(actor=AUDITOR))


def found() -> list[tuple[FaultKind, str, int]]:
    return [(fault.kind, fault.where.partition(" ")[0], fault.seq) for fault in faults()]


def faults() -> tuple[Fault, ...]:
    return verify(now=timezone.now(), whole=True).faults


def outsider(lines: list[str]) -> str:
    """What the outsider's check says: empty when all fits."""
    try:
        lockgate_verify.check(lines)
    except lockgate_verify.Faulty as fault:
        return str(fault)
    return ""


def test_whole_evidence_is_whole(log: None) -> None:
    assert faults() == ()
    read = lockgate_verify.check(exported())
    assert (read.log, read.checkpoints, len(read.keys)) == (10, 2, 1)
    assert read.statements == StatementEntry.objects.count() == 25
    text = "\n".join(lockgate_verify.report(read))
    assert "9 in 25 entries of 2 streams" in text
    assert "Of 1 statements the outcome was not recorded yet" in text


def test_the_program_runs_alone_with_nothing_but_its_one_library(log: None, tmp_path: Path) -> None:
    program = tmp_path / "elsewhere" / "lockgate_verify.py"
    program.parent.mkdir()
    program.write_bytes(Path(lockgate_verify.__file__).read_bytes())
    plain, packed = tmp_path / "evidence", tmp_path / "evidence.gz"
    plain.write_text("".join(exported()), newline="")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    first = CheckpointKey.objects.get().key_id
    head = Entry.objects.get(seq=3)
    noted = ["--key", first, "--head", f"3:{head.hash}"]
    for path in (plain, packed):
        done = _run(program, str(path), *noted)
        assert (done.returncode, done.stdout[:5]) == (0, "WHOLE"), done
    plain.write_bytes(plain.read_bytes().replace(b"Reason 2", b"Reason 9"))
    done = _run(program, str(plain))
    assert done.returncode == 1
    assert done.stdout == "NOT WHOLE: log entry 2 is not what was sealed.\n"
    assert _run(program, str(packed), "--head", "3:" + "ab" * 32).returncode == 1
    assert _run(program, str(packed), "--key", "0" * 16).returncode == 1
    assert _run(program, str(tmp_path / "nothing")).returncode == 2
    assert _run(program, str(program)).returncode == 2


def _run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(program), *arguments], capture_output=True, text=True, check=False, cwd="/"
    )


@pytest.mark.parametrize("word", ["key", "checkpoint", "log", "statement"])
def test_no_byte_of_evidence_can_be_changed(log: None, word: str) -> None:
    lines = exported()
    place = next(number for number, line in enumerate(lines) if line.startswith(f"{word} ") and number % 2)
    line = lines[place]
    for at in range(len(line) - 1):
        changed = line[:at] + chr(ord(line[at]) ^ 1) + line[at + 1 :]
        if ord(line[at]) < 128:
            assert outsider([*lines[:place], changed, *lines[place + 1 :]]), f"{line[:at]}[{line[at]}]"


def test_no_line_of_evidence_can_be_left_out_or_moved(log: None) -> None:
    lines = exported()
    for number in range(1, len(lines)):
        assert outsider(lines[:number] + lines[number + 1 :]), lines[number]
    for number in range(1, len(lines) - 1):
        swapped = [*lines[:number], lines[number + 1], lines[number], *lines[number + 2 :]]
        # Where one stream ends and the next one begins, the two lines are neighbours by chance.
        word = lines[number].split(" ")[0]
        if lines[number + 1].startswith(f"{word} ") and '"kind":"ended"' not in lines[number]:
            assert outsider(swapped), lines[number]


def test_a_tail_that_was_cut_off_everywhere_is_found_by_a_checkpoint(log: None) -> None:
    lines = exported()
    stream = StatementEntry.objects.get(kind="ended").stream
    kept = [line for line in lines if f'"{stream}","seq":12' not in line or not line.startswith("statement")]
    kept = [line for line in kept if not line.startswith("end ")]
    ended = f'end {{"keys": 1, "checkpoints": 2, "log": 10, "statements": {25 - (len(lines) - 1 - len(kept))}}}\n'
    assert "is gone: checkpoint 1 names it" in outsider([*kept, ended]) or "does not follow" in outsider([*kept, ended])


# -- the same behind the application's back, for the console's check and for an export made afterwards ------------------


def change_statement(seq: int, sql: str, *values: object) -> None:
    stream = Stream.objects.filter(ended_at=None).get()
    with unguarded_everywhere():
        assert run(f"UPDATE audit_statement_entry SET {sql} WHERE stream = %s AND seq = %s", *values, stream.pk, seq)


def test_a_changed_statement_is_found(log: None) -> None:
    change_statement(4, "content = replace(content, '\"rows\":1', '\"rows\":2')")
    assert found() == [(FaultKind.CHANGED, "stream", 4)]
    assert "entry 4 of stream" in outsider(exported())


def test_a_changed_hash_is_found(log: None) -> None:
    change_statement(4, "hash = repeat('a', 64)")
    assert found()[0] == (FaultKind.CHANGED, "stream", 4)
    assert "entry 4 of stream" in outsider(exported())


@pytest.mark.parametrize(
    "assignment",
    [
        "person = '8'",
        "grant_reference = ''",
        "verdict = 'done'",
        "fingerprint = ''",
        "at = at + interval '1 s'",
        "kind = 'x'",
    ],
)
def test_a_statement_that_searches_would_miss_is_found(log: None, assignment: str) -> None:
    change_statement(3, assignment)
    assert (FaultKind.HIDDEN, "stream", 3) in found()


def test_a_removed_statement_is_found(log: None) -> None:
    stream = Stream.objects.filter(ended_at=None).get()
    with unguarded_everywhere():
        run("DELETE FROM audit_statement_entry WHERE stream = %s AND seq BETWEEN 4 AND 5", stream.pk)
    assert found()[0] == (FaultKind.REMOVED, "stream", 4)
    assert "does not follow entry 3" in outsider(exported())


def test_a_tail_that_was_removed_with_its_position_is_found_by_a_checkpoint(log: None) -> None:
    stream = Stream.objects.filter(ended_at=None).get()
    cut_off(stream, 8)
    assert found() == [(FaultKind.REMOVED, "stream", 12)]
    assert f"entry 12 of stream {stream.pk} is gone: checkpoint 1 names it" in outsider(exported())


def cut_off(stream: Stream, seq: int) -> None:
    with unguarded_everywhere():
        run("DELETE FROM audit_statement_entry WHERE stream = %s AND seq > %s", stream.pk, seq)
        run(
            "UPDATE audit_stream SET seq = %s, hash = (SELECT hash FROM audit_statement_entry WHERE stream = %s AND seq = %s)"
            " WHERE id = %s",
            *(seq, stream.pk, seq, stream.pk),
        )


def test_a_stream_that_was_removed_whole_is_found_by_a_checkpoint(log: None) -> None:
    stream = Stream.objects.exclude(ended_at=None).get()
    with unguarded_everywhere():
        run("DELETE FROM audit_statement_entry WHERE stream = %s", stream.pk)
        run("DELETE FROM audit_stream WHERE id = %s", stream.pk)
    assert found() == [(FaultKind.REMOVED, "stream", 13)]
    assert "is gone" in outsider(exported())


def test_entries_of_a_stream_that_nobody_knows_are_found(log: None) -> None:
    with unguarded_everywhere():
        stranger = uuid4()
        run(
            "INSERT INTO audit_statement_entry SELECT %s, seq, at, kind, session, statement, person, grant_reference,"
            " role, server, fingerprint, verdict, hash, content FROM audit_statement_entry WHERE kind = 'ended'",
            stranger,
        )
    assert found() == [(FaultKind.INSERTED, "stream", 0)]


def test_a_log_whose_tail_was_removed_is_found_by_a_checkpoint(log: None) -> None:
    with unguarded_everywhere():
        run("DELETE FROM audit_mention WHERE entry_id > 6")
        run("DELETE FROM audit_entry WHERE seq > 6")
        run("UPDATE audit_head SET seq = 6, hash = (SELECT hash FROM audit_entry WHERE seq = 6)")
    assert found() == [(FaultKind.REMOVED, "", 9)]
    assert "checkpoint 2" in outsider(exported())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_checkpoint SET content = replace(content, '\"seq\":9', '\"seq\":8') WHERE number = 2",
        "UPDATE audit_checkpoint SET signature = repeat('0', 128) WHERE number = 2",
        "UPDATE audit_checkpoint SET key_id = repeat('0', 16) WHERE number = 2",
        "UPDATE audit_checkpointkey SET public_key = repeat('0', 64)",
    ],
)
def test_a_changed_checkpoint_or_key_is_found(log: None, statement: str) -> None:
    with unguarded_everywhere():
        assert run(statement) == 1
    assert faults()


def test_a_removed_checkpoint_is_found(log: None) -> None:
    with unguarded_everywhere():
        run("DELETE FROM audit_checkpoint WHERE number = 1")
    assert found() == [(FaultKind.REMOVED, "checkpoints", 1)]
    assert "does not follow" in outsider(exported())


def test_a_check_of_what_is_new_begins_where_the_last_one_ended(log: None) -> None:
    assert verify(now=timezone.now()).statements.entries == 25
    assert verify(now=timezone.now()).statements.entries == 0
    change_statement(12, "hash = repeat('a', 64)")
    run("SET CONSTRAINTS ALL IMMEDIATE")
    with unguarded_everywhere():
        run("UPDATE audit_stream SET hash = repeat('a', 64) WHERE ended_at IS NULL")
    assert (FaultKind.REWRITTEN, "stream", 12) in [
        (fault.kind, fault.where.partition(" ")[0], fault.seq) for fault in verify(now=timezone.now()).faults
    ]


def test_a_check_of_what_is_new_looks_at_so_much_and_goes_on_the_next_time(
    log: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_verification, "MOST_NEW", 10)
    checked = []
    while entries := verify(now=timezone.now()).statements.entries:
        checked.append(entries)
    assert (checked, faults()) == ([10, 10, 5], ())


def test_the_command_checks_statements_and_names_what_is_wrong(log: None) -> None:
    out = io.StringIO()
    call_command("verify_audit", stdout=out)
    assert "25 entries checked in 2 streams" in out.getvalue()
    change_statement(4, "content = content || ' '")
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 fault"):
        call_command("verify_audit", stdout=out)
    assert "Entry 4 of stream" in out.getvalue()


def test_the_command_exports_evidence(log: None, tmp_path: Path) -> None:
    target = tmp_path / "evidence"
    call_command("export_audit", "--evidence", "--output", str(target))
    assert lockgate_verify.main([str(target)]) == 0
    with pytest.raises(CommandError, match="leave the filters away"):
        call_command("export_audit", "--evidence", "--server", "orders")


# -- checkpoints and their keys ------------------------------------------------------------------------------------------


def test_a_checkpoint_names_what_has_grown_and_nothing_is_signed_twice(log: None, journals: list[Journal]) -> None:
    first, second = Checkpoint.objects.order_by("number")
    assert first.content.count('"stream":') == 2
    assert second.content.count('"stream":') == 0
    assert checkpoints.make(now=timezone.now()) is None
    journals[1].outcome(5, Verdict.DONE)
    journals[1].write()
    Shipper(journals[1]._folder.path.parent).once()
    third = checkpoints.make(now=timezone.now())
    assert third is not None
    assert f'"stream":"{journals[1].stream}"' in third.content


def test_without_a_key_there_are_no_checkpoints_and_that_is_said(settings: Settings) -> None:
    settings.LOCKGATE_CHECKPOINT_KEYS = []
    fill(1)
    assert checkpoints.make(now=timezone.now()) is None
    assert "With LOCKGATE_CHECKPOINT_KEY set for the workers" in checkpoints.state().problem


def test_a_new_key_is_introduced_by_the_old_one(log: None, settings: Settings) -> None:
    settings.LOCKGATE_CHECKPOINT_KEYS = [KEYS[1], KEYS[0]]
    made = checkpoints.make(now=timezone.now())
    assert made is not None
    assert made.key_id == Signer(KEYS[1]).key_id
    settings.LOCKGATE_CHECKPOINT_KEYS = [KEYS[1]]
    fill(1)
    assert checkpoints.make(now=timezone.now()) is not None
    assert checkpoints.state().problem == ""
    assert faults() == ()
    read = lockgate_verify.check(exported())
    assert list(read.keys) == [Signer(KEYS[0]).key_id, Signer(KEYS[1]).key_id]
    told = Entry.objects.filter(event="audit.key_introduced").order_by("-seq")[0].after
    assert told is not None
    assert (told["introduced_by"], told["public_key"]) == (Signer(KEYS[0]).key_id, Signer(KEYS[1]).public_key)


def test_a_key_that_nobody_introduces_signs_nothing(log: None, settings: Settings) -> None:
    settings.LOCKGATE_CHECKPOINT_KEYS = [KEYS[1]]
    with pytest.raises(KeyUnknown, match=Signer(KEYS[0]).key_id):
        checkpoints.make(now=timezone.now())
    assert Signer(KEYS[0]).key_id in checkpoints.state().problem


def test_a_key_that_was_replaced_never_signs_again(log: None, settings: Settings) -> None:
    settings.LOCKGATE_CHECKPOINT_KEYS = [KEYS[1], KEYS[0]]
    checkpoints.make(now=timezone.now())
    settings.LOCKGATE_CHECKPOINT_KEYS = [KEYS[0], KEYS[1]]
    fill(1)
    with pytest.raises(KeyUnknown):
        checkpoints.make(now=timezone.now())


def test_a_key_that_introduces_itself_is_found(log: None) -> None:
    forged = Signer(KEYS[2])
    with unguarded_everywhere():
        key = CheckpointKey.objects.get()
        CheckpointKey.objects.create(
            number=2,
            key_id=forged.key_id,
            public_key=forged.public_key,
            content=key.content,
            signature=forged.sign(key.content.encode()),
        )
    assert [kind for kind, _, _ in found()] == [FaultKind.CHANGED]
    assert outsider(exported())


@pytest.mark.parametrize("table", ["audit_checkpoint", "audit_checkpointkey"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET content = ''", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_database_refuses_to_change_them(log: None, table: str, statement: str) -> None:
    run("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        run(statement.format(table))


def test_private_keys_are_nowhere_in_the_database(log: None) -> None:
    seeds = [KEYS[0].hex(), base64.b64encode(KEYS[0]).decode()]
    with connection.cursor() as cursor:
        for table in ("audit_checkpoint", "audit_checkpointkey", "audit_entry"):
            cursor.execute(f"SELECT count(*) FROM {table} AS t WHERE t::text ~ %s", ["|".join(map(_escaped, seeds))])
            assert cursor.fetchone() == (0,)


def _escaped(text: str) -> str:
    return text.replace("+", r"\+")


def test_the_first_checkpoint_begins_the_chain(log: None) -> None:
    assert f'"prev":"{GENESIS}"' in Checkpoint.objects.get(number=1).content
