"""What the pipeline asks of a record. `gateway.journal` is the one that there is; its file format is documented there.

The order is the promise: `intent` before a byte of the statement goes to the server, `outcome` after. `write` puts what was
said into the file (a crash of the process loses nothing after it); `when_durable` tells when it is on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mypy_extensions import mypyc_attr

from gateway.admission import Admitted
from gateway.statements.statement import NameChange


class Verdict(StrEnum):
    """What became of a statement."""

    DONE = "done"
    FAILED = "failed"
    """The server said no; `code` is what it said."""
    LIMITED = "limited"
    """Cut by a limit of the role; `code` names which."""
    CUT = "cut"
    """The session ended in the middle of it."""
    SKIPPED = "skipped"
    """It was sent behind one that failed, and the server did not run it."""
    UNSENT = "unsent"
    """Recorded, and then not sent, because the record could not be made durable."""
    UNKNOWN = "unknown"
    """The gateway's worker died in the middle of it: whether the server ran it is not known here."""


@mypyc_attr(native_class=False)
@dataclass(frozen=True, slots=True)
class Examined:
    """A statement's text as it was understood, made once for each text and cached."""

    text_sha256: str
    fingerprint: str
    """16 hexadecimal digits: the same for texts that differ in literals, case or white space alone."""
    classes: tuple[str, ...]
    parsed: bool
    shape: str
    """The text with its literals removed."""
    refusal: str = ""
    """Empty when the rules allow it; else which rule says no, as a sentence."""
    hint: str = ""
    """How to ask for more."""
    rule: str = ""
    """The name of the rule that refused."""
    account: str = ""
    """The one account whose sessions may run it although the rule `role` refuses it to all others."""
    sqlstate: str = ""
    """Of a refusal in the server's own words; empty for those of a rule."""
    position: int = 0
    """Where in the text the server's own words point to, in characters from 1; 0 where they do not."""
    instead: str = ""
    """What is sent in the place of the text that was asked about, and is what all of this says: empty for that text."""
    names: tuple[NameChange, ...] = ()
    """What it does to the names of prepared statements and portals."""
    is_single: bool = True
    """The text holds one statement."""
    encoding: str = ""
    """The encoding that the texts behind it are in, where it sets one."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Recorder:
    """One worker's record. Not thread-safe: all calls come from the event loop's thread. Raises `NotRecorded`."""

    def opened(
        self, admitted: Admitted, *, client_ip: str, application: str, settings: Mapping[str, str] | None = None
    ) -> int:
        """A session begins, with the settings of its startup message; its number, which the other calls take."""
        raise NotImplementedError

    def intent(self, session: int, examined: Examined, text: str, parameters: bytes = b"") -> int:
        """A statement is about to be sent; its number. `parameters` as the wire carries them, kept only with the text."""
        raise NotImplementedError

    def refused(self, session: int, examined: Examined, text: str) -> None:
        """A statement was not sent, because a rule says no."""
        raise NotImplementedError

    def outcome(self, statement: int, verdict: Verdict, *, code: str = "", rows: int = 0, size: int = 0) -> None:
        """What became of it. `size` in bytes of result. How long it took is measured from its intent.

        Also for a statement whose intent was not made durable: `UNSENT`. Never raises, not at the bound either.
        """
        raise NotImplementedError

    def closed(self, session: int, reason: str) -> None:
        """The session is over."""
        raise NotImplementedError

    def write(self) -> None:
        """Everything said so far is in the file when this returns: one call for all that came at once.

        When it raises, no statement said since the last call may be sent, and no session opened since then exists; the
        record sees to both by itself. Outcomes are kept, and written as soon as that is possible again.
        """
        raise NotImplementedError

    def when_durable(self, done: Callable[[Exception | None], None]) -> None:
        """Call `done` on the event loop once everything written so far is fsynced, or with what went wrong."""
        raise NotImplementedError
