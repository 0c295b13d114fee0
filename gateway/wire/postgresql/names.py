"""Which text stands behind the name of a prepared statement or a portal, so that what is recorded is what runs.

A client may send a Parse that the server refuses because the name is taken, or one that it never reads because something
before it failed, and then use the name. So a name means something new only when the server has said so. Until then:

- within one batch (up to a Sync) the new meaning counts: should the server refuse it, it skips the rest of the batch too;
- across batches nothing is guessed: whoever needs such a name waits for the server's word (`Unsettled`).

SQL can change names as well (PREPARE, DEALLOCATE, DISCARD, DECLARE, CLOSE). After such a text the names it could have
changed are known no more, and what runs under them is recorded as what it is: the execution of a name.
"""

from __future__ import annotations

import re
from collections import deque

from gateway.errors import ProtocolViolated
from gateway.recording import Examined

#: How many names one session may have.
MOST_NAMES = 10_000

_MAKES_STATEMENTS = re.compile(r"\b(?:prepare|deallocate|discard)\b", re.IGNORECASE)
_MAKES_PORTALS = re.compile(r"\b(?:declare|close|discard)\b", re.IGNORECASE)
_DEALLOCATES_ONE = re.compile(r"\s*deallocate\s+(?:prepare\s+)?([a-z_][a-z0-9_$]*|\"[^\"]+\")\s*;?\s*", re.IGNORECASE)


class Unsettled(Exception):
    """The server has not said yet what a name stands for. Not an error: try again after its next word."""


class Statement:
    """A text that a client may run, as it is known in one session."""

    __slots__ = ("deallocates", "examined", "makes_portals", "makes_statements", "text")

    def __init__(self, text: str, examined: Examined) -> None:
        self.text = text
        self.examined = examined
        self.makes_statements = _MAKES_STATEMENTS.search(text) is not None
        self.makes_portals = _MAKES_PORTALS.search(text) is not None
        self.deallocates = b""
        """The one name that this takes away, where that is all it does."""
        if self.makes_statements and (one := _DEALLOCATES_ONE.fullmatch(text)) and one[1].lower() != "all":
            name = one[1][1:-1] if one[1].startswith('"') else one[1].lower()
            self.deallocates = name.encode()

    @property
    def makes_names(self) -> bool:
        """Whether running it may change what a name stands for."""
        return self.makes_statements or self.makes_portals


class Portal:
    """A statement with its parameters."""

    __slots__ = ("bytes", "parameters", "rows", "statement")

    def __init__(self, statement: Statement, parameters: bytes) -> None:
        self.statement = statement
        self.parameters = parameters
        self.rows = 0
        """What it has given so far; `gateway.wire.postgresql.answers` counts where the role limits it."""
        self.bytes = 0


_Meaning = Statement | Portal | None
_Names = dict[tuple[int, bytes], _Meaning]
#: Kinds of names, as Close and Describe write them.
STATEMENT, PORTAL = b"SP"


class Names:
    """The names of one session."""

    def __init__(self) -> None:
        self._settled: _Names = {}
        self._batch: _Names = {}
        self._batch_unsure = False
        self._flying: deque[_Names | None] = deque()
        """One for each batch whose end the server has not told yet; None for one that may change any name."""

    def statement(self, name: bytes) -> Statement | None:
        """The statement of this name; None when its text is not known. Raises `Unsettled`."""
        found = self._look_up((STATEMENT, name))
        return found if isinstance(found, Statement) else None

    def portal(self, name: bytes) -> Portal | None:
        """The portal of this name; None when its text is not known. Raises `Unsettled`."""
        found = self._look_up((PORTAL, name))
        return found if isinstance(found, Portal) else None

    def _look_up(self, key: tuple[int, bytes]) -> _Meaning:
        if key in self._batch:
            return self._batch[key]
        for batch in self._flying:
            if batch is None or key in batch:
                raise Unsettled
        return None if self._batch_unsure else self._settled.get(key)

    # --- What the client has sent

    def sent(self, kind: int, name: bytes, meaning: _Meaning) -> tuple[int, bytes, _Meaning]:
        """A Parse, a Bind or, with None, a Close goes to the server; what to give to `acknowledged` when it says yes."""
        self._batch[kind, name] = meaning
        if len(self._batch) > MOST_NAMES:
            raise ProtocolViolated(f"More than {MOST_NAMES} names before a Sync.")
        return kind, name, meaning

    def runs(self, statement: Statement) -> None:
        """A statement that may change names runs in this batch."""
        self._batch_unsure = True

    def batch_sent(self) -> None:
        """A Sync goes to the server, or a Query, which is a batch of its own."""
        self._flying.append(None if self._batch_unsure else self._batch)
        self._batch = {}
        self._batch_unsure = False

    def sync_ignored(self, batch: int) -> None:
        """The server has read past the Sync of this batch, counted from the oldest in flight: it goes on as the next."""
        before = self._flying[batch]
        del self._flying[batch]
        if batch < len(self._flying):
            behind = self._flying[batch]
            self._flying[batch] = None if before is None or behind is None else before | behind
        elif before is None:
            self._batch_unsure = True
        else:
            self._batch = before | self._batch

    def batch_unknown(self) -> None:
        """It is not known whether the server has skipped what was sent in this batch: its names mean nothing for sure."""
        self._batch = dict.fromkeys(self._batch)

    # --- What the server has said

    def acknowledged(self, change: tuple[int, bytes, _Meaning]) -> None:
        """The server has done what `sent` told of."""
        kind, name, meaning = change
        if meaning is None:
            self._settled.pop((kind, name), None)
            return
        self._settled[kind, name] = meaning
        if len(self._settled) > MOST_NAMES:
            raise ProtocolViolated(f"More than {MOST_NAMES} prepared statements and portals.")

    def ran(self, statement: Statement, *, is_done: bool) -> None:
        """A statement that may change names is through."""
        if statement.deallocates:
            if is_done:
                self._settled.pop((STATEMENT, statement.deallocates), None)
            return
        gone = {
            kind for kind, goes in ((STATEMENT, statement.makes_statements), (PORTAL, statement.makes_portals)) if goes
        }
        # Also after a failure: what it did before that stays done.
        self._settled = {key: meaning for key, meaning in self._settled.items() if key[0] not in gone}

    def batch_over(self) -> None:
        """The server is ready for the next one."""
        if self._flying:
            self._flying.popleft()
