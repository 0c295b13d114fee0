"""Fuzzes what reads a client's stream: streams that clients send, broken in every way, and cut into any pieces.

    python -m tests.gateway.wire.fuzzing --seconds 600

goes on with new seeds until the time is over, and prints the seed of whatever fails; `--seed` runs one again. Whatever
comes in, four things hold:

- it is passed on, or it is a `ProtocolViolated` or a `MessageTooLong`; nothing else is raised;
- the server gets whole messages of known kinds, one behind the other;
- what became of each Query and each Execute is recorded in the order in which the server was at them, under the text that
  it had there; only what SQL gave a name to is recorded as the use of that name;
- no text that a rule refuses is ever among them.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from access.gateway_rules import Keep
from gateway.errors import GatewayError, MessageTooLong, ProtocolViolated
from gateway.examining import Examiner
from gateway.outbox import Outbox
from gateway.recording import Examined, Recorder, Verdict
from gateway.wire.postgresql import messages
from gateway.wire.postgresql.relay import Relay
from tests.gateway.recording import admitted, examined
from tests.gateway.wire.gateways import packed
from tests.gateway.wire.sockets import SYNC, bind, close, execute, parse, query

FORBIDDEN = "DROP"
_NAMES = ("", "a", "b", "c" * 70)
_TEXTS = (
    *("SELECT 1", "SELECT $1::int", "BEGIN", "COMMIT", "", "DEALLOCATE ALL", "PREPARE a AS SELECT 1", "CLOSE ALL"),
    *("COPY t FROM STDIN", "DROP TABLE t", "SELECT 'é\x01'", "DISCARD ALL", "SELECT 1; DROP TABLE t"),
)
_KINDS = b"QPBEDCSHXFdcf"


class Broken(AssertionError):
    """What must hold does not."""


class _Server:
    """Takes what the relay sends, and says what a server would."""

    def __init__(self, dice: random.Random) -> None:
        self.taken = bytearray()
        self.said = bytearray()
        self.ran: list[str | None] = []
        """The text of each Query and Execute that it was at; None for one that names nothing."""
        self.is_gone = False
        self._dice, self._read = dice, 0
        self._statements: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}
        self._is_failed = self._is_copying = self._is_simple = False

    def write(self, data: bytes) -> None:
        self.taken += data
        for kind, content in self._whole():
            if not self.is_gone:
                self._answer(kind, content)

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def _whole(self) -> Iterator[tuple[int, bytes]]:
        while len(self.taken) - self._read >= 5:
            kind, length = struct.unpack_from("!BI", self.taken, self._read)
            if kind not in _KINDS or length < 4:
                raise Broken(f"The server gets no message: {bytes(self.taken[self._read : self._read + 40])!r}")
            stop = self._read + 1 + length
            if len(self.taken) < stop:
                if kind != ord("d"):
                    raise Broken(f"The server gets a part of a message of kind {chr(kind)!r}.")
                return
            content = bytes(self.taken[self._read + 5 : stop])
            self._read = stop
            yield kind, content

    def _answer(self, kind: int, content: bytes) -> None:
        if self._is_copying:
            self._copy(kind)
        elif kind == ord("S"):
            self._is_failed = False
            self._say(packed(b"Z", b"I"))
        elif self._is_failed:
            # Up to a Sync it reads past everything, a Query as well.
            pass
        elif kind == ord("Q"):
            self._query(content)
        else:
            self._extended(kind, content)

    def _copy(self, kind: int) -> None:
        if kind in b"cf":
            self._is_copying = False
            if kind == ord("c"):
                self._say(packed(b"C", b"COPY 0\0"))
            else:
                self._fail(packed(b"E", b"SERROR\0VERROR\0C57014\0Mno more\0\0"))
            if self._is_simple:
                self._is_failed = False
                self._say(packed(b"Z", b"I"))
        elif kind not in b"dHS":
            # PostgreSQL has lost its place then, and goes.
            self.is_gone = True

    def _query(self, content: bytes) -> None:
        text = content[:-1].decode("latin-1")
        if text.startswith("lockgate_refused_"):
            self._say(self._syntax_error(text), packed(b"Z", b"I"))
            return
        self._runs(text)
        if text.startswith("COPY"):
            self._is_copying = self._is_simple = True
            self._say(packed(b"G", b"\0\0\0"))
        elif self._dice.random() < 0.1:
            self._say(packed(b"E", b"SERROR\0VERROR\0C42P01\0Mno\0\0"), packed(b"Z", b"I"))
        else:
            self._say(packed(b"C", b"SELECT 0\0"), packed(b"Z", b"I"))

    def _extended(self, kind: int, content: bytes) -> None:
        # Names are cut where PostgreSQL cuts them.
        first = content.split(b"\0")[0][:63]
        if kind == ord("P"):
            text = content.split(b"\0")[1].decode("latin-1")
            if text.startswith("lockgate_refused_") or self._dice.random() < 0.1:
                self._fail(self._syntax_error(text))
                return
            self._statements[first] = text
            self._say(packed(b"1"))
        elif kind == ord("B"):
            second = content.split(b"\0")[1][:63]
            if second not in self._statements:
                self._fail(packed(b"E", b"SERROR\0VERROR\0C26000\0Mno\0\0"))
                return
            self._portals[first] = self._statements[second]
            self._say(packed(b"2"))
        elif kind == ord("E") and first == b"lockgate_refused":
            # What stands for one that the relay does not send.
            self._fail(packed(b"E", b"SERROR\0VERROR\0C34000\0Mno\0\0"))
        elif kind == ord("E"):
            self._execute(self._portals.get(first))
        elif kind == ord("C"):
            names = self._statements if content[:1] == b"S" else self._portals
            names.pop(content[1:].split(b"\0")[0][:63], None)
            self._say(packed(b"3"))
        elif kind == ord("D"):
            self._say(packed(b"n"))

    def _execute(self, text: str | None) -> None:
        if text is None:
            self.ran.append(None)
            self._fail(packed(b"E", b"SERROR\0VERROR\0C34000\0Mno\0\0"))
            return
        self._runs(text)
        if text.startswith("COPY"):
            self._is_copying, self._is_simple = True, False
            self._say(packed(b"G", b"\0\0\0"))
        elif self._dice.random() < 0.1:
            self._fail(packed(b"E", b"SERROR\0VERROR\0C22012\0Mno\0\0"))
        else:
            self._say(packed(b"C", b"SELECT 0\0"))

    def _fail(self, error: bytes) -> None:
        self._is_failed = True
        self._say(error)

    def _say(self, *said: bytes) -> None:
        self.said += b"".join(said)

    def _syntax_error(self, text: str) -> bytes:
        near = text.split("\0")[0].encode("latin-1")
        return packed(b"E", b'SERROR\0VERROR\0C42601\0Msyntax error at or near "' + near + b'"\0\0')

    def _runs(self, text: str) -> None:
        """A session runs this text."""
        if FORBIDDEN in text:
            raise Broken(f"The server runs what is refused: {text!r}")
        self.ran.append(text)


class _Client:
    """Takes what the relay says."""

    def __init__(self) -> None:
        self.said = 0

    def write(self, data: bytes) -> None:
        self.said += len(data)

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class _Record(Recorder):
    """A recorder that counts; each intent has one outcome at most."""

    def __init__(self) -> None:
        self.intents: dict[int, str] = {}
        self.told: dict[int, Verdict] = {}

    def intent(self, session: int, known: Examined, text: str, parameters: bytes = b"") -> int:
        self.intents[len(self.intents) + 1] = text
        return len(self.intents)

    def refused(self, session: int, known: Examined, text: str) -> None:
        if FORBIDDEN not in text:
            raise Broken(f"What no rule refuses is refused: {text!r}")

    def outcome(self, statement: int, verdict: Verdict, *, code: str = "", rows: int = 0, size: int = 0) -> None:
        if statement not in self.intents or statement in self.told:
            raise Broken(f"An outcome of no statement, or a second one: {statement}")
        self.told[statement] = verdict

    def closed(self, session: int, reason: str) -> None:
        pass

    def write(self) -> None:
        pass

    def when_durable(self, done: Callable[[Exception | None], None]) -> None:
        done(None)


class _Turns(asyncio.AbstractEventLoop):
    """What an event loop's `call_soon` is needed for."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []

    def call_soon(self, callback: Callable[..., object], *about: Any, context: Any = None) -> asyncio.Handle:
        self.waiting.append(partial(callback, *about))
        return asyncio.Handle(callback, about, self)

    def get_debug(self) -> bool:
        return False

    def run(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


def examine(text: str) -> Examined:
    """What holds the forbidden word is refused."""
    return examined(text, refusal="No." if FORBIDDEN in text else "", rule="class" if FORBIDDEN in text else "")


KEEPS_TEXTS = replace(admitted().rules, keep=Keep.TEXT)


class _Forbids(Examiner):
    """Knows the forbidden word, and what a text does to names."""

    def glance(self, text: str) -> Examined:
        known = super().glance(text)
        return replace(examine(text), names=known.names if known else (), is_single=known is None or known.is_single)


def run(seed: int) -> str:
    """One stream through one relay; how it ended. Raises `Broken`, or whatever the relay must not raise."""
    dice = random.Random(seed)
    turns, record, client, server = _Turns(), _Record(), _Client(), _Server(dice)
    ended: list[GatewayError] = []
    relay = Relay(
        admitted=replace(admitted(), rules=KEEPS_TEXTS),
        number=1,
        recorder=record,
        outbox=Outbox(turns, record),
        examiner=_Forbids(KEEPS_TEXTS, "postgres"),
        read=lambda text, dialect, done: None,
        client=client,
        server=server,
        clock=lambda: 1.0,
        cancel=lambda: None,
        end=ended.append,
    )
    try:
        for piece in _pieces(dice, _broken(dice, _stream(dice))):
            relay.client_said(piece)
            turns.run()
            while server.said and dice.random() < 0.8:
                _hear(relay, server, turns)
            if ended or server.is_gone:
                break
        while server.said and not ended:
            _hear(relay, server, turns)
    except (ProtocolViolated, MessageTooLong) as error:
        ended.append(error)
    relay.over("The fuzzer has no more.")
    _compare(record, server)
    return type(ended[0]).__name__ if ended else "whole"


def _hear(relay: Relay, server: _Server, turns: _Turns) -> None:
    said, server.said = bytes(server.said), bytearray()
    relay.server_said(said)
    turns.run()


def _compare(record: _Record, server: _Server) -> None:
    if set(record.intents) != set(record.told):
        raise Broken(f"Statements without an outcome: {set(record.intents) - set(record.told)}")
    known = [number for number in sorted(record.told) if record.told[number] in (Verdict.DONE, Verdict.FAILED)]
    if len(known) > len(server.ran):
        raise Broken(f"Recorded as run: {known}, and the server was at {len(server.ran)}.")
    for number, ran in zip(known, server.ran, strict=False):
        text = record.intents[number]
        if ran not in (None, text, text.encode().decode("latin-1")) and not text.startswith(
            ('EXECUTE "', 'FETCH FROM "')
        ):
            raise Broken(f"It ran {ran!r}, and {text!r} was recorded.")


# --- Streams


def _stream(dice: random.Random) -> list[bytes]:
    return [_message(dice) for _ in range(dice.randrange(1, 40))]


def _message(dice: random.Random) -> bytes:
    """One message, or what drivers send together."""
    name, text = dice.choice(_NAMES), dice.choice(_TEXTS)
    if dice.random() < 0.3:
        together = (parse(name, text), *([SYNC] * dice.randrange(2)), bind("", name), execute(), SYNC)
        return b"".join(together[dice.randrange(2) :])
    made = (
        *(query(text), parse(name, text), bind(dice.choice(_NAMES), name), execute(name, dice.choice((0, 1)))),
        *(SYNC, SYNC, close(dice.choice("SP"), name), packed(b"D", b"S" + name.encode() + b"\0"), packed(b"H")),
        *(
            packed(b"d", dice.randbytes(dice.randrange(200))),
            packed(b"c"),
            packed(b"f", b"no\0"),
            packed(b"F", b"\0" * 8),
        ),
    )
    return dice.choice(made)


def _broken(dice: random.Random, stream: list[bytes]) -> bytes:
    """Not at all, or by one to three of the ways in which streams break."""
    data = bytearray(b"".join(stream))
    for _ in range(dice.choice((0, 1, 1, 2, 3))):
        at = dice.randrange(len(data)) if data else 0
        way = dice.randrange(8)
        if way == 0 and data:
            data[at] ^= 1 << dice.randrange(8)
        elif way == 1:
            del data[at:]
        elif way == 2:
            del data[at : at + dice.randrange(1, 20)]
        elif way == 3:
            data[at:at] = dice.randbytes(dice.randrange(1, 20))
        elif way == 4:
            data[at:at] = data[at : at + dice.randrange(1, 60)]
        elif way == 5:
            # One whose length lies.
            lies = dice.choice((0, 3, 4, 5, 100, 1 << 26, (1 << 31) - 1, (1 << 32) - 1))
            data += bytes([dice.choice(_KINDS)]) + struct.pack("!I", lies) + dice.randbytes(dice.randrange(40))
        elif way == 6:
            kind = bytes([dice.randrange(256)])
            data[at:at] = packed(kind, dice.randbytes(dice.randrange(30)))
        else:
            data = bytearray(bytes(data).replace(b"\0", b"", 1))
    return bytes(data)


def _pieces(dice: random.Random, data: bytes) -> Iterator[bytes]:
    longest = dice.choice((1, 7, 100, 10_000))
    at = 0
    while at < len(data):
        size = dice.randrange(1, longest + 1)
        yield data[at : at + size]
        at += size


def startup(seed: int) -> None:
    """The first message, broken: parameters, or a `ProtocolViolated`."""
    dice = random.Random(seed)
    content = _broken(dice, [b"user\0alice\0database\0orders\0application_name\0x\0\0"])
    try:
        found = messages.startup_parameters(content)
    except ProtocolViolated:
        return
    if not all(isinstance(value, str) and "\0" not in value for pair in found.items() for value in pair):
        raise Broken(f"Odd parameters: {found}")


def main() -> None:
    """Until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    if arguments.seed is not None:
        print(run(arguments.seed))
        startup(arguments.seed)
        return
    ends = Counter[str]()
    seed, deadline = time.time_ns(), time.monotonic() + arguments.seconds
    while time.monotonic() < deadline:
        seed += 1
        try:
            ends[run(seed)] += 1
            startup(seed)
        except BaseException:
            print(f"--seed {seed}")
            raise
    print(f"{sum(ends.values())} streams: {dict(ends)}")


if __name__ == "__main__":
    main()
