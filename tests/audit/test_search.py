"""Finding entries: each filter alone and together, page by page, and by an index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit import search
from audit.chain import GENESIS, digest, timestamp
from audit.errors import BadFilter
from audit.events import Event
from audit.log import Actor, Subject, record
from audit.models import Entry, Head, Mention
from audit.search import Filters, matching, page
from audit.verification import verify
from tests.audit.forging import ALICE, BOB, ORDERS, fill, request

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def numbers(filters: Filters, **options: Any) -> list[int]:
    """What a page shows."""
    return [entry.seq for entry in page(filters, **options).entries]


def load(count: int) -> None:
    """So many entries in one go, one a minute from `BEGIN` on; every 1000th has a rare person, server and reason."""
    previous, rows = GENESIS, []
    for seq in range(1, count + 1):
        rare = seq % 1000 == 0
        entry = Entry(
            seq=seq,
            at=BEGIN + timedelta(minutes=seq),
            event=(Event.SWEEP_DRIFT_FOUND if rare else Event.GRANT_ACTIVE).value,
            actor_kind="person",
            actor_id="7" if rare else "1",
            actor_label="grace@example.com" if rare else "alice@example.com",
            subject_kind="request",
            subject_id=f"R-{seq}",
            subject_label="Read",
            related=[{"kind": "server", "id": "catalogue" if rare else "orders", "label": "A server"}],
            after={"state": "active"},
            reason="needle" if rare else "hay",
            prev_hash=previous,
        )
        previous = entry.hash = digest(entry.content())
        rows.append(entry)
    fields = Entry._meta.concrete_fields
    columns = ", ".join(field.attname for field in fields)
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY audit_entry ({columns}) FROM STDIN") as copy:
            for entry in rows:
                copy.write_row([field.get_db_prep_save(getattr(entry, field.attname), connection) for field in fields])
        cursor.execute("ANALYZE audit_entry, audit_mention")


@pytest.fixture
def some(db: None) -> list[Entry]:
    """Alice asks, Bob approves, a worker makes the account; Alice has nothing to do with the last one."""
    worker = Actor("worker", "w-1", "worker")
    grant = Subject("grant", "G-1", "lg_x_alice")
    about_alice = [ORDERS, Subject("person", "1", "alice@example.com")]
    return [
        record(
            Event.REQUEST_SUBMITTED, actor=ALICE, subject=request(1), related=about_alice, reason="Broken order 4711"
        ),
        record(Event.VOTE_APPROVED, actor=BOB, subject=request(1), related=about_alice),
        record(Event.GRANT_ACTIVE, actor=worker, subject=grant, related=[*about_alice, request(1)]),
        record(Event.SERVER_CHECKED, actor=BOB, subject=ORDERS, reason="50% slower_than usual"),
    ]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), [4, 3, 2, 1]),
        (Filters(person="1"), [3, 2, 1]),
        (Filters(person="2"), [4, 2]),
        (Filters(actor=("person", "1")), [1]),
        (Filters(actor=("worker", "w-1")), [3]),
        (Filters(subject=("request", "R-1")), [3, 2, 1]),
        (Filters(subject=("grant", "G-1")), [3]),
        (Filters(subject=("grant", "R-1")), []),
        (Filters(server="orders"), [4, 3, 2, 1]),
        (Filters(server="catalogue"), []),
        (Filters(events=("vote.approved", "server.checked")), [4, 2]),
        (Filters(events=("request.*", "grant.*")), [3, 1]),
        (Filters(text="ORDER 47"), [1]),
        (Filters(text="bob@"), [4, 2]),
        (Filters(text="g-1"), [3]),
        (Filters(text="50%"), [4]),
        (Filters(text="5_%"), []),
        (Filters(text="w_r"), []),
        (Filters(person="1", server="orders", events=("grant.*",)), [3]),
        (Filters(person="1", actor=("person", "2"), text="bob"), [2]),
    ],
)
def test_a_filter_finds_what_it_says(some: list[Entry], filters: Filters, expected: list[int]) -> None:
    assert numbers(filters) == expected
    assert [entry.seq for entry in matching(filters, upto=4)] == expected[::-1]


def test_a_span_of_time_has_its_beginning_and_not_its_end(db: None) -> None:
    load(10)
    third, fifth = BEGIN + timedelta(minutes=3), BEGIN + timedelta(minutes=5)
    assert numbers(Filters(since=third)) == [10, 9, 8, 7, 6, 5, 4, 3]
    assert numbers(Filters(until=third)) == [2, 1]
    assert numbers(Filters(since=third, until=fifth)) == [4, 3]
    assert numbers(Filters(since=third, until=fifth, text="hay", server="orders")) == [4, 3]
    assert numbers(Filters(since=BEGIN + timedelta(days=1))) == []
    assert numbers(Filters(until=BEGIN)) == []


@pytest.mark.django_db
def test_pages_follow_each_other_without_gap_or_overlap() -> None:
    fill(23)
    seen, older_than, pages = [], None, 0
    while True:
        one = page(Filters(server="orders"), older_than=older_than, size=5)
        seen += [entry.seq for entry in one.entries]
        older_than, pages = one.older_than, pages + 1
        if older_than is None:
            break
    assert seen == list(range(23, 0, -1))
    assert pages == 5


@pytest.mark.django_db
def test_a_full_last_page_is_the_last() -> None:
    fill(10)
    first = page(Filters(), size=5)
    assert first.older_than == 6
    assert page(Filters(), older_than=6, size=5).older_than is None


@pytest.mark.django_db
def test_what_is_recorded_between_two_pages_moves_nothing() -> None:
    fill(10)
    first = page(Filters(), size=5)
    fill(3)
    assert numbers(Filters(), older_than=first.older_than, size=5) == [5, 4, 3, 2, 1]


@pytest.mark.django_db
def test_a_search_for_text_says_how_far_it_has_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_CANDIDATES", 4)
    fill(10)
    first = page(Filters(text="Reason 9"))
    assert ([entry.seq for entry in first.entries], first.older_than, first.searched_to) == ([9], 7, 7)
    second = page(Filters(text="Reason 9"), older_than=7)
    assert (second.entries, second.older_than, second.searched_to) == ((), 3, 3)
    third = page(Filters(text="Reason 9"), older_than=3)
    assert (third.entries, third.older_than, third.searched_to) == ((), None, None)


@pytest.mark.django_db
def test_a_search_for_text_looks_among_what_the_other_filters_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_CANDIDATES", 4)
    fill(10)
    assert numbers(Filters(text="Reason 1", subject=("request", "R-1"))) == [1]


def test_filters_survive_the_way_through_an_address() -> None:
    filters = Filters(
        person="7",
        actor=("worker", "w:1"),
        subject=("request", "R-12"),
        server="orders",
        events=("grant.*", "vote.denied"),
        since=datetime(2026, 1, 31, 9, 30, 0, 5, tzinfo=UTC),
        until=datetime(2026, 2, 1, tzinfo=UTC),
        text="a&b",
    )
    assert Filters.from_query(filters.as_query()) == filters
    assert Filters.from_query({"page": "2"}) == Filters()
    assert not Filters()
    assert filters


@pytest.mark.parametrize(
    ("query", "since", "until"),
    [
        ({"from": "2026-01-31", "to": "2026-01-31"}, "2026-01-31T00:00:00.000000Z", "2026-02-01T00:00:00.000000Z"),
        ({"from": "2026-01-31T09:30"}, "2026-01-31T09:30:00.000000Z", None),
        ({"to": "2026-01-31T09:30+02:00"}, None, "2026-01-31T07:30:00.000000Z"),
    ],
)
def test_a_day_is_taken_whole_and_a_time_as_it_is(query: dict[str, str], since: str | None, until: str | None) -> None:
    filters = Filters.from_query(query)
    assert (filters.since and timestamp(filters.since), filters.until and timestamp(filters.until)) == (since, until)


@pytest.mark.parametrize(
    "query",
    [
        *({"from": "yesterday"}, {"to": "31.1.2026"}, {"subject": "R-12"}, {"actor": ":7"}),
        *({"event": "grant.flown"}, {"event": "g*"}, {"event": "moon.*"}),
    ],
)
def test_a_filter_that_means_nothing_is_refused_in_words(query: dict[str, str]) -> None:
    with pytest.raises(BadFilter) as refusal:
        Filters.from_query(query)
    assert refusal.value.detail


#: One search for each index, and some that need two.
INDEXED = [
    Filters(),
    Filters(person="1"),
    Filters(person="7"),
    Filters(actor=("person", "7")),
    Filters(subject=("request", "R-5000")),
    Filters(server="orders"),
    Filters(server="catalogue"),
    Filters(person="7", server="catalogue"),
    Filters(events=("sweep.drift_found",)),
    Filters(events=("grant.active",)),
    Filters(since=BEGIN + timedelta(minutes=50), until=BEGIN + timedelta(minutes=90)),
    Filters(text="needle"),
    Filters(text="needle", server="catalogue"),
]


@pytest.mark.wide(one_in=0)
def test_ten_thousand_entries_loaded_by_copy_are_one_chain_and_found(db: None) -> None:
    load(10_000)
    assert Head.objects.get().seq == 10_000
    assert Mention.objects.count() == 30_000
    report = verify(now=timezone.now())
    assert (report.ok, report.checked) == (True, 10_000)
    with CaptureQueriesContext(connection) as queries:
        assert sum(1 for _ in matching(Filters(server="orders"), upto=9_500)) == 9_491
    assert len(queries) <= 11


def test_a_page_is_a_walk_along_an_index_wherever_it_is(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_CANDIDATES", 1500)
    load(10_000)
    for filters in INDEXED:
        for older_than in (None, 5_001, 2):
            with CaptureQueriesContext(connection) as queries:
                found = page(filters, older_than=older_than)
            assert found.entries or older_than
            assert len(queries) <= 5
            for query in queries:
                _check_plan(query["sql"])


def _check_plan(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan" not in plan, f"{sql}\n{plan}"
    assert "OFFSET" not in sql
    assert "COUNT(" not in sql.upper()


@pytest.mark.parametrize("typed", ["G-7K2M9QXT", " g-7k2m9qxt ", "grant:G-7K2M9QXT", "Grant: g-7k2m9qxt"])
def test_a_reference_is_understood_however_it_is_typed(typed: str) -> None:
    filters = Filters.from_query({"subject": typed})
    assert filters.subject == ("grant", "G-7K2M9QXT")
    assert Filters.from_query(filters.as_query()) == filters
