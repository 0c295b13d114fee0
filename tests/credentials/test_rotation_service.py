"""Rotating from the console and from the command line: who may, when it is refused, and what the audit trail says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from access import targets
from access.credentials import Account
from access.credentials.errors import StoreNotWritable
from access.credentials.registry import writable_store
from access.models import Grant, Server
from access.services import rotation
from access.services.door import actor_of
from access.settling import ROTATION_LOCK
from access.targets import connect, make_password
from audit.events import Event
from audit.models import Entry
from connectors.base import Secret
from connectors.errors import ConnectorError
from tests.access.world import World, build
from tests.connectors.conftest import Notebook
from tests.connectors.labs.base import Lab, random_token
from tests.console.people_and_pages import signed_in


@pytest.fixture
def world(db: None, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The small world, whose server is a real one with the password of Lockgate's account in a file."""
    monkeypatch.setenv("TEST_SERVER_PASSWORD", "not-used-by-the-fake")
    built = build("env:TEST_SERVER_PASSWORD")
    path = tmp_path / "orders"
    path.write_text(lab.target.password.reveal())
    server, target = built.server, lab.target
    server.engine, server.host, server.port, server.database = target.engine, target.host, target.port, target.database
    server.admin_user, server.admin_secret, server.tls = target.user, f"file:{path}", target.tls
    server.save()
    yield built
    server.admin_secret = f"file:{path}"
    with connect(server) as connector:
        connector.change_own_password(target.password, Notebook())


def secret_of(server: Server) -> str:
    return Path(server.admin_secret.removeprefix("file:")).read_text().strip()


def entries(*events: Event) -> list[Entry]:
    return list(Entry.objects.filter(event__in=events).order_by("seq"))


ALL = (Event.SERVER_SECRET_ROTATING, Event.SERVER_SECRET_ROTATED, Event.SERVER_SECRET_ROTATION_FAILED)


def test_an_administrator_rotates_with_one_click(world: World, lab: Lab) -> None:
    client = signed_in(world.erin)
    before = secret_of(world.server)
    page = reverse("server", args=["orders"])
    assert "Change the password now" in client.get(page).content.decode()

    response = client.post(reverse("server_rotate", args=["orders"]), follow=True)

    text = response.content.decode()
    assert "has a new password, proved by a login. The old one no longer works." in text
    assert secret_of(world.server) != before
    with connect(world.server) as connector:
        assert connector.check().version
        with pytest.raises(ConnectorError):
            connector.prove_own_login(lab.target.password)
    assert before not in text
    assert secret_of(world.server) not in text
    assert "Password of Lockgate&#x27;s account changed" in text, "the history tells it"


def test_each_attempt_is_audited_with_a_hash_of_the_statement(world: World) -> None:
    rotation.rotate_admin_secret(person=world.erin, server=world.server)
    began, done = entries(*ALL)
    assert began.event == Event.SERVER_SECRET_ROTATING
    assert done.event == Event.SERVER_SECRET_ROTATED
    assert done.actor_label == began.actor_label == actor_of(world.erin).label
    (statement,) = (done.after or {})["statements"]
    assert len(statement["sha256"]) == 64
    assert statement["outcome"] == "done"
    written = str([began.after, done.after, began.reason, done.reason])
    for part in ("ALTER", "SET PASSWORD", "SCRAM", secret_of(world.server)):
        assert part not in written


def test_a_failed_attempt_is_audited_with_its_reason(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    server = world.server
    server.admin_secret = "env:TEST_SERVER_PASSWORD"
    server.save()
    response = signed_in(world.erin).post(reverse("server_rotate", args=["orders"]))
    words = "What env: names can be read only."
    assert response.status_code == 422
    assert words in response.content.decode()
    failed = entries(*ALL)[-1]
    assert failed.event == Event.SERVER_SECRET_ROTATION_FAILED
    assert words in failed.reason


def test_only_administrators_rotate(world: World) -> None:
    before = secret_of(world.server)
    response = signed_in(world.auditor).post(reverse("server_rotate", args=["orders"]))
    assert response.status_code == 422
    assert "Only administrators" in response.content.decode()
    assert (
        "Change the password now"
        not in signed_in(world.auditor).get(reverse("server", args=["orders"])).content.decode()
    )
    assert secret_of(world.server) == before
    assert entries(*ALL) == []


@pytest.mark.parametrize("reference", ["env:TEST_SERVER_PASSWORD", "azure:managed-identity", "aws-iam:eu-central-1"])
def test_what_cannot_be_written_is_refused_in_words(reference: str) -> None:
    with pytest.raises(StoreNotWritable, match=r"cannot write to where this secret lies"):
        writable_store(reference, Account("postgresql", "orders.test", 5432, "lockgate"))


def test_a_store_that_cannot_be_written_is_told_before_the_server_is_touched(world: World, lab: Lab) -> None:
    path = world.server.admin_secret
    world.server.admin_secret = "file:/proc/version"
    with pytest.raises(StoreNotWritable, match="has to be able to write to its folder"):
        writable_store(world.server.admin_secret, Account("", "", 0, "")).keep_next(make_password())
    world.server.admin_secret = path
    with connect(world.server) as connector:
        connector.prove_own_login(lab.target.password)


def test_a_secret_that_two_servers_use_is_not_rotated(world: World) -> None:
    Server.objects.create(
        slug="billing",
        name="Billing",
        engine="postgresql",
        environment="staging",
        host="billing.test",
        port=5432,
        admin_user="lockgate",
        admin_secret=world.server.admin_secret,
    )
    with pytest.raises(rotation.SecretShared, match="billing"):
        rotation.rotate_admin_secret(person=world.erin, server=world.server)


def test_access_at_an_earlier_address_keeps_the_password_it_needs(world: World) -> None:
    asked = world.ask()
    Grant.objects.create(
        request=asked,
        person=world.alice,
        server=world.server,
        principal="lg_abcdefghij_alice",
        duration=timedelta(hours=1),
        starts_at=timezone.now(),
        ends_at=timezone.now() + timedelta(hours=1),
        address={**world.server.address, "host": "earlier.test"},
        scope={},
        limits={},
        heir="lockgate_heir",
        state="active",
    )
    with pytest.raises(rotation.GrantsElsewhere):
        rotation.rotate_admin_secret(person=world.erin, server=world.server)


@contextmanager
def rotating_elsewhere(server: Server) -> Iterator[None]:
    """Another process is at it."""
    settings = connection.get_connection_params()
    wanted = {name: settings[name] for name in ("host", "port", "user", "password", "dbname") if settings.get(name)}
    with psycopg.connect(**wanted, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", [ROTATION_LOCK, server.pk])
        yield
        # A connection that is closed has its lock until the server has noticed.
        other.execute("SELECT pg_advisory_unlock(%s, %s)", [ROTATION_LOCK, server.pk])


def test_two_at_once_are_one_after_the_other(world: World) -> None:
    with rotating_elsewhere(world.server), pytest.raises(rotation.RotationUnderWay):
        rotation.rotate_admin_secret(person=world.erin, server=world.server)
    assert [entry.event for entry in entries(*ALL)] == [
        Event.SERVER_SECRET_ROTATING,
        Event.SERVER_SECRET_ROTATION_FAILED,
    ]
    rotation.rotate_admin_secret(person=world.erin, server=world.server)


def test_the_command_rotates_or_says_why_not(world: World) -> None:
    before, out = secret_of(world.server), StringIO()
    call_command("rotate_admin_secret", "orders", stdout=out)
    assert "has a new password" in out.getvalue()
    assert secret_of(world.server) != before
    with pytest.raises(CommandError, match="There is no server nowhere"):
        call_command("rotate_admin_secret", "nowhere")
    Server.objects.filter(pk=world.server.pk).update(admin_secret="env:TEST_SERVER_PASSWORD")
    with pytest.raises(CommandError, match="Lockgate still gets in as before"):
        call_command("rotate_admin_secret", "orders")


@contextmanager
def killed_before_the_store_knew(world: World) -> Iterator[tuple[str, Secret]]:
    """A rotation that reached the server and no further; gives the password before, and the one that gets in."""
    before, following = secret_of(world.server), make_password()
    with connect(world.server) as connector:
        store_of(world.server).keep_next(following)
        connector.change_own_password(following, Notebook())
    world.server.tls_ca_file = f"/{random_token()}"  # another connection than those that wait here
    yield before, following
    world.server.tls_ca_file = ""


def store_of(server: Server) -> Any:
    return writable_store(server.admin_secret, Account("", "", 0, ""))


def test_a_login_that_finishes_an_interrupted_rotation_is_audited(world: World) -> None:
    with killed_before_the_store_knew(world) as (_, following), connect(world.server) as connector:
        connector.list_principals()
    (settled,) = entries(*ALL)
    assert settled.event == Event.SERVER_SECRET_ROTATED
    assert secret_of(world.server) == following.reveal()


def test_a_login_beside_a_rotation_leaves_the_end_of_it_to_the_rotation(world: World) -> None:
    """It may yet take the password back."""
    with killed_before_the_store_knew(world) as (before, following):
        with rotating_elsewhere(world.server), connect(world.server) as connector:
            connector.list_principals()
        assert (secret_of(world.server), store_of(world.server).fetch_next()) == (before, following)
        assert entries(*ALL) == []


def test_a_login_that_comes_late_does_not_bring_an_old_password_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its login and its finishing the rotation, others finished it and rotated again."""
    with killed_before_the_store_knew(world) as (_, following):
        honest = targets.settle

        def late(server: Server, promote: Callable[[], bool]) -> None:
            monkeypatch.setattr(targets, "settle", honest)
            rotation.rotate_admin_secret(person=world.erin, server=server)
            honest(server, promote)

        monkeypatch.setattr(targets, "settle", late)
        with connect(world.server) as connector:
            connector.list_principals()
        assert targets.settle is honest, "it came late"
        assert secret_of(world.server) != following.reveal()
        with connect(world.server) as connector:
            connector.prove_own_login(Secret(secret_of(world.server)))
