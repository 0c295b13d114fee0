"""Whether our own account can do everything on a server of Azure SQL, with the remedy for each thing that is missing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta

from connectors.azuresql.catalogue import OFFLINE, databases
from connectors.azuresql.setup import DATABASE_PERMISSIONS, remedy_in
from connectors.base import CheckReport, Remedy, Scope, Target
from connectors.errors import ConnectorError
from connectors.quoting import UnquotableName, sqlserver_text
from connectors.sqlserver import rehearsal, surroundings
from connectors.sqlserver.checking import AZURE_SQL_DATABASE, is_encrypted, not_encrypted, server_time
from connectors.sqlserver.session import DEFAULT_DATABASE, Sessions

_OURSELVES = (
    "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), CAST(SERVERPROPERTY('EngineEdition') AS int)"
)
_HELD = ", ".join(
    f"HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', {sqlserver_text(permission)})" for permission in DATABASE_PERMISSIONS
)
_READ_ONLY = "CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(20))"
#: How long a check goes through the databases one by one: somebody is waiting for it.
_PATIENCE_SECONDS = 4.0


def check(target: Target, sessions: Sessions, scopes: Sequence[Scope] = ()) -> CheckReport:
    """See `Connector.check`."""
    home = sessions.home
    begun = time.monotonic()
    home.rows("SELECT 1")
    latency = timedelta(seconds=time.monotonic() - begun)
    version, edition = home.rows(_OURSELVES)[0]
    remedies = [*_about_server(edition), *_about_shut(target, sessions), *_about_databases(target, sessions, scopes)]
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


def _about_shut(target: Target, sessions: Sessions) -> Iterator[Remedy]:
    """Databases that no revocation can read: each stays unclean until they are opened, or known to be shut for good."""
    for database, state in sessions.home.rows(OFFLINE):
        problem = f"Database {database} is {str(state).lower()}: nobody can prove that nothing is left in it."
        yield _shut(target, str(database), problem, "Resume or restore it, or delete it, in Azure.")


def _shut(target: Target, database: str, problem: str, how: str) -> Remedy:
    if database in target.known_shut:
        return Remedy(
            f"Database {database} is known to be shut: what an account may have left in it is not seen.",
            "Nothing. If it opens again, take it off the list on this page.",
            blocking=False,
        )
    shut_for_good = "If it is shut for good, write that down on this page: no revocation waits for it then."
    return Remedy(f"{problem} Every revocation on this server would wait for it.", f"{how} {shut_for_good}")


def _about_databases(target: Target, sessions: Sessions, scopes: Sequence[Scope]) -> Iterator[Remedy]:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    named = {database for scope in scopes for database in scope.databases}
    there = databases(sessions)
    if sessions.home.database == DEFAULT_DATABASE:
        known = {*there, *(str(name) for name, _ in sessions.home.rows(OFFLINE))}
        for database in sorted(named - known):
            problem = f"Access roles name database {database}, which is not on the server."
            yield Remedy(problem, "Correct the access role, or make it.")
    unseen = []
    for database in sorted(there, key=lambda name: (name not in named, name)):
        if time.monotonic() > deadline:
            unseen.append(database)
        else:
            within = [scope for scope in scopes if database in scope.databases]
            yield from _about_database(target, sessions, database, within)
    if unseen:
        problem = f"{len(unseen)} databases were not looked into, for want of time: {', '.join(unseen[:5])} …"
        yield Remedy(problem, "Nothing, if access roles that name them work.", blocking=False)


def _about_database(target: Target, sessions: Sessions, database: str, scopes: Sequence[Scope]) -> Iterator[Remedy]:
    try:
        with sessions.visit(database) as session:
            read_only, *held = session.rows(f"SELECT {_READ_ONLY}, {_HELD}")[0]
            found = [*surroundings.about_database(session, scopes)]
            if scopes and read_only != "READ_ONLY" and all(one == 1 for one in held):
                found += rehearsal.of_database(session, scopes)
    except ConnectorError as error:
        problem = f"Database {database} cannot be entered, so nothing in it can be given, or shown to be gone: {error}"
        yield _shut(target, database, problem, _what_to_do(database, target.user))
        return
    yield from found
    if read_only == "READ_ONLY":
        yield Remedy(
            f"Database {database} is read-only, as a geo-replica is: nothing can be given in it, and nothing ended.",
            "Give the address of the primary.",
            blocking=bool(scopes),
        )
    for (permission, purpose), holds in zip(DATABASE_PERMISSIONS.items(), held, strict=True):
        if holds != 1:
            problem = f"In database {database}, Lockgate's account lacks {permission}, {purpose}."
            # What we may not see is never shown to be gone, in any database; the rest is needed where we give something.
            blocking = bool(scopes) or permission in ("VIEW DATABASE STATE", "VIEW DEFINITION")
            yield Remedy(problem, _what_to_do(database, target.user), blocking=blocking)


def _what_to_do(database: str, user: str) -> str:
    try:
        return remedy_in(database, user)
    except UnquotableName:
        return "Give Lockgate's account a name that the server can hold."
