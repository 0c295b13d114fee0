"""Between one client and one session of the server: every statement examined, recorded and passed on, and its outcome
recorded, without a byte changed on the way.

What the client sends is read message by message. Each Query and each Execute is a statement: its intent is in the journal
before the bytes go on. What the server sends is passed on as it came, and looked at for what became of the statements, in
the order in which they were sent: `gateway.wire.postgresql.answers`.

A statement that a rule refuses is not sent. In its place goes a word that no parser takes, so that the server itself keeps
its state right (an open transaction is aborted, the rest up to the next Sync is skipped, answers stay in order), and its
syntax error, known by the word, becomes our refusal on the way back.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

import structlog
from librt.strings import read_i32_be
from mypy_extensions import i64

from access.gateway_rules import Durability, Keep
from gateway.admission import Admitted
from gateway.errors import (
    FunctionCallRefused,
    GatewayError,
    MessageTooLong,
    NotRecorded,
    NotUnderstood,
    ProtocolViolated,
    StatementRefused,
)
from gateway.examining import Examiner
from gateway.outbox import Outbox, Sender
from gateway.recording import Recorder
from gateway.statements import Understood
from gateway.wire.postgresql import messages
from gateway.wire.postgresql.answers import REFUSED_QUERY, Answers
from gateway.wire.postgresql.messages import (
    BIND,
    CLOSE,
    COPY_DATA,
    COPY_DONE,
    COPY_FAIL,
    DESCRIBE,
    EXECUTE,
    FLUSH,
    FUNCTION_CALL,
    HEADER,
    PARSE,
    QUERY,
    SYNC,
    TERMINATE,
    end_of,
    message,
)
from gateway.wire.postgresql.names import PORTAL, STATEMENT, Names, Portal, Statement, Unsettled
from gateway.wire.postgresql.texts import Texts, Unread
from gateway.wire.sides import Side

log = structlog.get_logger(__name__)

#: The longest single message of a client but for COPY's data, which passes in pieces.
LONGEST_MESSAGE: Final = 67_108_864
#: PostgreSQL's own bound. What says that it is longer is no message.
_LONGEST_AT_ALL: Final = 1_073_741_823
#: What may be longer than that, and is refused by itself.
_MAY_BE_LONG: Final = frozenset({QUERY, PARSE, BIND})
#: What a client may send once it is in.
_FROM_CLIENT = frozenset(b"QPBEDCSHXFdcf")
#: How many bytes of short texts one session remembers with what they were examined to be.
_MOST_REMEMBERED: Final = 131_072
#: An Execute of no portal: the server skips it, and where it does not, it runs nothing.
_NO_EXECUTE: Final = message(EXECUTE, b"lockgate_refused\x00\x00\x00\x00\x00")
#: What may wait for the disk before the client is no longer read.
_MOST_HELD: Final = 1_048_576


class Relay(Sender):
    """One session. All calls come from the event loop's thread.

    `cancel` asks the server to stop what it runs; `end` tells the client an error and closes both sides.
    """

    def __init__(
        self,
        *,
        admitted: Admitted,
        number: int,
        recorder: Recorder,
        outbox: Outbox,
        examiner: Examiner,
        read: Callable[[str, str, Callable[[Understood], None]], None],
        client: Side,
        server: Side,
        clock: Callable[[], float],
        cancel: Callable[[], None],
        end: Callable[[GatewayError], None],
    ) -> None:
        rules = admitted.rules
        self._number, self._recorder, self._outbox = number, recorder, outbox
        self._read_elsewhere, self._ask_at = read, admitted.ask_at
        self._client, self._server, self._clock, self._end = client, server, clock, end
        self._is_strict = rules.durability is Durability.STRICT
        self._keeps_text = rules.keep is Keep.TEXT
        self.names = Names()
        self.answers = Answers(rules=rules, recorder=recorder, names=self.names, clock=clock, cancel=cancel)
        self._texts = Texts(
            examiner=examiner,
            account=admitted.upstream.user,
            keeps_texts=self._keeps_text,
            names=self.names,
            answers=self.answers,
        )
        self.last_active = clock()
        self.is_over = False
        # What is not read yet: pieces of the stream, how much they are, and how much has to be there to look again.
        self._chunks: list[bytes] = []
        self._waiting: i64 = 0
        self._wanted: i64 = HEADER
        self._passing: i64 = 0
        """What is still to come of a message that passes in pieces."""
        self._dropping: i64 = 0
        """What is still to come of a message that is too long, and goes nowhere."""
        self._is_unsettled = False
        self._is_reading = False
        """A long text is being understood elsewhere."""
        self._was_refused = False
        """A Parse of the batch that is being sent."""
        self._in_outbox = 0
        self._held: deque[bytes] = deque()
        """What waits for the disk: one item for each call of `durable` to come."""
        self._held_bytes = 0
        self._reasons: set[str] = set()

    # --- From the client to the server

    def client_said(self, data: bytes) -> None:
        """Some more of the client's stream. Raises `ProtocolViolated`."""
        if self.is_over:
            return
        self.last_active = self._clock()
        if self._chunks:
            self._chunks.append(data)
            self._waiting += len(data)
            if self._is_unsettled or self._is_reading or self._waiting < self._wanted:
                return
            data = b"".join(self._chunks)
            self._chunks.clear()
            self._waiting = 0
        try:
            self._read(data)
        except NotRecorded as error:
            self._end(error)
        except (ValueError, IndexError):
            raise ProtocolViolated("A message that is not what its kind says.") from None
        if self.answers.is_crowded:
            self.pause("crowded")

    def _read(self, data: bytes) -> None:
        """Go through the messages, record what they intend, and pass on what may go."""
        size: i64 = len(data)
        begin: i64 = min(self._dropping, size)
        self._dropping -= begin
        position: i64 = begin or min(self._passing, size)
        self._passing -= position - begin
        intents: i64 = 0
        out: list[bytes] = []
        while size - position >= HEADER:
            kind = data[position]
            length: i64 = i64(read_i32_be(data, position + 1))
            stop: i64 = position + 1 + length
            if stop > size or length < 4:
                begun = self._unfinished(kind, data, position, length)
                if begun is not None:
                    out += (data[begin:position], begun)
                    begin = position = size
                break
            if (kind == QUERY and length < 5) or (kind == CLOSE and length < 6):
                # Compiled, a text that ends before it begins would be a mistake of ours rather than nothing.
                raise ProtocolViolated(f"A message of kind {chr(kind)!r} and {length} bytes.")
            try:
                instead, intended = self._take(kind, data, position + HEADER, stop)
            except (Unsettled, Unread) as reason:
                self._wait(reason)
                break
            intents += intended
            if instead is not None:
                out += (data[begin:position], instead)
                begin = stop
            position = stop
            if kind == TERMINATE:
                break
        if position < size:
            self._keep(data[position:])
        if begin == 0 and position == size:
            self._forward(data, intents)
        else:
            out.append(data[begin:position])
            self._forward(b"".join(out), intents)

    def _take(self, kind: int, data: bytes, at: i64, stop: i64) -> tuple[bytes | None, i64]:
        """What to send in the place of a whole message, if anything, and how many intents it made."""
        if kind == EXECUTE:
            return self._execute(data[at : end_of(data, at, stop)])
        if kind == BIND:
            self._bind(data, at, stop)
        elif kind == SYNC:
            self._was_refused = False
            self.answers.expect_sync()
        elif kind == QUERY:
            return self._query(data[at : stop - 1])
        elif kind == PARSE:
            return self._parse(data, at, stop), 0
        elif kind == CLOSE:
            self.answers.expect(self.names.sent(self.names.key(data[at], data[at + 1 : stop - 1]), None))
        elif kind in (COPY_DONE, COPY_FAIL):
            self.answers.copy_in_ended()
        elif kind == FUNCTION_CALL:
            self.answers.expect_query(REFUSED_QUERY)
            return messages.query(self._refusal_word(FunctionCallRefused())), 0
        elif kind not in (DESCRIBE, FLUSH, TERMINATE, COPY_DATA):
            raise ProtocolViolated(f"A message of kind {chr(kind)!r}.")
        return None, 0

    def _query(self, sql: bytes) -> tuple[bytes | None, i64]:
        statement = self._texts.statement(sql)
        if statement.examined.refusal:
            self.answers.expect_query(REFUSED_QUERY)
            return messages.query(self._refuse(statement)), 0
        try:
            number = self._recorder.intent(self._number, statement.examined, statement.text)
        except NotRecorded as error:
            self.answers.expect_query(REFUSED_QUERY)
            return messages.query(self._refusal_word(error)), 0
        self._runs(statement)
        self.answers.expect_query(number, statement)
        instead = statement.examined.instead
        return messages.query(instead.encode()) if instead else None, 1

    def _parse(self, data: bytes, at: i64, stop: i64) -> bytes | None:
        end = end_of(data, at, stop)
        behind = data.index(b"\x00", end + 1, stop)
        statement = self._texts.statement(data[end + 1 : behind])
        self.answers.expect(self.names.sent(self.names.key(STATEMENT, data[at:end]), statement))
        if statement.examined.refusal:
            self._was_refused = True
            return message(PARSE, data[at : end + 1] + self._refuse(statement) + b"\x00\x00\x00")
        if statement.examined.instead:
            return message(PARSE, data[at : end + 1] + statement.examined.instead.encode() + data[behind:stop])
        return None

    def _bind(self, data: bytes, at: i64, stop: i64) -> None:
        end = end_of(data, at, stop)
        second = end_of(data, end + 1, stop)
        name = data[end + 1 : second]
        statement = self.names.statement(self.names.key(STATEMENT, name)) or self._by_name(b"EXECUTE", name)
        portal = Portal(statement, data[second + 1 : stop] if self._keeps_text else b"")
        self.answers.expect(self.names.sent(self.names.key(PORTAL, data[at:end]), portal))

    def _execute(self, name: bytes) -> tuple[bytes | None, i64]:
        portal = self.names.portal(self.names.key(PORTAL, name)) or Portal(self._by_name(b"FETCH FROM", name), b"")
        statement = portal.statement
        if statement.examined.refusal and self._was_refused:
            # Its Parse was, a moment ago: the server skips this as well. Some do not, behind a COPY in the same batch.
            return _NO_EXECUTE, 0
        if statement.examined.refusal:
            return message(PARSE, b"\x00" + self._refuse(statement) + b"\x00\x00\x00"), 0
        try:
            number = self._recorder.intent(self._number, statement.examined, statement.text, portal.parameters)
        except NotRecorded as error:
            return message(PARSE, b"\x00" + self._refusal_word(error) + b"\x00\x00\x00"), 0
        self._runs(statement)
        self.answers.expect_execute(number, statement, portal)
        return None, 1

    def _by_name(self, verb: bytes, name: bytes) -> Statement:
        """What was named by SQL is recorded as the use of that name."""
        return self._texts.statement(verb + b' "' + name.replace(b'"', b'""') + b'"')

    def _runs(self, statement: Statement) -> None:
        if statement.examined.names:
            self.names.runs(statement)
        if statement.examined.encoding:
            self._texts.encoding_asked(statement.examined.encoding)

    # --- What is refused

    def _refuse(self, statement: Statement) -> bytes:
        examined = statement.examined
        self._recorder.refused(self._number, examined, statement.text)
        if examined.sqlstate:
            return self._refusal_word(
                NotUnderstood(examined.refusal, sqlstate=examined.sqlstate, position=examined.position)
            )
        # Where the words say to ask, they say where as well.
        hint = f"{examined.hint} {self._ask_at}" if examined.hint and self._ask_at else examined.hint
        return self._refusal_word(StatementRefused(examined.refusal, hint=hint))

    def _unfinished(self, kind: int, data: bytes, position: i64, length: i64) -> bytes | None:
        """What goes to the server for a message that is not all here; None where the rest is waited for."""
        to_come: i64 = position + 1 + length - i64(len(data))
        if kind == COPY_DATA and length >= 4:
            self._passing = to_come
            return data[position:]
        if kind in _MAY_BE_LONG and LONGEST_MESSAGE < length < _LONGEST_AT_ALL:
            self._dropping = to_come
            return self._too_long(kind, data, position + HEADER, length)
        self._expect(kind, length)
        return None

    def _too_long(self, kind: int, data: bytes, at: i64, length: i64) -> bytes:
        """What to send in the place of a message of which only the beginning is here, and ever will be."""
        word = self._refusal_word(MessageTooLong(length, LONGEST_MESSAGE))
        if kind == QUERY:
            self.answers.expect_query(REFUSED_QUERY)
            return messages.query(word)
        if kind == BIND:
            # Where the names are here, what would have run with these parameters is recorded, as skipped.
            with suppress(ValueError, Unsettled, Unread):
                self._bind(data, at, data.index(b"\x00", data.index(b"\x00", at) + 1) + 1)
        else:
            self._was_refused = True
        return message(PARSE, b"\x00" + word + b"\x00\x00\x00")

    def _refusal_word(self, error: GatewayError) -> bytes:
        word = b"lockgate_refused_" + secrets.token_hex(8).encode()
        self.answers.refusals[word] = error
        return word

    def _expect(self, kind: int, length: i64) -> None:
        """How much is needed before it is worth looking again. Raises `ProtocolViolated` for what never will be."""
        if kind not in _FROM_CLIENT:
            raise ProtocolViolated(f"A message of kind {chr(kind)!r}.")
        if not 4 <= length <= LONGEST_MESSAGE:
            raise ProtocolViolated(f"A message of {length} bytes.")
        self._wanted = length + 1

    def _keep(self, rest: bytes) -> None:
        self._chunks.append(rest)
        self._waiting = len(rest)
        if len(rest) < HEADER:
            self._wanted = HEADER

    def _wait(self, reason: Unsettled | Unread) -> None:
        # The message is there; what is missing is not more of it.
        self._wanted = HEADER
        if isinstance(reason, Unread):
            self._is_reading = True
            self.pause("reading")
            self._read_elsewhere(reason.text, self._texts.dialect, partial(self._was_read, reason.text))
        else:
            self._is_unsettled = True
            self.pause("unsettled")

    def _was_read(self, text: str, understood: Understood) -> None:
        if self.is_over:
            return
        self._is_reading = False
        self._texts.understood(text, understood)
        self.resume("reading")
        try:
            self.client_said(b"")
        except GatewayError as error:
            self._end(error)
        except Exception:
            # As when the client itself says something: a mistake of ours ends this session alone.
            log.exception("gateway.session_failed")
            self._end(GatewayError())

    # --- The order of recording and sending

    def _forward(self, data: bytes, intents: i64) -> None:
        """Send, once what it intends is in the journal: in the file, or where the role is strict, on the disk."""
        if intents or self._in_outbox:
            # Also what intends nothing, behind something that waits: the order is the client's.
            self._in_outbox += 1
            self._outbox.send(self, data)
        elif self._held:
            # Likewise, behind what waits for the disk: it goes with the last of these.
            self._held[-1] += data
            self._held_bytes += len(data)
        elif data:
            self._server.write(data)

    def recorded(self, data: bytes) -> bool:
        """See `gateway.outbox.Sender`."""
        self._in_outbox -= 1
        if self.is_over:
            return False
        if not self._is_strict:
            self._server.write(data)
            return False
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _MOST_HELD:
            self.pause("held")
        return True

    def not_recorded(self, error: NotRecorded) -> None:
        """See `gateway.outbox.Sender`."""
        self._in_outbox -= 1
        if not self.is_over:
            self._end(error)

    def durable(self, error: Exception | None) -> None:
        """See `gateway.outbox.Sender`."""
        if self.is_over:
            return
        if error is not None:
            self._end(NotRecorded())
            return
        data = self._held.popleft()
        self._held_bytes -= len(data)
        self._server.write(data)
        if self._held_bytes <= _MOST_HELD:
            self.resume("held")

    # --- From the server to the client

    def server_said(self, data: bytes) -> None:
        """Some more of the server's stream."""
        if self.is_over:
            return
        self._client.write(self.answers.take(data))
        if self._reasons and self.answers.has_room:
            self.resume("crowded")
        if self._is_unsettled and self.answers.has_news:
            self._is_unsettled = False
            self.resume("unsettled")
            self.client_said(b"")

    def pause(self, reason: str) -> None:
        """Take nothing from the client for now."""
        if not self._reasons:
            self._client.pause_reading()
        self._reasons.add(reason)

    def resume(self, reason: str) -> None:
        """That reason is gone."""
        if reason in self._reasons:
            self._reasons.discard(reason)
            if not self._reasons:
                self._client.resume_reading()

    def over(self, why: str) -> None:
        """The session has ended: say what became of what was running."""
        if not self.is_over:
            self.is_over = True
            self._held.clear()
            self.answers.cut()
            self._recorder.closed(self._number, why)
            self._recorder.write()
