"""The tick: what is due is found once, by one tick, however many run."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail

from access import claims, notices, queueing, ticking
from access.models import AccessRequest, Grant, Heartbeat
from access.queries.status import alarms_for
from access.services import votes
from access.states import GrantState
from access.ticking import REMIND_AFTER, tick
from access.window import OVERDUE_AFTER
from audit.models import Entry
from connectors.base import Level
from tests.access.test_votes import at_once
from tests.access.world import HOUR, NOW, World

SECOND = timedelta(seconds=1)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What was put on the queue."""
    messages: list[tuple[object, ...]] = []
    monkeypatch.setattr(queueing, "send", lambda *message: messages.append(message))
    return messages


def granted(world: World, **wishes: object) -> Grant:
    request = world.ask(**wishes)
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    return Grant.objects.get(request=request)


def active(world: World) -> Grant:
    grant = granted(world)
    Grant.objects.filter(pk=grant.pk).update(state=GrantState.ACTIVE)
    grant.refresh_from_db()
    return grant


def test_an_approved_grant_is_started_and_not_twice(world: World, sent: list[object]) -> None:
    grant = granted(world)
    assert tick(worker="w", now=NOW)["provision"] == 1
    assert tick(worker="w", now=NOW + SECOND)["provision"] == 0
    assert sent == [(queueing.PROVISION, grant.pk)]


def test_a_message_that_was_lost_is_sent_again(world: World, sent: list[object]) -> None:
    granted(world)
    tick(worker="w", now=NOW)
    assert tick(worker="w", now=NOW + claims.QUEUED_FOR)["provision"] == 1


def test_a_wished_start_is_waited_for(world: World, sent: list[object]) -> None:
    granted(world, wished_start=NOW + HOUR)
    assert tick(worker="w", now=NOW + HOUR - SECOND)["provision"] == 0
    assert tick(worker="w", now=NOW + HOUR)["provision"] == 1


def test_an_end_is_due_at_its_very_instant(world: World, sent: list[object]) -> None:
    grant = active(world)
    assert tick(worker="w", now=grant.ends_at - timedelta(microseconds=1))["revoke"] == 0
    assert tick(worker="w", now=grant.ends_at)["revoke"] == 1


def test_what_somebody_works_on_is_left_alone_until_the_lease_ends(world: World, sent: list[object]) -> None:
    grant = active(world)
    end = grant.ends_at
    assert claims.claim(grant_id=grant.pk, claimant="a", states=[GrantState.ACTIVE], now=end)
    assert not claims.claim(grant_id=grant.pk, claimant="b", states=[GrantState.ACTIVE], now=end)
    assert tick(worker="w", now=end)["revoke"] == 0
    assert tick(worker="w", now=end + claims.LEASE)["revoke"] == 1
    assert claims.claim(grant_id=grant.pk, claimant="b", states=[GrantState.ACTIVE], now=end + claims.LEASE)
    assert not claims.renew(grant_id=grant.pk, claimant="a", now=end + claims.LEASE)


def test_a_message_delivered_again_takes_its_own_claim_over(world: World) -> None:
    grant = active(world)
    for _ in range(2):
        assert claims.claim(grant_id=grant.pk, claimant="message-1", states=[GrantState.ACTIVE], now=NOW)


def test_ticks_at_the_same_instant_take_each_grant_once(committed_world: World, sent: list[tuple[object, ...]]) -> None:
    world = committed_world
    for number in range(5):
        grant = granted(world, role=world.role(f"role-{number}", world.policy))
        Grant.objects.filter(pk=grant.pk).update(state=GrantState.ACTIVE)
    results = at_once(*[lambda: tick(worker="w", now=NOW + 2 * HOUR)] * 4)
    revoked = [message for message in sent if message[0] == queueing.REVOKE]
    assert sum(result["revoke"] for result in results if isinstance(result, dict)) == 5
    assert len(revoked) == len(set(revoked)) == 5


def test_a_request_lapses_at_its_instant_and_says_so_once(world: World, sent: list[object]) -> None:
    request = world.ask()
    assert tick(worker="w", now=request.lapses_at - SECOND)["lapse"] == 0
    assert tick(worker="w", now=request.lapses_at)["lapse"] == 1
    assert tick(worker="w", now=request.lapses_at)["lapse"] == 0
    request.refresh_from_db()
    assert request.state == "lapsed"
    assert Entry.objects.filter(event="request.lapsed", subject_id=request.reference).count() == 1


def test_approvers_are_reminded_once_when_half_the_time_is_over(world: World, sent: list[object]) -> None:
    request = world.ask()
    assert tick(worker="w", now=NOW + REMIND_AFTER)["remind"] == 0
    half = NOW + (request.lapses_at - NOW) / 2
    assert tick(worker="w", now=half)["remind"] == 1
    assert tick(worker="w", now=half + HOUR)["remind"] == 0


def test_many_that_are_not_due_yet_keep_no_reminder_back(
    world: World, sent: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ticking, "BATCH", 1)
    young = world.ask()
    old = world.ask(role=world.two_people(), now=NOW - (young.lapses_at - NOW))
    AccessRequest.objects.filter(pk=old.pk).update(lapses_at=young.lapses_at)
    assert tick(worker="w", now=NOW + REMIND_AFTER)["remind"] == 1
    assert ("request_reminded", old.pk) in [message[1:] for message in sent]  # type: ignore[index]


def test_access_past_its_end_alarms_once_and_on_every_page(world: World, sent: list[object]) -> None:
    grant = active(world)
    late = grant.ends_at + OVERDUE_AFTER
    Heartbeat.objects.create(worker="w", seen_at=late)
    assert [alarm.kind for alarm in alarms_for(world.oscar, now=late - SECOND)] == []
    assert tick(worker="w", now=late)["alarm"] == 1
    assert tick(worker="w", now=late + SECOND)["alarm"] == 0
    [for_oscar] = alarms_for(world.oscar, now=late)
    [for_erin] = alarms_for(world.erin, now=late)
    assert (for_oscar.kind, for_oscar.grant) == ("revocation", None)
    assert for_erin.grant == grant
    assert Entry.objects.filter(event="grant.revocation_overdue").count() == 1


def test_silent_workers_alarm(world: World, sent: list[object]) -> None:
    assert [alarm.kind for alarm in alarms_for(world.alice, now=NOW)] == ["worker"]
    tick(worker="w", now=NOW)
    assert alarms_for(world.alice, now=NOW + 9 * SECOND) == []
    assert [alarm.kind for alarm in alarms_for(world.alice, now=NOW + 10 * SECOND)] == ["worker"]


def mailed(notice: str, request: AccessRequest) -> dict[str, str]:
    """Whom a notice reaches, and with which text."""
    mail.outbox.clear()
    notices.send(notice=notice, request_id=request.pk)
    return {message.to[0].partition("@")[0]: f"{message.subject}\n{message.body}" for message in mail.outbox}


def test_notices_reach_the_people_of_the_present_step_and_nobody_else(world: World) -> None:
    request = world.ask(role=world.two_steps())
    assert set(mailed("request_submitted", request)) == {"bob", "carol"}
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    assert set(mailed("request_submitted", request)) == {"dora"}
    votes.deny(person=world.dora, request=request, content_hash=request.content_hash, comment="No", now=NOW)
    assert mailed("request_submitted", request) == {}
    assert set(mailed("request_denied", request)) == {"alice"}


def test_a_broken_glass_is_told_to_approvers_and_administrators(world: World) -> None:
    world.policy.break_glass_team = world.backend
    world.policy.save()
    world.read.refresh_from_db()
    request = world.ask(break_glass=True)
    assert set(mailed("glass_broken", request)) == {"bob", "carol", "erin"}


def test_no_name_keeps_a_notice_from_being_sent(world: World) -> None:
    world.alice.display_name = name = "Alice\rBcc: mallory@evil.test"
    world.alice.save()
    request = world.ask()
    sent = mailed("request_submitted", request)
    assert set(sent) == {"bob", "carol"}
    assert sent["bob"].startswith(f"Approve? {' '.join(name.split())} (alice@example.com) asks for Orders, read, 1 h\n")

    # Nor can a name write lines of its own into the text.
    assert "\nBcc:" not in sent["bob"]


@pytest.mark.parametrize("notice", ["request_submitted", "request_reminded"])
def test_a_mail_to_approvers_tells_what_a_decision_needs(world: World, notice: str) -> None:
    role = world.role("reports", world.policy)
    role.level, role.database_roles = Level.MEMBER, ["reporting"]
    role.save()
    request = world.ask(role=role, duration=timedelta(minutes=90), ticket="OPS-1")
    text = mailed(notice, request)["bob"]
    for words in (
        "Who: Alice (alice@example.com)",
        "What: reports (member of reporting on orders)",
        "Where: Orders, production",
        "For: 1 h 30 min",
        "Why: Ticket 4711: an order is stuck",
        "Ticket: OPS-1",
    ):
        assert words in text


@pytest.mark.parametrize("notice", sorted(notices.NOTICES))
def test_every_notice_has_a_subject_a_text_and_a_link(world: World, notice: str) -> None:
    request = world.ask(reason="Ben & Jerry's <order>")
    for text in mailed(notice, request).values():
        subject, _, body = text.partition("\n")
        assert 10 < len(subject) < 120
        assert f"/requests/{request.reference}/" in body
        assert "&amp;" not in text
