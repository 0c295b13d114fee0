"""Which text stands behind the name of a prepared statement or a portal, so that what is recorded is what runs.

A client may send a Parse that the server refuses because the name is taken, or one that it never reads because something
before it failed, and then use the name. So a name means something new only when the server has said so. Until then:

- within one batch (up to a Sync) the new meaning counts: should the server refuse it, it skips the rest of the batch too;
- across batches nothing is guessed: whoever needs such a name waits for the server's word (`Unsettled`).

SQL can change names as well (PREPARE, DEALLOCATE, DECLARE, CLOSE, DISCARD ALL), and the text tells which (`Examined.names`).
What SQL has named is recorded as what it is: the execution of a name. Portals end with their transaction.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from gateway.errors import TooManyNames
from gateway.recording import Examined
from gateway.statements.postgresql.encodings import decoded, encoded
from gateway.statements.statement import Effect, NameChange

#: How many names one session may have.
MOST_NAMES = 10_000

#: And how many characters of texts stand behind them, where the record keeps whole texts.
_MOST_CHARACTERS: Final = 67_108_864
#: PostgreSQL's NAMEDATALEN, less one: what a name has beyond, the server does not see.
_LONGEST_NAME: Final = 63


class Unsettled(Exception):
    """The server has not said yet what a name stands for. Not an error: try again after its next word."""


class Statement:
    """A text that a client may run, as it is known in one session."""

    __slots__ = ("examined", "text")

    def __init__(self, text: str, examined: Examined) -> None:
        self.text = text
        """Empty where the record keeps no texts."""
        self.examined = examined

    @property
    def makes_names(self) -> bool:
        """Whether running it may change what a name stands for."""
        return bool(self.examined.names)


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
        self.default_encoding = "UTF8"
        self.client_encoding = "UTF8"
        self.server_encoding = "UTF8"
        self._settled: _Names = {}
        self._characters = 0
        self._batch: _Names = {}
        self._batch_unsure = False
        self._flying: deque[_Names | None] = deque()
        """One for each batch whose end the server has not told yet; None for one that may change any name."""

    def key(self, name: bytes) -> bytes:
        """A name of the wire as the server keeps it: in its own encoding, and cut."""
        if not name.isascii() and self.client_encoding != self.server_encoding:
            name = encoded(decoded(name, self.client_encoding), self.server_encoding)
        return name[:_LONGEST_NAME]

    def reports(self, setting: str, value: str) -> None:
        """The server tells the value of a setting."""
        if setting == "client_encoding":
            self.client_encoding = value
        elif setting == "server_encoding":
            self.server_encoding = value

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
            raise TooManyNames(f"There are more than {MOST_NAMES} before a Sync.")
        return kind, name, meaning

    def runs(self, statement: Statement) -> None:
        """A statement that may change names runs in this batch: should it fail, the server skips the rest of the batch."""
        for change in statement.examined.names:
            if change.name is None:
                self._batch_unsure = True
            else:
                self._batch[self._changed(change)] = None

    def _changed(self, change: NameChange) -> tuple[int, bytes]:
        kind = STATEMENT if change.effect in (Effect.PREPARE, Effect.DEALLOCATE) else PORTAL
        return kind, encoded(change.name or "", self.server_encoding)

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
        self._forget((kind, name))
        if meaning is None:
            return
        self._settled[kind, name] = meaning
        if isinstance(meaning, Statement):
            self._characters += len(meaning.text)
        if len(self._settled) > MOST_NAMES:
            raise TooManyNames(f"There are more than {MOST_NAMES}.")
        if self._characters > _MOST_CHARACTERS:
            raise TooManyNames(f"Their texts have more than {_MOST_CHARACTERS} characters.")

    def _forget(self, key: tuple[int, bytes]) -> None:
        gone = self._settled.pop(key, None)
        if isinstance(gone, Statement):
            self._characters -= len(gone.text)

    def ran(self, statement: Statement, *, is_done: bool) -> None:
        """A statement that may change names is through."""
        if not is_done and statement.examined.is_single:
            # It has changed nothing. Of several, those before the one that failed have.
            return
        for change in statement.examined.names:
            if change.name is None:
                kind = STATEMENT if change.effect is Effect.DEALLOCATE else PORTAL
                self._forget_all(kind)
                continue
            self._forget(self._changed(change))

    def _forget_all(self, kind: int) -> None:
        for key in [key for key in self._settled if key[0] == kind]:
            self._forget(key)

    def transaction_over(self) -> None:
        """No transaction is open any more, and portals end with theirs."""
        self._forget_all(PORTAL)

    def batch_over(self) -> None:
        """The server is ready for the next one."""
        if self._flying:
            self._flying.popleft()
