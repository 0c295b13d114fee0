"""Whether our own account can do everything on a server of Azure SQL, with the remedy for each thing that is missing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

from connectors.azuresql.catalogue import databases
from connectors.azuresql.setup import DATABASE_PERMISSIONS, remedy_in
from connectors.base import CheckReport, Remedy, Target
from connectors.errors import ConnectorError
from connectors.quoting import UnquotableName, sqlserver_text
from connectors.sqlserver.checking import AZURE_SQL_DATABASE, is_encrypted, not_encrypted, server_time
from connectors.sqlserver.session import Sessions

_OURSELVES = (
    "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), CAST(SERVERPROPERTY('EngineEdition') AS int)"
)
_HELD = ", ".join(
    f"HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', {sqlserver_text(permission)})" for permission in DATABASE_PERMISSIONS
)
_READ_ONLY = "CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(20))"
#: How long a check goes through the databases one by one: somebody is waiting for it.
_PATIENCE_SECONDS = 4.0


def check(target: Target, sessions: Sessions) -> CheckReport:
    """See `Connector.check`."""
    home = sessions.home
    begun = time.monotonic()
    home.rows("SELECT 1")
    latency = timedelta(seconds=time.monotonic() - begun)
    version, edition = home.rows(_OURSELVES)[0]
    remedies = [*_about_server(edition), *_about_databases(target, sessions)]
    encrypted = is_encrypted(target, home)
    if not encrypted:
        remedies.append(not_encrypted(target))
    return CheckReport(
        version=f"Azure SQL {version}",
        latency=latency,
        server_time=server_time(home),
        remedies=tuple(sorted(remedies, key=lambda remedy: not remedy.blocking)),
        encrypted=encrypted,
    )


def _about_server(edition: int | None) -> Iterator[Remedy]:
    if edition != AZURE_SQL_DATABASE:
        yield Remedy(
            "This is no Azure SQL Database: it has logins of its own, which this engine does not use.",
            "Add it with the engine SQL Server.",
        )


def _about_databases(target: Target, sessions: Sessions) -> Iterator[Remedy]:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    unseen = []
    for database in databases(sessions):
        if time.monotonic() > deadline:
            unseen.append(database)
        else:
            yield from _about_database(target, sessions, database)
    if unseen:
        problem = f"{len(unseen)} databases were not looked into, for want of time: {', '.join(unseen[:5])} …"
        yield Remedy(problem, "Nothing, if access roles that name them work.", blocking=False)


def _about_database(target: Target, sessions: Sessions, database: str) -> Iterator[Remedy]:
    try:
        with sessions.visit(database) as session:
            read_only, *held = session.rows(f"SELECT {_READ_ONLY}, {_HELD}")[0]
    except ConnectorError as error:
        problem = f"Database {database} cannot be entered, so nothing in it can be given, or shown to be gone: {error}"
        yield Remedy(problem, _what_to_do(database, target.user), blocking=False)
        return
    if read_only == "READ_ONLY":
        yield Remedy(
            f"Database {database} is read-only, as a geo-replica is.",
            "Give the address of the primary.",
            blocking=False,
        )
    for (permission, purpose), holds in zip(DATABASE_PERMISSIONS.items(), held, strict=True):
        if holds != 1:
            problem = f"In database {database}, Lockgate's account lacks {permission}, {purpose}."
            yield Remedy(problem, _what_to_do(database, target.user), blocking=False)


def _what_to_do(database: str, user: str) -> str:
    try:
        return remedy_in(database, user)
    except UnquotableName:
        return "Give Lockgate's account a name that the server can hold."
