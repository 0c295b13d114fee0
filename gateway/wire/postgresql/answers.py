"""What the server says, passed on as it came, and what it tells of the statements that were sent.

The server answers in the order of what it was sent. So a queue of what was sent is enough to know what each answer is
about: a Query (until the server is ready), an Execute (until it is complete), a Parse, Bind or Close (until it is
acknowledged), a Sync. After an error the server skips everything up to the next Sync, and so does the queue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from librt.strings import read_i32_be
from mypy_extensions import i64

from access.gateway_rules import Rules
from gateway.errors import GatewayError, LimitReached, UpstreamFailed
from gateway.recording import Recorder, Verdict
from gateway.wire.postgresql.messages import (
    BIND_DONE,
    CLOSE_DONE,
    COMMAND_COMPLETE,
    COPY_DATA,
    COPY_IN,
    DATA_ROW,
    EMPTY_QUERY,
    ERROR,
    HEADER,
    NOTICE,
    NOTIFICATION,
    PARAMETER_STATUS,
    PARSE_DONE,
    PORTAL_SUSPENDED,
    READY,
    error_response,
    fields_of,
    parameter_of,
    rows_of,
    sqlstate_of,
)
from gateway.wire.postgresql.names import Names, Portal, Statement
from gateway.wire.postgresql.sent import COPY_END, SYNC, Sent
from gateway.wire.postgresql.startup import end_if_it_reads_otherwise

#: Stands in the queue for a Query that was not sent as it is, and has no outcome to record.
REFUSED_QUERY: Final = 1 << 61
_CANCELLED: Final = "57014"
_IDLE: Final = ord("I")
_NO_LIMIT: Final = 1 << 61
#: An attribute of an enumeration is a search each time.
_DONE: Final = Verdict.DONE
_LIMITED: Final = Verdict.LIMITED
#: A message up to this size goes to the client as a whole, so that the session can always end between two.
_LONGEST_WHOLE: Final = 262_144
#: How many messages may wait for their answers before the client is no longer read, and when it is again. A server keeps back
#: what it has to say until there are 8 KiB of it or a Sync comes, and its shortest answer has 5 bytes: above the lower number
#: some answers are always on their way.
_MOST_SENT: Final = 8_192
_FEW_SENT: Final = 2_048
#: What a client takes at any time, also behind an error: READY ends it, and the server waits for the data of a COPY.
_AT_ANY_TIME: Final = frozenset({READY, PARAMETER_STATUS, NOTICE, NOTIFICATION, COPY_IN})
#: The server's clock of a statement begins a little later than ours, and its timer is not exact.
_TIMEOUT_SLACK: Final = 0.05


_RAN_ON: Final = (
    "It had run to its end, and what was sent behind it in the same batch ran as well; of their rows not all were sent."
)


class Answers:
    """The server's side of one session."""

    def __init__(
        self,
        *,
        rules: Rules,
        recorder: Recorder,
        names: Names,
        clock: Callable[[], float],
        cancel: Callable[[], None],
    ) -> None:
        self._recorder, self._names, self._clock, self._cancel = recorder, names, clock, cancel
        self._limit_rows: i64 = _NO_LIMIT if rules.most_rows is None else rules.most_rows
        self._limit_bytes: i64 = _NO_LIMIT if rules.most_bytes is None else rules.most_bytes
        # What of them is left for the Execute that the server is at: its portal may have given rows before.
        self._most_rows = self._limit_rows
        self._most_bytes = self._limit_bytes
        self._has_limits = rules.most_rows is not None or rules.most_bytes is not None
        longest = rules.longest_statement
        self._longest = longest.total_seconds() if longest is not None else 0.0
        self._heard_since = 0.0
        """`running_since` as it was when this part of the stream came."""
        self._was_asked_to_stop = False
        """By the client: what the server then cuts was not cut for its time."""
        self._portals: dict[int, Portal] = {}
        """Of the Executes that wait, by their numbers, where rows are counted."""
        self.refusals: dict[bytes, GatewayError] = {}
        """What to say instead of the syntax error that tells of this word."""
        self.running_since = 0.0
        """Since when the server has been at a statement, on the loop's clock; 0 when it is at none."""
        self.idle_since = 0.0
        """When the server had answered everything, on the loop's clock; 0 before it did so for the first time."""
        self.transaction = _IDLE
        self.has_news = False
        """The server was ready in what was taken last."""
        self._sent = Sent()
        self._pending = 0
        self._name_makers: dict[int, Statement] = {}
        self._is_skipping = False
        """Something of the extended protocol has failed: the server reads past all up to a Sync, a Query as well."""
        self._is_copying_in = False
        self._copy_ends = 0
        # Of the statement that the server is at.
        self._rows: i64 = 0
        self._bytes: i64 = 0
        self._told_rows: i64 = 0
        self._code = ""
        self._limit: LimitReached | None = None
        self._was_limited = False
        self._is_silent = False
        """The client was told an error of ours, and hears nothing more of this batch; the server knows of no error."""
        # Of the stream.
        self._tail = b""
        self._left: i64 = 0

    # --- What was sent

    def expect(self, change: object) -> None:
        """A Parse, Bind or Close was sent."""
        self._sent.append(change)
        if self._is_skipping:
            self._skip()

    def expect_execute(self, number: int, statement: Statement, portal: Portal | None = None) -> None:
        """An Execute was sent, whose intent has this number. What a portal gives counts together, however it is fetched."""
        self._sent.append(number)
        if self._has_limits and portal is not None:
            self._portals[number] = portal
            if self._sent.number == 1:
                self._begin_portal()
        self._statement_sent(number, statement)
        if self._is_skipping:
            self._skip()

    def expect_query(self, number: int, statement: Statement | None = None) -> None:
        """A Query was sent; it is a batch of its own."""
        self._sent.append(-number)
        self._names.batch_sent()
        self._statement_sent(number, statement)
        if self._is_skipping:
            self._skip()

    def _statement_sent(self, number: int, statement: Statement | None) -> None:
        if statement is not None and statement.makes_names:
            self._name_makers[number] = statement
        if not self._pending:
            self.running_since = self._clock()
        self._pending += 1

    def expect_sync(self) -> None:
        """A Sync was sent. In the middle of COPY the server reads past it."""
        if not self._is_copying_in:
            self._sent.append(SYNC)
            self._names.batch_sent()

    def copy_in_ended(self) -> None:
        """The client has no more data."""
        if self._is_copying_in:
            self._is_copying_in = False
        elif self._sent.number:
            self._sent.append(COPY_END)
            self._copy_ends += 1

    @property
    def is_crowded(self) -> bool:
        """Whether so much waits for its answer that no more should be sent."""
        return self._sent.number > _MOST_SENT

    @property
    def has_room(self) -> bool:
        """Whether it is time for more after that."""
        return self._sent.number <= _FEW_SENT

    # --- What the server says

    @property
    def is_done(self) -> bool:
        """Whether the server has answered all that was sent."""
        return not self._sent.number

    @property
    def is_behind_a_batch(self) -> bool:
        """Whether a whole batch was sent that the server has not answered."""
        return self._sent.holds_a_batch()

    @property
    def is_between_messages(self) -> bool:
        """Whether an own message may be put in here."""
        return not self._left

    def take(self, data: bytes) -> bytes:  # noqa: C901 - one loop, read from above to below
        """What of the stream goes to the client now. Raises `UpstreamFailed` for what is no stream of messages."""
        self.has_news = False
        self._heard_since = self.running_since
        if self._tail:
            data = self._tail + data
            self._tail = b""
        size: i64 = len(data)
        position: i64 = min(self._left, size)
        self._left -= position
        begin: i64 = 0
        out: list[bytes] = []
        while size - position >= HEADER:
            if self._limit is None and not self._is_silent:
                position = self._past_rows(data, position)
                if size - position < HEADER:
                    break
            kind = data[position]
            length: i64 = i64(read_i32_be(data, position + 1))
            if length < 4:
                raise UpstreamFailed(f"It sent a message of {length} bytes.")
            stop: i64 = position + 1 + length
            if kind in (DATA_ROW, COPY_DATA):
                if self._rows >= self._most_rows or self._bytes + length > self._most_bytes:
                    self._reach_limit()
                if self._is_silent or (self._limit is not None and self._limit.limit != "time"):
                    if stop > size:
                        break
                    out.append(data[begin:position])
                    begin = position = stop
                    continue
                if stop > size and length <= _LONGEST_WHOLE:
                    break
                self._rows += 1
                self._bytes += length
            elif stop > size:
                if self._is_silent or length <= _LONGEST_WHOLE:
                    break
            else:
                is_heard = not self._is_silent or kind in _AT_ANY_TIME
                instead = self._look_at(kind, data, position + HEADER, stop)
                if not is_heard:
                    instead = b""
                if instead is not None:
                    out += (data[begin:position], instead)
                    begin = stop
            if stop > size:
                self._left = stop - size
                position = size
                break
            position = stop
        if position < size:
            self._tail = data[position:]
        elif not begin:
            return data
        out.append(data[begin:position])
        return b"".join(out)

    def _past_rows(self, data: bytes, position: i64) -> i64:
        """Behind the whole rows that begin here, counted; before one that a limit cuts, or that is not whole."""
        size: i64 = len(data)
        rows, taken = self._rows, self._bytes
        while size - position >= HEADER:
            kind = data[position]
            if kind not in (DATA_ROW, COPY_DATA):
                break
            length: i64 = i64(read_i32_be(data, position + 1))
            if length < 4 or length >= size - position or rows >= self._most_rows or taken + length > self._most_bytes:
                break
            rows += 1
            taken += length
            position += 1 + length
        self._rows, self._bytes = rows, taken
        return position

    def _look_at(self, kind: int, data: bytes, at: i64, stop: i64) -> bytes | None:
        """A whole message that is no row; what the client gets in its place, if anything."""
        if kind == READY:
            self._ready(data[at])
        elif kind == COMMAND_COMPLETE:
            return self._complete(data[at : stop - 1])
        elif kind in (BIND_DONE, PARSE_DONE, CLOSE_DONE):
            self._acknowledged()
        elif kind == ERROR:
            return self._error(data[at:stop])
        elif kind == EMPTY_QUERY:
            return self._complete(b"")
        elif kind == PORTAL_SUSPENDED:
            self._told_rows = self._rows
            return self._complete(b"")
        elif kind == COPY_IN:
            self._copying_in()
        elif kind == PARAMETER_STATUS:
            end_if_it_reads_otherwise(data[at : stop - 1])
            self._names.reports(*parameter_of(data[at:stop]))
        return None

    def _acknowledged(self) -> None:
        if type(self._sent.first()) is tuple:
            self._names.acknowledged(self._sent.pop())
            if self._copy_ends:
                self._drop_copy_ends()
            if self._portals:
                self._begin_portal()

    def _complete(self, tag: bytes) -> bytes | None:
        rows: i64 = rows_of(tag)
        limit = self._limit
        if limit is not None and limit.limit != "time":
            self._was_limited, self._limit, self._code = True, None, limit.limit
            rows, answer, self._is_silent = self._rows, error_response(limit, hint=_RAN_ON), True
        else:
            self._told_rows += rows
            rows, answer = self._told_rows, None
        head = self._sent.first()
        if type(head) is int and head > 0:
            self._sent.pop()
            self._settle(head, _LIMITED if self._was_limited else _DONE, rows)
        return answer

    def _copying_in(self) -> None:
        """The server reads the data of what is at the head, and past each Sync that was sent before their end."""
        head = self._sent.first()
        batches = 1 if type(head) is int and head < 0 else 0
        for _ in range(self._sent.read_past_syncs()):
            self._names.sync_ignored(batches)
        self._is_copying_in = not self._copy_ends
        self._copy_ends = max(0, self._copy_ends - 1)

    def _drop_copy_ends(self) -> None:
        while self._sent.first() == COPY_END:
            self._sent.pop()
            self._copy_ends -= 1

    def _error(self, content: bytes) -> bytes | None:
        was_copying_in = self._is_copying_in
        if was_copying_in:
            # It may have failed before it read past a Sync.
            self._names.batch_unknown()
        self._is_copying_in = False
        code, answer = sqlstate_of(content), None
        verdict = Verdict.FAILED
        if code == _CANCELLED and self._limit is None and self._is_over_time():
            self._limit = LimitReached.in_time(self._longest)
        if self._limit is not None and code == _CANCELLED:
            answer, code, verdict = error_response(self._limit), self._limit.limit, Verdict.LIMITED
            self._limit, self._was_limited = None, True
        elif self.refusals and code == "42601":
            answer = self._refusal(content)
        self._code = code
        if self._sent.number:
            head = self._sent.first()
            self._is_skipping = type(head) is not int or head > 0
            if type(head) is int and head > 0:
                self._settle(self._sent.pop(), verdict, self._rows)
            if self._is_skipping and not was_copying_in:
                self._skip()
        return answer

    def _skip(self) -> None:
        """What was sent up to the next Sync is not run: nobody has to keep it until then, however much it is."""
        while self._sent.number and self._sent.first() != SYNC:
            self._skipped(self._sent.pop())

    def _skipped(self, item: Any) -> None:
        if type(item) is not int:
            self._copy_ends -= item == COPY_END
            return
        self._code = ""
        self._settle(abs(item), Verdict.SKIPPED, 0)
        if item < 0:
            # It was no batch of its own then.
            self._names.batch_over()

    def _refusal(self, content: bytes) -> bytes | None:
        said = fields_of(content).get("M", "")
        for word, error in self.refusals.items():
            if word.decode() in said:
                del self.refusals[word]
                return error_response(error)
        return None

    def _ready(self, transaction: int) -> None:
        self.transaction = transaction
        self.has_news = True
        while self._sent.number:
            item = self._sent.pop()
            if type(item) is not int or item > 0 or (item < 0 and self._is_skipping):
                self._skipped(item)
                continue
            if item < 0:
                self._query_ready(-item)
            break
        if self._portals:
            self._begin_portal()
        # Also when it was a Parse or a Bind that failed: the next statement has nothing to do with it.
        self._code = ""
        self._is_skipping = self._is_silent = False
        if self._copy_ends:
            self._drop_copy_ends()
        self._names.batch_over()
        if transaction == _IDLE:
            self._names.transaction_over()
        if not self._sent.number:
            # What was refused behind something that failed was never read.
            self.refusals.clear()

    def _query_ready(self, number: int) -> None:
        if self._was_limited:
            self._settle(number, Verdict.LIMITED, self._rows)
        elif self._code:
            self._settle(number, Verdict.FAILED, self._told_rows)
        else:
            self._settle(number, Verdict.DONE, self._told_rows)

    def _settle(self, number: int, verdict: Verdict, rows: int) -> None:
        """A statement is through."""
        if number != REFUSED_QUERY:
            self._recorder.outcome(number, verdict, code=self._code, rows=rows, size=self._bytes)
        if self._name_makers and (maker := self._name_makers.pop(number, None)) is not None:
            self._names.ran(maker, is_done=verdict is _DONE)
        if self._has_limits:
            self._end_portal(number)
        self._rows = self._bytes = self._told_rows = 0
        self._code = ""
        self._limit, self._was_limited = None, False
        if self._copy_ends:
            self._drop_copy_ends()
        if self._portals:
            self._begin_portal()
        self._pending -= 1
        now = self._clock()
        self._was_asked_to_stop = False
        if self._pending:
            self.running_since = now
        else:
            self.running_since, self.idle_since = 0.0, now

    # --- Limits and the end

    def _begin_portal(self) -> None:
        """If an Execute is what comes next: what its portal may still give."""
        head = self._sent.first()
        if type(head) is int and (portal := self._portals.get(head)) is not None:
            self._most_rows = self._limit_rows - portal.rows
            self._most_bytes = self._limit_bytes - portal.bytes

    def _end_portal(self, number: int) -> None:
        portal = self._portals.pop(number, None)
        if portal is not None:
            portal.rows += self._rows
            portal.bytes += self._bytes
        self._most_rows, self._most_bytes = self._limit_rows, self._limit_bytes

    def _reach_limit(self) -> None:
        # A Query may hold several statements: the next one is stopped as well, for their rows count together.
        if self._limit is None:
            if self._rows >= self._most_rows:
                self._stop(LimitReached(f"It gives more than {self._limit_rows} rows.", limit="rows"))
            else:
                self._stop(LimitReached(f"It gives more than {self._limit_bytes} bytes.", limit="bytes"))

    def stop_for_time(self, seconds: float) -> None:
        """The statement has run for as long as it may.

        Of several Executes before one Sync the server says nothing before the last of them is through: they have the time of
        all of them, and its own `statement_timeout`, which it counts for each, stops a long one among them.
        """
        if (
            self._limit is None
            and self._pending
            and self._clock() - self.running_since > seconds * self._sent.in_batch()
        ):
            self._stop(LimitReached.in_time(seconds))

    def client_cancels(self) -> None:
        """Its request goes to the server."""
        self._was_asked_to_stop = True

    def _is_over_time(self) -> bool:
        """Whether what the server has cancelled by itself was at the limit of the role, which is its timeout as well."""
        if self._was_asked_to_stop or not self._longest:
            return False
        # What came before it may have been told of only now, with it.
        return self._clock() - self._heard_since > self._longest - _TIMEOUT_SLACK

    def _stop(self, limit: LimitReached) -> None:
        self._limit = limit
        self._cancel()

    def cut(self) -> None:
        """The session ends in the middle of whatever was sent."""
        for item in self._sent.items():
            number = abs(item) if type(item) is int else 0
            if number and number != REFUSED_QUERY:
                self._recorder.outcome(number, Verdict.CUT, code="", rows=self._rows, size=self._bytes)
                self._rows = self._bytes = 0
        self._sent.clear()
