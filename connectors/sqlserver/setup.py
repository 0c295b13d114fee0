"""Lockgate's own account on a SQL Server: the SQL that makes it with the least it needs, and why it needs it. Pure.

On the server it needs five permissions and no fixed role. In a database it needs to make users and roles, to grant what
it does not use itself, to put users into fixed roles, and to take over what ended accounts own; only `db_owner` may do
the last two, and whoever may grant anything can give it to himself, so less would be less only by name.
"""

from __future__ import annotations

from connectors.base import Authentication, RevokeRequest, Target
from connectors.quoting import sqlserver_name, sqlserver_text
from connectors.redaction import PASSWORD_TO_CHOOSE

#: Permissions on the server, each with what it is for. From SQL Server 2022 on they hold the narrower ones that that
#: version asks for: CREATE LOGIN, and VIEW SERVER SECURITY STATE and PERFORMANCE STATE.
SERVER_PERMISSIONS = {
    "ALTER ANY LOGIN": "to make, disable and drop logins",
    "ALTER ANY CONNECTION": "to end the sessions of other logins",
    "VIEW SERVER STATE": "to see the sessions of other logins, and whether its own is encrypted",
    "CONNECT ANY DATABASE": "to look into every database for what an account has left",
    "VIEW ANY DEFINITION": "to see all databases and who is a user of each, so that an empty answer proves something",
}
#: Databases that belong to the server. Access roles never name them.
SYSTEM_DATABASES = ("master", "tempdb", "model", "msdb")
#: The name of the heir, where a request does not say another.
HEIR = str(RevokeRequest.__dataclass_fields__["heir"].default)

_INTRODUCTION = """\
-- Lockgate's own account on SQL Server {since} and later, with the least it needs.{choose}
-- Run this once as a member of sysadmin{administrator}, with sqlcmd or any client that knows GO.
"""
_ONCE = """\
-- 1. Once for the server.
USE [master];
{login}
"""
_CHOOSE = " Choose a password and put it where the brackets are; until then the server refuses this."
_LOGIN = """\
-- CHECK_POLICY is off because Lockgate changes this password by sending its hash, which the server takes only then.
IF SUSER_ID({text}) IS NULL
    CREATE LOGIN {name} WITH PASSWORD = {password}, DEFAULT_DATABASE = [master], CHECK_POLICY = OFF;"""
_EXTERNAL_LOGIN = """\
-- The server has to be connected to Azure Arc and to have an administrator from Entra ID.
IF SUSER_ID({text}) IS NULL
    CREATE LOGIN {name} FROM EXTERNAL PROVIDER WITH DEFAULT_DATABASE = [master];"""
_EVERY_DATABASE = """\
-- 2. Every database that access roles may name, or that could hold something of an account: all there are now but the
--    server's own. Run this part again after making a database.
DECLARE @each nvarchar(max) = {each};
DECLARE @all nvarchar(max) = (
    SELECT STRING_AGG(CAST(N'USE ' + QUOTENAME(name) + N'; ' + @each AS nvarchar(max)), N' ')
    FROM sys.databases
    WHERE name NOT IN ({system})
      AND state = 0 AND is_read_only = 0 AND HAS_DBACCESS(name) = 1
);
EXEC sys.sp_executesql @all;
"""


def setup_sql(target: Target) -> str:
    """See `Connector.setup_sql`."""
    if target.authentication is Authentication.ACCESS_TOKEN:
        words = {"since": "2022", "choose": "", "administrator": " who has come with Entra ID"}
    else:
        words = {"since": "2017", "choose": _CHOOSE, "administrator": ""}
    return _INTRODUCTION.format(**words) + "".join(f"{batch}GO\n" for batch in setup_batches(target))


def setup_batches(target: Target) -> tuple[str, ...]:
    """The script in the pieces between one GO and the next; `PASSWORD_TO_CHOOSE` stands for the password to choose."""
    name, text = sqlserver_name(target.user), sqlserver_text(target.user)
    has_token = target.authentication is Authentication.ACCESS_TOKEN
    login = (_EXTERNAL_LOGIN if has_token else _LOGIN).format(text=text, name=name, password=PASSWORD_TO_CHOOSE)
    once = _ONCE.format(login=login)
    grants = "".join(
        f"-- {permission}: {purpose}.\nGRANT {permission} TO {name};\n"
        for permission, purpose in SERVER_PERMISSIONS.items()
    )
    system = ", ".join(sqlserver_text(database) for database in SYSTEM_DATABASES)
    every = _EVERY_DATABASE.format(each=sqlserver_text(" ".join(database_statements(target.user))), system=system)
    return once, grants, every


def database_statements(user: str) -> tuple[str, ...]:
    """What is run in one database, and does nothing where it has been run before."""
    name, text = sqlserver_name(user), sqlserver_text(user)
    return (
        f"IF SUSER_SID({text}) NOT IN (SELECT sid FROM sys.database_principals WHERE sid IS NOT NULL)"
        f" CREATE USER {name} FOR LOGIN {name};",
        f"IF USER_ID({text}) IS NOT NULL ALTER ROLE [db_owner] ADD MEMBER {name};",
    )


def remedy_in(database: str, user: str) -> str:
    """The same for one database, on one line to paste. Raises `UnquotableName`."""
    return " ".join([f"USE {sqlserver_name(database)};", *database_statements(user)])
