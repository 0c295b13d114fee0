"""Using and ending access: the password once and only to its owner, more time, the end, the review."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from access.models import AccessRequest, Grant
from audit.models import Entry
from people.models import User
from tests.access.world import World
from tests.console.people_and_pages import PASSWORD, Pages, activated, approved, ask, signed_in

HTMX = {"HTTP_HX_REQUEST": "true"}


def page(person: User, grant: Grant) -> str:
    return signed_in(person).get(reverse("grant", args=[grant.reference])).content.decode()


@pytest.mark.parametrize("htmx", [True, False])
def test_the_password_is_shown_once_in_an_answer_that_nothing_keeps(pages: Pages, htmx: bool) -> None:
    client = signed_in(pages.world.alice)
    address = reverse("grant_reveal", args=[pages.active.reference])
    headers = HTMX if htmx else {}
    first = client.post(address, **headers)
    second = client.post(address, **headers)
    assert first.status_code == 200
    assert "no-store" in first["Cache-Control"]
    assert f'value="{PASSWORD}"' in first.content.decode()
    assert ("<html" in first.content.decode()) is not htmx
    assert second.status_code == 422
    assert "The password was already shown, once." in second.content.decode()
    for response in (second, client.get(reverse("grant", args=[pages.active.reference]))):
        assert PASSWORD not in response.content.decode()


def test_the_copied_texts_carry_the_password_only_in_that_answer(pages: Pages) -> None:
    client = signed_in(pages.world.alice)
    before = client.get(reverse("grant", args=[pages.active.reference])).content.decode()
    shown = client.post(reverse("grant_reveal", args=[pages.active.reference])).content.decode()
    assert "psql" in before
    assert "SQLAlchemy" in before
    assert "{password}" not in before + shown
    assert shown.count(PASSWORD) > 1


def test_no_other_page_and_no_audit_entry_holds_the_password(pages: Pages) -> None:
    client = signed_in(pages.world.alice)
    client.post(reverse("grant_reveal", args=[pages.active.reference]))
    for name in ("home", "access"):
        assert PASSWORD not in client.get(reverse(name)).content.decode()
    assert PASSWORD not in client.get(reverse("request", args=[pages.active.request.reference])).content.decode()
    assert not [entry.seq for entry in Entry.objects.all() if PASSWORD in str(entry.content())]


@pytest.mark.parametrize("who", ["bob", "auditor", "erin"])
def test_the_password_is_shown_to_nobody_but_its_owner(pages: Pages, who: str) -> None:
    person = getattr(pages.world, who)
    response = signed_in(person).post(reverse("grant_reveal", args=[pages.active.reference]))
    assert response.status_code == 422
    assert PASSWORD not in response.content.decode()
    assert "Only the person whose access this is may do that." in response.content.decode()
    assert reverse("grant_reveal", args=[pages.active.reference]) not in page(person, pages.active)
    pages.active.refresh_from_db()
    assert pages.active.password_shown_at is None


def test_a_get_does_not_reveal(pages: Pages) -> None:
    signed_in(pages.world.alice).get(reverse("grant_reveal", args=[pages.active.reference]))
    pages.active.refresh_from_db()
    assert pages.active.password_shown_at is None


def test_before_the_account_works_there_is_no_password(world: World) -> None:
    grant = approved(world, ask(world))
    assert "Not ready yet" in page(world.alice, grant)
    response = signed_in(world.alice).post(reverse("grant_reveal", args=[grant.reference]))
    assert response.status_code == 422
    assert "This access is not ready yet." in response.content.decode()


def test_the_countdown_knows_the_end_and_the_clock_of_the_server(pages: Pages) -> None:
    text = page(pages.world.alice, pages.active)
    assert re.search(r'data-until="[^"]+\+00:00"', text)
    assert re.search(r'data-server-now="[^"]+\+00:00"', text)
    assert 'role="timer"' in text


def test_the_status_is_asked_for_until_the_end_and_then_says_when(pages: Pages) -> None:
    client = signed_in(pages.world.alice)
    living = client.get(reverse("grant", args=[pages.active.reference]), {"part": "status"}, **HTMX).content.decode()
    over = client.get(reverse("grant", args=[pages.over.reference]), {"part": "status"}, **HTMX).content.decode()
    assert 'hx-trigger="every 3s"' in living
    assert "hx-trigger" not in over
    assert re.search(r"Ended at <time", over)
    assert "Request again" in over
    assert 'id="credentials" hx-swap-oob="true"' in over
    seen = re.search(r"seen=([^\"&]+)", living)
    assert seen is not None
    again = client.get(reverse("grant", args=[pages.active.reference]), {"part": "status", "seen": seen[1]}, **HTMX)
    assert again.status_code == 204


def test_asking_for_more_time_makes_a_request_of_its_own(pages: Pages) -> None:
    response = signed_in(pages.world.alice).post(
        reverse("grant_extend", args=[pages.active.reference]), {"duration": "30m", "reason": "It takes longer"}
    )
    request = AccessRequest.objects.get(extends=pages.active)
    assert response["Location"] == reverse("request", args=[request.reference])
    assert request.duration == timedelta(minutes=30)
    assert "You asked for 30 min more" in page(pages.world.alice, pages.active)


def test_an_extension_that_is_refused_keeps_what_was_typed(pages: Pages) -> None:
    response = signed_in(pages.world.alice).post(
        reverse("grant_extend", args=[pages.active.reference]),
        {"duration": "custom", "duration_custom": "50h", "reason": "It takes longer"},
    )
    text = response.content.decode()
    assert response.status_code == 422
    assert "Choose between one minute and 8 h." in text
    assert 'value="50h"' in text
    assert "It takes longer" in text


def test_giving_back_early_begins_the_end(pages: Pages) -> None:
    response = signed_in(pages.world.alice).post(
        reverse("grant_end", args=[pages.active.reference]), {"reason": "Done"}, follow=True
    )
    pages.active.refresh_from_db()
    assert (pages.active.state, pages.active.end_reason) == ("revoking", "returned")
    assert "The access is being ended." in response.content.decode()


def test_somebody_in_charge_ends_it_and_an_auditor_does_not(pages: Pages) -> None:
    address = reverse("grant_end", args=[pages.active.reference])
    refused = signed_in(pages.world.auditor).post(address, {"reason": "I do not like it"})
    assert refused.status_code == 422
    assert "Only its owner, its approvers and administrators may do that." in refused.content.decode()
    signed_in(pages.world.bob).post(address)
    pages.active.refresh_from_db()
    assert (pages.active.state, pages.active.end_reason) == ("revoking", "ended")


def test_the_list_shows_mine_those_of_others_and_what_ended(pages: Pages) -> None:
    mine = signed_in(pages.world.alice).get(reverse("access")).content.decode()
    others = signed_in(pages.world.bob).get(reverse("access")).content.decode()
    watched = signed_in(pages.world.auditor).get(reverse("access")).content.decode()
    nothing = signed_in(pages.world.oscar).get(reverse("access")).content.decode()
    assert reverse("grant", args=[pages.active.reference]) in mine
    assert "The window ended" in mine
    end = reverse("grant_end", args=[pages.active.reference])
    assert "Other people's access" in others
    assert end in others
    assert pages.active.reference in watched
    assert end not in watched
    assert pages.active.reference not in nothing
    assert "You have no access right now." in nothing


def test_a_broken_glass_waits_for_a_review_by_somebody_else(world: World) -> None:
    world.policy.break_glass_team = world.backend
    world.policy.save()
    request = ask(world, break_glass=True)
    grant = activated(request.grant)
    address = reverse("grant_review", args=[grant.reference])
    assert address in page(world.bob, grant)
    assert address not in page(world.alice, grant)
    empty = signed_in(world.bob).post(address, {"comment": " "})
    assert "Write what you found: the auditor reads it." in empty.content.decode()
    own = signed_in(world.alice).post(address, {"comment": "All fine"})
    assert own.status_code == 422
    done = signed_in(world.bob).post(address, {"comment": "It was right."}, follow=True)
    assert "Your review has been recorded." in done.content.decode()
    assert "It was right." in done.content.decode()
