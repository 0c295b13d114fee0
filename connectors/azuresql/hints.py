"""How people connect to Azure SQL: with an account of a grant, or as themselves through Entra ID. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from connectors.base import PRINCIPAL_PREFIX, ConnectionHint, Target
from connectors.sqlserver import hints
from connectors.sqlserver.hints import braced

_DRIVER = "ODBC Driver 18 for SQL Server"


def connection_hints(target: Target, principal: str, database: str) -> Sequence[ConnectionHint]:
    """See `Connector.connection_hints`. Who is no account of ours is a person, who signs in through Entra ID."""
    if principal.startswith(PRINCIPAL_PREFIX):
        return hints.connection_hints(target, principal, database)
    server = f"tcp:{target.host},{target.port}"
    where = ["-d", database] if database else []
    odbc = (
        f"Driver={{{_DRIVER}}};Server={server};Database={braced(database)};UID={braced(principal)};"
        "Authentication=ActiveDirectoryInteractive;Encrypt=yes"
    )
    jdbc = (
        f"jdbc:sqlserver://{target.host}:{target.port};databaseName={braced(database)};user={braced(principal)};"
        "authentication=ActiveDirectoryInteractive;encrypt=true"
    )
    host = f"[{target.host}]" if ":" in target.host else target.host
    words = urlencode(
        {"driver": _DRIVER, "Authentication": "ActiveDirectoryInteractive", "Encrypt": "yes"}, quote_via=quote
    )
    address = f"{quote(principal, safe='')}@{host}:{target.port}/{quote(database, safe='')}"
    return (
        ConnectionHint("sqlcmd", shlex.join(["sqlcmd", "-S", server, *where, "-G", "-U", principal])),
        ConnectionHint("ODBC", odbc),
        ConnectionHint("JDBC", jdbc),
        ConnectionHint("SQLAlchemy", f"mssql+pyodbc://{address}?{words}"),
        ConnectionHint("Python", f'mssql_python.connect("{odbc.partition(";")[2]}")'),
    )
