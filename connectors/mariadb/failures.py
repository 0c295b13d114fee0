"""From what the client library and the server report to `connectors.errors`, by number: the words are localised."""

from __future__ import annotations

from collections.abc import Iterable

import MySQLdb

from connectors.base import Authentication, Secret
from connectors.errors import (
    AdminLacksPrivilege,
    AdminLoginRefused,
    CertificateRefused,
    ConnectorError,
    ScopeNotOnServer,
    ServerRefused,
    ServerUnreachable,
)
from connectors.mariadb import encryption
from connectors.redaction import scrub

UNKNOWN_DATABASE = 1049
ACCOUNT_LOCKED = 4151
#: The account has as many connections as it may have.
TOO_MANY_OF_ONE_ACCOUNT = 1226
#: By `max_password_errors`.
BLOCKED = 4150
#: `init_connect` failed: said only after the login, its password and its number of connections were found to be in order.
INIT_CONNECT_FAILED = 1184
#: What a server that checks passwords answers to the hash of one; the first is all it says of an account that is there.
TAKES_NO_HASH = frozenset({"1396", "1290", "1819"})
NO_SUCH_GRANT = 1141
UNREADABLE_ROUTINE = 1370

_UNREACHABLE = frozenset({
    2002, 2003, 2005,  # nobody listens, or no such host
    2006, 2013, 2055,  # the connection broke
    1040, 1203,  # too many connections
    1053, 1080,  # shutting down
    1158, 1159, 1160, 1161,  # the network failed while the server read or wrote
    1927,  # somebody killed our connection
})  # fmt: skip
_NOT_ALLOWED = frozenset({
    1044, 1142, 1143, 1227, UNREADABLE_ROUTINE,  # on a database, table, column, globally, on a routine
    1045, 1698,  # on a role of which we are not the administrator, and on what only the owner may do
    1410,  # to make accounts by granting
})  # fmt: skip
#: What the client library itself refuses about a server: its certificate, or how it wants to be logged in to.
_REFUSED_BY_CLIENT = frozenset({2026, 2058, 2059, 2061})
WRONG_PASSWORD = 1045
_TLS_FAILED = 2026
#: What is most likely behind the refusal of a login of ours.
_LIKELY = {
    WRONG_PASSWORD: (
        "Most likely the password that the reference gives is not the account's, or the account was made for another host"
        " than the one that Lockgate connects from. It can also be that an account without a name (''@host) stands in its"
        " way there, or that it asks for a client's certificate (REQUIRE X509), which Lockgate has not."
    ),
    1130: "Most likely no account is there for the address that Lockgate connects from: make it for '%' or that network.",
    1698: "Most likely the account logs in through the server's operating system alone (unix_socket): give it a password.",
    ACCOUNT_LOCKED: "The account is locked: ALTER USER … ACCOUNT UNLOCK, after asking who locked it and why.",
    TOO_MANY_OF_ONE_ACCOUNT: "Most likely MAX_USER_CONNECTIONS of the account is too small for all workers together.",
    1862: "The password of the account has expired: set another one, and PASSWORD EXPIRE NEVER.",
    2026: "Most likely the certificate is not one that the TLS setting and its certificate authority accept.",
    3159: "The server takes connections with TLS alone: choose 'verify-full', or 'require' at least.",
    1524: (
        "The plugin by which the account logs in is not loaded on the server: INSTALL SONAME …, or give the account"
        " another way to log in."
    ),
    BLOCKED: (
        "Too many wrong passwords (max_password_errors) have blocked the account: correct the reference, then FLUSH"
        " PRIVILEGES on the server."
    ),
    INIT_CONNECT_FAILED: (
        "What the server runs at each login (init_connect) failed and ended the connection: SET GLOBAL init_connect = '',"
        " or mend it; Lockgate's own account does not run it once it has CONNECTION ADMIN."
    ),
    encryption.WANTS_THE_PASSWORD: (
        "The server asks for the password as it is, as PAM and LDAP do. It is given inside TLS with a checked certificate"
        " alone: choose 'verify-full', or give the account mysql_native_password or ed25519."
    ),
}
_LIKELY_OF_IDENTITY = (
    "Most likely the server does not take the identity for this account: on Amazon RDS the account is made with"
    " AWSAuthenticationPlugin and the identity has the right rds-db:connect for it; on Azure it is made with AADUSER."
)
_NOT_ON_SERVER = frozenset({UNKNOWN_DATABASE, 1051, 1146, 1959, 1109})
#: The same statement may succeed later: lock waits, deadlocks, a timeout of ours, a server short of something, and
#: a server that is read-only while it changes places with its replica.
_PASSING = frozenset({1205, 1213, 1969, 1021, 1037, 1041, 1290, 1836, 3024})


def translate(error: BaseException, secrets: Iterable[Secret] = ()) -> ConnectorError:
    """Our error for a statement that failed. Its cause is mysqlclient's own exception."""
    code, words, cause = _told_by(error)
    if code in _UNREACHABLE:
        return _named(ServerUnreachable, code, words, cause, secrets)
    if code in _NOT_ALLOWED:
        return _named(AdminLacksPrivilege, code, words, cause, secrets)
    if code in _NOT_ON_SERVER:
        return _named(ScopeNotOnServer, code, words, cause, secrets)
    return _named(ServerRefused, code, words, cause, secrets)


def refused_login(error: BaseException, secrets: Iterable[Secret] = ()) -> ConnectorError:
    """Our error for a login of Lockgate's own account that failed."""
    code, words, cause = _told_by(error)
    if code == UNKNOWN_DATABASE:
        return _named(ServerRefused, code, words, cause, secrets)
    # What the server itself says, known to us or not, is an answer. The client library's own numbers are from 2000 on.
    is_unreachable = code in _UNREACHABLE or (2000 <= code < 3000 and code not in _REFUSED_BY_CLIENT)
    kind: type[ConnectorError] = ServerUnreachable if is_unreachable else AdminLoginRefused
    if code == _TLS_FAILED and "certificate" in words.lower():
        kind = CertificateRefused
    return _named(kind, code, words, cause, secrets)


def likely_cause(code: str, authentication: Authentication) -> str:
    """What is most likely behind a refused login of our own, in a sentence; empty when nothing can be said."""
    number = int(code)
    if number == WRONG_PASSWORD and authentication is Authentication.ACCESS_TOKEN:
        return _LIKELY_OF_IDENTITY
    return _LIKELY.get(number, "")


def code_of(error: BaseException) -> int:
    """The number of an exception of mysqlclient, or of Django around one; 0 where there is none."""
    return _told_by(error)[0]


def _told_by(error: BaseException) -> tuple[int, str, BaseException]:
    cause = error.__cause__ if isinstance(error.__cause__, MySQLdb.Error) else error
    told = cause.args
    if len(told) >= 2 and isinstance(told[0], int):
        return told[0], str(told[1]), cause
    # mysqlclient says without a number that a connection is closed already; nothing else comes without one.
    return 2006, str(cause), cause


def _named(
    kind: type[ConnectorError], code: int, words: str, cause: BaseException, secrets: Iterable[Secret]
) -> ConnectorError:
    ours = kind(scrub(words.strip(), secrets), code=str(code))
    if code in _PASSING:
        ours.transient = True
    # The frames below hold the parameters of the connection: they go no further.
    ours.__cause__ = cause.with_traceback(None)
    return ours
