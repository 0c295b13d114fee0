"""The record of one worker: a chain of entries in a journal of its own.

What is said is chained and written by `write`, all at once; so an intent that cannot be written leaves no gap, and the
outcomes of statements that run already are kept until the journal is mended.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from access.gateway_rules import Keep
from audit.chain import timestamp
from audit.redaction import without_tokens
from gateway.admission import Admitted
from gateway.errors import NotRecorded
from gateway.journal.entries import Chain, Said, Session, Statement, content_of, outcome_rest
from gateway.journal.folder import StreamFolder
from gateway.journal.keeping import Keeper
from gateway.journal.syncing import Done, Syncer
from gateway.recording import Examined, Recorder, Verdict

#: How often a journal at its bound looks whether something was shipped, in seconds.
_LOOK_AGAIN = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a journal holds, and how long."""

    unshipped_bytes: int = 1024**3
    unshipped_entries: int = 4_000_000
    segment_bytes: int = 64 * 1024**2
    flush_every: float = 0.007
    """Seconds after which what nobody waits for is synced."""
    longest_text: int = 1024**2
    """Of a text or shape in one entry; the rest of a longer one is left out, and the entry says so."""


class Journal(Recorder):
    """`gateway.recording.Recorder`. Make it with `begin`, in the process that writes it."""

    def __init__(self, folder: StreamFolder, lock: int, *, keeper: Keeper, syncer: Syncer, limits: Limits) -> None:
        self.stream = folder.stream
        self._folder = folder
        self._lock = lock
        self._keeper = keeper
        self._syncer = syncer
        self._limits = limits
        self._chain = Chain(str(folder.stream))
        self._at = 0
        self._said: list[Said] = []
        self._sessions: dict[int, Session] = {}
        self._statements: dict[int, Statement] = {}
        self._last_session = self._last_statement = 0
        self._size = 0
        self._look_at = (0, 0)
        self._is_full = False
        self._looked = 0.0

    @classmethod
    def begin(
        cls,
        journal: Path,
        *,
        loop: asyncio.AbstractEventLoop,
        seal: Callable[[bytes], str],
        limits: Limits | None = None,
    ) -> Journal:
        """A new stream in the folder `journal`. Blocks for some milliseconds. Raises `NotRecorded`."""
        limits = limits or Limits()
        try:
            # The stream's name is bound into each sealed text, so that none can be shown as one of another stream.
            keeper = Keeper(longest=limits.longest_text, seal=seal)
            folder, lock = StreamFolder.create(journal, sealed_key=keeper.sealed_key)
            keeper.bind(folder.stream.bytes)
            header = {"after": 0, "why": "begun", "at": timestamp(datetime.now(UTC))}
            syncer = Syncer(folder, loop=loop, flush_every=limits.flush_every, header=header)
        except OSError as error:
            raise NotRecorded(f"The journal cannot be begun in {journal}: {error.strerror}.") from error
        syncer.start()
        begun = cls(folder, lock, keeper=keeper, syncer=syncer, limits=limits)
        begun._say("began", {"host": socket.gethostname(), "pid": os.getpid()})
        try:
            begun.write()
        except NotRecorded:
            os.close(lock)
            syncer.abandon()
            raise
        return begun

    # -- what the pipeline says -------------------------------------------------------------------------------------

    def opened(
        self, admitted: Admitted, *, client_ip: str, application: str, settings: Mapping[str, str] | None = None
    ) -> int:
        """See `Recorder`."""
        self._refuse_if_it_must_not_grow()
        self._last_session += 1
        number = self._last_session
        session = self._sessions[number] = Session(number, admitted.rules.keep)
        about = {**_who(admitted, client_ip), "application": without_tokens(application)}
        set_by_it = {without_tokens(name): without_tokens(value) for name, value in (settings or {}).items()}
        self._say("opened", {**about, **_how(admitted), "settings": set_by_it}, session, begins=session)
        return number

    def intent(self, session: int, examined: Examined, text: str, parameters: bytes = b"") -> int:
        """See `Recorder`."""
        self._refuse_if_it_must_not_grow()
        owner = self._session(session)
        self._last_statement += 1
        statement = self._statements[self._last_statement] = Statement(owner, time.perf_counter_ns())
        content = owner.known.get(examined.text_sha256)
        if content is None:
            content = content_of("intent", owner.number, self._about(owner, examined, text, parameters))
            if owner.keep is not Keep.TEXT:
                owner.remember(examined.text_sha256, content)
        self._said.append(Said(self._now(), content, begins=statement))
        return self._last_statement

    def refused(self, session: int, examined: Examined, text: str) -> None:
        """See `Recorder`."""
        self._refuse_if_it_must_not_grow()
        owner = self._session(session)
        reason = examined.refusal
        if examined.rule == "syntax" and owner.keep is not Keep.TEXT:
            # Near what it is, may be a literal, and behind an open quote all of the text.
            reason = reason.partition(" at or near ")[0]
        why = {"rule": examined.rule, "reason": reason}
        self._say("refused", {**self._about(owner, examined, text, b""), **why}, owner)

    def outcome(self, statement: int, verdict: Verdict, *, code: str = "", rows: int = 0, size: int = 0) -> None:
        """See `Recorder`."""
        about = self._statements.pop(statement, None)
        if about is not None and not about.is_void:
            took = (time.perf_counter_ns() - about.started) // 1000
            self._say_outcome(about, outcome_rest(verdict, code=code, rows=rows, size=size, took=took))

    def closed(self, session: int, reason: str) -> None:
        """See `Recorder`."""
        owner = self._sessions.pop(session, None)
        if owner is not None and not owner.is_void:
            self._say("closed", {"reason": without_tokens(reason)}, owner, ends=owner)

    def write(self) -> None:
        """See `Recorder`."""
        if self._syncer.failure is not None:
            self._resume()
        if not self._said:
            return
        said, self._said = self._said, []
        lines, hashes = self._chain.chained(said)
        data = b"".join(lines)
        try:
            if self._syncer.segment_size > self._limits.segment_bytes:
                header = {"after": self._chain.seq, "why": "full", "at": timestamp(datetime.now(UTC))}
                self._syncer.rotate(header)
            self._syncer.append(data)
        except OSError as error:
            self._take_back(said, lines, hashes)
            raise NotRecorded(f"The journal cannot be written: {error.strerror}.") from error
        self._go_on(len(data), hashes)

    def when_durable(self, done: Done) -> None:
        """See `Recorder`."""
        self._syncer.when_synced(done)

    def close(self, reason: str = "stopped") -> None:
        """The end of the stream, when the worker stops. Blocks until all is on the disk. Raises `NotRecorded`."""
        for number in list(self._statements):
            self.outcome(number, Verdict.CUT)
        for number in list(self._sessions):
            self.closed(number, reason)
        self._say("ended", {"how": reason})
        try:
            self.write()
            self._syncer.stop()
        except OSError as error:
            raise NotRecorded(f"The journal cannot be written: {error.strerror}.") from error
        finally:
            os.close(self._lock)

    # -- how it is kept -----------------------------------------------------------------------------------------------

    def _session(self, number: int) -> Session:
        if number not in self._sessions:
            raise NotRecorded("The beginning of this session could not be written.")
        return self._sessions[number]

    def _about(self, owner: Session, examined: Examined, text: str, parameters: bytes) -> dict[str, Any]:
        return {
            "fingerprint": examined.fingerprint,
            "sha256": examined.text_sha256,
            "classes": examined.classes,
            "parsed": examined.parsed,
            **self._keeper.kept(owner.keep, examined, text, parameters),
        }

    def _say_outcome(self, about: Statement, rest: bytes) -> None:
        # The number of the intent is known once that is chained, which is before this is.
        self._said.append(Said(self._now(), about.session.outcome, rest=rest, ends=about))

    def _say(
        self,
        kind: str,
        members: dict[str, Any],
        session: Session | None = None,
        *,
        begins: Session | None = None,
        ends: Session | None = None,
    ) -> None:
        content = content_of(kind, 0 if session is None else session.number, members)
        self._said.append(Said(self._now(), content, begins=begins, ends=ends))

    def _now(self) -> int:
        """Microseconds since 1970; never earlier than the entry before."""
        self._at = max(self._at, time.time_ns() // 1000)
        return self._at

    def _go_on(self, size: int, hashes: list[str]) -> None:
        self._chain.go_on(hashes)
        self._size += size
        if self._chain.seq >= self._look_at[0] or self._size >= self._look_at[1]:
            self._look_at_backlog()

    def _take_back(self, said: list[Said], lines: list[bytes], hashes: list[str]) -> None:
        """After a failed write: nothing that was said now begins. What did get into the file is told to be void."""
        landed = self._syncer.landed.count(b"\n") if lines else 0
        if landed:
            self._go_on(sum(map(len, lines[:landed])), hashes[:landed])
        ended = [one.ends for one in said[:landed]]
        for number, one in enumerate(said):
            if one.begins is not None:
                one.begins.is_void = True
                if number < landed and one.begins not in ended:
                    self._void(one.begins)
            elif number >= landed and not (one.ends is not None and one.ends.is_void):
                self._said.append(one)
        self._statements = {number: one for number, one in self._statements.items() if not one.is_void}
        self._sessions = {number: one for number, one in self._sessions.items() if not one.is_void}

    def _void(self, begins: Session | Statement) -> None:
        if isinstance(begins, Statement):
            self._say_outcome(begins, outcome_rest(Verdict.UNSENT, code="58030", rows=0, size=0, took=0))
        else:
            self._say("closed", {"reason": "The journal could not be written."}, begins, ends=begins)

    def _resume(self) -> None:
        failure = self._syncer.failure
        if not self._syncer.is_mended:
            said, self._said = self._said, []
            self._take_back(said, [], [])
            raise NotRecorded(f"The journal cannot be written: {_reason(failure)}.")
        self._syncer.resume()
        self._say(
            "trouble", {"what": f"The journal could not be written: {_reason(failure)}. Statements were refused."}
        )

    # -- the bound ----------------------------------------------------------------------------------------------------

    def _refuse_if_it_must_not_grow(self) -> None:
        if self._syncer.failure is not None and not self._syncer.is_mended:
            raise NotRecorded(f"The journal cannot be written: {_reason(self._syncer.failure)}.")
        if self._is_full:
            if time.monotonic() - self._looked >= _LOOK_AGAIN:
                self._look_at_backlog()
            if self._is_full:
                raise NotRecorded("The journal holds as much as it may that is not in the console's database yet.")

    def _look_at_backlog(self) -> None:
        """How much is not shipped; and when to look again, which is long before it could be too much."""
        limits, shipped = self._limits, self._folder.shipped()
        self._looked = time.monotonic()
        entries, size = self._chain.seq - shipped.seq, self._size - shipped.size
        self._is_full = entries >= limits.unshipped_entries or size >= limits.unshipped_bytes
        self._look_at = (
            self._chain.seq + max(1, min(limits.unshipped_entries // 16, limits.unshipped_entries - entries)),
            self._size + max(1, min(limits.unshipped_bytes // 16, limits.unshipped_bytes - size)),
        )


def _reason(failure: OSError | None) -> str:
    return (failure.strerror or str(failure)) if failure is not None else ""


def _who(admitted: Admitted, client_ip: str) -> dict[str, Any]:
    return {
        "person": {"id": admitted.person_id, "label": admitted.person_label},
        "credential": {"kind": admitted.credential_kind, "id": admitted.credential_id},
        "grant": {"id": admitted.grant_id, "reference": admitted.grant_reference},
        "role": {"slug": admitted.role_slug, "name": admitted.role_name},
        "server": admitted.server_name,
        "principal": admitted.upstream.user,
        "database": admitted.upstream.database,
        "ends_at": timestamp(admitted.ends_at),
        "client_ip": client_ip,
    }


def _how(admitted: Admitted) -> dict[str, Any]:
    return {
        "keep": admitted.rules.keep.value,
        "durability": admitted.rules.durability.value,
    }
