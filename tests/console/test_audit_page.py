"""The Audit page: filters in the address, pages by key, the badge, the export."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.http import StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from access.services import requests
from audit.events import Event
from audit.models import Entry
from audit.search import PAGE_SIZE
from audit.verification import verify
from tests.console.people_and_pages import Pages, signed_in


def listed(pages: Pages, **query: str) -> str:
    return signed_in(pages.world.auditor).get(reverse("audit"), query).content.decode()


def export(pages: Pages, **query: str) -> str:
    response = signed_in(pages.world.auditor).post(reverse("audit_export"), query)
    assert isinstance(response, StreamingHttpResponse)
    assert response["Content-Disposition"].startswith("attachment")
    return b"".join(response.streaming_content).decode()  # type: ignore[arg-type]


def test_rows_tell_who_did_what_to_what_and_lead_there(pages: Pages) -> None:
    text = listed(pages)
    assert "Access requested" in text
    assert "alice@example.com" in text
    assert reverse("request", args=[pages.pending.reference]) in text
    assert reverse("grant", args=[pages.active.reference]) in text


@pytest.mark.parametrize(
    ("query", "seen", "unseen"),
    [
        ({"event": "vote.*"}, "Approval given", "Access began"),
        ({"event": "request.submitted"}, "Access requested", "Request approved"),
        ({"server": "orders"}, "Access requested", "Person added"),
        ({"text": "order is stuck"}, "Access requested", "Server added"),
        ({"to": "2001-01-01"}, "Nothing matches these filters", "Server added"),
    ],
)
def test_filters_are_in_the_address(pages: Pages, query: dict[str, str], seen: str, unseen: str) -> None:
    rows = listed(pages, **query).split('aria-label="Entries"')[1]
    assert seen in rows
    assert unseen not in rows


def test_the_page_says_when_there_are_no_checkpoints(pages: Pages, settings: Settings) -> None:
    assert "checkpoints-off" not in listed(pages)
    settings.LOCKGATE_CHECKPOINT_KEYS = []
    assert "No checkpoint was signed in the last day." in listed(pages)


def test_the_form_shows_the_filters_that_are_on(pages: Pages) -> None:
    text = listed(pages, event="vote.*", text="stuck", person=str(pages.world.alice.pk))
    assert '<option value="vote.*" selected>' in text
    assert 'value="stuck"' in text
    assert f'name="person" value="{pages.world.alice.email}"' in text


def test_a_filter_that_makes_no_sense_is_refused_in_words_and_kept(pages: Pages) -> None:
    response = signed_in(pages.world.auditor).get(reverse("audit"), {"subject": "nonsense"})
    text = response.content.decode()
    assert response.status_code == 422
    assert "Write the subject as kind:id" in text
    assert 'value="nonsense"' in text


@pytest.mark.parametrize("query", [{"from": "9999-12-31"}, {"to": "9999-12-31"}, {"before": "9" * 40}])
def test_a_number_or_day_that_nothing_can_have_is_no_error_of_ours(pages: Pages, query: dict[str, str]) -> None:
    assert signed_in(pages.world.auditor).get(reverse("audit"), query).status_code in (200, 422)


def test_older_entries_follow_by_key_and_none_is_shown_twice(pages: Pages) -> None:
    for number in range(PAGE_SIZE):
        requests.comment(person=pages.world.bob, request=pages.pending, text=f"{number}", now=timezone.now())
    client = signed_in(pages.world.auditor)
    seen: list[int] = []
    address = reverse("audit")
    while address:
        response = client.get(address)
        seen += [entry.seq for entry in response.context["page"].entries]
        older = response.context.get("older")
        address = reverse("audit") + older if older else ""
    assert seen == sorted((entry.seq for entry in Entry.objects.filter(seq__lte=seen[0])), reverse=True)


def test_older_entries_can_be_fetched_as_rows(pages: Pages) -> None:
    response = signed_in(pages.world.auditor).get(
        reverse("audit"), {"part": "rows", "before": "10"}, HTTP_HX_REQUEST="true"
    )
    assert "<html" not in response.content.decode()
    assert response.content.decode().count("<tr data-row") == 9


def test_the_badge_tells_whether_the_chain_was_verified(pages: Pages) -> None:
    assert "Not verified yet" in listed(pages)
    verify(now=timezone.now())
    assert f"Chain verified to entry {Entry.objects.order_by('-seq')[1].seq}" not in listed(pages, event="vote.*")
    assert "Chain verified to entry" in listed(pages)


def test_the_export_is_exactly_what_is_filtered(pages: Pages) -> None:
    rows = list(csv.DictReader(io.StringIO(export(pages, format="csv", event="vote.*"))))
    lines = [json.loads(line) for line in export(pages, format="jsonl", event="vote.*").splitlines()]
    wanted = list(Entry.objects.filter(event__startswith="vote.").order_by("seq").values_list("seq", flat=True))
    assert wanted
    assert [int(row["seq"]) for row in rows] == wanted == [line["seq"] for line in lines]


def test_an_export_is_itself_in_the_log(pages: Pages) -> None:
    export(pages, format="csv", event="vote.*")
    entry = Entry.objects.filter(event=Event.AUDIT_EXPORTED).get()
    assert entry.actor_label == "auditor@example.com"
    assert entry.after is not None
    assert entry.after["filters"] == {"event": "vote.*"}


def test_an_unknown_format_is_refused_in_words(pages: Pages) -> None:
    response = signed_in(pages.world.auditor).post(reverse("audit_export"), {"format": "xlsx"})
    assert response.status_code == 422
    assert "Nothing was exported" in response.content.decode()


def test_where_it_came_from_is_recorded(pages: Pages) -> None:
    signed_in(pages.world.bob).post(
        reverse("request_comment", args=[pages.pending.reference]),
        {"text": "Why?"},
        HTTP_USER_AGENT="Test browser",
        HTTP_X_REQUEST_ID="5f1d3c1e-7f0a-4e0e-9d67-2a8f4a2c9b11",
        REMOTE_ADDR="192.0.2.7",
    )
    entry = Entry.objects.order_by("-seq").first()
    assert entry is not None
    assert (entry.event, entry.channel, entry.ip, entry.user_agent) == (
        "request.commented",
        "web",
        "192.0.2.7",
        "Test browser",
    )
    assert entry.request_id == "5f1d3c1e-7f0a-4e0e-9d67-2a8f4a2c9b11"
