"""Which text stands behind the name of a prepared statement or a portal, so that what is recorded is what runs.

A client may send a Parse that the server refuses because the name is taken, or one that it never reads because something
before it failed, and then use the name. So a name means something new only when the server has said so. Until then:

- within one batch (up to a Sync) the new meaning counts: should the server refuse it, it skips the rest of the batch too;
- across batches nothing is guessed: whoever needs such a name waits for the server's word (`Unsettled`).

SQL can change names as well (PREPARE, DEALLOCATE, DECLARE, CLOSE, DISCARD ALL), and the text tells which (`Examined.names`).
What SQL has named is recorded as what it is: the execution of a name. Portals end with their transaction.
"""

from __future__ import annotations

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
#: By what `Names.key` gives.
_Names = dict[bytes, _Meaning]
#: Kinds of names, as Close and Describe write them.
STATEMENT: Final = 0x53  # S
PORTAL: Final = 0x50  # P
_NO_STATEMENT: Final = b"S"
_NO_PORTAL: Final = b"P"


class Names:
    """The names of one session."""

    def __init__(self) -> None:
        self.default_encoding = "UTF8"
        self.client_encoding = "UTF8"
        self.server_encoding = "UTF8"
        # What the server has confirmed.
        self._statements: dict[bytes, Statement] = {}
        self._portals: dict[bytes, Portal] = {}
        self._characters = 0
        self._batch: _Names = {}
        self._batch_unsure = False
        self._flying: list[_Names | None] = []
        """One for each batch whose end the server has not told yet; None for one that may change any name."""

    def key(self, kind: int, name: bytes) -> bytes:
        """A name of the wire as the server keeps it, in its own encoding and cut; in front of it the letter of its kind."""
        if not name:
            return _NO_STATEMENT if kind == STATEMENT else _NO_PORTAL
        if self.client_encoding != self.server_encoding and not name.isascii():
            name = encoded(decoded(name, self.client_encoding), self.server_encoding)
        if len(name) > _LONGEST_NAME:
            name = name[:_LONGEST_NAME]
        return _NO_STATEMENT + name if kind == STATEMENT else _NO_PORTAL + name

    def reports(self, setting: str, value: str) -> None:
        """The server tells the value of a setting."""
        if setting == "client_encoding":
            self.client_encoding = value
        elif setting == "server_encoding":
            self.server_encoding = value

    def statement(self, key: bytes) -> Statement | None:
        """The statement of this name; None when its text is not known. Raises `Unsettled`."""
        if key in self._batch:
            found = self._batch[key]
            return found if isinstance(found, Statement) else None
        self._wait_if_in_flight(key)
        return None if self._batch_unsure else self._statements.get(key)

    def portal(self, key: bytes) -> Portal | None:
        """The portal of this name; None when its text is not known. Raises `Unsettled`."""
        if key in self._batch:
            found = self._batch[key]
            return found if isinstance(found, Portal) else None
        self._wait_if_in_flight(key)
        return None if self._batch_unsure else self._portals.get(key)

    def _wait_if_in_flight(self, key: bytes) -> None:
        for batch in self._flying:
            if batch is None or key in batch:
                raise Unsettled

    # --- What the client has sent

    def sent(self, key: bytes, meaning: _Meaning) -> tuple[bytes, _Meaning]:
        """A Parse, a Bind or, with None, a Close goes to the server; what to give to `acknowledged` when it says yes."""
        self._batch[key] = meaning
        if len(self._batch) > MOST_NAMES:
            raise TooManyNames(f"There are more than {MOST_NAMES} before a Sync.")
        return key, meaning

    def runs(self, statement: Statement) -> None:
        """A statement that may change names runs in this batch: should it fail, the server skips the rest of the batch."""
        for change in statement.examined.names:
            if change.name is None:
                self._batch_unsure = True
            else:
                self._batch[self._changed(change)] = None

    def _changed(self, change: NameChange) -> bytes:
        letter = _NO_STATEMENT if change.effect in (Effect.PREPARE, Effect.DEALLOCATE) else _NO_PORTAL
        return letter + encoded(change.name or "", self.server_encoding)

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

    def acknowledged(self, change: tuple[bytes, _Meaning]) -> None:
        """The server has done what `sent` told of."""
        key, meaning = change
        if isinstance(meaning, Portal):
            self._portals[key] = meaning
        else:
            self._forget(key)
        if isinstance(meaning, Statement):
            self._statements[key] = meaning
            self._characters += len(meaning.text)
            if self._characters > _MOST_CHARACTERS:
                raise TooManyNames(f"Their texts have more than {_MOST_CHARACTERS} characters.")
        if len(self._statements) + len(self._portals) > MOST_NAMES:
            raise TooManyNames(f"There are more than {MOST_NAMES}.")

    def _forget(self, key: bytes) -> None:
        if key[0] == PORTAL:
            self._portals.pop(key, None)
        elif key in self._statements:
            self._characters -= len(self._statements.pop(key).text)

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
        if kind == PORTAL:
            self._portals.clear()
        else:
            self._statements.clear()
            self._characters = 0

    def transaction_over(self) -> None:
        """No transaction is open any more, and portals end with theirs."""
        if self._portals:
            self._portals.clear()

    def batch_over(self) -> None:
        """The server is ready for the next one."""
        if self._flying:
            self._flying.pop(0)
