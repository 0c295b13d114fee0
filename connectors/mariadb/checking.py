"""Whether our own account can do everything on a server, with the remedy for each thing that is missing."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta

from connectors.base import CheckReport, Remedy, Replica, Target
from connectors.mariadb import catalogue, handing_over, names, reading_back, replicas, trial
from connectors.mariadb.privileges import OURS_ON_DATABASE
from connectors.mariadb.session import Session
from connectors.mariadb.setup import GLOBAL_PRIVILEGES, HEIR, ROLES_OF_OURS, grant_on_database, take_over
from connectors.mariadb.versions import problem_with
from connectors.quoting import UnquotableName, mariadb_name, mariadb_text

_SETTINGS = ("event_scheduler", "read_only", "strict_password_validation", "wsrep_on")
#: A database name in a privilege is a pattern, and so is what LIKE compares with.
_HELD_ON_DATABASES = (
    "SELECT s.schema_name, p.privilege_type, p.is_grantable"
    " FROM information_schema.schemata AS s JOIN information_schema.schema_privileges AS p"
    " ON s.schema_name LIKE p.table_schema WHERE p.grantee IN %s"
)
_HELD_EVERYWHERE = "SELECT privilege_type, is_grantable FROM information_schema.user_privileges WHERE grantee IN %s"
#: Roles of ours that somebody else, or nobody, may grant.
_OUT_OF_HAND = f"""
    SELECT User FROM mysql.global_priv AS r WHERE {ROLES_OF_OURS} AND NOT EXISTS (
        SELECT 1 FROM mysql.roles_mapping AS m
        WHERE m.Role = r.User AND CONCAT(m.User, '@', m.Host) = CURRENT_USER() AND m.Admin_option = 'Y'
    ) ORDER BY User
"""
_OF_PUBLIC = """
    SELECT CONCAT(privilege_type, ' on ', REPLACE(table_schema, '\\\\', ''), '.*') FROM information_schema.schema_privileges
    WHERE REPLACE(grantee, CHAR(39), '') IN ('PUBLIC', 'PUBLIC@')
    UNION ALL SELECT CONCAT(Table_priv, ' on ', Db, '.', Table_name) FROM mysql.tables_priv
    WHERE UPPER(User) = 'PUBLIC' AND Table_priv <> ''
    UNION ALL SELECT CONCAT(Column_priv, ' on column ', Db, '.', Table_name, '.', Column_name) FROM mysql.columns_priv
    WHERE UPPER(User) = 'PUBLIC'
    UNION ALL SELECT CONCAT(Proc_priv, ' on routine ', Db, '.', Routine_name) FROM mysql.procs_priv
    WHERE UPPER(User) = 'PUBLIC'
    UNION ALL SELECT CONCAT('membership in ', Role) FROM mysql.roles_mapping WHERE UPPER(User) = 'PUBLIC'
    UNION ALL SELECT 'privileges on *.*' FROM mysql.global_priv
    WHERE UPPER(User) = 'PUBLIC' AND COALESCE(JSON_VALUE(Priv, '$.access'), 0) <> 0
"""
_SWITCHED_OFF = "SELECT name FROM mysql.event WHERE db = %s AND status = 'SLAVESIDE_DISABLED' ORDER BY name"
_ROLE_EXISTS = "SELECT 1 FROM mysql.global_priv WHERE User = %s AND Host = ''"
_ROLE_IS_OURS = "SELECT 1 FROM mysql.roles_mapping WHERE Role = %s AND User = %s AND Host = %s AND Admin_option = 'Y'"


def check(target: Target, session: Session) -> CheckReport:
    """See `Connector.check`."""
    begun = time.perf_counter()
    version = session.texts("SELECT VERSION()")[0]
    latency = timedelta(seconds=time.perf_counter() - begun)
    if problem := problem_with(version):
        remedies = [Remedy(problem, "Connect a server that runs MariaDB 10.6 or later.")]
        following: tuple[Replica, ...] = ()
    else:
        remedies = _Examination(session).remedies()
        if not any(remedy.blocking for remedy in remedies):
            remedies = [*trial.remedies(target, session), *remedies]
        following = replicas.seen(target, session) if trial.reads_processes(session) else ()
    return CheckReport(
        version=_label(version),
        latency=latency,
        server_time=reading_back.server_time(session),
        remedies=tuple(remedies),
        encrypted=bool(session.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1]),
        replicas=following,
    )


class _Examination:
    """What the server says of itself and of our account, read once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        current = session.texts("SELECT CURRENT_USER()")[0]
        self._user, _, self._host = current.rpartition("@")
        self._account = names.account(self._user, self._host)
        roles = session.texts("SELECT role_name FROM information_schema.enabled_roles WHERE role_name IS NOT NULL")
        grantees = (f"'{self._user}'@'{self._host}'", *(f"'{role}'@''" for role in roles))
        everywhere = session.rows(_HELD_EVERYWHERE, grantees)
        self._everywhere = {privilege for privilege, _ in everywhere}
        self._passed_on_everywhere = {privilege for privilege, grantable in everywhere if grantable == "YES"}
        self._on_databases = session.rows(_HELD_ON_DATABASES, grantees)
        settings = session.rows("SHOW GLOBAL VARIABLES WHERE Variable_name IN %s", _SETTINGS)
        self._settings: dict[str, str] = dict(settings)

    def remedies(self) -> list[Remedy]:
        """Everything that is amiss, what blocks first."""
        parts = [self._of_account, self._of_own_schema, self._of_server, self._of_databases]
        if self._reads_account_tables():
            parts += [self._of_other_accounts, self._of_heir, self._of_groups, self._of_everybody, self._of_switches]
        return sorted((remedy for part in parts for remedy in part()), key=lambda remedy: not remedy.blocking)

    def _of_account(self) -> Iterable[Remedy]:
        for privilege, purpose in GLOBAL_PRIVILEGES.items():
            if privilege not in self._everywhere:
                yield Remedy(
                    f"Lockgate's account lacks {privilege}, {purpose}.",
                    f"GRANT {privilege} ON *.* TO {self._account};",
                    blocking=privilege != "SHOW DATABASES",
                )
        if not self._reads_account_tables():
            yield Remedy(
                "Lockgate's account may not read the account tables, so it could not prove a revocation.",
                f"GRANT SELECT ON `mysql`.* TO {self._account};",
            )

    def _of_own_schema(self) -> Iterable[Remedy]:
        schema = mariadb_name(names.OWN_SCHEMA)
        if not self._session.rows("SHOW DATABASES WHERE `Database` = %s", names.OWN_SCHEMA):
            yield Remedy(
                f"The schema {names.OWN_SCHEMA}, for the events that end accounts without Lockgate, is missing.",
                f"CREATE DATABASE {schema}; GRANT EVENT ON {schema}.* TO {self._account};",
            )
        elif "EVENT" not in self._held_on(names.OWN_SCHEMA):
            yield Remedy(
                f"Lockgate's account may not make events in the schema {names.OWN_SCHEMA}.",
                f"GRANT EVENT ON {schema}.* TO {self._account};",
            )

    def _of_server(self) -> Iterable[Remedy]:
        if self._settings.get("event_scheduler") == "DISABLED":
            yield Remedy(
                "The server was started without an event scheduler: no account can be made that ends by itself.",
                "Set event_scheduler = ON in the server's configuration and start it again; it cannot be set while it runs.",
            )
        elif self._settings.get("event_scheduler") != "ON":
            yield Remedy(
                "The event scheduler is off: accounts would not end by themselves if Lockgate were gone.",
                "SET GLOBAL event_scheduler = ON; and event_scheduler = ON in the server's configuration.",
                blocking=False,
            )
        if self._settings.get("read_only", "OFF") not in ("OFF", "0"):
            yield Remedy("The server is read-only.", "Give the address of the primary, not that of a replica.")
        if self._settings.get("wsrep_on") == "ON":
            yield Remedy(
                "The server is a node of a Galera cluster, of which one shows and ends only its own sessions.",
                "Let people reach this node only, through the address that Lockgate has.",
                blocking=False,
            )
        if self._settings.get("strict_password_validation") == "ON" and self._validates_passwords():
            yield Remedy(
                "The server checks passwords and therefore refuses hashes, which is all that Lockgate sends.",
                "SET GLOBAL strict_password_validation = OFF; Lockgate's passwords are random.",
            )

    def _of_other_accounts(self) -> Iterable[Remedy]:
        # On the same host as an account of ours the one with a name comes first, so the one without is no harm there.
        sql = "SELECT Host FROM mysql.global_priv WHERE User = '' AND Host NOT IN ('%', '')"
        if anonymous := self._session.texts(sql):
            yield Remedy(
                f"Anonymous accounts take the place of any account that logs in from {', '.join(anonymous)}.",
                " ".join(f"DROP USER ''@{mariadb_text(host)};" for host in anonymous),
                blocking=False,
            )

    def _of_heir(self) -> Iterable[Remedy]:
        exists = self._session.rows(_ROLE_EXISTS, HEIR)
        is_ours = self._session.rows(_ROLE_IS_OURS, HEIR, self._user, self._host)
        # Where it is missing we make it when it is needed, and may use it then.
        if exists and not is_ours:
            yield Remedy(
                f"Lockgate's account cannot hand anything over to the role {HEIR}.",
                f"DROP ROLE {names.role(HEIR)}; CREATE ROLE {names.role(HEIR)} WITH ADMIN {self._account};",
                blocking=False,
            )
        if handing_over.has_privileges(self._session, HEIR):
            yield Remedy(
                f"The role {HEIR} has privileges, with which everything runs that ended accounts have left behind.",
                f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {names.role(HEIR)};",
                blocking=False,
            )

    def _of_groups(self) -> Iterable[Remedy]:
        if alien := self._session.texts(_OUT_OF_HAND):
            shown = ", ".join(alien[:5]) + (" …" if len(alien) > 5 else "")
            yield Remedy(
                f"Lockgate's account is not the administrator of {len(alien)} of its own roles: {shown}. It makes each one"
                " anew when it is needed, and whoever has it is without it for that moment.",
                f"{take_over(self._user, self._host)} FLUSH PRIVILEGES;",
                blocking=False,
            )

    def _of_everybody(self) -> Iterable[Remedy]:
        if held := self._session.texts(_OF_PUBLIC):
            yield Remedy(
                f"Every account has by way of PUBLIC: {', '.join(held)}. No access role holds anybody back from it, and"
                f" what ended accounts left to {HEIR} may do it too.",
                "REVOKE ALL PRIVILEGES, GRANT OPTION FROM PUBLIC; and grant it to those who need it.",
                blocking=False,
            )

    def _of_switches(self) -> Iterable[Remedy]:
        if off := self._session.texts(_SWITCHED_OFF, names.OWN_SCHEMA):
            yield Remedy(
                f"{len(off)} accounts would not end by themselves: their switches came from a primary and are off, as on"
                " every replica that has taken its place.",
                " ".join(f"ALTER EVENT {names.table(names.OWN_SCHEMA, name)} ENABLE;" for name in off),
                blocking=False,
            )

    def _of_databases(self) -> Iterable[Remedy]:
        for database in catalogue.databases(self._session):
            grantable = self._passed_on_everywhere | {
                privilege for name, privilege, passes in self._on_databases if name == database and passes == "YES"
            }
            if not grantable.issuperset(OURS_ON_DATABASE):
                yield self._of_database(database)

    def _of_database(self, database: str) -> Remedy:
        try:
            what_to_do = grant_on_database(self._user, self._host, database)
        except UnquotableName:
            what_to_do = "Give it a shorter name: each _ and % in it counts two of the 64 characters of a grant."
        return Remedy(f"No access can be given in the database {database}.", what_to_do, blocking=False)

    def _reads_account_tables(self) -> bool:
        return "SELECT" in self._held_on("mysql")

    def _held_on(self, database: str) -> set[str]:
        return self._everywhere | {privilege for name, privilege, _ in self._on_databases if name == database}

    def _validates_passwords(self) -> bool:
        return bool(
            self._session.rows(
                "SELECT 1 FROM information_schema.plugins"
                " WHERE plugin_type = 'PASSWORD VALIDATION' AND plugin_status = 'ACTIVE'"
            )
        )


def _label(version: str) -> str:
    """`10.11.19-MariaDB-0+deb12u1` → `MariaDB 10.11.19`."""
    engine = "MariaDB" if "mariadb" in version.lower() else "MySQL"
    return f"{engine} {version.split('-', maxsplit=1)[0]}"
