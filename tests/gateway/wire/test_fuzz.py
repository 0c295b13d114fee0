"""The fuzzer for a few thousand streams, and hypothesis on what is read before anybody is in; `fuzzing` says what holds."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ProtocolViolated
from gateway.wire.postgresql.messages import Frames, startup_parameters
from tests.gateway.wire import fuzzing
from tests.gateway.wire.gateways import Gateway, packed
from tests.gateway.wire.sockets import SYNC, Wire, bind, errors, execute, parse, query, values

STREAMS = 3000


def test_streams_that_are_broken_in_every_way() -> None:
    ends = {fuzzing.run(seed) for seed in range(STREAMS)}
    assert {"whole", "ProtocolViolated"} <= ends <= {"whole", "ProtocolViolated", "MessageTooLong"}
    for seed in range(STREAMS):
        fuzzing.startup(seed)


def test_the_fuzzer_finds_what_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that finds nothing in anything would be easy to write."""
    monkeypatch.setattr(fuzzing, "FORBIDDEN", "SELECT")
    monkeypatch.setattr(fuzzing, "examine", lambda text: fuzzing.examined(text))
    with pytest.raises(fuzzing.Broken, match="runs what is refused"):
        list(map(fuzzing.run, range(100)))


@given(content=st.binary(max_size=200))
def test_any_first_message_has_parameters_or_is_none(content: bytes) -> None:
    try:
        found = startup_parameters(content)
    except ProtocolViolated:
        return
    pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in found.items())
    # A name that is said twice counts once.
    assert len(pairs) + 1 <= len(content)


@given(
    sent=st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=10),
    cuts=st.lists(st.integers(0, 500), max_size=20),
    tail=st.binary(max_size=10),
)
def test_messages_come_whole_out_of_any_pieces(sent: list[tuple[int, bytes]], cuts: list[int], tail: bytes) -> None:
    data = b"".join(packed(bytes([kind]), content) for kind, content in sent) + tail
    frames, found = Frames(1000), []
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    try:
        for begin, end in pairwise(edges):
            frames.feed(data[begin:end])
            for one in frames:
                found.append(one)  # noqa: PERF402 - what came before an error counts
    except ProtocolViolated:
        (length,) = struct.unpack_from("!I", tail, 1)
        assert not 4 <= length <= 1000
    assert found[: len(sent)] == sent


def test_what_the_server_reads_past_is_recorded_as_skipped_and_nothing_behind_it_moves(gateway: Gateway) -> None:
    """After a failure of the extended protocol it reads past everything up to a Sync: a Query as well."""
    with Wire(gateway) as wire:
        for sent in (
            [parse("", "SELECT nonsense")],
            [parse("", "SELECT 1 / (id - 1) FROM orders"), bind("", ""), execute()],
        ):
            wire.send(*sent, query("SELECT 'is never run'"), parse("", "SELECT 1"), SYNC)
            assert [kind for kind, _ in wire.until(b"Z")][-2:] == [b"E", b"Z"]
        assert errors(wire.query("SELECT 2 / 0")) == ["22012"]
        assert values(wire.query("SELECT 'runs'")) == ["runs"]
        wire.send(parse("", "SELECT 'by parts'"), bind("", ""), execute(), SYNC)
        assert values(wire.until(b"Z")) == ["by parts"]
    ran = [(one.verdict, one.code) for one in gateway.all_settled()]
    assert ran == [
        *(("skipped", ""), ("failed", "22012"), ("skipped", ""), ("failed", "22012"), ("done", ""), ("done", "")),
    ]


@pytest.mark.parametrize("sent", [packed(b"Q"), packed(b"C"), packed(b"C", b"S")])
def test_a_message_that_ends_before_it_begins_is_no_message(gateway: Gateway, sent: bytes) -> None:
    with Wire(gateway) as wire:
        wire.send(sent)
        assert errors(wire.rest()) == ["08P01"]
