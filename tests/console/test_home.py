"""Home, the alarms over every page, and the pulse that keeps them fresh."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.urls import reverse
from django.utils import timezone

from access.models import Heartbeat
from audit.models import Verification
from people.models import User
from tests.access.world import World
from tests.console.people_and_pages import Pages, ask, signed_in


def home(person: User) -> str:
    return signed_in(person).get(reverse("home")).content.decode()


def test_home_shows_what_i_have_what_i_wait_for_and_what_i_asked_for_last(pages: Pages) -> None:
    text = home(pages.world.alice)
    assert reverse("grant", args=[pages.active.reference]) in text
    assert reverse("request", args=[pages.pending.reference]) in text
    assert "?role=orders-read&amp;for=1h&amp;reason=Ticket%204711" in text
    assert "Waiting for you" not in text


def test_home_shows_an_approver_what_waits(pages: Pages) -> None:
    text = home(pages.world.bob)
    assert "Waiting for you" in text
    assert reverse("request", args=[pages.pending.reference]) in text
    assert "rail-count" in text


def test_an_empty_home_says_what_to_do(world: World) -> None:
    text = home(world.oscar)
    assert "You have no access right now." in text
    assert "Request access" in text


def test_no_alarm_while_every_promise_is_kept(pages: Pages) -> None:
    assert 'class="alarm"' not in home(pages.world.alice)


def test_a_silent_worker_is_told_to_everybody(pages: Pages) -> None:
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(minutes=1))
    assert "No worker is alive" in home(pages.world.oscar)


def test_access_past_its_end_is_told_to_everybody_and_named_to_who_may_see_it(pages: Pages) -> None:
    pages.active.starts_at = timezone.now() - timedelta(hours=2)
    pages.active.ends_at = timezone.now() - timedelta(minutes=5)
    pages.active.save()
    assert 'data-alarm="revocation"' in home(pages.world.oscar)
    assert pages.active.reference not in home(pages.world.oscar)
    assert f"Look at {pages.active.reference}" in home(pages.world.bob)


def test_a_broken_chain_is_told_to_everybody(pages: Pages) -> None:
    Verification.objects.create(
        at=timezone.now(), from_seq=1, upto_seq=2, head_hash="0" * 64, checked=2, ok=False, faults=[]
    )
    assert 'data-alarm="chain"' in home(pages.world.oscar)


def test_the_pulse_replaces_alarms_and_badge(pages: Pages) -> None:
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(minutes=1))
    text = signed_in(pages.world.bob).get(reverse("pulse"), HTTP_HX_REQUEST="true").content.decode()
    assert "<html" not in text
    assert 'id="alarms" hx-swap-oob="true"' in text
    assert 'data-alarm="worker"' in text
    assert 'id="waiting-count" hx-swap-oob="true" class="rail-count">1<' in text


def test_navigation_offers_only_what_a_person_may_open(pages: Pages) -> None:
    assert reverse("audit") not in home(pages.world.alice)
    assert reverse("audit") in home(pages.world.auditor)
    assert reverse("servers") in home(pages.world.erin)


def test_looking_changes_nothing(pages: Pages) -> None:
    client = signed_in(pages.world.bob)
    client.get(reverse("home"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(seq) FROM audit_entry")
        before = cursor.fetchone()
        for name in ("home", "approvals", "access", "request_new", "pulse"):
            client.get(reverse(name))
        client.get(reverse("request", args=[pages.pending.reference]))
        client.get(reverse("grant", args=[pages.active.reference]))
        cursor.execute("SELECT max(seq) FROM audit_entry")
        assert cursor.fetchone() == before


def test_a_partial_after_the_session_ended_leads_the_whole_page_to_sign_in(world: World) -> None:
    response = signed_in(None).get(
        reverse("pulse"), HTTP_HX_REQUEST="true", HTTP_HX_CURRENT_URL="http://testserver/approvals/"
    )
    assert response["HX-Redirect"] == reverse("account_login") + "?next=/approvals/"


def test_asked_for_again_leads_to_a_form_that_is_filled_in(world: World) -> None:
    ask(world, reason="Ticket 1 & 2: again?")
    assert "reason=Ticket%201%20%26%202%3A%20again%3F" in home(world.alice)
