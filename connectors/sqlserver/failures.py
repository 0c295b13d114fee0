"""From what the driver and the server report to `connectors.errors`, by number: the words are localised.

Microsoft's driver for Python keeps the server's number to itself: an exception of it has a class and a phrase of its own
that stands for the SQLSTATE. After a statement the number is asked of the server (`@@ERROR`); of a login that failed
there is nobody to ask, and the phrase decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import mssql_python
from django.db.utils import Error
from mssql_python.exceptions import sqlstate_to_exception

from connectors.base import Authentication, Secret
from connectors.errors import (
    AdminLacksPrivilege,
    AdminLoginRefused,
    CertificateRefused,
    ConnectorError,
    ScopeNotOnServer,
    ServerFull,
    ServerRefused,
    ServerUnreachable,
    TriggerInTheWay,
)
from connectors.redaction import scrub

LOGIN_FAILED = 18456
CANNOT_OPEN_DATABASE = 4060
NO_SUCH_PRINCIPAL = 15151
NO_SUCH_SESSION = 6106
STILL_LOGGED_IN = 15434
TRIGGER_AT_LOGIN = 17892
#: A trigger ended the transaction, or raised an error while the statement ran under it.
_TRIGGERS = frozenset({3609, 3616, TRIGGER_AT_LOGIN})

#: A refused login comes with one phrase for many numbers, and with the server's words in the language of the server. Where
#: they are English they tell which number it was, and what is most likely to be done.
_TOLD: tuple[tuple[str, int, type[ConnectorError], str], ...] = (
    (
        "due to trigger execution",
        TRIGGER_AT_LOGIN,
        TriggerInTheWay,
        "A logon trigger of the server refuses it: let it pass where ORIGINAL_LOGIN() is Lockgate's account, or begins with"
        " lg_.",
    ),
    ("account is disabled", 18470, AdminLoginRefused, "The login is disabled: ALTER LOGIN … ENABLE."),
    (
        "is locked out",
        18486,
        AdminLoginRefused,
        "Too many wrong passwords have locked the login: ALTER LOGIN … UNLOCK.",
    ),
    (
        "has expired",
        18487,
        AdminLoginRefused,
        "The login's password has run out: set it anew, with CHECK_EXPIRATION = OFF.",
    ),
    (
        "must be changed",
        18488,
        AdminLoginRefused,
        "The login was made with MUST_CHANGE: set its password without that.",
    ),
    ("untrusted domain", 18452, AdminLoginRefused, "The server takes Windows logins alone: switch it to mixed mode."),
    (
        "is not allowed to access the server",
        40615,
        AdminLoginRefused,
        "The firewall of the server does not know this address: add a rule for it, or a private endpoint.",
    ),
    (
        "single user mode",
        18461,
        AdminLoginRefused,
        "The server was started in single-user mode, and somebody else is in.",
    ),
    (
        "script upgrade mode",
        18401,
        ServerUnreachable,
        "The server is upgrading itself: it lets in logins when it is done.",
    ),
    ("maximum limit for connections", 17809, ServerFull, ""),
    ("not currently available", 40613, ServerRefused, ""),
    (
        "not in the PRIMARY or SECONDARY role",
        983,
        ServerRefused,
        "The database's availability group is without a primary here: look at its state.",
    ),
    (
        "currently not accessible for queries",
        976,
        ServerRefused,
        "The database is a secondary that lets no readers in: give the address of the listener.",
    ),
    (
        "application intent",
        978,
        ServerRefused,
        "The database is a secondary for readers alone: give the address of the listener.",
    ),
)

_NOT_ALLOWED = frozenset({
    229, 230, 262, 297, 300, 916, 927,  # on an object, a column, in the database, on the server, to enter a database
    6102, 15247, 15199, 4613, 10344,  # to kill, to alter a principal
})  # fmt: skip
_NOT_ON_SERVER = frozenset({208, 911, 15009, 2812, 4902, NO_SUCH_PRINCIPAL})
#: Deadlock, lock timeout, out of memory or of workers, a database that is just being opened or moved.
_PASSING = frozenset(
    {1205, 1222, 701, 845, 922, 1204, 8645, 8651, 10928, 10929, 40197, 40501, 40613, 49918, 49919, 49920}
)

#: What is most likely behind the refusal of a login of ours.
_LIKELY = {
    LOGIN_FAILED: (
        "Most likely the password that the reference gives is not the login's; or the login is disabled or locked, or the"
        " server takes Windows logins alone. The server's own log tells the state."
    ),
    CANNOT_OPEN_DATABASE: "Most likely the database of this server's address is not there, or the login has no user in it.",
}
_LIKELY_OF_IDENTITY = (
    "Most likely the server does not know the identity: its administrator makes it with CREATE USER … FROM EXTERNAL PROVIDER"
    " (or CREATE LOGIN …), and the token has to be for https://database.windows.net/."
)


_LIKELY_OF_CERTIFICATE = (
    "Most likely the server's certificate was made by itself or for another name, or its authority is not in this machine's"
    " own store, which is the only one that Microsoft's driver knows."
)
#: OpenSSL's number of 'certificate verify failed', as the driver repeats it.
_CERTIFICATE = re.compile(r"error:[0-9A-F]{5}086:")


def _phrase(sqlstate: str) -> str:
    return str(getattr(sqlstate_to_exception(sqlstate, ""), "driver_error", ""))


_LOGIN_PHRASES = frozenset({_phrase("28000")})
_NO_DATABASE_PHRASES = frozenset({_phrase("42000"), _phrase("08004")})
_REFUSED_PHRASES = _LOGIN_PHRASES | _NO_DATABASE_PHRASES
_BROKEN_PHRASES = frozenset(_phrase(state) for state in ("08001", "08S01", "08003", "08007", "HYT01", "01002"))
_TIMEOUT_PHRASES = frozenset(_phrase(state) for state in ("HYT00", "HY008"))


def is_broken(error: BaseException) -> bool:
    """Whether the connection itself is gone, so that the server cannot be asked for a number."""
    cause = _cause(error)
    return _phrase_of(cause) in _BROKEN_PHRASES or isinstance(cause, mssql_python.InterfaceError)


def translate(error: BaseException, number: int, secrets: Iterable[Secret] = ()) -> ConnectorError:
    """Our error for a statement that failed. Its cause is the driver's own exception."""
    cause = _cause(error)
    kind: type[ConnectorError] = ServerRefused
    if is_broken(error):
        kind = ServerUnreachable
    elif number in _TRIGGERS:
        kind = TriggerInTheWay
    elif number in _NOT_ALLOWED:
        kind = AdminLacksPrivilege
    elif number in _NOT_ON_SERVER:
        kind = ScopeNotOnServer
    ours = _named(kind, number, cause, secrets)
    if number in _PASSING or _phrase_of(cause) in _TIMEOUT_PHRASES:
        ours.transient = True
    return ours


def refused_login(error: BaseException, secrets: Iterable[Secret] = ()) -> ConnectorError:
    """Our error for a login that failed: refused, or the database cannot be opened, or nobody answers."""
    cause = _cause(error)
    phrase = _phrase_of(cause)
    for words, number, kind, likely in _TOLD if phrase in _REFUSED_PHRASES else ():
        if words in str(getattr(cause, "ddbc_error", "")):
            ours = _named(kind, number, cause, secrets)
            ours.likely = likely
            return ours
    if phrase in _LOGIN_PHRASES:
        return _named(AdminLoginRefused, LOGIN_FAILED, cause, secrets)
    if phrase in _NO_DATABASE_PHRASES:
        return _named(ServerRefused, CANNOT_OPEN_DATABASE, cause, secrets)
    ours = _named(ServerUnreachable, 0, cause, secrets)
    return _named(CertificateRefused, 0, cause, secrets) if _CERTIFICATE.search(ours.detail) else ours


def likely_cause(refused: ConnectorError, authentication: Authentication) -> str:
    """What is most likely behind a refused login of our own, in a sentence; empty when nothing can be said."""
    if refused.likely:
        return refused.likely
    number = int(refused.code or 0)
    if number == LOGIN_FAILED and authentication is Authentication.ACCESS_TOKEN:
        return _LIKELY_OF_IDENTITY
    if _CERTIFICATE.search(refused.detail):
        return _LIKELY_OF_CERTIFICATE
    return _LIKELY.get(number, "")


def _cause(error: BaseException) -> BaseException:
    return error.__cause__ if isinstance(error, Error) and error.__cause__ is not None else error


def _phrase_of(cause: BaseException) -> str:
    return str(getattr(cause, "driver_error", ""))


def _named(kind: type[ConnectorError], number: int, cause: BaseException, secrets: Iterable[Secret]) -> ConnectorError:
    words = str(getattr(cause, "ddbc_error", "") or cause).removeprefix("[Microsoft]").removeprefix("[SQL Server]")
    ours = kind(scrub(words.strip(), secrets), code=str(number) if number else "")
    # The frames below hold the parameters of the connection: they go no further.
    ours.__cause__ = cause.with_traceback(None)
    return ours
