"""Whether our own account can do everything on a server, with the remedy for each thing that is missing.

What the server is able to do is asked for, not concluded from its name or version.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from connectors.base import CheckReport, Remedy, Target, Tls
from connectors.errors import ConnectorError, ServerUnreachable
from connectors.quoting import UnquotableName, sqlserver_name, sqlserver_text
from connectors.sqlserver.catalogue import DATABASES, EVERY_DATABASE
from connectors.sqlserver.session import Session, Sessions
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


def check(target: Target, sessions: Sessions) -> CheckReport:
    """See `Connector.check`."""
    home = sessions.home
    begun = time.monotonic()
    home.rows("SELECT 1")
    latency = timedelta(seconds=time.monotonic() - begun)
    version, edition, windows_only, ourselves, is_sysadmin = home.rows(_OURSELVES)[0]
    remedies = [
        *_about_server(str(version), edition, windows_only=windows_only == 1),
        *_about_account(home, str(ourselves), is_sysadmin=is_sysadmin == 1),
        *_about_databases(home, str(ourselves), is_sysadmin=is_sysadmin == 1),
        *_about_shut(home, target, str(ourselves)),
    ]
    encrypted = is_encrypted(target, home)
    if not encrypted:
        remedies.append(not_encrypted(target))
    return CheckReport(
        version=_label(str(version)),
        latency=latency,
        server_time=server_time(home),
        remedies=tuple(sorted(remedies, key=lambda remedy: not remedy.blocking)),
        encrypted=encrypted,
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


def _about_databases(home: Session, ourselves: str, *, is_sysadmin: bool) -> Iterable[Remedy]:
    controlled = {name for name, holds in home.rows(_CONTROLLED) if holds == 1}
    for database, may_enter in home.rows(DATABASES):
        if not may_enter:
            continue
        if not is_sysadmin and database not in controlled:
            problem = (
                f"No access can be given in database {database}, and what an ended account owned there not taken over."
            )
            yield Remedy(problem, _remedy_in(database, ourselves), blocking=False)


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
