"""What can go wrong at the gateway. The first line of each docstring is the sentence that a person may read.

GatewayError
 ├── Refused            the client may not come in, or not run this
 │    ├── NotAdmitted
 │    ├── TooManyAttempts
 │    ├── TooManySessions
 │    ├── TlsNeeded
 │    ├── ReplicationRefused
 │    ├── SettingRefused
 │    ├── NotOpen
 │    ├── FunctionCallRefused
 │    ├── StatementRefused
 │    └── NotUnderstood     the server's own grammar does not take it
 ├── LimitReached       it ran, and was cut at a limit of the role
 │    └── MessageTooLong
 ├── SessionEnded       it was in, and is not any more
 ├── NotRecorded        the record cannot be written, so nothing runs
 ├── UpstreamFailed     the database server does not answer as it should
 │    └── SettingNotTaken
 ├── TooManyNames       one session keeps more prepared statements and portals than it may
 └── ProtocolViolated   the client does not speak the protocol
"""

from __future__ import annotations


class GatewayError(Exception):
    """The gateway could not do that."""

    sqlstate = "XX000"
    hint = ""
    position = 0
    """Where in the statement, in characters from 1; 0 where it is about no place."""

    def __init__(self, detail: str = "", *, hint: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint or type(self).hint

    def __str__(self) -> str:
        return f"{type(self).sentence()} {self.detail}".strip()

    @classmethod
    def sentence(cls) -> str:
        """What a person may read."""
        return (cls.__doc__ or "").partition("\n")[0]


class Refused(GatewayError):
    """This is refused."""

    sqlstate = "42501"


class NotAdmitted(Refused):
    """Sign-in failed: the token does not open this database for this user."""

    sqlstate = "28P01"
    hint = "Make a token on the page of your access in the console; it ends with the access."


class NotOpen(Refused):
    """Sign-in failed."""

    sqlstate = "28000"
    hint = "The page of your access in the console says how to connect."


class TooManyAttempts(Refused):
    """Too many failed attempts from here: wait a minute, then try again."""

    sqlstate = "28000"


class TooManySessions(Refused):
    """You have as many sessions open as this access role allows: close one first."""

    sqlstate = "53300"


class TlsNeeded(Refused):
    """The gateway takes no token over a connection without TLS: connect with sslmode=require or more."""

    sqlstate = "28000"


class ReplicationRefused(Refused):
    """Replication does not pass the gateway: it would read what nobody recorded."""

    sqlstate = "0A000"


class FunctionCallRefused(Refused):
    """A call of a function by its number does not pass the gateway: call it with SELECT."""

    sqlstate = "0A000"


class SettingRefused(Refused):
    """A setting cannot be given when connecting."""

    hint = "Leave it out of the connection string, of PGOPTIONS and of the service file."

    def __init__(self, name: str, why: str) -> None:
        super().__init__()
        self.name, self.why = name, why

    def __str__(self) -> str:
        return f"The setting {self.name[:63]!r} cannot be given when connecting. {self.why}"


class StatementRefused(Refused):
    """The access role does not allow this statement."""


class NotUnderstood(Refused):
    """The statement is not SQL that PostgreSQL takes."""

    def __init__(self, message: str, *, sqlstate: str, position: int) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.position = position

    def __str__(self) -> str:
        """In the words of the server's grammar, which clients know."""
        return self.detail


class LimitReached(GatewayError):
    """The statement was stopped at a limit of the access role."""

    sqlstate = "54000"
    hint = "Ask for less at a time, or ask an administrator of Lockgate for a role with a higher limit."

    def __init__(self, detail: str, *, limit: str) -> None:
        super().__init__(detail)
        self.limit = limit
        """`rows`, `bytes` or `time`."""

    @classmethod
    def in_time(cls, seconds: float) -> LimitReached:
        """It has taken as long as it may."""
        return cls(f"It has run for {seconds:g} seconds.", limit="time")


class MessageTooLong(LimitReached):
    """A single message is longer than the gateway takes."""

    hint = "Send a large value in parts, or by COPY, whose data may be of any length."

    def __init__(self, length: int, longest: int) -> None:
        super().__init__(
            f"It has {length} bytes, and {longest} ({longest >> 20} MiB) are the most, parameters and text together.",
            limit="message",
        )


class SessionEnded(GatewayError):
    """This session has ended."""

    sqlstate = "57P01"


class NotRecorded(GatewayError):
    """The statement was not run, because it could not be recorded."""

    sqlstate = "58030"
    hint = (
        "Nothing is lost on the database. Tell an administrator of Lockgate: its journal is full or cannot be written."
    )


class UpstreamFailed(GatewayError):
    """The database server cannot be reached, or does not let the account of this access in."""

    sqlstate = "08006"


class SettingNotTaken(UpstreamFailed):
    """The database server does not take a setting that was given when connecting."""

    hint = "Leave it out of the connection string, of PGOPTIONS and of the service file."

    def __init__(self, detail: str, *, sqlstate: str) -> None:
        super().__init__(detail)
        self.sqlstate = sqlstate
        """The server's own."""


class TooManyNames(GatewayError):
    """This session keeps too many prepared statements and portals: close those that are not used any more."""

    sqlstate = "54000"


class ProtocolViolated(GatewayError):
    """What was received is not the PostgreSQL protocol."""

    sqlstate = "08P01"
