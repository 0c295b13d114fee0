"""The gateway as its users meet it: the supervisor, a personal token, the record in the database, and the end of it all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote_plus

import psycopg
import pytest
from django.utils import timezone

from access.models import Grant
from access.services import grants, tokens
from access.services.door import actor_of
from audit.models import StatementEntry
from deploy.local.processes import is_running
from deploy.local.servers import free_port
from people.deactivation import deactivate
from tests.access.world import World
from tests.lifecycle.conftest import shop, shop_world
from tests.lifecycle.test_lifecycle import provisioned
from tests.lifecycle.test_workers import database_url

__all__ = ["shop", "shop_world"]

pytestmark = pytest.mark.parametrize("shop", ["postgresql"], indirect=True)

#: A session is cut within a second of whatever ends it; the rest is for slow machines.
CUT_SECONDS = 1.0
#: Four interpreters begin before a gateway listens.
PATIENCE_SECONDS = 120


class Gateway:
    """A real supervisor with its workers and its shipper."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = free_port()
        self.log = folder / "gateway.log"
        environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "LOCKGATE_GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "LOCKGATE_GATEWAY_JOURNAL": str(folder / "journal"),
            "LOCKGATE_GATEWAY_WORKERS": "2",
            **settings,
        }
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway"], env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def connect(self, token: str, *, user: str = "alice", database: str) -> psycopg.Connection[tuple[object, ...]]:
        """As a client does; waits until the gateway listens."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return psycopg.connect(
                    host="127.0.0.1", port=self.port, user=user, password=token, dbname=database, autocommit=True
                )
            except psycopg.OperationalError as error:
                if "refused" not in str(error) or "Sign-in" in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_SECONDS) == 0, self.log.read_text()

    def kill(self) -> None:
        """As a power cut would, but for its children: they notice, and end by themselves."""
        if self.process.poll() is None:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            self.process.kill()
            deadline = time.monotonic() + PATIENCE_SECONDS
            while any(is_running(int(child)) for child in children) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert not any(is_running(int(child)) for child in children), self.log.read_text()
        self.process.wait()


@pytest.fixture
def gateway(shop_world: World, tmp_path: Path) -> Iterator[Gateway]:
    started = Gateway(tmp_path)
    yield started
    started.kill()


@pytest.fixture
def grant(shop_world: World) -> Grant:
    return provisioned(shop_world)[0]


@pytest.fixture
def token(shop_world: World, grant: Grant) -> str:
    return tokens.make_token(person=shop_world.alice, grant=grant, name="psql", now=timezone.now())[1]


def test_a_person_reads_as_the_principal_and_every_statement_is_in_the_audit_tables(
    shop_world: World, gateway: Gateway, grant: Grant, token: str
) -> None:
    role = shop_world.read.slug
    with gateway.connect(token, database=role) as connection:
        row = connection.execute("SELECT current_user, count(*) FROM orders WHERE id > 0").fetchone()
        assert row == (grant.principal, 3)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="class write") as refused:
            connection.execute("DELETE FROM orders WHERE id = 1")
        hint = refused.value.diag.message_hint or ""
        assert "Ask in the console" in hint
        assert hint.endswith(f"/request/?q={quote_plus(grant.server.name)}"), hint
    gateway.stop()
    kinds = list(StatementEntry.objects.order_by("at", "seq").values_list("kind", flat=True))
    assert [kind for kind in kinds if kind in ("opened", "intent", "outcome", "refused", "closed")] == [
        *("opened", "intent", "outcome", "refused", "closed")
    ]


def test_a_wrong_token_and_a_wrong_user_are_refused_in_the_same_words_and_a_wrong_database_in_others(
    shop_world: World, gateway: Gateway, token: str
) -> None:
    words = "Sign-in failed: the token does not open this database for this user."
    slug = shop_world.read.slug
    for wrong, said in (("token", words), ("user", words), ("database", f"This token opens {slug}: write {slug}, ")):
        given = {"token": token, "user": "alice", "database": slug} | {wrong: "lgt_nonsense"}
        with pytest.raises(psycopg.OperationalError) as refused:
            gateway.connect(given["token"], user=given["user"], database=given["database"])
        assert said in str(refused.value)


def end_the_grant(world: World, grant: Grant) -> None:
    grants.end(person=world.alice, grant=grant, reason="done", now=timezone.now())


def revoke_the_token(world: World, grant: Grant) -> None:
    tokens.revoke_token(person=world.alice, token=grant.tokens.get(), now=timezone.now())


def deactivate_the_person(world: World, grant: Grant) -> None:
    deactivate(person=world.alice, actor=actor_of(world.erin))


@pytest.mark.parametrize("end", [end_the_grant, revoke_the_token, deactivate_the_person])
def test_a_session_dies_in_the_middle_of_a_query_with_what_let_it_in(
    shop_world: World, gateway: Gateway, grant: Grant, token: str, end: Callable[[World, Grant], None]
) -> None:
    connection = gateway.connect(token, database=shop_world.read.slug)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(connection.execute, "SELECT pg_sleep(30)")
        time.sleep(0.3)
        end(shop_world, grant)
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError) as cut:
            running.result(PATIENCE_SECONDS)
    assert time.monotonic() - began < CUT_SECONDS + 1
    assert "This session has ended." in str(cut.value)
    with pytest.raises(psycopg.OperationalError, match="Sign-in failed"):
        gateway.connect(token, database=shop_world.read.slug)


def test_killed_whole_it_leaves_nobody_behind_and_the_next_one_ships_the_rest(
    shop_world: World, gateway: Gateway, token: str, tmp_path: Path
) -> None:
    connection = gateway.connect(token, database=shop_world.read.slug)
    connection.execute("SELECT 1")
    gateway.kill()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 2")
    after = Gateway(tmp_path)
    try:
        with after.connect(token, database=shop_world.read.slug) as again:
            again.execute("SELECT 3")
    finally:
        after.stop()
    assert StatementEntry.objects.filter(kind="intent").count() >= 2
