"""How to use an account from the clients that people have, with TLS as the target has it. Pure.

Microsoft's clients check the certificate's name whenever they check the certificate, and take their authorities from
the machine: `verify-ca` and a certificate authority's file are therefore shown as the full check, never as less.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from connectors.base import ConnectionHint, Target, Tls

#: Stands where the password belongs. Passwords are made of characters that need no quoting anywhere.
_PASSWORD = "{password}"  # noqa: S105 - it is where one goes
_DRIVER = "ODBC Driver 18 for SQL Server"
#: What may stand in a connection string as it is; anything else goes between braces.
_PLAIN = re.compile(r"[\w.:@,\\-]+")


def connection_hints(target: Target, principal: str, database: str) -> Sequence[ConnectionHint]:
    """See `Connector.connection_hints`."""
    address = _address(target, principal, database)
    return (
        ConnectionHint("sqlcmd", _sqlcmd(target, principal, database)),
        ConnectionHint("ODBC", _odbc(target, principal, database)),
        ConnectionHint("JDBC", _jdbc(target, principal, database)),
        ConnectionHint("SQLAlchemy", f"mssql+pyodbc://{address}?{_encoded({'driver': _DRIVER, **_odbc_tls(target)})}"),
        ConnectionHint(".env", f"DATABASE_URL=mssql://{address}?{_encoded(_odbc_tls(target))}"),
    )


def _sqlcmd(target: Target, principal: str, database: str) -> str:
    """Without the password: sqlcmd asks for it, and a command line is seen by everybody on the machine."""
    server = f"tcp:{target.host},{target.port}"
    encryption = {Tls.DISABLE: ["-No"], Tls.REQUIRE: ["-Nm", "-C"]}.get(target.tls, ["-Nm"])
    where = ["-d", database] if database else []
    return shlex.join(["sqlcmd", "-S", server, *where, "-U", principal, *encryption])


def _odbc(target: Target, principal: str, database: str) -> str:
    words = {
        "Driver": "{" + _DRIVER + "}",
        "Server": f"tcp:{target.host},{target.port}",
        **({"Database": braced(database)} if database else {}),
        "UID": braced(principal),
        "PWD": _PASSWORD,
        **_odbc_tls(target),
    }
    return ";".join(f"{word}={value}" for word, value in words.items())


def _odbc_tls(target: Target) -> dict[str, str]:
    if target.tls is Tls.DISABLE:
        return {"Encrypt": "no"}
    return {"Encrypt": "yes", "TrustServerCertificate": "yes" if target.tls is Tls.REQUIRE else "no"}


def _jdbc(target: Target, principal: str, database: str) -> str:
    # An address of IPv6 has no place before the port, only as a property.
    is_bare = ":" in target.host
    begin = "jdbc:sqlserver://" if is_bare else f"jdbc:sqlserver://{target.host}:{target.port}"
    words = {
        **({"serverName": target.host, "portNumber": str(target.port)} if is_bare else {}),
        **({"databaseName": braced(database)} if database else {}),
        "user": braced(principal),
        "password": _PASSWORD,
        **_jdbc_tls(target),
    }
    return begin + "".join(f";{word}={value}" for word, value in words.items())


def _jdbc_tls(target: Target) -> dict[str, str]:
    if target.tls is Tls.DISABLE:
        return {"encrypt": "false"}
    return {"encrypt": "true", "trustServerCertificate": "true" if target.tls is Tls.REQUIRE else "false"}


def _address(target: Target, principal: str, database: str) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{quote(principal, safe='')}:{_PASSWORD}@{host}:{target.port}/{quote(database, safe='')}"


def braced(value: str) -> str:
    """A value as a connection string takes it: `a;b}` → `{a;b}}}`."""
    return value if _PLAIN.fullmatch(value) else "{" + value.replace("}", "}}") + "}"


def _encoded(words: dict[str, str]) -> str:
    return urlencode(words, quote_via=quote)
