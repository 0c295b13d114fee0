"""The page of one request: its steps, its SQL, its conversation, and what each person may do there."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from access.models.grants import Direction, JournalLine
from access.queries.roles import plan_of
from access.services import requests, votes
from access.states import GrantState
from people.models import User
from tests.access.world import World
from tests.console.people_and_pages import Pages, activated, approved, ask, ended, signed_in

HTMX = {"HTTP_HX_REQUEST": "true"}


def page(person: User, reference: str) -> str:
    return signed_in(person).get(reverse("request", args=[reference])).content.decode()


def progress(person: User, reference: str, seen: str = "") -> tuple[int, str]:
    address = reverse("request", args=[reference])
    response = signed_in(person).get(address, {"part": "progress", "seen": seen}, **HTMX)
    return response.status_code, response.content.decode()


def test_the_page_shows_steps_reason_sql_and_activity(pages: Pages) -> None:
    text = page(pages.world.bob, pages.pending.reference)
    for words in ("Requested", "Approved", "Provisioning", "Active", "Revoked", pages.pending.reason):
        assert words in text
    assert pages.pending.principal in text
    assert "To grant" in text
    assert "Access requested" in text


def test_the_sql_is_that_of_the_frozen_content(pages: Pages) -> None:
    text = re.sub(r"<[^>]+>", "", page(pages.world.bob, pages.pending.reference)).replace("&quot;", '"')
    assert f'CREATE ROLE "{pages.pending.principal}" LOGIN' in text


def test_what_ran_takes_the_place_of_what_will_run(pages: Pages) -> None:
    text = page(pages.world.alice, pages.over.request.reference)
    assert "To grant" not in text
    assert "Granted" in text
    assert "Removal confirmed." in text
    assert "2 sessions ended" in text


def test_an_approver_finds_the_buttons_and_the_requester_does_not(pages: Pages) -> None:
    approver = page(pages.world.bob, pages.pending.reference)
    owner = page(pages.world.alice, pages.pending.reference)
    approve = reverse("request_approve", args=[pages.pending.reference])
    assert approve in approver
    assert pages.pending.content_hash in approver
    assert approve not in owner
    assert "Waiting for Bob or Carol (2 approvals)" in owner
    for name in ("request_edit", "request_remind", "request_cancel"):
        assert reverse(name, args=[pages.pending.reference]) in owner
        assert reverse(name, args=[pages.pending.reference]) not in approver


def test_an_auditor_sees_everything_and_finds_no_button(pages: Pages) -> None:
    text = page(pages.world.auditor, pages.active.request.reference)
    assert 'method="post"' not in text


def test_the_progress_is_asked_for_until_nothing_changes_any_more(pages: Pages) -> None:
    assert 'hx-trigger="every 3s"' in progress(pages.world.alice, pages.pending.reference)[1]
    assert 'hx-trigger="every 4s"' in progress(pages.world.alice, pages.active.request.reference)[1]
    assert "hx-trigger" not in progress(pages.world.alice, pages.over.request.reference)[1]


def test_progress_that_is_known_already_is_not_sent_again(pages: Pages) -> None:
    reference = pages.pending.reference
    _, first = progress(pages.world.alice, reference)
    seen = re.search(r"seen=([^\"&]+)", first)
    assert seen is not None
    assert progress(pages.world.alice, reference, seen[1]) == (204, "")
    requests.comment(person=pages.world.bob, request=pages.pending, text="Why?", now=timezone.now())
    status, text = progress(pages.world.alice, reference, seen[1])
    assert status == 200
    assert "Why?" in text


def test_a_revocation_that_was_tried_for_days_shows_its_latest_attempts(pages: Pages) -> None:
    grant = pages.active
    grant.state, grant.attempts, grant.ending_since = GrantState.REVOKING, 500, timezone.now()
    grant.save()
    lines = [
        JournalLine(grant=grant, direction=Direction.REVOKE, attempt=attempt, at=timezone.now(), sql=f"DROP {attempt}!")
        for attempt in range(1, 501)
    ]
    JournalLine.objects.bulk_create(lines)
    text = re.sub(r"<[^>]+>", "", page(pages.world.alice, grant.request.reference))
    assert [number for number in range(1, 501) if f"DROP {number}!" in text] == [498, 499, 500]
    assert "CREATE ROLE" in text


def test_progress_is_a_part_and_not_a_page(pages: Pages) -> None:
    status, text = progress(pages.world.alice, pages.pending.reference)
    assert status == 200
    assert "<html" not in text
    assert 'id="progress"' in text
    assert 'id="conversation" hx-swap-oob="true"' in text


def test_approval_moves_the_steps(pages: Pages, world: World) -> None:
    request = ask(world, role=world.two_steps())
    _, before = progress(world.alice, request.reference)
    votes.approve(
        person=world.bob,
        request=request,
        content_hash=request.content_hash,
        now=timezone.now(),
        authenticated_at=timezone.now(),
    )
    _, between = progress(world.alice, request.reference)
    votes.approve(
        person=world.dora,
        request=request,
        content_hash=request.content_hash,
        now=timezone.now(),
        authenticated_at=timezone.now(),
    )
    _, after = progress(world.alice, request.reference)
    assert 'data-state="pending"' in before
    assert "bob@example.com</span> approved" in between
    assert 'data-state="scheduled"' in after


def test_a_comment_is_read_by_the_others(pages: Pages) -> None:
    address = reverse("request_comment", args=[pages.pending.reference])
    signed_in(pages.world.bob).post(address, {"text": "Which rows <exactly>?"})
    assert "Which rows &lt;exactly&gt;?" in page(pages.world.alice, pages.pending.reference)


def test_an_auditor_changes_nothing_and_keeps_what_was_typed(pages: Pages) -> None:
    address = reverse("request_comment", args=[pages.pending.reference])
    response = signed_in(pages.world.auditor).post(address, {"text": "Hm."})
    assert response.status_code == 422
    assert pages.pending.comments.count() == 0


def test_cancelling_ends_it(pages: Pages) -> None:
    response = signed_in(pages.world.alice).post(reverse("request_cancel", args=[pages.pending.reference]), follow=True)
    pages.pending.refresh_from_db()
    assert pages.pending.state == "cancelled"
    assert "You cancelled your request." in response.content.decode()
    assert "Request again" in response.content.decode()


def test_somebody_elses_request_is_not_cancelled(pages: Pages) -> None:
    response = signed_in(pages.world.bob).post(reverse("request_cancel", args=[pages.pending.reference]), follow=True)
    pages.pending.refresh_from_db()
    assert pages.pending.state == "pending"
    assert "Only the person whose access this is may do that." in response.content.decode()


def test_reminding_again_at_once_is_refused_in_words(pages: Pages) -> None:
    address = reverse("request_remind", args=[pages.pending.reference])
    assert "The approvers were reminded." in signed_in(pages.world.alice).post(address, follow=True).content.decode()
    again = signed_in(pages.world.alice).post(address, follow=True).content.decode()
    assert "The approvers were reminded a moment ago." in again


def test_votes_on_an_older_content_are_shown_as_void(world: World) -> None:
    request = ask(world, role=world.two_people())
    votes.approve(
        person=world.bob,
        request=request,
        content_hash=request.content_hash,
        now=timezone.now(),
        authenticated_at=timezone.now(),
    )
    requests.edit(
        person=world.alice,
        request=request,
        duration=timedelta(minutes=5),
        reason="Less",
        ticket="",
        wished_start=None,
        now=timezone.now(),
    )
    assert "(void: edited since)" in page(world.bob, request.reference)


@pytest.mark.parametrize("who", ["bob", "erin"])
def test_somebody_in_charge_finds_end_now(pages: Pages, who: str) -> None:
    text = page(getattr(pages.world, who), pages.active.request.reference)
    assert reverse("grant_end", args=[pages.active.reference]) in text
    assert "End now" in text


def test_an_extension_names_what_it_extends(world: World) -> None:
    grant = activated(approved(world, ask(world)))
    request = requests.extend(
        person=world.alice, grant=grant, duration=timedelta(minutes=30), reason="More", now=timezone.now()
    )
    text = page(world.bob, request.reference)
    assert grant.request.reference in text
    assert "30 min more" in text


def test_the_plan_of_an_extension_moves_the_end_and_makes_nothing(world: World) -> None:
    grant = activated(approved(world, ask(world)))
    request = requests.extend(
        person=world.alice, grant=grant, duration=timedelta(minutes=30), reason="More", now=timezone.now()
    )
    plan = plan_of(request)
    wanted = (grant.ends_at + timedelta(minutes=30)).isoformat(sep=" ")
    assert [each.sql for each in plan.provision] == [f"ALTER ROLE \"{grant.principal}\" VALID UNTIL '{wanted}'"]
    assert plan.revoke == plan_of(grant.request).revoke
    text = page(world.bob, request.reference)
    assert "To extend" in text
    assert "CREATE ROLE" not in text


def test_the_end_says_when_and_how_soon_it_was_proved(world: World) -> None:
    grant = ended(activated(approved(world, ask(world))))
    assert re.search(r"Ended at <time [^>]+>[^<]+</time>", page(world.alice, grant.request.reference))


def test_an_extended_access_tells_its_true_length_and_by_what(world: World) -> None:
    grant = activated(approved(world, ask(world)))
    more = requests.extend(
        person=world.alice, grant=grant, duration=timedelta(minutes=30), reason="More", now=timezone.now()
    )
    votes.approve(
        person=world.bob,
        request=more,
        content_hash=more.content_hash,
        now=timezone.now(),
        authenticated_at=timezone.now(),
    )
    text = page(world.alice, grant.request.reference)
    assert "+ 30 min by" in text
    assert "1 h 30 min in all" in text
    assert reverse("request", args=[more.reference]) in text
    assert reverse("grant", args=[grant.reference]) in page(world.bob, more.reference)


def test_an_edit_leaves_an_open_page_without_buttons_until_it_is_read_again(pages: Pages) -> None:
    request = pages.pending
    opened = request.content_hash[:12]
    requests.edit(
        person=pages.world.alice,
        request=request,
        duration=timedelta(minutes=5),
        reason="Less",
        ticket="",
        wished_start=None,
        now=timezone.now(),
    )
    address = reverse("request", args=[request.reference])
    query = {"part": "progress", "opened": opened}
    news = signed_in(pages.world.bob).get(address, query, **HTMX).content.decode()
    assert "edited this request after you opened it" in news
    assert 'data-action="approve"' not in news
    assert 'data-action="approve"' in page(pages.world.bob, request.reference)


def test_all_that_one_has_asked_for_is_in_a_list(pages: Pages, world: World) -> None:
    denied = ask(world, role=world.role("orders-peek", world.policy))
    votes.deny(
        person=world.bob, request=denied, content_hash=denied.content_hash, comment="Not today", now=timezone.now()
    )
    cancelled = ask(world, role=world.role("orders-poke", world.policy))
    requests.cancel(person=world.alice, request=cancelled, now=timezone.now())
    alice = signed_in(world.alice)
    text = alice.get(reverse("requests")).content.decode()
    for request in (pages.pending, pages.active.request, pages.over.request, denied, cancelled):
        assert reverse("request", args=[request.reference]) in text
    assert "Not today" in text
    only = alice.get(reverse("requests"), {"state": "denied"}).content.decode()
    assert denied.reference in only
    assert cancelled.reference not in only
    assert denied.reference not in signed_in(world.carol).get(reverse("requests")).content.decode()
