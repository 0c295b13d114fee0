"""The laboratory of MariaDB: its administrator, its people and its witness, through mysqlclient alone."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import MySQLdb

from connectors.base import Connector, Secret, Target, Tls
from connectors.registry import open_connector
from tests.connectors.labs.base import LoginRefused, NotPermitted, Place, SessionEnded, Stopped, random_token

#: The last is a login that was cut off in the middle.
_REFUSED = {1044, 1045, 1130, 1226, 1698, 4151, 2013}
_NOT_PERMITTED = {1044, 1142, 1143, 1227, 1370}
_STOPPED = {1317, 1969}
_ENDED = {2006, 2013, 1927}

#: What `setup_sql()` lets Lockgate pass on in each database there is; the lab does it for each it makes.
_PASSED_ON = (
    "SELECT, SHOW VIEW, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, CREATE VIEW, TRIGGER,"
    " CREATE TEMPORARY TABLES, LOCK TABLES, CREATE ROUTINE, ALTER ROUTINE, EXECUTE, EVENT"
)
_DEFINED = "LEFT(definer, CHAR_LENGTH(definer) - LOCATE('@', REVERSE(definer))) COLLATE utf8mb3_bin = %s"
#: Everything in the catalog that can name an account.
_TRACES = {
    "account": "SELECT Host FROM mysql.global_priv WHERE User = %s",
    "on database": "SELECT Db FROM mysql.db WHERE User = %s",
    "on table": "SELECT Table_name FROM mysql.tables_priv WHERE User = %s",
    "on column": "SELECT Column_name FROM mysql.columns_priv WHERE User = %s",
    "on routine": "SELECT Routine_name FROM mysql.procs_priv WHERE User = %s",
    "role": "SELECT Role FROM mysql.roles_mapping WHERE User = %s",
    "proxy": "SELECT Proxied_user FROM mysql.proxies_priv WHERE User = %s",
    "privilege": (
        "SELECT privilege_type FROM information_schema.user_privileges WHERE grantee = CONCAT('''', %s, '''@''%%''')"
    ),
    "defines routine": f"SELECT name FROM mysql.proc WHERE {_DEFINED}",
    "defines event": f"SELECT name FROM mysql.event WHERE {_DEFINED}",
    "defines view": f"SELECT table_name FROM information_schema.views WHERE {_DEFINED}",
    "defines trigger": f"SELECT trigger_name FROM information_schema.triggers WHERE {_DEFINED}",
    "switch": "SELECT name FROM mysql.event WHERE db = 'lockgate' AND comment LIKE CONCAT('%%', %s)",
}


def quoted(name: str) -> str:
    """One name in backticks."""
    return "`" + name.replace("`", "``") + "`"


def pattern(database: str) -> str:
    """A whole database, as a grant wants it."""
    return quoted(re.sub(r"([\\_%])", r"\\\1", database)) + ".*"


def at(place: Place) -> str:
    """A table with its database."""
    return f"{quoted(place.database)}.{quoted(place.name)}"


class MariaDBSession:
    """A principal's login."""

    def __init__(self, lab: MariaDBLab, principal: str, password: Secret, database: str) -> None:
        self._lab = lab
        try:
            self._connection: Any = MySQLdb.connect(
                host=lab.target.host,
                port=lab.target.port,
                user=principal,
                password=password.reveal(),
                database=database,
                charset="utf8mb4",
                autocommit=True,
                connect_timeout=10,
                ssl_mode="DISABLED",
            )
        except MySQLdb.Error as error:
            if error.args[0] in _REFUSED:
                raise LoginRefused(*error.args) from error
            raise
        self._is_closed = False
        self._thread = ThreadPoolExecutor(max_workers=1)
        self.id = int(self.run("SELECT CONNECTION_ID()")[0][0])

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        with _translated():
            cursor = self._connection.cursor()
            cursor.execute(sql)
            rows = list(cursor.fetchall()) if cursor.description else []
            cursor.close()
            return rows

    def begin(self) -> None:
        self.run("START TRANSACTION")

    def commit(self) -> None:
        self.run("COMMIT")

    def count(self, place: Place) -> int:
        return int(self.run(f"SELECT COUNT(*) FROM {at(place)}")[0][0])

    def insert(self, place: Place) -> None:
        self.run(f"INSERT INTO {at(place)} (note) VALUES ('one more')")

    def create_table(self, place: Place) -> None:
        self.run(f"CREATE TABLE {at(place)} (id INT AUTO_INCREMENT PRIMARY KEY, note TEXT)")

    def sleep(self, seconds: float) -> None:
        # SLEEP() gives 1 when it is cut short, instead of an error; a statement that only sleeps does not.
        if self.run(f"SELECT SLEEP({seconds})") == [(1,)]:
            raise Stopped

    def sleep_in_thread(self, seconds: float) -> Future[None]:
        return self.in_thread(f"DO SLEEP({seconds})")

    def in_thread(self, sql: str) -> Future[None]:
        """Run a statement without waiting for its end; returns once the server is at it."""

        def work() -> None:
            self.run(sql)

        future = self._thread.submit(work)
        running = "SELECT 1 FROM information_schema.processlist WHERE id = %s AND state LIKE '%%sleep%%'"
        wait_until(lambda: future.done() or bool(self._lab.rows(running, self.id)))
        return future

    def is_alive(self) -> bool:
        try:
            self.run("SELECT 1")
        except SessionEnded:
            return False
        return True

    def close(self) -> None:
        self._thread.shutdown()
        if not self._is_closed:
            self._is_closed = True
            self._connection.close()


class MariaDBLab:
    """The server of the tests, by `LOCKGATE_TEST_MARIADB_URL`: the address of its administrator."""

    engine = "mariadb"
    has_schemas = False
    #: 75 characters, of which the first fourteen take a byte each, and the others, in the tests, two.
    longest_principal = 136

    def __init__(self) -> None:
        address = urlsplit(os.environ["LOCKGATE_TEST_MARIADB_URL"])
        # An account of its own, so that a lab can take its rights away without harm to the others.
        self.target = Target(
            engine="mariadb",
            host=address.hostname or "127.0.0.1",
            port=address.port or 3306,
            user=f"lockgate_{random_token()}",
            password=Secret(f"lab-{random_token()}"),
            tls=Tls.DISABLE,
            connect_timeout=timedelta(seconds=10),
        )
        self.root = replace(
            self.target, user=unquote(address.username or "root"), password=Secret(unquote(address.password or ""))
        )
        self._connection: Any = _as_root(self.root)
        self._made: list[str] = []
        self._people: list[MariaDBSession] = []
        self._set_up()
        self._begun = self.rows("SELECT NOW(6)")[0][0]

    def _set_up(self) -> None:
        """What a customer does once: paste the SQL that the page shows into the client. And have everything logged."""
        # The heir is shared with the labs of other processes.
        self.rows("CREATE ROLE IF NOT EXISTS lockgate_heir")
        run_in_client(self.root, self.connector().setup_sql())
        self.rows(f"SET PASSWORD FOR {self._admin} = PASSWORD('{self.target.password.reveal()}')")
        self.rows("SET GLOBAL log_output = 'TABLE'")
        self.rows("SET GLOBAL general_log = ON")

    @property
    def _admin(self) -> str:
        return f"{quoted(self.target.user)}@`%`"

    # --- The connector under test

    def connector(self) -> Connector:
        return open_connector(self.target)

    def unreachable(self) -> Target:
        return replace(self.target, port=1, connect_timeout=timedelta(seconds=1))

    def wrong_password(self) -> Target:
        return replace(self.target, password=Secret("not this one"))

    # --- The administrator

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What the administrator reads."""
        cursor = self._connection.cursor()
        cursor.execute(sql, values or None)
        rows = list(cursor.fetchall()) if cursor.description else []
        cursor.close()
        return rows

    def make_database(self, stem: str = "db") -> str:
        database = f"{random_token()}{stem}"
        self.rows(f"CREATE DATABASE {quoted(database)}")
        self.adopt(database)
        return database

    def adopt(self, database: str) -> None:
        """Let Lockgate's account work on a database, and drop it in the end."""
        self._made.append(database)
        # A name that is too long with its backslashes is taken as the pattern that it is.
        exactly = pattern(database)
        where = exactly if len(exactly) <= len("``.*") + 64 else f"{quoted(database)}.*"
        self.rows(f"GRANT {_PASSED_ON} ON {where} TO {self._admin} WITH GRANT OPTION")

    def drop_database(self, database: str) -> None:
        self.rows(f"DROP DATABASE IF EXISTS {quoted(database)}")

    def make_schema(self, database: str, stem: str = "app") -> str:
        return ""

    def make_table(self, database: str, schema: str, stem: str = "orders", rows: int = 3) -> Place:
        place = Place(database, "", f"{stem}_{random_token()}")
        self.rows(f"CREATE TABLE {at(place)} (id INT AUTO_INCREMENT PRIMARY KEY, note TEXT)")
        for number in range(rows):
            self.rows(f"INSERT INTO {at(place)} (note) VALUES ('note {number}')")
        return place

    def make_role(self, stem: str, reads: Place | None = None) -> str:
        role = f"{stem}_{random_token()}"
        self.rows(f"CREATE ROLE {quoted(role)}")
        # As the guide tells customers: Lockgate can give membership only where it is the role's administrator.
        self.rows(f"GRANT {quoted(role)} TO {self._admin} WITH ADMIN OPTION")
        if reads is not None:
            self.rows(f"GRANT SELECT ON {at(reads)} TO {quoted(role)}")
        return role

    def drop_role(self, role: str) -> None:
        self.rows(f"DROP ROLE IF EXISTS {quoted(role)}")
        for (host,) in self.rows("SELECT Host FROM mysql.global_priv WHERE User = %s AND Host <> ''", role):
            self.rows(f"DROP USER {quoted(role)}@{quoted(host)}")

    def lock_out_of(self, database: str) -> None:
        """Nobody may enter a database without a privilege in it: nothing to take away."""

    @contextmanager
    def without_rights(self) -> Iterator[None]:
        self._change_rights(f"REVOKE CREATE USER ON *.* FROM {self._admin}")
        try:
            yield
        finally:
            self._change_rights(f"GRANT CREATE USER ON *.* TO {self._admin}")

    def _change_rights(self, sql: str) -> None:
        """A session keeps the global privileges with which it began, so it has to begin anew."""
        self.rows(sql)
        self.rows(f"KILL USER {quoted(self.target.user)}")

    # --- The person

    def log_in(self, principal: str, password: Secret, database: str) -> MariaDBSession:
        session = MariaDBSession(self, principal, password, database)
        self._people.append(session)
        return session

    def plant_residue(self, session: Any, place: Place) -> Sequence[str]:
        token = random_token()
        here = f"{quoted(place.database)}."
        made = {kind: f"{kind}_{token}" for kind in ("view", "function", "procedure", "trigger")}
        session.run(f"CREATE VIEW {here}{made['view']} AS SELECT * FROM {at(place)}")
        session.run(f"CREATE FUNCTION {here}{made['function']}() RETURNS INT RETURN (SELECT COUNT(*) FROM {at(place)})")
        session.run(f"CREATE PROCEDURE {here}{made['procedure']}() DELETE FROM {at(place)}")
        session.run(f"CREATE TRIGGER {here}{made['trigger']} BEFORE INSERT ON {at(place)} FOR EACH ROW SET @fired = 1")
        return tuple(made.values())

    # --- The witness

    def account_exists(self, principal: str) -> bool:
        return bool(self.rows("SELECT 1 FROM mysql.global_priv WHERE User = %s AND Host <> ''", principal))

    def role_exists(self, role: str) -> bool:
        return bool(self.rows("SELECT 1 FROM mysql.global_priv WHERE User = %s AND Host = ''", role))

    def sessions_of(self, principal: str) -> int:
        sql = "SELECT id FROM information_schema.processlist WHERE BINARY user = %s"
        first = set(self.rows(sql, principal))
        if not first:
            return 0
        # The server shows a login that it refuses for a moment: only who is there at a second look is a session.
        time.sleep(0.1)
        return len(first & set(self.rows(sql, principal)))

    def privileges_of(self, principal: str) -> Sequence[str]:
        return [f"{kind}: {row[0]}" for kind, sql in _TRACES.items() for row in self.rows(sql, principal)]

    def table_exists(self, place: Place) -> bool:
        sql = "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s"
        return bool(self.rows(sql, place.database, place.name))

    def server_log(self) -> str:
        logged = self.rows("SELECT argument FROM mysql.general_log WHERE event_time >= %s", self._begun)
        return "\n".join(text.decode(errors="replace") if isinstance(text, bytes) else str(text) for (text,) in logged)

    # --- Hands

    def close(self) -> None:
        for session in self._people:
            session.close()
        for database in self._made:
            self.drop_database(database)
        for (name,) in self.rows("SELECT name FROM mysql.event WHERE definer = %s", f"{self.target.user}@%"):
            self.rows(f"DROP EVENT lockgate.{quoted(name)}")
        self.rows(f"DROP USER {self._admin}")
        self._connection.close()


def wait_until(condition: Any, seconds: float = 10.0) -> None:
    """Ask until it is so; fails the test when it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} seconds"
        time.sleep(0.005)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except MySQLdb.Error as error:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 2006
        for kind, codes in ((NotPermitted, _NOT_PERMITTED), (Stopped, _STOPPED), (SessionEnded, _ENDED)):
            if code in codes:
                raise kind(*error.args) from error
        raise


def _as_root(root: Target) -> Any:
    return MySQLdb.connect(
        host=root.host,
        port=root.port,
        user=root.user,
        password=root.password.reveal(),
        charset="utf8mb4",
        autocommit=True,
        ssl_mode="DISABLED",
    )


def run_in_client(root: Target, sql: str) -> None:
    """Run SQL through the `mariadb` client, as an administrator would; stops at the first error."""
    read_in_client(root, sql)


def read_in_client(root: Target, sql: str) -> list[str]:
    """The same, with the lines that come back."""
    where = [f"--host={root.host}", "--protocol=tcp", f"--port={root.port}", f"--user={root.user}", "--skip-ssl"]
    done = subprocess.run(
        ["mariadb", "--no-defaults", *where, "--default-character-set=utf8mb4", "--skip-column-names", "--batch"],
        input=sql,
        env={**os.environ, "MYSQL_PWD": root.password.reveal()},
        text=True,
        check=True,
        capture_output=True,
    )
    return done.stdout.splitlines()


def open_lab() -> MariaDBLab:
    """The laboratory on the server of the tests."""
    return MariaDBLab()
