"""The texts of one session: in which encoding they are, and what is known of them, short ones at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mypy_extensions import i64

from gateway.examining import DEFAULT_ENCODING, SHORT, Examiner
from gateway.recording import Examined
from gateway.statements import Understood
from gateway.statements.postgresql.encodings import decoded
from gateway.wire.postgresql.answers import Answers
from gateway.wire.postgresql.names import Names, Statement, Unsettled

#: How many bytes of short texts one session remembers with what they were examined to be.
_MOST_REMEMBERED: Final = 131_072


class Unread(Exception):
    """A text that is too long to be understood while others wait. Not an error: it is tried again once it is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Texts:
    """What each text of the client is."""

    def __init__(self, *, examiner: Examiner, account: str, keeps_texts: bool, names: Names, answers: Answers) -> None:
        self.dialect = examiner.dialect
        self._examiner, self._account, self._keeps_texts = examiner, account, keeps_texts
        self._names, self._answers = names, answers
        self._known: dict[bytes, Statement] = {}
        self._remembered: i64 = 0
        self._asked = ""
        """What the client has asked to change its encoding to, until the server has said whether it has."""
        self._understood: tuple[str, Understood] | None = None
        """The long text that was understood last."""

    def statement(self, sql: bytes) -> Statement:
        """What a text is. Raises `Unread` and, where the server has to say something first, `Unsettled`."""
        known = self._known.get(sql)
        if known is not None:
            return known
        text = sql.decode() if sql.isascii() else decoded(sql, self._encoding())
        statement = Statement("", self._examined(text))
        if self._keeps_texts:
            statement.text = statement.examined.instead or text
        if len(sql) <= SHORT:
            if self._remembered > _MOST_REMEMBERED:
                self._forget()
            self._known[sql] = statement
            self._remembered += len(sql)
        return statement

    def understood(self, text: str, understood: Understood) -> None:
        """A long text was understood elsewhere: it will be asked for in a moment."""
        self._understood = (text, understood)

    def encoding_asked(self, encoding: str) -> None:
        """What is sent behind this is in another encoding, if the server agrees."""
        self._asked = self._names.default_encoding if encoding == DEFAULT_ENCODING else encoding
        self._forget()

    def _examined(self, text: str) -> Examined:
        if self._understood is not None and self._understood[0] == text:
            examined = self._examiner.examined(text, self._understood[1])
            self._understood = None
        else:
            glanced = self._examiner.glance(text)
            if glanced is None:
                raise Unread(text)
            examined = glanced
        if examined.account and examined.account == self._account:
            # SET ROLE to the session's own account.
            return replace(examined, refusal="", hint="", rule="", account="")
        return examined

    def _encoding(self) -> str:
        if self._asked:
            if self._answers.is_behind_a_batch:
                raise Unsettled
            if self._answers.is_done:
                self._asked = ""
            else:
                # In the same batch: should it fail, the server skips what is behind it.
                return self._asked
        return self._names.client_encoding

    def _forget(self) -> None:
        self._known.clear()
        self._remembered = 0
