"""Any split of a server's stream gives the client the same bytes, and the record the same outcomes."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from access.gateway_rules import Rules
from gateway.recording import Recorder, Verdict
from gateway.wire.postgresql.answers import Answers
from gateway.wire.postgresql.names import PORTAL, STATEMENT, Names, Statement
from tests.gateway.recording import examined
from tests.gateway.wire.gateways import EVERYTHING, packed

ROW = packed(b"D", struct.pack("!hi", 1, 5) + b"D\x00\x00\x00Z")
#: A row so long that it passes in pieces.
LONG = packed(b"D", struct.pack("!hi", 1, 300_000) + b"Z" * 300_000)
ERROR = packed(b"E", b"SERROR\0VERROR\0C42P01\0Mno such table\0\0")


def complete(tag: str) -> bytes:
    return packed(b"C", tag.encode() + b"\0")


def ready(status: bytes = b"I") -> bytes:
    return packed(b"Z", status)


STREAM = b"".join(
    [
        *(ROW * 3, complete("SELECT 3"), ROW, complete("SELECT 1"), ready()),
        *(packed(b"1"), packed(b"2"), ROW, LONG, packed(b"s"), ROW * 2, complete("SELECT 2"), ready()),
        *(packed(b"2"), ERROR, ready(b"E")),
        *(packed(b"N", b"SNOTICE\0C00000\0Mhm\0\0"), packed(b"H", b"\0\0\0"), packed(b"d", b"x\n") * 4),
        *(packed(b"c"), complete("COPY 4"), packed(b"A", b"\0\0\0\1ab\0c\0"), ready()),
    ]
)


class Outcomes(Recorder):
    """A recorder that keeps what became of statements, and is told nothing else."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str, str, int, int]] = []

    def outcome(self, statement: int, verdict: Verdict, *, code: str = "", rows: int = 0, size: int = 0) -> None:
        self.told.append((statement, verdict.value, code, rows, size))


def taken(cuts: list[int], rules: Rules) -> tuple[bytes, list[tuple[int, str, str, int, int]], int]:
    """What the client gets, what is recorded, and how often the server was asked to stop."""
    outcomes, stops, names = Outcomes(), [0], Names()

    def cancel() -> None:
        stops[0] += 1

    answers = Answers(rules=rules, recorder=outcomes, names=names, clock=lambda: 1.0, cancel=cancel)
    statement = Statement("SELECT 1", examined("SELECT 1"))
    answers.expect_query(1, statement)
    answers.expect(names.sent(names.key(STATEMENT, b"a"), statement))
    answers.expect(names.sent(names.key(PORTAL, b""), None))
    answers.expect_execute(2, statement)
    answers.expect_execute(3, statement)
    answers.expect_sync()
    answers.expect(names.sent(names.key(PORTAL, b""), None))
    answers.expect_execute(4, statement)
    answers.expect_execute(5, statement)
    answers.expect_sync()
    answers.expect_query(6, statement)
    edges = [0, *sorted(cuts), len(STREAM)]
    out = b"".join(answers.take(STREAM[a:b]) for a, b in pairwise(edges))
    assert names.statement(names.key(STATEMENT, b"a")) is statement
    return out, outcomes.told, stops[0]


_cuts = st.lists(st.integers(1, 700), max_size=40, unique=True).map(
    # The long row is long; what is around it is what matters.
    lambda places: sorted({at if at < 150 else len(STREAM) - at + 150 for at in places})
)


@given(cuts=_cuts)
def test_any_split_passes_unchanged_and_is_recorded_alike(cuts: list[int]) -> None:
    out, told, stops = taken(cuts, EVERYTHING)
    assert out == STREAM
    assert stops == 0
    assert [one[:4] for one in told] == [
        *((1, "done", "", 4), (2, "done", "", 2), (3, "done", "", 2), (4, "failed", "42P01", 0)),
        *((5, "skipped", "", 0), (6, "done", "", 4)),
    ]


@given(cuts=_cuts)
def test_any_split_is_limited_at_the_same_place(cuts: list[int]) -> None:
    rules = replace(EVERYTHING, most_rows=2)
    whole = taken([], rules)
    assert taken(cuts, rules) == whole
    assert [(one[0], one[1], one[3]) for one in whole[1]] == [
        *((1, "limited", 2), (2, "done", 2), (3, "done", 2), (4, "failed", 0), (5, "skipped", 0), (6, "limited", 2))
    ]
