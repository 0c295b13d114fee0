"""One login through mysqlclient, whoever logs in, and what is to be said when Lockgate's own account is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import MySQLdb

from connectors.base import Target, Tls
from connectors.errors import ConnectorError, ServerRefused, ServerUnreachable
from connectors.mariadb import encryption
from connectors.mariadb.failures import WRONG_PASSWORD, likely_cause, refused_login
from connectors.mariadb.versions import problem_with

#: Whatever the server makes of a client's first words (`skip-character-set-client-handshake`), names reach it as they are.
#: An item of a SET, so that more can follow.
NAMES = "NAMES utf8mb4 COLLATE utf8mb4_general_ci"
#: What somebody can set for the whole server, or have run at each login, and what no statement of ours works with: more items
#: of a SET, and a comment to MySQL, which is to be told apart by its version and not to be stumbled over.
NOT_HELD_BACK = "/*M!100100 , tx_read_only = 0, sql_big_selects = 1, sql_select_limit = 18446744073709551615 */"
#: Seconds that the network gets on top of what the server gets.
_NETWORK_GRACE = 5
_ASKS_FOR_TLS = (
    "The account asks for TLS (REQUIRE SSL), which is switched off for this server here: with TLS the same password is"
    " taken. Choose 'verify-full', or 'require' at least."
)


def address_of(target: Target) -> str:
    """The client library takes `localhost`, in just these letters, for the socket of whatever server runs beside it.

    To the resolver, and to the certificate, it is the same name in capitals.
    """
    return "LOCALHOST" if target.host == "localhost" else target.host


def driver_options(target: Target) -> dict[str, Any]:
    """How to connect, in mysqlclient's words; what concerns TLS is added by `encryption.connected`."""
    patience = max(1, round(target.statement_timeout.total_seconds())) + _NETWORK_GRACE
    return {
        "charset": "utf8mb4",
        "connect_timeout": max(1, round(target.connect_timeout.total_seconds())),
        "read_timeout": patience,
        "write_timeout": patience,
        "multi_statements": False,
        "local_infile": 0,
    }


def logged_in(target: Target, tls: dict[str, Any]) -> Any:
    """A connection of mysqlclient's as the target's account. Raises `MySQLdb.Error`."""
    return encryption.driver_connect(
        host=address_of(target),
        port=target.port,
        user=target.user,
        password=target.password.reveal(),
        init_command=f"SET {NAMES} {NOT_HELD_BACK}",
        **driver_options(target),
        **tls,
    )


def refused_ourselves(target: Target, error: BaseException) -> ConnectorError:
    """Our error for a login of Lockgate's own account that failed, with what is most likely behind it."""
    ours = refused_login(error, [target.password])
    if isinstance(ours, ServerUnreachable):
        return ours
    if problem := _problem_with_server(target):
        other = ServerRefused(problem)
        other.__cause__ = ours.__cause__
        return other
    ours.likely = likely_cause(ours.code, target.authentication)
    if ours.code == str(WRONG_PASSWORD) and _is_let_in_with_tls(target):
        ours.likely = _ASKS_FOR_TLS
    return ours


def _problem_with_server(target: Target) -> str:
    """A server that is no MariaDB may refuse us for what only MariaDB knows; it says what it is before any login."""
    try:
        return problem_with(encryption.greeting_of(target).version)
    except (ConnectorError, ValueError):
        return ""


def _is_let_in_with_tls(target: Target) -> bool:
    """Whether the same login gets in with TLS, which sends no more of the password than the one that was refused."""
    if target.tls is not Tls.DISABLE:
        return False
    protected = replace(target, tls=Tls.REQUIRE)
    try:
        encryption.connected(protected, lambda tls: logged_in(protected, tls)).close()
    except (ConnectorError, MySQLdb.Error):
        return False
    return True
