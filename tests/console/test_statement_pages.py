"""Statements through the gateway on the console's pages: found, told, and their texts read by auditors alone."""

from __future__ import annotations

import csv
import io
import json
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet
from django.urls import reverse
from pytest_django import Settings

from access.services import statements as service
from audit.events import Event
from audit.models import Entry
from audit.statement_search import PAGE_SIZE, Place, StatementFilters, page, statement
from tests.console.people_and_pages import Pages, signed_in
from tests.gateway.stored import intent, opened, outcome, refused, sealed, store

BEGUN = {"kind": "began", "host": "gateway-1", "pid": 1}


def of_alice(pages: Pages) -> list[dict[str, object]]:
    return [
        BEGUN,
        opened(pages.active),
        intent(shape="SELECT * FROM done"),
        outcome(3),
        intent(shape="SELECT * FROM failed", fingerprint="11" * 8),
        outcome(5, "failed", code="42P01"),
        refused(),
        intent(shape="SELECT * FROM running"),
    ]


def listed(pages: Pages, **query: str) -> str:
    response = signed_in(pages.world.auditor).get(reverse("statements"), query)
    return response.content.decode().split('aria-label="Statements"')[1]


def test_a_row_tells_who_ran_what_where_and_what_became_of_it(pages: Pages) -> None:
    store(of_alice(pages))
    text = listed(pages)
    for told in ("alice@example.com", "Orders", pages.active.reference, "SELECT * FROM failed", "42P01", "running"):
        assert told in text
    assert "The access role does not allow this." in text


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ({"verdict": "done"}, {"done"}),
        ({"verdict": "failed"}, {"failed"}),
        ({"verdict": "refused"}, {"refused"}),
        ({"verdict": "unknown"}, set()),
        ({"fingerprint": "11" * 8}, {"failed"}),
        ({"server": "Orders"}, {"done", "failed", "refused", "running"}),
        ({"server": "Elsewhere"}, set()),
        ({"person": "999999"}, set()),
        ({"from": "2026-01-01", "to": "2026-01-01"}, {"done", "failed", "refused", "running"}),
        ({"from": "2026-01-02"}, set()),
        ({"grant": "G-00000000"}, set()),
    ],
)
def test_statements_are_found_by_every_filter(pages: Pages, query: dict[str, str], seen: set[str]) -> None:
    store(of_alice(pages))
    found = page(StatementFilters.from_query(query)).statements
    assert {one.verdict for one in found} == seen
    assert StatementFilters.from_query(StatementFilters.from_query(query).as_query()) == StatementFilters.from_query(
        query
    )


def test_person_and_grant_are_filters_too(pages: Pages) -> None:
    store(of_alice(pages))
    for filters in (
        StatementFilters(person=str(pages.world.alice.pk)),
        StatementFilters(grant=pages.active.reference),
        StatementFilters(grant=pages.active.reference, verdict="failed", fingerprint="11" * 8),
    ):
        assert page(filters).statements


@pytest.mark.parametrize("verdict", ["", "done", "failed"])
def test_older_statements_follow_by_key_and_none_is_shown_twice(pages: Pages, verdict: str) -> None:
    kind = verdict or "done"
    for _ in range(2):
        entries = [BEGUN, opened(pages.active)]
        for number in range(PAGE_SIZE):
            entries += [intent(), outcome(3 + 2 * number, kind)]
        store(entries)
    filters, older_than, seen = StatementFilters(verdict=verdict), None, []
    while True:
        found = page(filters, older_than=older_than)
        seen += [(one.stream, one.seq) for one in found.statements]
        if found.older_than is None:
            break
        older_than = Place.from_text(str(found.older_than))
        assert older_than == found.older_than
    assert len(seen) == len(set(seen)) == 2 * PAGE_SIZE


def test_the_page_offers_older_ones_by_key(pages: Pages) -> None:
    store([BEGUN, opened(pages.active), *(intent() for _ in range(PAGE_SIZE + 1))])
    text = listed(pages)
    assert 'data-testid="older"' in text
    before = text.split("before=")[1].split('"')[0].split("&")[0]
    assert listed(pages, before=before).count("<tr data-row") == 1


@pytest.mark.parametrize("before", ["", "x", "1.2.3", f"{'9' * 18}.{UUID(int=1)}.1", f"٣.{UUID(int=1)}.1", "1..1"])
def test_a_place_that_is_none_is_the_beginning(pages: Pages, before: str) -> None:
    store(of_alice(pages))
    assert "SELECT * FROM done" in listed(pages, before=before) or before.startswith("9")


def test_a_filter_that_makes_no_sense_is_refused_in_words(pages: Pages) -> None:
    response = signed_in(pages.world.auditor).get(reverse("statements"), {"verdict": "nonsense"})
    assert response.status_code == 422
    assert "There is no outcome" in response.content.decode()


def test_the_number_of_queries_does_not_grow(pages: Pages, django_assert_num_queries: object) -> None:
    store([BEGUN, opened(pages.active), intent()])
    with django_assert_num_queries(4):  # type: ignore[operator]
        page(StatementFilters())
    for _ in range(5):
        store(of_alice(pages))
    with django_assert_num_queries(4):  # type: ignore[operator]
        assert len(page(StatementFilters()).statements) == 21


def test_the_page_of_a_grant_shows_its_last_statements_to_whoever_may_see_it(pages: Pages) -> None:
    store(of_alice(pages))
    for person in (pages.world.alice, pages.world.bob, pages.world.auditor):
        text = signed_in(person).get(reverse("grant", args=[pages.active.reference])).content.decode()
        assert "SELECT * FROM failed" in text
        assert "42P01" in text
    assert signed_in(pages.world.oscar).get(reverse("grant", args=[pages.active.reference])).status_code == 404


def test_an_auditor_reads_the_text_and_that_is_recorded(pages: Pages) -> None:
    stream = uuid4()
    text = "SELECT * FROM people WHERE name = 'Köln & <b>'"
    store([BEGUN, opened(pages.active), sealed(stream, text, parameters=b"\x00\x01")], stream=stream)
    client = signed_in(pages.world.auditor)
    shown = client.get(reverse("statement", args=[stream, 3])).content.decode()
    assert "Read the whole text" in shown
    assert "Köln" not in shown
    assert "sealed" not in shown
    response = client.post(reverse("statement_text", args=[stream, 3]))
    assert "name = &#x27;Köln &amp; &lt;b&gt;&#x27;" in response.content.decode()
    assert "00 01" in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    entry = Entry.objects.latest("seq")
    assert (entry.event, entry.actor_label) == (Event.AUDIT_STATEMENT_READ, "auditor@example.com")
    assert {"kind": "grant", "id": pages.active.reference, "label": "Access"} in entry.related
    assert "Köln" not in str(entry.content())
    assert reverse("statement", args=[stream, 3]) in client.get(reverse("audit")).content.decode()


def test_an_administrator_who_is_no_auditor_does_not_read_it(pages: Pages) -> None:
    stream = uuid4()
    store([BEGUN, opened(pages.active), sealed(stream, "SELECT 1")], stream=stream)
    client = signed_in(pages.world.erin)
    assert "Read the whole text" not in client.get(reverse("statement", args=[stream, 3])).content.decode()
    assert client.post(reverse("statement_text", args=[stream, 3])).status_code == 403
    assert not Entry.objects.filter(event=Event.AUDIT_STATEMENT_READ).exists()


def test_a_text_that_was_not_kept_or_cannot_be_opened_is_told_in_words(pages: Pages) -> None:
    stream = uuid4()
    store([BEGUN, opened(pages.active), intent(), sealed(uuid4(), "SELECT 1")], stream=stream)
    client = signed_in(pages.world.auditor)
    not_kept = client.post(reverse("statement_text", args=[stream, 3]))
    not_ours = client.post(reverse("statement_text", args=[stream, 4]))
    assert (not_kept.status_code, not_ours.status_code) == (422, 422)
    assert "keeps no text" in not_kept.content.decode()
    assert not Entry.objects.filter(event=Event.AUDIT_STATEMENT_READ).exists()


def test_texts_outlive_the_encryption_key_under_which_they_were_written(pages: Pages, settings: Settings) -> None:
    stream = uuid4()
    store([BEGUN, opened(pages.active), sealed(stream, "SELECT 4711")], stream=stream)
    old = settings.LOCKGATE_ENCRYPTION_KEYS[0]
    new = Fernet.generate_key().decode()
    settings.LOCKGATE_ENCRYPTION_KEYS = [new, old]
    assert service.seal_keys_anew() == 1
    assert service.seal_keys_anew() == 0
    settings.LOCKGATE_ENCRYPTION_KEYS = [new]
    response = signed_in(pages.world.auditor).post(reverse("statement_text", args=[stream, 3]))
    assert "SELECT 4711" in response.content.decode()
    settings.LOCKGATE_ENCRYPTION_KEYS = [old]
    assert service.seal_keys_anew() == 0
    response = signed_in(pages.world.auditor).post(reverse("statement_text", args=[stream, 3]))
    assert response.status_code == 422


def test_a_statement_that_does_not_exist_is_no_page(pages: Pages) -> None:
    stream = store(of_alice(pages))
    client = signed_in(pages.world.auditor)
    for seq in (2, 4, 99, 10**30):
        assert client.get(f"/audit/statements/{stream}/{seq}/").status_code == 404
    assert statement(uuid4(), 1) is None


def test_the_evidence_can_be_downloaded_and_fits(pages: Pages) -> None:
    from audit import lockgate_verify

    store(of_alice(pages))
    response = signed_in(pages.world.auditor).post(reverse("audit_export"), {"format": "evidence"})
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert lockgate_verify.check(text.splitlines(keepends=True)).statements == 8


def test_the_service_itself_asks_who_it_is(pages: Pages) -> None:
    from django.core.exceptions import PermissionDenied

    stream = uuid4()
    store([BEGUN, opened(pages.active), sealed(stream, "SELECT 1")], stream=stream)
    found = statement(stream, 3)
    assert found is not None
    with pytest.raises(PermissionDenied):
        service.read_text(person=pages.world.alice, statement=found)


def test_a_statement_is_told_for_a_reader_with_why_it_was_allowed(pages: Pages) -> None:
    shape = "SELECT " + ", ".join(f"column_{number}" for number in range(100)) + " FROM t"
    came = opened(pages.active) | {
        "ends_at": 1_767_229_200_000_000,
        "keep": "shape",
        "settings": {"application_name": "psql"},
    }
    stream = store([BEGUN, came, intent(shape=shape), outcome(3, "failed", code="42P01")])
    text = signed_in(pages.world.auditor).get(reverse("statement", args=[stream, 3])).content.decode()
    assert "column_99" in text
    for told in ("Failed on the server", "42P01", "1.5 ms", "personal token 41", "alice@example.com", "192.0.2.1"):
        assert told in text
    assert "application_name = psql" in text
    for raw in ("1767", "&quot;", '"sha256"'):
        assert raw not in text.split('aria-label="What it was"')[1].split("</main>")[0].replace(str(stream), "")
    for name, reference in (("grant", pages.active.reference), ("request", pages.active.request.reference)):
        assert reverse(name, args=[reference]) in text
    assert "bob@example.com" in text


def test_statements_are_exported_as_they_are_filtered(pages: Pages) -> None:
    store(of_alice(pages))
    client = signed_in(pages.world.auditor)

    def exported(**query: str) -> str:
        response = client.post(reverse("statements_export"), query)
        return b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]

    rows = list(csv.DictReader(io.StringIO(exported(format="csv", verdict="failed"))))
    assert [(row["outcome"], row["code"], row["person"]) for row in rows] == [("failed", "42P01", "alice@example.com")]
    lines = [json.loads(line) for line in exported(format="jsonl").splitlines()]
    assert len(lines) == len(page(StatementFilters()).statements)
    entry = Entry.objects.filter(event=Event.AUDIT_EXPORTED).latest("seq")
    assert entry.after == {"format": "jsonl", "filters": {}}
    assert client.post(reverse("statements_export"), {"format": "csv", "verdict": "nonsense"}).status_code == 422


def test_a_grant_is_found_however_its_reference_is_typed(pages: Pages) -> None:
    store(of_alice(pages))
    assert "SELECT * FROM failed" in listed(pages, grant=f" {pages.active.reference.lower()} ")
