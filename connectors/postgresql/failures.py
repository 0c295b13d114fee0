"""From what libpq and the server report to `connectors.errors`, by SQLSTATE: the words of a server are localised.

libpq keeps the SQLSTATE of a refused *login* to itself. `refused_login` therefore knocks a second time with libpq's
own protocol trace on and reads the code from there.
"""

from __future__ import annotations

import os
import re
import select
import tempfile
import time
from collections.abc import Iterable

import psycopg
from psycopg import pq

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

UNDEFINED_OBJECT = "42704"
UNKNOWN_DATABASE = "3D000"
INSUFFICIENT_PRIVILEGE = "42501"

#: Something was dropped between being found and being used: a schema, a table, a role, a function or type.
VANISHED = frozenset({"3F000", "42P01", UNDEFINED_OBJECT, "42883"})

#: No SQLSTATE: the server did not refuse, it asked for the password itself, which libpq was told not to give.
WANTS_THE_PASSWORD = "cleartext"  # noqa: S105 - a kind of failure

#: Exact codes first, then their first two characters.
_ERRORS: dict[str, type[ConnectorError]] = {
    "57P01": ServerUnreachable,  # shutting down
    "57P02": ServerUnreachable,  # crashed
    "57P03": ServerUnreachable,  # starting up
    "57P05": ServerUnreachable,  # idle for too long, by the server's idle_session_timeout
    "25P03": ServerUnreachable,  # the same in a transaction
    "25P04": ServerUnreachable,  # a transaction took longer than the server's transaction_timeout
    "53300": ServerFull,
    INSUFFICIENT_PRIVILEGE: AdminLacksPrivilege,
    UNKNOWN_DATABASE: ScopeNotOnServer,
    "3F000": ScopeNotOnServer,  # no such schema
    "42P01": ScopeNotOnServer,  # no such table
    UNDEFINED_OBJECT: ScopeNotOnServer,  # no such role
    "08": ServerUnreachable,  # the connection itself
    "28": AdminLoginRefused,
    WANTS_THE_PASSWORD: AdminLoginRefused,  # wants the password itself, over a connection on which it is not given
}

#: Two sessions met on one row or one lock.
_CONCURRENCY = frozenset({"40001", "40P01", "55P03", "23505", "42710"})
#: How two GRANTs on one object collide is an internal error of PostgreSQL's, as other things are that stay as they are. The
#: texts of internal errors are never translated: "tuple concurrently updated", "tuple concurrently deleted".
_INTERNAL, _CONCURRENTLY = "XX000", "tuple concurrently "
#: 16 and later: no membership of ours is one that could be passed on (`no possible grantors`).
_NO_GRANTORS = "no possible grantors"
#: The same statement may succeed later: a timeout, and a server short of something.
_PASSING = frozenset({"57014", "53000", "53100", "53200", "53400"})

#: What is most likely behind the refusal of a login of ours, with a password and with a token.
_LIKELY = {
    "28P01": (
        "Most likely the password that the reference gives is not the account's: compare them, or set it on the server"
        " anew."
    ),
    "28000": (
        "Most likely pg_hba.conf lets nobody in under this account, address, database and TLS setting, or the account is"
        " not there or has no LOGIN."
    ),
    WANTS_THE_PASSWORD: (
        "The server asks for the password as it is (`password`, ldap, pam or radius in pg_hba.conf). It is given inside TLS"
        " with a checked certificate alone: choose 'verify-full', or scram-sha-256 in pg_hba.conf."
    ),
}
_LIKELY_OF_IDENTITY = (
    "Most likely the server does not take the identity for this account: on Amazon RDS the account needs the role rds_iam"
    " and the identity the right rds-db:connect for it; on Azure the account is made by pgaadauth_create_principal and"
    " has the identity's name."
)

_NO_ADMIN = (
    "Most likely Lockgate's account has no ADMIN OPTION on the role, which PostgreSQL asks for from version 16 on."
)

_AT_LOGIN = (
    "It is an event trigger on login ({}). Let its function pass this account, or have a superuser run"
    " ALTER ROLE … SET event_triggers = off for Lockgate's."
)

#: OpenSSL's own words, which nobody translates, and libpq's about a name and a file of its own.
_CERTIFICATE = re.compile(r"certificate verify failed|server certificate for .* does not match|root certificate file")
_TRACED_CODE = re.compile(r'\tErrorResponse\t.*? C "([0-9A-Z]{5})"')
#: The context of the error, which is there when a function was running: at a login, that of an event trigger.
_TRACED_CONTEXT = re.compile(r' W "(.*?)" [stcdnF] "', re.DOTALL)
#: The first two characters of what a server says at a login by itself, whatever function is running.
_OF_THE_SERVER = frozenset({"08", "28", "53", "57"})


def translate(error: BaseException, secrets: Iterable[Secret] = ()) -> ConnectorError:
    """Our error for an exception of psycopg, or of Django around one. Its cause is psycopg's own exception."""
    cause = error.__cause__ if isinstance(error.__cause__, psycopg.Error) else error
    code = getattr(cause, "sqlstate", None) or ""
    ours = _named(_class_of(code), cause, _words_of(cause), code, secrets)
    ours.context = (isinstance(cause, psycopg.Error) and cause.diag.context) or ""
    if code == _INTERNAL and ours.detail == _NO_GRANTORS:
        ours = AdminLacksPrivilege(ours.detail, code=code, likely=_NO_ADMIN).with_traceback(None)
        ours.__cause__ = cause
    return ours


def is_collision(error: ConnectorError) -> bool:
    """Whether the statement met another session's, and may be tried again at once."""
    return error.code in _CONCURRENCY or (error.code == _INTERNAL and error.detail.startswith(_CONCURRENTLY))


def refused_login(
    error: BaseException,
    conninfo: dict[str, str],
    patience: float,
    secrets: Iterable[Secret] = (),
) -> ConnectorError:
    """Our error for a connection that could not be opened with `conninfo`."""
    cause = error.__cause__ if isinstance(error.__cause__, psycopg.Error) else error
    # libpq repeats what it was told to insist on, in whatever language it says the rest.
    if _CERTIFICATE.search(str(cause)):
        if isinstance(cause, psycopg.Error):
            cause._pgconn = None
        return _named(CertificateRefused, cause, str(cause), "", secrets)
    wants_password = conninfo.get("require_auth", "\0") in str(cause)
    code, context = (WANTS_THE_PASSWORD, "") if wants_password else _code_of_refusal(conninfo, patience)
    kind = _class_of(code) if code else _class_without_code(conninfo)
    if context and code[:2] not in _OF_THE_SERVER:
        kind = TriggerInTheWay
    if isinstance(cause, psycopg.Error):
        # It keeps the parameters of the connection, the password among them, for whoever prints it.
        cause._pgconn = None
    ours = _named(kind, cause, str(cause), code, secrets)
    ours.context = context
    if kind is TriggerInTheWay:
        ours.likely = _AT_LOGIN.format(context.splitlines()[0])
    return ours


def likely_cause(code: str, authentication: Authentication) -> str:
    """What is most likely behind a refused login of our own, in a sentence; empty when nothing can be said."""
    likely = _LIKELY.get(code, "")
    return _LIKELY_OF_IDENTITY if likely and authentication is Authentication.ACCESS_TOKEN else likely


def _named(
    kind: type[ConnectorError],
    cause: BaseException,
    words: str,
    code: str,
    secrets: Iterable[Secret],
) -> ConnectorError:
    ours = kind(scrub(words.strip(), secrets), code=code)
    if code in _PASSING or is_collision(ours):
        ours.transient = True
    # The frames below hold the parameters of the connection: they go no further.
    ours.__cause__ = cause.with_traceback(None)
    return ours


def _class_of(code: str) -> type[ConnectorError]:
    # A session that breaks leaves an error without a code: the server is not there any more.
    return ServerUnreachable if not code else _ERRORS.get(code) or _ERRORS.get(code[:2]) or ServerRefused


def _words_of(cause: BaseException) -> str:
    primary = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    return primary or str(cause)


def _class_without_code(conninfo: dict[str, str]) -> type[ConnectorError]:
    """For a libpq that does not trace logins: at least whether somebody is at home."""
    answer = pq.PGconn.ping(psycopg.conninfo.make_conninfo(**conninfo).encode())
    return AdminLoginRefused if answer == pq.Ping.OK else ServerUnreachable


def _code_of_refusal(conninfo: dict[str, str], patience: float) -> tuple[str, str]:
    """The SQLSTATE with which the server refuses this login now, empty when it does not answer, or lets us in; and the
    context of the refusal.
    """
    with tempfile.TemporaryFile() as trace:
        pgconn = pq.PGconn.connect_start(psycopg.conninfo.make_conninfo(**conninfo).encode())
        try:
            if pgconn.status == pq.ConnStatus.BAD:
                return "", ""
            pgconn.trace(trace.fileno())
            _knock(pgconn, time.monotonic() + patience)
            pgconn.untrace()  # libpq writes out what it holds back.
        except (psycopg.Error, OSError):
            return "", ""  # It was only a second look; the caller holds the error of the first.
        finally:
            pgconn.finish()
        trace.seek(0, os.SEEK_SET)
        traced = trace.read().decode(errors="replace")
        found = _TRACED_CODE.search(traced)
        context = _TRACED_CONTEXT.search(traced, found.end()) if found else None
        return found.group(1) if found else "", context.group(1) if context else ""


def _knock(pgconn: pq.abc.PGconn, deadline: float) -> None:
    """Drive the login to its end, whichever it is."""
    waits_for = pq.PollingStatus.WRITING
    while waits_for in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
        patience = deadline - time.monotonic()
        if patience <= 0:
            return
        reads = [pgconn.socket] if waits_for == pq.PollingStatus.READING else []
        writes = [pgconn.socket] if waits_for == pq.PollingStatus.WRITING else []
        select.select(reads, writes, [], patience)
        waits_for = pq.PollingStatus(pgconn.connect_poll())
