"""Every way to tamper with the log is done for real, and found, and named."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit.chain import GENESIS
from audit.events import Event
from audit.models import Entry, Head, Verification
from audit.verification import MOST_FAULTS, Report, last_verification, verify
from audit.walk import FaultKind
from tests.audit.forging import (
    change,
    fill,
    insert,
    remove,
    renumber,
    reseal,
    rewrite_from,
    run,
    set_end,
    swap,
    unguarded,
)

pytestmark = pytest.mark.django_db


#: Every column, and what somebody might write into it.
COLUMNS: list[tuple[str, Any]] = [
    ("v", 2),
    ("at", datetime(2020, 1, 1, tzinfo=UTC)),
    ("event", "request.denied"),
    ("actor_kind", "worker"),
    ("actor_id", "9"),
    ("actor_label", "mallory@example.com"),
    ("subject_kind", "grant"),
    ("subject_id", "R-99"),
    ("subject_label", "Write orders"),
    ("related", []),
    ("before", {"state": "pending"}),
    ("before", {}),
    ("after", None),
    ("after", {"state": "revoked"}),
    ("after", {"state": 1.5}),
    ("reason", ""),
    ("channel", "web"),
    ("ip", "192.0.2.1"),
    ("request_id", "r-1"),
    ("user_agent", "curl"),
    ("prev_hash", "ab" * 32),
]


@pytest.fixture
def log(db: None) -> list[Entry]:
    """Twelve entries."""
    return fill(12)


def check(**options: Any) -> Report:
    """One verification, now."""
    return verify(now=timezone.now(), **options)


def found(**options: Any) -> list[tuple[FaultKind, int]]:
    """What one verification finds, in short."""
    return [(fault.kind, fault.seq) for fault in check(**options).faults]


def test_an_empty_log_is_whole() -> None:
    report = check()
    assert report.ok
    assert (report.checked, report.upto_seq, report.head_hash) == (0, 0, GENESIS)


def test_a_log_that_nobody_touched_is_whole(log: list[Entry]) -> None:
    report = check()
    assert report.ok
    assert (report.checked, report.upto_seq, report.head_hash) == (12, 12, log[-1].hash)


def test_the_result_is_kept_for_the_badge(log: list[Entry]) -> None:
    assert last_verification() is None
    now = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    verify(now=now)
    change(4, reason="better")
    assert _kept() == (now, True, 12, [])
    check()
    moment, ok, upto, faults = _kept()
    assert (moment > now, ok, upto) == (True, False, 12)
    assert [(fault["kind"], fault["seq"], fault["event"]) for fault in faults] == [("changed", 4, "vote.approved")]


@pytest.mark.parametrize(("column", "value"), COLUMNS)
def test_an_entry_with_a_changed_column_is_named(log: list[Entry], column: str, value: Any) -> None:
    change(5, **{column: value})
    (fault,) = check().faults
    assert (fault.kind, fault.seq) == (FaultKind.CHANGED, 5)
    assert fault.event == (value if column == "event" else log[4].event)
    assert fault.expected == log[4].hash
    assert fault.found != log[4].hash


def test_every_column_of_an_entry_is_tried_above() -> None:
    tried = {column for column, _ in COLUMNS}
    elsewhere = {"seq", "hash"}
    assert tried | elsewhere == {field.name for field in Entry._meta.concrete_fields}


def test_one_changed_entry_is_one_fault(log: list[Entry]) -> None:
    change(5, reason="better")
    assert found() == [(FaultKind.CHANGED, 5)]


def test_a_changed_hash_is_named(log: list[Entry]) -> None:
    change(5, hash="ab" * 32)
    assert found() == [(FaultKind.CHANGED, 5)]


@pytest.mark.parametrize("seq", [1, 5, 12])
def test_a_changed_entry_whose_hash_was_computed_anew_is_named(log: list[Entry], seq: int) -> None:
    change(seq, reason="better")
    forged = reseal(seq)
    (fault,) = check().faults
    assert (fault.kind, fault.seq, fault.event) == (FaultKind.CHANGED, seq, log[seq - 1].event)
    assert (fault.expected, fault.found) == (log[seq - 1].hash, forged)


@pytest.mark.parametrize(("first", "last"), [(1, 1), (5, 5), (5, 8), (1, 3)])
def test_entries_removed_from_the_middle_are_named(log: list[Entry], first: int, last: int) -> None:
    remove(first, last)
    (fault,) = check().faults
    assert (fault.kind, fault.seq) == (FaultKind.REMOVED, first)
    assert (str(last) in fault.problem) == (last != first)


@pytest.mark.parametrize("first", [12, 10, 1])
def test_entries_removed_from_the_tail_are_named(log: list[Entry], first: int) -> None:
    remove(first, 12)
    assert found() == [(FaultKind.REMOVED, first)]


def test_a_tail_removed_together_with_the_end_of_the_chain_is_found_by_the_check_before(log: list[Entry]) -> None:
    check()
    remove(11, 12)
    set_end(10, log[9].hash)
    (fault,) = check().faults
    assert (fault.kind, fault.seq, fault.expected) == (FaultKind.REMOVED, 12, log[11].hash)


def test_a_removed_entry_whose_gap_was_closed_by_numbering_anew_is_named(log: list[Entry]) -> None:
    remove(5, 5)
    renumber(6, -1)
    assert found()[0] == (FaultKind.REMOVED, 5)


def test_an_entry_pushed_in_is_named(log: list[Entry]) -> None:
    renumber(5, 1)
    insert(5, prev_hash=log[3].hash)
    set_end(13, log[-1].hash)
    (fault,) = check().faults
    assert (fault.kind, fault.seq, fault.event) == (FaultKind.INSERTED, 5, log[0].event)


def test_several_entries_pushed_in_are_named(log: list[Entry]) -> None:
    renumber(5, 2)
    forged = insert(5, prev_hash=log[3].hash)
    insert(6, prev_hash=forged.hash)
    set_end(14, log[-1].hash)
    (fault,) = check().faults
    assert (fault.kind, fault.seq) == (FaultKind.INSERTED, 5)
    assert "5 to 6" in fault.problem


@pytest.mark.parametrize("seq", [13, 40])
def test_an_entry_behind_the_end_of_the_chain_is_named(log: list[Entry], seq: int) -> None:
    insert(seq, prev_hash=log[-1].hash)
    assert found() == [(FaultKind.INSERTED, seq)]


def test_an_entry_before_the_first_is_named(log: list[Entry]) -> None:
    with unguarded():
        run("ALTER TABLE audit_entry DROP CONSTRAINT audit_entry_counts_from_one")
    insert(0, prev_hash=GENESIS)
    assert found() == [(FaultKind.INSERTED, 0)]


@pytest.mark.parametrize(("one", "other"), [(5, 6), (3, 11), (1, 12), (11, 12)])
def test_entries_that_changed_places_are_named(log: list[Entry], one: int, other: int) -> None:
    swap(one, other)
    faults = [fault for fault in check().faults if fault.kind is FaultKind.REORDERED]
    assert sorted((fault.seq, fault.expected) for fault in faults) == [
        (one, f"number {other}"),
        (other, f"number {one}"),
    ]
    assert len(check().faults) == 2


def test_several_kinds_of_tampering_are_all_named(log: list[Entry]) -> None:
    change(2, reason="better")
    remove(5, 6)
    change(9, after=None)
    remove(12, 12)
    assert found() == [
        (FaultKind.CHANGED, 2),
        (FaultKind.REMOVED, 5),
        (FaultKind.CHANGED, 9),
        (FaultKind.REMOVED, 12),
    ]


def test_a_chain_computed_anew_to_its_end_is_found_by_the_check_before(log: list[Entry]) -> None:
    check()
    change(5, reason="better")
    rewrite_from(5)
    (fault,) = check().faults
    assert (fault.kind, fault.seq, fault.expected) == (FaultKind.REWRITTEN, 12, log[11].hash)


def test_a_chain_computed_anew_is_found_by_a_hash_noted_elsewhere(log: list[Entry]) -> None:
    change(5, reason="better")
    rewrite_from(5)
    assert found(anchors={4: log[3].hash}) == []
    with unguarded():
        run("DELETE FROM audit_verification")
    assert found(anchors={7: log[6].hash}) == [(FaultKind.REWRITTEN, 7)]


def test_a_lost_end_of_the_chain_is_named_and_the_entries_are_still_checked(log: list[Entry]) -> None:
    with unguarded():
        run("DELETE FROM audit_head")
    change(5, reason="better")
    assert found() == [(FaultKind.REMOVED, 0), (FaultKind.CHANGED, 5)]


def test_an_end_of_the_chain_that_names_another_hash_is_found(log: list[Entry]) -> None:
    set_end(12, "ab" * 32)
    assert found() == [(FaultKind.CHANGED, 12)]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_mention WHERE entry_id = 5 AND kind = 'person'",
        "UPDATE audit_mention SET ident = 'R-77' WHERE entry_id = 5 AND kind = 'request'",
        "INSERT INTO audit_mention (kind, ident, entry_id) VALUES ('person', '77', 5)",
    ],
)
def test_an_entry_that_searches_do_not_find_where_they_should_is_named(log: list[Entry], statement: str) -> None:
    with unguarded():
        assert run(statement) == 1
    assert found() == [(FaultKind.HIDDEN, 5)]


@pytest.mark.parametrize(
    "assignment",
    [
        "at = 'infinity'",
        "after = repeat('9', 5000)::jsonb",
        "after = (repeat('[', 3000) || repeat(']', 3000))::jsonb",
        "after = '[1e400]'",
        "related = '7'",
    ],
)
def test_a_value_that_no_program_of_ours_wrote_is_named(log: list[Entry], assignment: str) -> None:
    with unguarded():
        run(f"UPDATE audit_entry SET {assignment} WHERE seq = 5")
    assert found() == [(FaultKind.CHANGED, 5)]


def test_what_is_recorded_while_the_check_runs_is_no_fault(log: list[Entry]) -> None:
    assert Head.objects.get().seq == 12
    check()
    fill(3)
    assert found() == []


def test_a_check_can_begin_in_the_middle(log: list[Entry]) -> None:
    change(3, reason="better")
    report = check(from_seq=6)
    assert report.ok
    assert (report.from_seq, report.checked, report.upto_seq) == (6, 7, 12)
    change(8, reason="better")
    assert found(from_seq=6) == [(FaultKind.CHANGED, 8)]


def test_a_check_cannot_begin_where_nothing_is(log: list[Entry]) -> None:
    assert found(from_seq=20) == [(FaultKind.REMOVED, 19)]


def test_a_check_stops_when_the_picture_is_clear() -> None:
    fill(MOST_FAULTS + 20)
    with unguarded():
        Entry.objects.update(reason="better")
    assert len(check().faults) == MOST_FAULTS


def test_the_command_says_that_all_is_well(log: list[Entry]) -> None:
    text = _command()
    assert "12 entries checked, from 1 to 12" in text
    assert f"12:{log[-1].hash}" in text


def test_what_the_command_prints_can_be_given_back_to_it(log: list[Entry]) -> None:
    printed = _command().strip().rsplit(" ", 1)[1]
    fill(2)
    assert "14 entries checked" in _command("--expect", printed)
    with unguarded():
        run("DELETE FROM audit_verification")
    change(5, reason="better")
    rewrite_from(5)
    with pytest.raises(CommandError, match="broken"):
        call_command("verify_audit", "--expect", printed, stdout=io.StringIO())


def test_the_command_names_the_entry_and_fails(log: list[Entry]) -> None:
    change(5, reason="better")
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 fault in 12 entries") as failure:
        call_command("verify_audit", stdout=out)
    assert failure.value.returncode == 1
    line = out.getvalue()
    assert f"Entry 5 ({log[4].event}) changed" in line
    assert f"Expected {log[4].hash}, found " in line


def test_the_command_answers_in_json(log: list[Entry]) -> None:
    answer = json.loads(_command("--json", "--from", "3"))
    assert (answer["ok"], answer["checked"], answer["from_seq"], answer["upto_seq"]) == (True, 10, 3, 12)
    change(5, reason="better")
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("verify_audit", "--json", stdout=out)
    answer = json.loads(out.getvalue())
    assert [(fault["kind"], fault["seq"]) for fault in answer["faults"]] == [("changed", 5)]


@pytest.mark.parametrize("arguments", [("--from", "0"), ("--from", "x"), ("--expect", "5:abc"), ("--expect", "abc")])
def test_the_command_refuses_what_it_does_not_understand(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command("verify_audit", *arguments)


def test_an_event_of_a_later_version_is_shown_as_it_is() -> None:
    assert Entry(event="moon.landed").event_label == "moon.landed"
    assert Entry(event=Event.GRANT_ACTIVE.value).event_label == "Access began"


def _command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("verify_audit", *arguments, stdout=out)
    return out.getvalue()


def _kept() -> tuple[datetime, bool, int, list[dict[str, Any]]]:
    last = last_verification()
    assert last is not None
    assert last == Verification.objects.latest("id")
    return last.at, last.ok, last.upto_seq, last.faults
