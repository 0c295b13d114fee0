"""The other administrators are told of every change, by a mail that says what the audit trail says."""

from __future__ import annotations

import pytest
from django.core import mail
from pytest_django import DjangoCaptureOnCommitCallbacks

from access import change_notices, queueing, tasks
from access.models import Environment
from audit.models import Entry
from tests.access.test_catalogue import change_policy, change_role, change_server, second_administrator, self_serving
from tests.access.world import HOUR, World


def told(event: str) -> list[str]:
    """Whom the mail about the latest entry goes to."""
    mail.outbox.clear()
    change_notices.send(entry=Entry.objects.filter(event=event).order_by("-seq")[0].seq)
    return [address for message in mail.outbox for address in message.to]


def test_the_other_administrators_learn_what_changed(world: World) -> None:
    second_administrator(world)
    change_policy(world, steps=[(world.dba, 2)], longest=HOUR)
    assert told("policy.changed") == ["fred@example.com"]
    message = mail.outbox[0]
    assert message.subject == "Policy changed: One DBA, by erin@example.com"
    assert "Must approve: 1 of dba -> 2 of dba" in message.body
    assert "Longest access: 8 h -> 1 h" in message.body
    assert "/settings/policies/one-dba/" in message.body
    assert "Gives the person" not in message.body


def test_the_mail_says_what_the_change_gives_to_its_author(world: World) -> None:
    second_administrator(world)
    self_serving(world)
    told("policy.changed")
    body = mail.outbox[0].body
    assert "Gives the person who made the change:\n- ask for Orders, read" in body
    assert "- get Orders, read without an approval" in body
    assert "held back from them until another administrator confirms it" in body


def test_roles_and_servers_are_told_of_as_well_and_no_secret_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    second_administrator(world)
    change_role(world, world.read, databases=["orders", "payments"])
    assert told("role.changed") == ["fred@example.com"]
    assert "Databases: orders -> orders, payments" in mail.outbox[0].body
    assert "/settings/roles/orders-read/" in mail.outbox[0].body
    monkeypatch.setenv("ANOTHER_PASSWORD", "hunter2")
    change_server(world, environment=Environment.STAGING, admin_secret="env:ANOTHER_PASSWORD")
    assert told("server.changed") == ["fred@example.com"]
    assert "Environment: production -> staging" in mail.outbox[0].body
    assert "ANOTHER_PASSWORD" not in mail.outbox[0].body
    assert told("policy.added") == ["fred@example.com"]
    assert "May ask: backend" in mail.outbox[0].body


def test_an_administrator_alone_tells_nobody(world: World) -> None:
    change_policy(world, name="Another name")
    assert told("policy.changed") == []


def test_the_notice_leaves_when_the_change_is_committed_and_carries_a_number(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    sent: list[tuple[str, object]] = []
    monkeypatch.setattr(queueing, "send", lambda task, *args: sent.append((task, args)))
    with django_capture_on_commit_callbacks() as callbacks:
        change_policy(world, name="Another name")
    assert sent == []
    for callback in callbacks:
        callback()
    assert sent == [(queueing.TELL_ADMINISTRATORS, (Entry.objects.get(event="policy.changed").seq,))]


def test_the_worker_sends_it(world: World) -> None:
    second_administrator(world)
    change_policy(world, name="Another name")
    tasks.tell_administrators(Entry.objects.get(event="policy.changed").seq)
    assert [message.to for message in mail.outbox] == [["fred@example.com"]]
    assert tasks.tell_administrators.name == queueing.TELL_ADMINISTRATORS
