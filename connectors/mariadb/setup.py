"""Lockgate's own account on a MariaDB server: the SQL that makes it with the least it needs. Pure."""

from __future__ import annotations

from connectors.base import Authentication, RevokeRequest, Target, Tls
from connectors.mariadb import names
from connectors.mariadb.privileges import OURS_ON_DATABASE
from connectors.quoting import MARIADB_NAME_CHARACTERS, mariadb_name, mariadb_text
from connectors.redaction import PASSWORD_TO_CHOOSE

#: Global privileges, each with what it is for.
GLOBAL_PRIVILEGES = {
    "CREATE USER": "to make, lock and drop accounts and roles",
    "CONNECTION ADMIN": "to end the sessions of other accounts",
    "PROCESS": "to see the sessions of other accounts",
    "SHOW DATABASES": "to see all databases",
}
#: The name of the heir, where a request does not say another.
HEIR = str(RevokeRequest.__dataclass_fields__["heir"].default)

#: The roles that Lockgate makes: groups, the heir, and those of single accounts.
ROLES_OF_OURS = r"Host = '' AND (User LIKE 'lockgate\_%' OR User LIKE 'lg\_%\_role')"

#: Tokens of AWS IAM, on Amazon RDS.
_BY_IDENTITY = "IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'"

#: MariaDB's own word for a password that nothing matches, so that an account pasted into being lets nobody in.
_BY_NO_PASSWORD = "IDENTIFIED VIA mysql_native_password USING 'invalid'"  # noqa: S105 - it is none
_CHOOSE = """\
-- No password opens this account before you have given it one:
--   SET PASSWORD FOR {account} = PASSWORD({password});
"""

_SETUP = """\
-- Lockgate's own account on MariaDB {oldest} and later. Run this once,
-- with an account that may do everything. Run it again after making a database that access roles should reach.
SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_AUTO_CREATE_USER';
{choose}CREATE USER IF NOT EXISTS {account} {identified}{tls};

-- Accounts, sessions, and the account tables to read back what is left after a revocation.
GRANT {everywhere} ON *.* TO {account};
GRANT SELECT ON `mysql`.* TO {account};

-- Every account that Lockgate makes has an event here, which ends it even if Lockgate is gone by then.
CREATE DATABASE IF NOT EXISTS {schema};
GRANT EVENT ON {schema}.* TO {account};
DELIMITER //
BEGIN NOT ATOMIC
  -- And in the server's configuration, or it is off again after a restart. Where it was started as DISABLED, only there.
  DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;
  SET GLOBAL event_scheduler = ON;
END //
DELIMITER ;

-- Becomes the definer of what accounts leave behind. It has no login, and must never have privileges.
CREATE ROLE IF NOT EXISTS {heir} WITH ADMIN {account};

-- Lockgate can give others only what it holds itself: in every database there is now, except the server's own.
DELIMITER //
BEGIN NOT ATOMIC
  FOR found IN (
    SELECT REPLACE(REPLACE(REPLACE(schema_name, '\\\\', '\\\\\\\\'), '_', '\\\\_'), '%', '\\\\%') AS pattern
    FROM information_schema.schemata
    WHERE schema_name NOT IN ({system})
  ) DO
    IF CHAR_LENGTH(found.pattern) <= {longest} THEN
      EXECUTE IMMEDIATE CONCAT('GRANT {ours} ON `', REPLACE(found.pattern, '`', '``'), {to});
    END IF;
  END FOR;
  BEGIN
    -- Roles of Lockgate's whose administrator is gone, or somebody else: nobody may grant them, so it is written down.
    DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;
    {take_over}
    FLUSH PRIVILEGES;
  END;
END //
DELIMITER ;
"""


def setup_sql(target: Target) -> str:
    """See `Connector.setup_sql`. For the `mariadb` client and others that know `DELIMITER`."""
    is_token = target.authentication is Authentication.ACCESS_TOKEN
    return _SETUP.format(
        oldest="10.6",
        account=names.account(target.user),
        choose="" if is_token else _CHOOSE.format(account=names.account(target.user), password=PASSWORD_TO_CHOOSE),
        identified=_BY_IDENTITY if is_token else _BY_NO_PASSWORD,
        tls="" if target.tls is Tls.DISABLE else " REQUIRE SSL",
        everywhere=", ".join(GLOBAL_PRIVILEGES),
        schema=mariadb_name(names.OWN_SCHEMA),
        heir=names.role(HEIR),
        system=", ".join(mariadb_text(schema) for schema in names.SYSTEM_SCHEMAS),
        take_over=take_over(target.user, names.ACCOUNT_HOST),
        ours=", ".join(OURS_ON_DATABASE),
        longest=MARIADB_NAME_CHARACTERS,
        to=mariadb_text(f"`.* TO {names.account(target.user)} WITH GRANT OPTION"),
    )


def take_over(user: str, host: str) -> str:
    """What makes our account the administrator of every role that Lockgate works with; FLUSH PRIVILEGES has to follow."""
    return (
        "REPLACE INTO mysql.roles_mapping (Host, User, Role, Admin_option)"
        f" SELECT {mariadb_text(host)}, {mariadb_text(user)}, User, 'Y' FROM mysql.global_priv"
        f" WHERE {ROLES_OF_OURS};"
    )


def grant_on_database(user: str, host: str, database: str) -> str:
    """The one grant that lets our account pass on the privileges of a database. Raises `UnquotableName`."""
    who = names.account(user, host)
    return f"GRANT {', '.join(OURS_ON_DATABASE)} ON {names.whole_database(database)} TO {who} WITH GRANT OPTION;"
