"""Recording: in the same transaction, in one order, with who, from where, before and after."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from threading import Event as Signal
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.chain import GENESIS, digest
from audit.errors import HeadMissing, NotInTransaction
from audit.events import Event
from audit.log import Actor, Subject, record
from audit.models import Entry, Head, Mention
from audit.origin import Origin, coming_from
from audit.verification import verify
from tests.audit.forging import ALICE, BOB, ORDERS, fill, request, run, unguarded
from tests.audit.values import json_values, texts


@pytest.mark.django_db
def test_an_entry_tells_who_what_why_and_from_where() -> None:
    with coming_from(Origin("web", "192.0.2.7", "req-1", "Firefox")):
        record(
            Event.REQUEST_EDITED,
            actor=ALICE,
            subject=request(1),
            before={"duration_s": 3600},
            after={"duration_s": 1800},
            reason="Half an hour will do",
            related=[ORDERS],
        )
    entry = Entry.objects.get()
    assert (entry.event, entry.event_label) == ("request.edited", "Request edited")
    assert (entry.actor_kind, entry.actor_id, entry.actor_label) == ("person", "1", "alice@example.com")
    assert (entry.subject_kind, entry.subject_id) == ("request", "R-1")
    assert entry.related == [{"kind": "server", "id": "orders", "label": "Orders"}]
    assert (entry.before, entry.after) == ({"duration_s": 3600}, {"duration_s": 1800})
    assert (entry.channel, entry.ip, entry.request_id, entry.user_agent) == ("web", "192.0.2.7", "req-1", "Firefox")
    assert timezone.now() - entry.at < timedelta(minutes=1)


@pytest.mark.django_db(transaction=True)
def test_a_process_that_is_frozen_while_everybody_waits_for_its_entry_loses_its_transaction() -> None:
    with transaction.atomic():
        record(Event.REQUEST_EDITED, actor=ALICE, subject=request(1))
        assert _patience() == "30s"
    assert _patience() != "30s"


def _patience() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        return str(cursor.fetchone()[0])


@pytest.mark.django_db
def test_the_first_entry_follows_the_beginning_and_each_next_one_the_last() -> None:
    first, second, third = fill(3)
    assert [first.seq, second.seq, third.seq] == [1, 2, 3]
    assert first.prev_hash == GENESIS
    assert (second.prev_hash, third.prev_hash) == (first.hash, second.hash)
    assert first.at <= second.at <= third.at
    head = Head.objects.get()
    assert (head.seq, head.hash, head.at) == (3, third.hash, third.at)


@pytest.mark.django_db
def test_an_entry_is_found_under_everybody_and_everything_it_mentions_once() -> None:
    entry = record(Event.PERSON_CHANGED, actor=ALICE, subject=Subject("person", "1", "Alice"), related=[ORDERS, ORDERS])
    assert set(Mention.objects.values_list("kind", "ident", "entry")) == {
        ("person", "1", entry.seq),
        ("server", "orders", entry.seq),
    }


@pytest.mark.django_db(transaction=True)
def test_without_a_transaction_nothing_is_recorded() -> None:
    with pytest.raises(NotInTransaction):
        record(Event.REQUEST_SUBMITTED, actor=ALICE, subject=request(1))
    assert not Entry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_entry_goes_with_the_change_that_is_rolled_back_and_leaves_no_gap() -> None:
    fill(1)
    with transaction.atomic():
        record(Event.REQUEST_SUBMITTED, actor=ALICE, subject=request(2))
        transaction.set_rollback(True)
    (entry,) = fill(1)
    assert entry.seq == 2
    assert verify(now=timezone.now()).ok


@pytest.mark.django_db(transaction=True)
def test_transactions_at_the_same_instant_give_one_unbroken_chain() -> None:
    threads, each = 6, 15
    start = Barrier(threads)

    def work(number: int) -> None:
        try:
            start.wait(10)
            for turn in range(each):
                with transaction.atomic():
                    record(Event.GRANT_ACTIVE, actor=BOB, subject=request(100 * number + turn))
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    report = verify(now=timezone.now())
    assert report.ok
    assert report.checked == threads * each
    moments = list(Entry.objects.order_by("seq").values_list("at", flat=True))
    assert moments == sorted(moments)


@pytest.mark.django_db(transaction=True)
def test_who_records_second_waits_for_the_first_and_follows_it() -> None:
    first_has_recorded, second_is_about_to = Signal(), Signal()

    def first() -> Entry:
        try:
            with transaction.atomic():
                entry = record(Event.REQUEST_APPROVED, actor=ALICE, subject=request(1))
                first_has_recorded.set()
                assert second_is_about_to.wait(10)
                _wait_until_somebody_waits_for_a_lock()
                return entry
        finally:
            connection.close()

    def second() -> Entry:
        try:
            assert first_has_recorded.wait(10)
            with transaction.atomic():
                second_is_about_to.set()
                return record(Event.REQUEST_DENIED, actor=BOB, subject=request(1))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(first), pool.submit(second)
        earlier, later = one.result(20), other.result(20)
    assert (earlier.seq, later.seq) == (1, 2)
    assert later.prev_hash == earlier.hash
    assert later.at >= earlier.at


@pytest.mark.django_db
def test_time_never_runs_backwards_along_the_chain_even_if_the_clock_does() -> None:
    ahead = timezone.now() + timedelta(hours=3)
    with unguarded():
        Head.objects.update(at=ahead)
    (entry,) = fill(1)
    assert entry.at == ahead


@pytest.mark.django_db
def test_without_the_end_of_the_chain_nothing_is_recorded() -> None:
    with unguarded():
        run("DELETE FROM audit_head")
    with pytest.raises(HeadMissing):
        fill(1)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None)
@given(before=st.none() | json_values, after=json_values, reason=texts, label=texts)
def test_an_entry_hashes_the_same_after_a_round_trip_through_the_database(
    before: Any, after: Any, reason: str, label: str
) -> None:
    head = Head.objects.get()
    written = Entry(
        seq=head.seq + 1,
        at=max(head.at, datetime(2026, 1, 31, 9, 30, 0, len(reason), tzinfo=UTC)),
        event=Event.GRANT_ACTIVE.value,
        actor_kind="person",
        actor_id=label,
        actor_label=label,
        subject_kind="request",
        subject_id="R-1",
        subject_label=label,
        related=[{"kind": "server", "id": label, "label": reason}],
        before=before,
        after=after,
        reason=reason,
        prev_hash=head.hash,
    )
    written.hash = digest(written.content())
    written.save(force_insert=True)
    read = Entry.objects.get(seq=written.seq)
    assert digest(read.content()) == written.hash
    assert Head.objects.get().hash == written.hash


@pytest.mark.django_db
def test_what_the_database_cannot_store_is_replaced_instead_of_losing_the_entry() -> None:
    record(Event.REQUEST_DENIED, actor=Actor("person", "1", "a\x00b"), subject=request(1), reason="\ud800 and \x00")
    entry = Entry.objects.get()
    assert entry.actor_label == "a\ufffdb"
    assert entry.reason == "? and \ufffd"
    assert verify(now=timezone.now()).ok


@pytest.mark.django_db
def test_no_entry_is_written_without_an_origin_of_its_own() -> None:
    with coming_from(Origin("web", "192.0.2.7")):
        with coming_from(Origin("worker")):
            fill(1)
        fill(1)
    fill(1)
    assert list(Entry.objects.order_by("seq").values_list("channel", "ip")) == [
        ("worker", ""),
        ("web", "192.0.2.7"),
        ("", ""),
    ]


@pytest.mark.parametrize(
    ("given_as", "kept_as"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("2001:DB8:0::1", "2001:db8::1"), (" 192.0.2.1 ", "192.0.2.1"), ("proxy", "")],
)
def test_an_address_has_one_spelling(given_as: str, kept_as: str) -> None:
    assert Origin(ip=given_as).ip == kept_as


def test_an_origin_that_is_too_long_is_cut() -> None:
    origin = Origin(channel="c" * 99, request_id="r" * 999, user_agent="u" * 9999)
    assert (len(origin.channel), len(origin.request_id), len(origin.user_agent)) == (20, 100, 300)


def _wait_until_somebody_waits_for_a_lock() -> None:
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    deadline = timezone.now() + timedelta(seconds=10)
    while timezone.now() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_stat_clear_snapshot(), ({blocked}), pg_sleep(0.01)")
            row = cursor.fetchone()
        if row is not None and row[1]:
            return
    raise AssertionError("Nobody waited.")
