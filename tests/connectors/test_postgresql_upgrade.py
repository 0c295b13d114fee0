"""A grant that lives through an upgrade to PostgreSQL 16 or later ends as promised, once Test connection's line was run.

From 16 on, CREATEROLE reaches only the roles that one has made, and after an upgrade nobody has made any. The upgrades are
real: `pg_upgrade` of a newer version, where `LOCKGATE_TEST_POSTGRESQL_UPGRADE` names one (`18`), and a dump and restore into
a second server, where `LOCKGATE_TEST_POSTGRESQL_RESTORE` names its version.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from connectors.base import Level
from connectors.postgresql import session as sessions
from deploy.local import processes, versions
from deploy.local.servers import PostgreSQL
from tests.connectors.conftest import Account, Accounts
from tests.connectors.labs.base import LoginRefused, Place, scope_of
from tests.connectors.labs.postgresql import PostgreSQLLab

pytestmark = pytest.mark.xdist_group("postgresql-upgrade")

_UPGRADE = os.environ.get("LOCKGATE_TEST_POSTGRESQL_UPGRADE", "")
_RESTORE = os.environ.get("LOCKGATE_TEST_POSTGRESQL_RESTORE", "")


@dataclass
class Customer:
    """A customer's server, with Alice's access to it, which lives."""

    old: PostgreSQL
    new: PostgreSQL
    lab: PostgreSQLLab
    place: Place
    alice: Account
    accounts: Accounts

    def move(self) -> None:
        """Everybody goes on with the new server."""
        sessions._CACHE.close_all()
        for session in self.alice.sessions:
            session.close()
        self.lab.superuser = replace(self.lab.superuser, port=self.new.port)
        self.lab.target = replace(self.lab.target, port=self.new.port)
        self.lab.version = int(self.lab.run("SHOW server_version_num")[0][0])


@pytest.fixture
def customer() -> Iterator[Customer]:
    """On the oldest of the versions: that of the system."""
    folder = Path(tempfile.mkdtemp(prefix="lockgate-upgrade-"))
    folder.chmod(0o755)
    old = PostgreSQL(folder / "old", durable=False)
    # The administrator's password goes with the accounts.
    (folder / "new").mkdir()
    (folder / "new" / "password").write_text(old.password)
    programs = versions.upgrade_programs(_UPGRADE) if _UPGRADE else versions.postgresql(_RESTORE)
    new = PostgreSQL(folder / "new", durable=False, programs=programs)
    old.start()
    lab = PostgreSQLLab(old.url)
    database = lab.make_database("orders")
    place = lab.make_table(database, lab.make_schema(database))
    accounts = Accounts(lab)
    alice = accounts.provisioned(scope_of(Level.DDL, place))
    alice.log_in().create_table(place.sibling("by_alice"))
    yield Customer(old, new, lab, place, alice, accounts)
    for account in accounts._made:
        for session in account.sessions:
            session.close()
    sessions._CACHE.close_all()
    for server in (old, new):
        server.stop()
    shutil.rmtree(folder)


@pytest.mark.skipif(not _UPGRADE, reason="LOCKGATE_TEST_POSTGRESQL_UPGRADE names no version of pg_upgrade")
def test_a_grant_that_lives_through_pg_upgrade_ends_as_promised(customer: Customer) -> None:
    customer.old.stop()
    upgrade(customer)
    customer.new.start()
    customer.move()
    assert_it_ends_once_the_line_was_run(customer)


@pytest.mark.skipif(not _RESTORE, reason="LOCKGATE_TEST_POSTGRESQL_RESTORE names no version to restore into")
def test_a_grant_that_lives_through_a_dump_and_restore_ends_as_promised(customer: Customer) -> None:
    customer.new.start()
    environment = {**os.environ, "PGPASSWORD": customer.old.password}
    dumped = subprocess.run(
        ["pg_dumpall", f"--dbname={customer.old.url}"], env=environment, capture_output=True, text=True, check=True
    )
    # The pg_dumpall of 15 says who granted a membership, which 16 and later take from nobody without ADMIN: Alice is in no
    # group any more. What every server has, the administrator and the database postgres, is refused and said.
    subprocess.run(
        ["psql", "-X", "-q", customer.new.url],
        input=dumped.stdout,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    customer.move()
    assert_it_ends_once_the_line_was_run(customer, reads=False)


@pytest.mark.skipif(not (_UPGRADE or _RESTORE), reason="no newer version is named")
def test_part_1_of_the_setup_sql_does_the_same_for_an_account_that_was_made_anew(customer: Customer) -> None:
    """On the newer server Lockgate's account is dropped, and another one set up: what the first one made is nobody's."""
    customer.new.start()
    lab = PostgreSQLLab(customer.new.url)
    database = lab.make_database("orders")
    place = lab.make_table(database, lab.make_schema(database))
    accounts = Accounts(lab)
    alice = accounts.provisioned(scope_of(Level.DDL, place))
    first = lab.target.user
    another = replace(lab.target, user=f"{first}_2")
    lab.run(f"ALTER ROLE {first} RENAME TO {first}_old")
    lab.target = another
    lab.set_up("postgres")
    lab.run(f"ALTER ROLE {another.user} PASSWORD '{another.password.reveal()}'")
    lab.set_up(database)
    with lab.connector() as connector:
        assert connector.check([alice.request.scope]).ok
    assert alice.revoke().is_clean
    bob = accounts.provisioned(scope_of(Level.READ, place))
    session = bob.log_in()
    assert session.count(place) == 3
    assert bob.revoke().is_clean
    session.close()


def upgrade(customer: Customer) -> None:
    """As the manual says: an empty cluster of the new version, then `pg_upgrade`."""
    new, programs = customer.new, versions.upgrade_programs(_UPGRADE)
    new._make_folder()
    new._make_data_folder()
    user = new._user
    work = customer.new.folder / "work"
    work.mkdir()
    new._hand_over(work)
    with tempfile.NamedTemporaryFile("w", suffix=".pw") as password:
        password.write(new.password)
        password.flush()
        new._hand_over(Path(password.name))
        processes.run(
            [
                str(programs / "initdb"),
                f"--pgdata={new._data}",
                "--username=lockgate_root",
                f"--pwfile={password.name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "--no-data-checksums",  # As the old one.
            ],
            user=user,
        )
    old_programs = Path(customer.old._server_program("postgres")).parent
    command = [
        str(programs / "pg_upgrade"),
        f"--old-bindir={old_programs}",
        f"--new-bindir={programs}",
        f"--old-datadir={customer.old._data}",
        f"--new-datadir={new._data}",
        "--username=lockgate_root",
        f"--socketdir={work}",
        "--no-sync",
    ]
    processes.run(
        ["sh", "-c", f"cd {shlex.quote(str(work))} && exec {shlex.join(command)}"],
        user=user,
        environment={**os.environ, "PGPASSWORD": new.password},
    )


def assert_it_ends_once_the_line_was_run(customer: Customer, *, reads: bool = True) -> None:
    lab, alice = customer.lab, customer.alice
    assert lab.version >= 160000
    session = alice.log_in()
    if reads:
        assert session.count(customer.place) == 3
    with lab.connector() as connector:
        report = connector.check([alice.request.scope])
    assert not report.ok
    (lacking,) = (remedy for remedy in report.remedies if remedy.blocking)
    assert "to administer" in lacking.problem
    assert lacking.what_to_do.endswith("WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;")
    assert not alice.revoke().is_clean

    lab.paste(lacking.what_to_do)

    with lab.connector() as connector:
        assert connector.check([alice.request.scope]).ok
    receipt = alice.revoke()
    assert receipt.is_clean, receipt
    assert not session.is_alive()
    with pytest.raises(LoginRefused):
        alice.log_in()
    assert lab.owner_of(customer.place.sibling("by_alice")) == "lockgate_heir"
    bob = customer.accounts.provisioned(scope_of(Level.DDL, customer.place))
    assert bob.log_in().count(customer.place) == 3
    assert bob.revoke().is_clean
