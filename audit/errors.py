"""What can go wrong with the audit log.

    AuditError
    ├── NotInTransaction    an entry without the change that it tells of
    ├── NotRecordable       a value that has no one canonical text
    ├── HeadMissing         the chain has lost its end
    ├── KeyUnknown          checkpoints cannot be signed with the key that is configured
    ├── StreamBroken        what a journal holds does not go on where the record of statements ends
    └── BadFilter           a search that cannot be understood

Each docstring is the sentence a person may read.
"""

from __future__ import annotations


class AuditError(Exception):
    """The audit log could not do what was asked."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def sentence(self) -> str:
        """What happened, for a person, in one line."""
        return (type(self).__doc__ or "").strip().splitlines()[0]

    def __str__(self) -> str:
        return f"{self.sentence} {self.detail}".strip()


class NotInTransaction(AuditError):
    """An audit entry is written in the same transaction as the change it tells of, and there is none here."""


class NotRecordable(AuditError):
    """A value cannot be written to the audit log, because it has no single text to compute a hash from."""


class HeadMissing(AuditError):
    """The audit log has lost the end of its chain. Nothing is recorded until an administrator has looked into it."""


class KeyUnknown(AuditError):
    """Checkpoints are not signed: the first of the configured keys is new, and none that was used before stands beside it."""


class StreamBroken(AuditError):
    """A journal of statements does not fit what is in the database. It is left alone until somebody has looked into it."""


class BadFilter(AuditError):
    """The search of the audit log cannot be understood."""
