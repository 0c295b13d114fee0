"""The Request page: choose, see what would happen, send, and change while it is open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from access.models import AccessRequest
from access.services import catalogue
from connectors.base import Level
from tests.access.world import HOUR, World
from tests.console.people_and_pages import Pages, approved, ask, signed_in

HTMX = {"HTTP_HX_REQUEST": "true"}
GOOD = {"role": "orders-read", "duration": "1h", "reason": "OPS-4711: an order is stuck"}


def test_four_fields_make_a_request_and_lead_to_its_page(world: World) -> None:
    response = signed_in(world.alice).post(reverse("request_new"), GOOD)
    request = AccessRequest.objects.get()
    assert response["Location"] == reverse("request", args=[request.reference])
    assert (request.requester, request.role, request.duration) == (world.alice, world.read, HOUR)
    assert request.ticket == "OPS-4711"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"role": ""}, "Choose what you need access to."),
        ({"role": "no-such-role"}, "You cannot ask for this access role."),
        ({"duration": ""}, "Choose how long you need the access."),
        ({"duration": "custom", "duration_custom": "soon"}, "Write a duration such as 45m, 2h or 1h 30m."),
        ({"duration": "custom", "duration_custom": "99h"}, "Choose between one minute and 8 h."),
        ({"reason": "  "}, "Say why you need the access"),
        ({"wished_start": "2020-01-01T10:00"}, "The start must be in the future"),
        ({"wished_start": "9999-12-31T23:59", "utc_offset": "-720"}, "The start must be in the future"),
        ({"wished_start": "0001-01-01T00:00", "utc_offset": "720"}, "The start must be in the future"),
        ({"break_glass": "on"}, "Emergency access is for another team."),
    ],
)
def test_what_is_wrong_is_said_in_words_and_what_was_typed_stays(
    world: World, change: dict[str, str], words: str
) -> None:
    response = signed_in(world.alice).post(reverse("request_new"), {**GOOD, **change})
    text = response.content.decode()
    assert response.status_code == 422
    assert words in text
    assert change.get("reason") is not None or "OPS-4711: an order is stuck" in text
    assert change.get("duration_custom", "") in text
    assert not AccessRequest.objects.exists()


def test_asking_twice_for_the_same_is_refused_on_the_page(world: World) -> None:
    ask(world)
    response = signed_in(world.alice).post(reverse("request_new"), GOOD)
    assert response.status_code == 422
    assert "You already have an open request for this access role." in response.content.decode()


def test_the_address_fills_the_form_in(world: World) -> None:
    response = signed_in(world.alice).get(reverse("request_new") + "?role=orders-read&for=1h&reason=Again")
    text = response.content.decode()
    assert '<input type="radio" name="role" value="orders-read" checked>' in text
    assert '<input type="radio" name="duration" value="1h" checked>' in text
    assert "Again</textarea>" in text


def test_a_duration_that_has_no_chip_is_filled_into_the_field(world: World) -> None:
    text = signed_in(world.alice).get(reverse("request_new") + "?role=orders-read&for=95m").content.decode()
    assert '<input type="radio" name="duration" value="custom" checked>' in text
    assert 'value="95m"' in text


def test_a_chip_that_the_policy_does_not_allow_is_off(world: World) -> None:
    world.read.longest = HOUR
    world.read.save()
    text = signed_in(world.alice).get(reverse("request_new") + "?role=orders-read").content.decode()
    assert '<input type="radio" name="duration" value="4h" disabled>' in text
    assert "At most 1 h for this role." in text


def test_the_side_panel_tells_who_approves_and_the_exact_sql(world: World) -> None:
    response = signed_in(world.alice).get(
        reverse("request_new"), {"part": "preview", "role": "orders-read", "duration": "1h"}, **HTMX
    )
    text = response.content.decode()
    assert "<html" not in text
    assert "1 of Dba" in text
    assert "Bob, Carol" in text
    assert "lockgate_orders_read" in text
    assert "********" in text
    assert "no decision yet to learn from" in text


def test_the_side_panel_knows_how_long_it_usually_takes(world: World) -> None:
    approved(world, ask(world), now=timezone.now() + timedelta(minutes=7))
    response = signed_in(world.alice).get(reverse("request_new"), {"part": "preview", "role": "orders-read"}, **HTMX)
    assert "7 min" in response.content.decode()


def test_the_side_panel_says_when_nobody_has_to_agree(world: World) -> None:
    policy = catalogue.define_policy(
        person=world.erin,
        slug="self",
        name="Itself",
        requesters=[world.backend],
        steps=[(world.dba, 1)],
        self_approved_environments=["production"],  # type: ignore[list-item]
    )
    world.role("orders-peek", policy, Level.READ)
    response = signed_in(world.alice).get(reverse("request_new"), {"part": "preview", "role": "orders-peek"}, **HTMX)
    assert "Approved automatically." in response.content.decode()


def test_the_side_panel_says_beforehand_what_would_be_refused(world: World) -> None:
    policy = catalogue.define_policy(
        person=world.erin, slug="many", name="Many", requesters=[world.backend], steps=[(world.dba, 5)]
    )
    world.role("orders-never", policy)
    response = signed_in(world.alice).get(reverse("request_new"), {"part": "preview", "role": "orders-never"}, **HTMX)
    assert "This would be refused." in response.content.decode()
    assert "more approvers than there are" in response.content.decode()


def test_another_role_brings_its_own_durations(world: World) -> None:
    query = {"part": "preview", "role": "orders-read"}
    changed = {**query, "changed": "role"}
    assert b'id="role-terms"' in signed_in(world.alice).get(reverse("request_new"), changed, **HTMX).content
    assert b'id="role-terms"' not in signed_in(world.alice).get(reverse("request_new"), query, **HTMX).content


@pytest.mark.parametrize(("words", "found"), [("orders read", True), ("production", True), ("nothing", False)])
def test_roles_are_searched_by_every_word(world: World, words: str, found: bool) -> None:
    response = signed_in(world.alice).get(reverse("request_new"), {"part": "roles", "q": words}, **HTMX)
    assert ('value="orders-read"' in response.content.decode()) is found
    assert (f"Nothing matches “{words}”." in response.content.decode()) is not found


def test_roles_of_other_teams_are_not_offered(world: World) -> None:
    text = signed_in(world.oscar).get(reverse("request_new") + "?role=orders-read").content.decode()
    assert "orders-read" not in text
    assert "There is nothing you can request." in text


def test_a_wished_start_is_meant_in_local_time(world: World) -> None:
    start = (datetime.now(UTC) + timedelta(days=2)).replace(hour=9, minute=30, second=0, microsecond=0)
    typed = {**GOOD, "wished_start": start.strftime("%Y-%m-%dT%H:%M"), "utc_offset": "120"}
    signed_in(world.alice).post(reverse("request_new"), typed)
    assert AccessRequest.objects.get().wished_start == start - timedelta(hours=2)


def test_an_edit_changes_what_is_asked_for(pages: Pages) -> None:
    old_hash = pages.pending.content_hash
    response = signed_in(pages.world.alice).post(
        reverse("request_edit", args=[pages.pending.reference]), {"duration": "30m", "reason": "Less will do"}
    )
    pages.pending.refresh_from_db()
    assert response.status_code == 302
    assert pages.pending.duration == timedelta(minutes=30)
    assert pages.pending.content_hash != old_hash


def test_an_edit_that_is_refused_keeps_what_was_typed(pages: Pages) -> None:
    response = signed_in(pages.world.alice).post(
        reverse("request_edit", args=[pages.pending.reference]),
        {"duration": "custom", "duration_custom": "77h", "reason": "Less will do"},
    )
    assert response.status_code == 422
    assert "Choose between one minute and 8 h." in response.content.decode()
    assert "Less will do" in response.content.decode()


def test_the_form_to_edit_shows_what_was_asked_for(pages: Pages) -> None:
    text = signed_in(pages.world.alice).get(reverse("request_edit", args=[pages.pending.reference])).content.decode()
    assert pages.pending.reason in text
    assert '<input type="radio" name="duration" value="1h" checked>' in text


def test_what_is_decided_cannot_be_edited(pages: Pages) -> None:
    reference = pages.active.request.reference
    response = signed_in(pages.world.alice).get(reverse("request_edit", args=[reference]))
    assert response["Location"] == reverse("request", args=[reference])


def test_nothing_is_wrong_with_a_form_before_it_is_sent(world: World) -> None:
    query = {"part": "preview", "role": "orders-read", "changed": "role", "duration": ""}
    text = signed_in(world.alice).get(reverse("request_new"), query, **HTMX).content.decode()
    assert 'id="role-terms"' in text
    assert "field-error" not in text


def test_an_open_request_for_the_role_is_told_before_sending_and_linked(world: World) -> None:
    request = ask(world)
    alice = signed_in(world.alice)
    there = reverse("request", args=[request.reference])
    picked = alice.get(reverse("request_new"), {"part": "preview", "role": "orders-read", "changed": "role"}, **HTMX)
    refused = alice.post(reverse("request_new"), GOOD)
    assert there in picked.content.decode()
    assert there in refused.content.decode()
    assert "Already requested" in alice.get(reverse("request_new")).content.decode()


def test_searching_does_not_lose_what_is_chosen(world: World) -> None:
    query = {"part": "roles", "q": "nothing like it", "role": "orders-read"}
    text = signed_in(world.alice).get(reverse("request_new"), query, **HTMX).content.decode()
    assert '<input type="radio" name="role" value="orders-read" checked>' in text


def test_the_preview_says_no_duration_that_nobody_has_chosen(world: World) -> None:
    query = {"part": "preview", "role": "orders-read"}
    alice = signed_in(world.alice)
    assert "as long as you choose" in alice.get(reverse("request_new"), query, **HTMX).content.decode()
    chosen = alice.get(reverse("request_new"), {**query, "duration": "30m"}, **HTMX).content.decode()
    assert "30 min, from when" in chosen
