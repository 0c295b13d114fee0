"""Checks the audit log from end to end and names what is wrong with it."""

from __future__ import annotations

import json
import re
import time
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audit.chain import timestamp
from audit.verification import MOST_FAULTS, Report, verify

_ANCHOR = re.compile(r"(\d+):([0-9a-f]{64})")


def _anchor(text: str) -> tuple[int, str]:
    match = _ANCHOR.fullmatch(text)
    if match is None:
        raise ArgumentTypeError(
            "Write the number, a colon and the hash of 64 digits, as an earlier check printed them."
        )
    return int(match[1]), match[2]


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError("Entries are counted from 1.")
    return int(text)


class Command(BaseCommand):
    """`manage.py verify_audit`."""

    help = "Checks every entry of the audit log against the hash chain. Exit status 1 when something is wrong."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to begin, what is known from elsewhere, and how to answer."""
        parser.add_argument(
            "--from", dest="from_seq", type=_number, default=1, metavar="SEQ", help="begin at this entry"
        )
        parser.add_argument(
            "--expect",
            type=_anchor,
            action="append",
            default=[],
            metavar="SEQ:HASH",
            help="a hash that an entry must have, noted outside this database; may be repeated",
        )
        parser.add_argument(
            "--new",
            action="store_true",
            help="of the streams of statements, check only what no check has found whole yet; else all of it",
        )
        parser.add_argument("--json", action="store_true", help="answer with one JSON object")

    def handle(self, *args: Any, from_seq: int, expect: list[tuple[int, str]], **options: Any) -> None:
        """Check, print, and fail when the log is broken."""
        started = time.monotonic()
        now = timezone.now()
        report = verify(now=now, from_seq=from_seq, anchors=dict(expect), whole=not options["new"])
        seconds = time.monotonic() - started
        if options["json"]:
            answer = {"at": timestamp(now), "seconds": f"{seconds:.3f}", **_as_json(report)}
            self.stdout.write(json.dumps(answer))
        elif report.ok:
            self.stdout.write(
                f"The audit log is whole: {report.checked} entries checked, from {report.from_seq} to "
                f"{report.upto_seq}, in {seconds:.1f} s.\n"
                f"The record of statements is whole: {report.statements.entries} entries checked in "
                f"{report.statements.streams} streams.\nHead: {report.upto_seq}:{report.head_hash}"
            )
        else:
            self.stdout.write("\n".join(str(fault) for fault in report.faults))
        if not report.ok:
            raise CommandError(_verdict(report))


def _verdict(report: Report) -> str:
    number = len(report.faults)
    faults = "1 fault" if number == 1 else f"{number}{' or more' if number == MOST_FAULTS else ''} faults"
    return f"The audit log is broken: {faults} in {report.checked} entries checked."


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "from_seq": report.from_seq,
        "upto_seq": report.upto_seq,
        "head_hash": report.head_hash,
        "checked": report.checked,
        "streams": report.statements.streams,
        "statement_entries": report.statements.entries,
        "faults": [fault.to_json() for fault in report.faults],
    }
