"""Exports hold exactly what the search finds, can be checked by an outsider, and are themselves recorded."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit.chain import GENESIS, digest
from audit.events import Event
from audit.export import CSV_COLUMNS, Format, export
from audit.log import Actor, Subject, record
from audit.models import Entry
from audit.search import Filters
from audit.verification import verify
from people.models import User
from tests.audit.forging import ALICE, BOB, ORDERS, fill, request

pytestmark = pytest.mark.django_db

DOCS = Path(__file__).resolve().parents[2] / "docs" / "audit.md"


def test_json_lines_hold_every_entry_as_it_was_sealed() -> None:
    entries = fill(5)
    lines = [json.loads(line) for line in export(Filters(), Format.JSONL, actor=ALICE)]
    assert [line["seq"] for line in lines] == [1, 2, 3, 4, 5]
    for line, entry in zip(lines, entries, strict=True):
        assert line.pop("hash") == entry.hash == digest(line)
    assert lines[0]["prev_hash"] == GENESIS


def test_csv_has_a_heading_and_a_row_for_each_entry() -> None:
    record(Event.VOTE_DENIED, actor=BOB, subject=request(1), reason='Not "now",\nlater', after={"team": "dba"})
    text = "".join(export(Filters(), Format.CSV, actor=ALICE))
    heading, row = csv.reader(io.StringIO(text, newline=""))
    assert tuple(heading) == CSV_COLUMNS
    cells = dict(zip(heading, row, strict=True))
    assert (cells["seq"], cells["event"], cells["what"]) == ("1", "vote.denied", "Denial given")
    assert (cells["actor"], cells["subject_id"]) == ("bob@example.com", "R-1")
    assert (cells["reason"], cells["after"], cells["before"]) == ('Not "now",\nlater', '{"team":"dba"}', "")
    assert cells["hash"] == Entry.objects.get(seq=1).hash


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_cell_runs_in_a_spreadsheet(formula: str) -> None:
    record(Event.VOTE_DENIED, actor=BOB, subject=request(1), reason=formula)
    rows = list(csv.reader(io.StringIO("".join(export(Filters(), Format.CSV, actor=ALICE)), newline="")))
    assert rows[1][CSV_COLUMNS.index("reason")] == f"'{formula}"


@pytest.mark.parametrize("form", Format)
def test_exactly_what_is_filtered_is_exported(form: Format) -> None:
    fill(9)
    lines = list(export(Filters(events=("vote.approved",)), form, actor=ALICE))
    assert len(lines) == 3 + (form is Format.CSV)
    assert all("vote.approved" in line for line in lines[-3:])


def test_the_export_is_recorded_before_its_first_line_and_is_not_part_of_it() -> None:
    fill(2)
    lines = export(Filters(server="orders", text="Reason"), Format.CSV, actor=ALICE)
    entry = Entry.objects.get(seq=3)
    assert (entry.event, entry.actor_label) == ("audit.exported", "alice@example.com")
    assert entry.after == {"format": "csv", "filters": {"server": "orders", "text": "Reason"}}
    fill(4)
    assert len(list(lines)) == 3
    assert verify(now=timezone.now()).ok


def test_every_filter_of_an_export_is_recorded() -> None:
    full = Filters.from_query(
        {"person": "1", "actor": "person:1", "subject": "request:R-1", "server": "orders", "event": "vote.*"}
        | {"from": "2026-01-01", "to": "2026-01-31", "text": "x"}
    )
    export(full, Format.JSONL, actor=ALICE)
    assert Entry.objects.get().after == {"format": "jsonl", "filters": full.as_query()}


def test_the_command_writes_to_standard_output() -> None:
    fill(6)
    out = io.StringIO()
    call_command("export_audit", "--subject", "request:R-3", stdout=out)
    (line,) = out.getvalue().splitlines()
    assert json.loads(line)["seq"] == 3
    last = Entry.objects.latest("seq")
    assert (last.event, last.actor_kind, last.actor_id) == ("audit.exported", "command", "export_audit")


def test_the_command_writes_to_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    fill(2)
    target = tmp_path / "audit.csv"
    call_command("export_audit", "--format", "csv", "--output", str(target))
    assert target.read_bytes().count(b"\r\n") == 3
    with pytest.raises(CommandError, match="Cannot write"):
        call_command("export_audit", "--output", str(target))


def test_the_command_finds_a_person_by_their_e_mail() -> None:
    grace = User.objects.create_user("grace@example.com", "correct horse battery staple", display_name="Grace")
    worker = Actor("worker", "w-1", "worker")
    record(Event.PERSON_JOINED, actor=worker, subject=Subject("person", str(grace.pk), grace.email))
    record(Event.SERVER_CHECKED, actor=worker, subject=ORDERS)
    out = io.StringIO()
    call_command("export_audit", "--person", "grace@example.com", stdout=out)
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["person.joined"]


@pytest.mark.parametrize("arguments", [("--person", "nobody@example.com"), ("--event", "a.b"), ("--from", "soon")])
def test_the_command_refuses_what_it_does_not_understand_and_records_nothing(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command("export_audit", *arguments)
    assert not Entry.objects.exists()


class TestByAnOutsider:
    """The program in docs/audit.md, run as it stands there on a real export."""

    @pytest.fixture
    def program(self, tmp_path: Path) -> Path:
        """The program, in a file."""
        text = DOCS.read_text()
        start = text.index("```python\n") + len("```python\n")
        path = tmp_path / "check.py"
        path.write_text(text[start : text.index("```", start)])
        return path

    @pytest.fixture
    def exported(self, tmp_path: Path) -> Path:
        """A whole log with letters beyond ASCII."""
        fill(5)
        record(Event.VOTE_DENIED, actor=BOB, subject=request(1), reason="Grüße 😀 \x7f \u2028", after={"team": "ä"})
        path = tmp_path / "audit.jsonl"
        path.write_text("".join(export(Filters(), Format.JSONL, actor=ALICE)), encoding="utf-8")
        return path

    def test_it_agrees_with_ours(self, program: Path, exported: Path) -> None:
        done = _run(program, exported)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == f"6 entries, head 6:{Entry.objects.get(seq=6).hash}"

    @pytest.mark.parametrize("what", ["change", "remove"])
    def test_it_finds_a_change(self, program: Path, exported: Path, what: str) -> None:
        lines = exported.read_text(encoding="utf-8").splitlines(keepends=True)
        if what == "change":
            lines[3] = lines[3].replace("Reason 4", "Reason 5")
        else:
            del lines[3]
        exported.write_text("".join(lines), encoding="utf-8")
        done = _run(program, exported)
        assert done.returncode == 1
        assert "entry 4" in done.stderr if what == "change" else "entry 5" in done.stderr


def _run(program: Path, exported: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(program), str(exported)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
