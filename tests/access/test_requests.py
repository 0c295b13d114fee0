"""Asking for access: what is refused, what is frozen, what an edit does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from access.content import ContentChanged
from access.errors import (
    AlreadyAsked,
    AlreadyDecided,
    ContentHasChanged,
    NoPolicy,
    NotARequester,
    NotYours,
    PolicyCannotBeMet,
    ReasonMissing,
    Refused,
    StartNotPossible,
    TooLong,
)
from access.models import AccessRequest, Environment, Grant
from access.services import catalogue, requests, votes
from access.states import RequestState
from audit.models import Entry
from connectors.base import Level
from people.models import User
from tests.access.world import HOUR, NOW, World

MINUTE = timedelta(minutes=1)


def test_a_request_is_frozen_with_its_hash_and_in_the_trail(world: World) -> None:
    request = world.ask()
    assert request.state == RequestState.PENDING
    assert request.frozen.scope.databases == ("orders",)
    assert request.frozen.hash == request.content_hash
    entry = Entry.objects.get(event="request.submitted")
    assert (entry.subject_id, entry.actor_label) == (request.reference, "alice@example.com")


def test_a_request_whose_content_was_tampered_with_is_not_carried_out(world: World) -> None:
    request = world.ask()
    request.content["scope"]["level"] = "ddl"
    with pytest.raises(ContentChanged):
        _ = request.frozen


def test_a_changed_role_does_not_change_what_was_asked(world: World) -> None:
    request = world.ask()
    world.read.databases = ["payroll"]
    world.read.save()
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    assert Grant.objects.get(request=request).scope["databases"] == ["orders"]


def test_each_scope_has_a_group_of_its_own_whatever_the_names(world: World) -> None:
    before = world.read.scope.group
    world.read.schemas = ["public"]
    assert world.read.scope.group != before
    long_name = world.role("a" * 50, None).scope.group
    assert before.startswith("lockgate_orders_read_")
    assert len(long_name) <= 63
    assert len({role.scope.group for role in (world.role("a-b", None), world.role("a-b-c", None), world.read)}) == 3


def test_without_a_policy_nothing_can_be_requested(world: World) -> None:
    with pytest.raises(NoPolicy):
        world.ask(role=world.role("bare", None))


@pytest.mark.parametrize("off", ["role", "server"])
def test_what_is_switched_off_cannot_be_requested(world: World, off: str) -> None:
    thing = world.read if off == "role" else world.server
    thing.is_enabled = False
    thing.save()
    world.read.refresh_from_db()
    with pytest.raises(NoPolicy):
        world.ask()


@pytest.mark.parametrize("who", ["bob", "oscar", "erin", "auditor"])
def test_whom_the_policy_does_not_name_may_not_ask(world: World, who: str) -> None:
    with pytest.raises(NotARequester):
        world.ask(person=getattr(world, who))
    assert not AccessRequest.objects.exists()
    refused = Entry.objects.get(event="request.refused")
    assert (refused.actor_label, refused.subject_id) == (f"{who}@example.com", "orders-read")


def test_a_deactivated_person_may_not_ask(world: World) -> None:
    # The page that she sends from was opened before: the service reads her as she is now.
    User.objects.filter(pk=world.alice.pk).update(is_active=False)
    with pytest.raises(NotARequester):
        world.ask()


def test_a_policy_that_nobody_can_meet_is_refused_at_submission(world: World) -> None:
    policy = catalogue.define_policy(
        person=world.erin, slug="five", name="Five", requesters=[world.backend], steps=[(world.dba, 5)]
    )
    with pytest.raises(PolicyCannotBeMet):
        world.ask(role=world.role("five", policy))


@pytest.mark.parametrize("duration", [timedelta(0), -HOUR, timedelta(seconds=59), timedelta(hours=9)])
def test_impossible_durations_are_refused(world: World, duration: timedelta) -> None:
    with pytest.raises(TooLong, match="between one minute and 8 h"):
        world.ask(duration=duration)


@pytest.mark.parametrize("reason", ["", "   \n"])
def test_a_reason_is_needed(world: World, reason: str) -> None:
    with pytest.raises(ReasonMissing):
        world.ask(reason=reason)


@pytest.mark.parametrize("start", [NOW, NOW - HOUR, NOW + timedelta(days=31)])
def test_a_start_in_the_past_or_far_away_is_refused(world: World, start: object) -> None:
    with pytest.raises(StartNotPossible):
        world.ask(wished_start=start)


def test_asking_twice_for_the_same_role_is_refused_while_the_first_is_open(world: World) -> None:
    first = world.ask()
    with pytest.raises(AlreadyAsked):
        world.ask()
    requests.cancel(person=world.alice, request=first, now=NOW)
    world.ask()


def test_reads_approve_themselves_only_where_the_policy_says_so(world: World) -> None:
    world.policy.self_approved_environments = [Environment.STAGING]
    world.policy.save()
    world.read.refresh_from_db()
    assert world.ask().state == RequestState.PENDING
    world.server.environment = Environment.STAGING
    world.server.save()
    staging_write = world.role("staging-write", world.policy, Level.WRITE)
    assert world.ask(role=staging_write).state == RequestState.PENDING
    staging_read = world.role("staging-read", world.policy, Level.READ)
    request = world.ask(role=staging_read)
    assert request.state == RequestState.APPROVED
    assert Grant.objects.filter(request=request).exists()
    assert Entry.objects.filter(event="request.auto_approved", subject_id=request.reference).exists()


def test_only_the_break_glass_team_breaks_the_glass(world: World) -> None:
    world.policy.break_glass_team = world.security
    world.policy.save()
    world.read.refresh_from_db()
    with pytest.raises(NotARequester):
        world.ask(break_glass=True)
    request = world.ask(person=world.dora, break_glass=True)
    grant = Grant.objects.get(request=request)
    assert request.state == RequestState.APPROVED
    assert grant.needs_review
    assert Entry.objects.filter(event="request.break_glass", actor_label="dora@example.com").exists()


def test_an_edit_voids_the_votes(world: World) -> None:
    request = world.ask(role=world.two_people())
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    requests.edit(
        person=world.alice, request=request, duration=2 * HOUR, reason="More", ticket="", wished_start=None, now=NOW
    )
    request.refresh_from_db()
    decision = votes.approve(
        person=world.carol, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW
    )
    assert decision.outcome == "pending"
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    assert Grant.objects.get(request=request).duration == 2 * HOUR


def edited(world: World, request: AccessRequest, reason: str) -> None:
    wishes = {"duration": request.duration, "ticket": request.ticket, "wished_start": None}
    requests.edit(person=world.alice, request=request, reason=reason, now=NOW, **wishes)  # type: ignore[arg-type]
    request.refresh_from_db()


def test_an_edit_and_its_undoing_are_two_submissions_and_no_vote_comes_back(world: World) -> None:
    request = world.ask(role=world.two_people())
    first, reason = request.content_hash, request.reason
    votes.approve(person=world.bob, request=request, content_hash=first, now=NOW, authenticated_at=NOW)
    edited(world, request, "Something else")
    edited(world, request, reason)
    assert (request.reason, request.content["submission"]) == (reason, 3)
    with pytest.raises(ContentHasChanged):
        votes.approve(person=world.carol, request=request, content_hash=first, now=NOW, authenticated_at=NOW)
    decision = votes.approve(
        person=world.carol, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW
    )
    assert decision.outcome == "pending"
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    assert Grant.objects.filter(request=request).exists()


def test_a_request_from_before_submissions_were_counted_keeps_its_hash_and_counts_from_its_next_edit(
    world: World,
) -> None:
    request = world.ask(role=world.two_people())
    old = request.frozen.changed(submission=0)
    assert "submission" not in old.to_json()
    AccessRequest.objects.filter(pk=request.pk).update(content=old.to_json(), content_hash=old.hash)
    request.refresh_from_db()
    votes.approve(person=world.bob, request=request, content_hash=old.hash, now=NOW, authenticated_at=NOW)
    reason = request.reason
    edited(world, request, "Something else")
    edited(world, request, reason)
    assert request.content_hash != old.hash
    assert votes.decision_on(request).steps[0].missing == 2


def test_an_edit_that_changes_nothing_keeps_the_votes(world: World) -> None:
    request = world.ask(role=world.two_people())
    requests.edit(
        person=world.alice,
        request=request,
        duration=request.duration,
        reason=request.reason,
        ticket=request.ticket,
        wished_start=None,
        now=NOW,
    )
    hash_before = request.content_hash
    request.refresh_from_db()
    assert request.content_hash == hash_before
    assert not Entry.objects.filter(event="request.edited").exists()


def test_nobody_else_edits_cancels_or_reminds(world: World) -> None:
    request = world.ask()
    with pytest.raises(NotYours):
        requests.cancel(person=world.bob, request=request, now=NOW)
    with pytest.raises(NotYours):
        requests.remind(person=world.bob, request=request, now=NOW)
    with pytest.raises(NotYours):
        requests.edit(
            person=world.bob, request=request, duration=HOUR, reason="x", ticket="", wished_start=None, now=NOW
        )


def test_a_cancelled_request_stays_cancelled(world: World) -> None:
    request = world.ask()
    requests.cancel(person=world.alice, request=request, now=NOW)
    with pytest.raises(AlreadyDecided, match="cancelled"):
        requests.cancel(person=world.alice, request=request, now=NOW)
    with pytest.raises(AlreadyDecided):
        requests.edit(
            person=world.alice, request=request, duration=HOUR, reason="x", ticket="", wished_start=None, now=NOW
        )


def test_reminders_have_a_pause(world: World) -> None:
    request = world.ask()
    requests.remind(person=world.alice, request=request, now=NOW)
    with pytest.raises(requests.RemindedAlready):
        requests.remind(person=world.alice, request=request, now=NOW + 9 * MINUTE)
    requests.remind(person=world.alice, request=request, now=NOW + 10 * MINUTE)


def test_who_may_not_see_a_request_cannot_comment_on_it(world: World) -> None:
    request = world.ask()
    for person in (world.oscar, world.auditor):
        with pytest.raises(Refused):
            requests.comment(person=person, request=request, text="Hello", now=NOW)
    requests.comment(person=world.bob, request=request, text="Which order?", now=NOW)
    assert request.comments.get().text == "Which order?"


def test_the_database_itself_refuses_a_window_that_ends_before_it_begins(world: World) -> None:
    request = world.ask()
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    grant = Grant.objects.get(request=request)
    with pytest.raises(IntegrityError), transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(ends_at=grant.starts_at)


@pytest.mark.parametrize("state", ["revoked", "failed"])
def test_the_database_itself_refuses_an_end_without_a_receipt(world: World, state: str) -> None:
    request = world.ask()
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        Grant.objects.filter(request=request).update(state=state)


def test_the_database_itself_refuses_a_second_grant_of_one_request(world: World) -> None:
    request = world.ask()
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    grant = Grant.objects.get(request=request)
    grant.pk, grant.reference, grant.principal = None, "G-OTHER", "lg_other"
    with pytest.raises(IntegrityError), transaction.atomic():
        grant.save(force_insert=True)


def test_the_database_itself_refuses_votes_by_the_requester_and_changed_votes(world: World) -> None:
    request = world.ask(role=world.two_people())
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=NOW, authenticated_at=NOW)
    insert = (
        "INSERT INTO access_vote (request_id, voter_id, verdict, content_hash, team, comment, cast_at)"
        " VALUES (%s, %s, 'approve', %s, 'dba', '', now())"
    )
    for sql, values in (
        (insert, [request.pk, world.alice.pk, request.content_hash]),
        (insert, [request.pk, world.bob.pk, request.content_hash]),
        ("UPDATE access_vote SET verdict = 'deny'", []),
        ("DELETE FROM access_vote", []),
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, values)
