"""Lockgate's own account on Azure SQL: the SQL that makes it with the least it needs, and why it needs it. Pure.

A login for all databases of the server, since there is no other way to one password and one list of databases. What it
needs in a database is what it needs on SQL Server, with the right to end connections, which is of a database here.
"""

from __future__ import annotations

from connectors.base import Authentication, Target
from connectors.quoting import sqlserver_name, sqlserver_text
from connectors.redaction import PASSWORD_TO_CHOOSE

#: Server roles of Azure SQL, each with what it is for.
SERVER_ROLES = {
    "##MS_DefinitionReader##": "to see all databases of the server",
    "##MS_DatabaseConnector##": "to look into every database for what an account has left",
    "##MS_ServerStateReader##": "to see the sessions of others, also in small databases and elastic pools",
}
#: Permissions in each database, each with what it is for. Membership in db_owner holds them all.
DATABASE_PERMISSIONS = {
    "ALTER ANY USER": "to make and drop users",
    "ALTER ANY ROLE": "to make roles and to put users into them",
    "KILL DATABASE CONNECTION": "to end sessions and to empty the cache of logins",
    "VIEW DATABASE STATE": "to see sessions",
    "VIEW DEFINITION": "to see who is a user",
    "CONTROL": "to grant, and to take over what ended accounts own",
}

_IN_MASTER = """\
-- Lockgate's own account on Azure SQL, with the least it needs.{choose}
-- 1. In master, once, as the administrator of the server{administrator}.
IF SUSER_ID({text}) IS NULL CREATE LOGIN {name} {proof};
IF USER_ID({text}) IS NULL CREATE USER {name} FOR LOGIN {name};
"""
_CHOOSE = " Choose a password and put it where the brackets are; until then the server refuses this."
_IN_DATABASE = """\
-- 2. In each database that access roles may name, as its administrator: connect to it, there is no USE here. Membership in
--    db_owner, because only it may put users into fixed roles, and because whoever may grant anything can have anything.
IF USER_ID({text}) IS NULL CREATE USER {name} FOR LOGIN {name};
ALTER ROLE [db_owner] ADD MEMBER {name};
"""


def setup_sql(target: Target) -> str:
    """See `Connector.setup_sql`."""
    return "".join(f"{batch}GO\n" for batch in setup_batches(target))


def setup_batches(target: Target) -> tuple[str, str]:
    """The part for master and the part for each database."""
    words = {"name": sqlserver_name(target.user), "text": sqlserver_text(target.user)}
    if target.authentication is Authentication.ACCESS_TOKEN:
        # Only who has come with Entra ID himself can bring in others of it.
        proof, choose, administrator = "FROM EXTERNAL PROVIDER", "", " from Entra ID"
    else:
        proof, choose, administrator = f"WITH PASSWORD = {PASSWORD_TO_CHOOSE}", _CHOOSE, ""
    roles = "".join(
        f"-- {purpose[0].upper()}{purpose[1:]}:\nALTER SERVER ROLE {sqlserver_name(role)} ADD MEMBER {words['name']};\n"
        for role, purpose in SERVER_ROLES.items()
    )
    master = _IN_MASTER.format(**words, proof=proof, choose=choose, administrator=administrator) + roles
    return master, _IN_DATABASE.format(**words)


def remedy_in(database: str, user: str) -> str:
    """What to run in one database, and where. Raises `UnquotableName`."""
    name, text = sqlserver_name(user), sqlserver_text(user)
    return (
        f"Connected to {database}: IF USER_ID({text}) IS NULL CREATE USER {name} FOR LOGIN {name};"
        f" ALTER ROLE [db_owner] ADD MEMBER {name};"
    )
