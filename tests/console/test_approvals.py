"""The Approvals page: one click, shorter, denied with a reason, several at once, and never one's own."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone

from access.models import AccessRequest, Grant, Vote
from access.queries.pages import similar_to
from access.services import requests, votes
from connectors.base import Level
from people.models import User
from people.services import join, leave
from tests.access.world import SETUP, World
from tests.console.people_and_pages import activated, approved, ask, ended, signed_in

HTMX = {"HTTP_HX_REQUEST": "true"}


def list_of(person: User) -> str:
    return signed_in(person).get(reverse("approvals")).content.decode()


def press(person: User, name: str, request: AccessRequest, *, htmx: bool = True, **data: str) -> HttpResponse:
    """What the buttons of a row send."""
    form = {"content_hash": request.content_hash, "back": "approvals", **data}
    headers = HTMX if htmx else {}
    return signed_in(person).post(reverse(name, args=[request.reference]), form, **headers)


def test_a_row_tells_who_what_where_how_long_why_and_the_risk(world: World) -> None:
    request = ask(world, role=world.two_people(), reason="Ticket 4711: an order is stuck")
    text = list_of(world.bob)
    for words in ("Alice", "orders-write", "Orders", "Production", "1 h", request.reason, "Medium risk"):
        assert words in text
    assert "First time for this role" in text


def test_a_row_tells_of_the_last_similar_request(world: World) -> None:
    earlier = ended(approved(world, ask(world))).request
    ask(world)
    text = list_of(world.bob)
    assert "Last similar" in text
    assert reverse("request", args=[earlier.reference]) in text


def test_a_similar_request_that_the_approver_may_not_see_is_not_told_of(world: World) -> None:
    earlier = ended(approved(world, ask(world))).request
    join(person=world.dora, team=world.dba, actor=SETUP)
    asked = ask(world)
    leave(person=world.dora, team=world.dba, actor=SETUP)
    dora = User.objects.get(pk=world.dora.pk)
    assert similar_to([asked], viewer=world.bob) == {asked.pk: earlier}
    assert similar_to([asked], viewer=dora) == {}


def test_one_click_approves(world: World) -> None:
    request = ask(world)
    response = press(world.bob, "request_approve", request)
    text = response.content.decode()
    assert response.status_code == 200
    assert "You approved Orders, read for Alice." in text
    assert f'id="ask-{request.reference}"' in text
    assert 'id="waiting-count" hx-swap-oob="true"' in text
    assert Grant.objects.get().request == request


def test_it_works_without_scripts_too(world: World) -> None:
    request = ask(world)
    response = press(world.bob, "request_approve", request, htmx=False)
    assert response["Location"] == reverse("approvals")
    assert Grant.objects.filter(request=request).exists()


def test_a_get_changes_nothing(world: World) -> None:
    request = ask(world)
    for name in ("request_approve", "request_deny"):
        assert signed_in(world.bob).get(reverse(name, args=[request.reference])).status_code == 405
    assert not Vote.objects.exists()


def test_shorter_is_granted_shorter(world: World) -> None:
    request = ask(world)
    press(world.bob, "request_approve", request, duration="15m", comment="That is enough.")
    assert Grant.objects.get().duration == timedelta(minutes=15)


def test_longer_than_asked_is_refused_and_what_was_typed_stays(world: World) -> None:
    request = ask(world)
    response = press(
        world.bob, "request_approve", request, duration="custom", duration_custom="5h", comment="Take your time."
    )
    text = response.content.decode()
    assert response.status_code == 422
    assert "Approve for as long as was asked, or for less." in text
    assert "Take your time." in text
    assert "data-open" in text
    assert not Vote.objects.exists()


def test_a_denial_needs_a_reason(world: World) -> None:
    request = ask(world)
    response = press(world.bob, "request_deny", request, comment=" ")
    assert response.status_code == 422
    assert "Say why: the requester has to know what to change." in response.content.decode()
    assert not Vote.objects.exists()


def test_a_denial_with_a_reason_ends_the_request(world: World) -> None:
    request = ask(world)
    response = press(world.bob, "request_deny", request, comment="Not today.")
    request.refresh_from_db()
    assert request.state == "denied"
    assert "You denied Orders, read to Alice." in response.content.decode()


def test_the_first_of_two_steps_says_who_is_next(world: World) -> None:
    request = ask(world, role=world.two_steps())
    assert "It still needs approval from Security" in press(world.bob, "request_approve", request).content.decode()
    assert list_of(world.bob).count("data-row-link") == 0
    assert request.reference in list_of(world.dora)


def test_nobody_finds_their_own_request_in_the_list(world: World) -> None:
    world.alice.memberships.create(team=world.dba)
    alice = User.objects.get(pk=world.alice.pk)
    request = ask(world)
    assert request.reference not in list_of(alice)
    response = press(alice, "request_approve", request)
    assert response.status_code == 422
    assert "You cannot decide on your own request." in response.content.decode()
    assert not Vote.objects.exists()


def test_content_that_was_edited_meanwhile_is_not_approved_by_an_old_page(world: World) -> None:
    request = ask(world)
    seen = request.content_hash
    requests.edit(
        person=world.alice,
        request=request,
        duration=timedelta(hours=2),
        reason="More",
        ticket="",
        wished_start=None,
        now=timezone.now(),
    )
    response = press(world.bob, "request_approve", request, content_hash=seen)
    text = response.content.decode()
    request.refresh_from_db()
    assert response.status_code == 422
    assert "The request was edited after you opened it" in text
    assert request.content_hash in text
    assert "2 h" in text
    assert not Grant.objects.exists()


def test_a_request_that_somebody_else_decided_meanwhile_says_so(world: World) -> None:
    request = ask(world)
    votes.deny(person=world.carol, request=request, content_hash=request.content_hash, comment="No", now=timezone.now())
    for htmx in (True, False):
        response = press(world.bob, "request_approve", request, htmx=htmx)
        assert response.status_code == 422
        assert "This request is no longer open. It is denied." in response.content.decode()


def test_from_the_page_of_the_request_one_stays_there(world: World) -> None:
    request = ask(world)
    response = press(world.bob, "request_approve", request, htmx=False, back="")
    assert response["Location"] == reverse("request", args=[request.reference])


def test_low_risk_requests_are_approved_together(world: World) -> None:
    low = [ask(world), ask(world, role=world.role("orders-peek", world.policy, Level.READ))]
    high = ask(world, role=world.role("orders-change", world.policy))
    text = list_of(world.bob)
    assert f'value="{low[0].reference}:{low[0].content_hash}"' in text
    assert f'value="{high.reference}:' not in text
    picks = [f"{request.reference}:{request.content_hash}" for request in low]
    response = signed_in(world.bob).post(reverse("approve_several"), {"pick": picks}, follow=True)
    assert "You approved 2 requests." in response.content.decode()
    assert {grant.request for grant in Grant.objects.all()} == set(low)


@pytest.mark.parametrize("forged", ["risk", "hash", "foreign"])
def test_what_does_not_belong_into_a_bulk_is_told_and_not_approved(world: World, forged: str) -> None:
    good = ask(world)
    other = ask(world, role=world.role("orders-change", world.policy))
    pick = {
        "risk": f"{other.reference}:{other.content_hash}",
        "hash": f"{good.reference}:{'0' * 64}",
        "foreign": "R-00000000:x",
    }[forged]
    words = {
        "risk": "only low-risk requests are approved together",
        "hash": "The request was edited after you opened it",
        "foreign": "there is no such request",
    }[forged]
    response = signed_in(world.bob).post(reverse("approve_several"), {"pick": [pick]}, follow=True)
    assert words in response.content.decode()
    assert not Vote.objects.exists()


def test_nothing_ticked_is_said(world: World) -> None:
    response = signed_in(world.bob).post(reverse("approve_several"), follow=True)
    assert "Tick the requests that you want to approve." in response.content.decode()


def test_an_empty_list_says_so(world: World) -> None:
    assert "Nothing waits for you" in list_of(world.bob)


def test_access_that_is_no_longer_allowed_is_listed_and_decided(world: World) -> None:
    grant = activated(approved(world, ask(world)))
    leave(person=world.alice, team=world.backend, actor=SETUP)
    bob = signed_in(world.bob)
    assert f"questioned-{grant.reference}" in list_of(world.bob)
    assert "questioned-" not in list_of(world.oscar)
    assert "No longer allowed" in bob.get(reverse("grant", args=[grant.reference])).content.decode()
    keep = reverse("grant_keep", args=[grant.reference])
    refused = bob.post(keep)
    assert refused.status_code == 422
    assert "Say why it stays" in refused.content.decode()
    assert bob.post(keep, {"comment": "Hands over until noon"}).status_code == 302
    assert "questioned-" not in list_of(world.bob)


@pytest.mark.parametrize("empty", [{"shorter": "on"}, {"duration": ""}, {"duration": "custom", "duration_custom": " "}])
def test_shorter_without_a_choice_is_not_taken_for_all_of_it(world: World, empty: dict[str, str]) -> None:
    request = ask(world)
    response = press(world.bob, "request_approve", request, comment="Not so long", **empty)
    text = response.content.decode()
    assert response.status_code == 422
    assert "Choose for how long." in text
    assert "Not so long" in text
    assert not Vote.objects.exists()


def test_what_was_typed_too_late_is_shown_and_not_lost(world: World) -> None:
    request = ask(world)
    requests.cancel(person=world.alice, request=request, now=timezone.now())
    typed = {"comment": "Ask the DBAs first"}
    row = press(world.bob, "request_deny", request, **typed)
    page = press(world.bob, "request_deny", request, htmx=False, back="", **typed)
    for response in (row, page):
        assert response.status_code == 422
        assert "This request is no longer open." in response.content.decode()
        assert "Ask the DBAs first" in response.content.decode()
    assert f'id="ask-{request.reference}"' in row.content.decode()


def test_a_member_role_names_the_roles_and_a_person_the_address(world: World) -> None:
    role = world.role("reports", world.policy)
    role.level, role.database_roles = Level.MEMBER, ["reporting", "audit_ro"]
    role.save()
    ask(world, role=role)
    text = list_of(world.bob)
    assert "member of reporting and audit_ro on orders" in text
    assert "alice@example.com" in text


def news(person: User, *shown: str, after: int | None = 0) -> tuple[int, str]:
    query = {"part": "news", "shown": list(shown), **({} if after is None else {"after": after})}
    response = signed_in(person).get(reverse("approvals"), query, **HTMX)
    return response.status_code, response.content.decode()


def shown_rows(person: User) -> list[str]:
    return re.findall(r'name="shown" value="([^"]+)"', list_of(person))


def test_an_open_list_is_told_what_is_new_changed_and_gone(world: World) -> None:
    first, second = ask(world), ask(world, role=world.two_people())
    shown = shown_rows(world.bob)
    assert news(world.bob, *shown, after=second.pk) == (204, "")

    third = ask(world, role=world.role("orders-peek", world.policy, Level.READ))
    votes.deny(person=world.carol, request=first, content_hash=first.content_hash, comment="No", now=timezone.now())
    requests.edit(
        person=world.alice,
        request=second,
        duration=timedelta(minutes=50),
        reason="Something else",
        ticket="",
        wished_start=None,
        now=timezone.now(),
    )
    status, text = news(world.bob, *shown, after=second.pk)
    assert status == 200
    assert "was denied by Carol meanwhile" in text
    assert "This request was edited after you opened the list." in text
    assert f'action="{reverse("request_approve", args=[second.reference])}"' not in text.split("popover")[0]
    assert 'hx-swap-oob="beforeend:#asks"' in text
    assert third.reference in text
    # A page that others follow takes no new rows.
    assert third.reference not in news(world.bob, *shown, after=None)[1]


def test_an_open_list_tells_nobody_of_what_they_may_not_see(world: World) -> None:
    request = ask(world)
    status, text = news(world.oscar, f"{request.reference}=x", after=0)
    assert (status, "Orders, read" in text) == (200, False)
    assert "no longer yours to decide" in text
    assert news(world.oscar, "nonsense", after=0) == (204, "")
