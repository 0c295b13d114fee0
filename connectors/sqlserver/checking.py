"""Whether our own account can do everything on a server, with the remedy for each thing that is missing.

What the server is able to do is asked for, not concluded from its name or version.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from connectors.base import CheckReport, Remedy, Scope, Target, Tls
from connectors.errors import ConnectorError, ServerUnreachable
from connectors.quoting import UnquotableName, sqlserver_name, sqlserver_text
from connectors.sqlserver import rehearsal, replicas, surroundings
from connectors.sqlserver.catalogue import DATABASES, EVERY_DATABASE
from connectors.sqlserver.session import LOST, Session, Sessions
from connectors.sqlserver.setup import SERVER_PERMISSIONS, remedy_in

#: The first version of SQL Server that Lockgate is made for: 2017.
OLDEST = 14
_YEARS = {14: "2017", 15: "2019", 16: "2022", 17: "2025"}
#: What `SERVERPROPERTY('EngineEdition')` says of Azure SQL Database, where there are no logins that could be used.
AZURE_SQL_DATABASE = 5

_OURSELVES = (
    "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), CAST(SERVERPROPERTY('EngineEdition') AS int),"
    " CAST(SERVERPROPERTY('IsIntegratedSecurityOnly') AS int), SUSER_SNAME(), IS_SRVROLEMEMBER('sysadmin')"
)
_ENCRYPTED = "SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID"
SERVER_TIME = "SELECT SYSUTCDATETIME()"
_HELD = "HAS_PERMS_BY_NAME(NULL, NULL, {permission})"
#: Asked by name from where we are: nothing has to be opened.
_CONTROLLED = (
    "SELECT name, HAS_PERMS_BY_NAME(QUOTENAME(name), 'DATABASE', 'CONTROL') FROM sys.databases WHERE state = 0"
)
EVERY_NAME = "SELECT name, state FROM sys.databases"
#: What takes no changes, and whether that was set, or comes from being a secondary or a standby.
_READ_ONLY = (
    "SELECT name, is_read_only FROM sys.databases"
    " WHERE state = 0 AND CAST(DATABASEPROPERTYEX(name, 'Updateability') AS nvarchar(20)) = N'READ_ONLY'"
)
#: How long a check goes through the databases one by one: somebody is waiting for it.
_PATIENCE_SECONDS = 4.0


def check(target: Target, sessions: Sessions, scopes: Sequence[Scope] = ()) -> CheckReport:
    """See `Connector.check`."""
    home = sessions.home
    begun = time.monotonic()
    home.rows("SELECT 1")
    latency = timedelta(seconds=time.monotonic() - begun)
    version, edition, windows_only, ourselves, is_sysadmin = home.rows(_OURSELVES)[0]
    remedies = [
        *_about_server(str(version), edition, windows_only=windows_only == 1),
        *_about_account(home, str(ourselves), is_sysadmin=is_sysadmin == 1),
        *_about_databases(home, str(ourselves), scopes, is_sysadmin=is_sysadmin == 1),
        *_about_shut(home, target, str(ourselves)),
        *surroundings.about_server_triggers(home),
    ]
    remedies += _inside(sessions, scopes, is_ready=not any(remedy.blocking for remedy in remedies))
    encrypted = is_encrypted(target, home)
    if not encrypted:
        remedies.append(not_encrypted(target))
    return CheckReport(
        version=_label(str(version)),
        latency=latency,
        server_time=server_time(home),
        remedies=tuple(sorted(remedies, key=lambda remedy: not remedy.blocking)),
        encrypted=encrypted,
        replicas=replicas.secondaries(home),
    )


def server_time(session: Session) -> datetime:
    """The server's own clock, aware UTC."""
    told: datetime = session.rows(SERVER_TIME)[0][0]
    return told.replace(tzinfo=UTC)


def is_encrypted(target: Target, session: Session) -> bool:
    """Whether the connection we have is encrypted, as the server sees it."""
    try:
        told = session.texts(_ENCRYPTED)
    except ServerUnreachable:
        raise
    except ConnectorError:
        told = []
    if not told:
        # Without VIEW SERVER STATE the server does not say. The driver was told to go on with encryption or not at all.
        return target.tls is not Tls.DISABLE
    return told[0].upper() == "TRUE"


def not_encrypted(target: Target) -> Remedy:
    """What to do about a connection that anybody on the way can read."""
    if target.tls is Tls.DISABLE:
        what_to_do = "Choose verify-full for this server: SQL Server always has a certificate to start from."
    else:
        what_to_do = "Give the server a certificate, and look for what ends the encryption on the way to it."
    problem = "The connection is not encrypted: passwords and what people read can be read on the way."
    return Remedy(problem, what_to_do, blocking=False)


def _about_server(version: str, edition: int | None, *, windows_only: bool) -> Iterator[Remedy]:
    if edition == AZURE_SQL_DATABASE:
        yield Remedy(
            "This is Azure SQL Database, where accounts live in each database.",
            "Add it with the engine Azure SQL.",
        )
    if windows_only:
        yield Remedy(
            "The server takes Windows logins alone, so no account that Lockgate makes could log in.",
            "Switch it to SQL Server and Windows authentication mode, and start it again.",
        )
    if _major(version) < OLDEST:
        yield Remedy(
            f"The server calls itself version {version}; Lockgate is made for SQL Server 2017 ({OLDEST}) and later.",
            "Try an access role on it before you rely on it.",
            blocking=False,
        )


def _about_account(home: Session, ourselves: str, *, is_sysadmin: bool) -> Iterator[Remedy]:
    if is_sysadmin:
        # Nothing can be missing, and what a sysadmin holds is not told permission by permission everywhere.
        yield Remedy(
            "Lockgate's account is a member of sysadmin, which is more than it needs.",
            "Make one with the SQL that this page shows, and give Lockgate that one.",
            blocking=False,
        )
        return
    asked = ", ".join(_HELD.format(permission=sqlserver_text(permission)) for permission in SERVER_PERMISSIONS)
    held = home.rows(f"SELECT {asked}")[0]
    for (permission, purpose), holds in zip(SERVER_PERMISSIONS.items(), held, strict=True):
        if holds != 1:
            what_to_do = f"In master: GRANT {permission} TO {sqlserver_name(ourselves)};"
            yield Remedy(f"Lockgate's account lacks {permission}, {purpose}.", what_to_do)


def _inside(sessions: Sessions, scopes: Sequence[Scope], *, is_ready: bool) -> Iterator[Remedy]:
    """What is in each database, as long as somebody may wait for it; those that access roles name come first."""
    home = sessions.home
    if is_ready and home.has_catalogue_of_logins:
        with sessions.visit(home.database) as session:
            yield from rehearsal.of_logins(session)
    named = {database for scope in scopes for database in scope.databases}
    open_ones = [str(name) for name, may_enter in home.rows(DATABASES) if may_enter]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    unseen = []
    for database in sorted(open_ones, key=lambda name: (name not in named, name)):
        if time.monotonic() > deadline:
            unseen.append(database)
            continue
        within = [scope for scope in scopes if database in scope.databases]
        try:
            with sessions.visit(database) as session:
                yield from surroundings.about_database(session, within)
                if within and is_ready and session.has_catalogue_of_permissions:
                    yield from rehearsal.of_database(session, within)
        except LOST:
            raise
        except ConnectorError as error:
            yield Remedy(f"Database {database} could not be looked into: {error}", "Try again.", blocking=bool(within))
    if unseen:
        problem = f"{len(unseen)} databases were not looked into, for want of time: {', '.join(unseen[:5])} …"
        yield Remedy(problem, "Nothing, if access roles that name them work.", blocking=False)


def _about_databases(home: Session, ourselves: str, scopes: Sequence[Scope], *, is_sysadmin: bool) -> Iterable[Remedy]:
    controlled = {name for name, holds in home.rows(_CONTROLLED) if holds == 1}
    named = {database for scope in scopes for database in scope.databases}
    there = home.rows(DATABASES)
    for database in sorted(named - {str(name) for name, _ in home.rows(EVERY_NAME)}):
        yield Remedy(
            f"Access roles name database {database}, which is not on the server.",
            "Correct the access role, or make it.",
        )
    read_only = {str(name): bool(is_set) for name, is_set in home.rows(_READ_ONLY)}
    for database, may_enter in there:
        if not may_enter:
            continue
        if database in read_only:
            yield _about_read_only(database, is_set=read_only[database], is_named=database in named)
        if not is_sysadmin and database not in controlled:
            problem = (
                f"No access can be given in database {database}, and what an ended account owned there not taken over."
            )
            yield Remedy(problem, _remedy_in(database, ourselves), blocking=database in named)


def _about_read_only(database: str, *, is_set: bool, is_named: bool) -> Remedy:
    if is_set:
        why, how = "is read-only", f"ALTER DATABASE {_quoted(database)} SET READ_WRITE;"
    else:
        why, how = "is a secondary of an availability group, or a standby", "Give the address of the listener."
    problem = (
        f"Database {database} {why} here: no user can be made or dropped in it, so nothing given and nothing ended."
    )
    return Remedy(problem, how, blocking=is_named)


def _about_shut(home: Session, target: Target, ourselves: str) -> Iterator[Remedy]:
    """Databases that no revocation can read: each stays unclean until they are opened, or known to be shut for good."""
    for database, state, may_enter in home.rows(EVERY_DATABASE):
        offline = str(state).upper() != "ONLINE"
        if not offline and may_enter:
            continue
        if database in target.known_shut:
            problem = f"Database {database} is known to be shut: what an account may have left in it is not seen."
            yield Remedy(problem, "Nothing. If it opens again, take it off the list on this page.", blocking=False)
            continue
        if offline:
            problem = f"Database {database} is {str(state).lower()}: nobody can prove that nothing is left in it."
            how = f"ALTER DATABASE {_quoted(database)} SET ONLINE;"
        else:
            problem = (
                f"Lockgate's account cannot enter database {database}, and so cannot prove that nothing is left in it."
            )
            how = _remedy_in(database, ourselves)
        shut_for_good = "If it is shut for good, write that down on this page: no revocation waits for it then."
        yield Remedy(f"{problem} Every revocation on this server would wait for it.", f"{how} {shut_for_good}")


def _quoted(database: str) -> str:
    try:
        return sqlserver_name(database)
    except UnquotableName:
        return database


def _remedy_in(database: str, ourselves: str) -> str:
    try:
        return remedy_in(database, ourselves)
    except UnquotableName:
        return "Give it a name that does not end with a space."


def _label(version: str) -> str:
    """`16.0.4135.4` → `SQL Server 2022 (16.0.4135.4)`."""
    year = _YEARS.get(_major(version))
    return f"SQL Server {year} ({version})" if year else f"SQL Server {version}"


def _major(version: str) -> int:
    first = version.split(".", maxsplit=1)[0]
    return int(first) if first.isdecimal() else 0
