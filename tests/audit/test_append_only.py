"""The database refuses to change the log, also to the account that owns its tables."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from audit.chain import digest
from audit.models import Entry, Head, Mention
from audit.verification import verify
from tests.audit.forging import fill, run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _some_entries(db: None) -> None:
    fill(3)
    verify(now=timezone.now())
    # The statements below come one by one; what waits for the commit would stand in the way of TRUNCATE.
    run("SET CONSTRAINTS ALL IMMEDIATE")


def test_the_account_of_these_tests_owns_the_tables() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT bool_and(tableowner = current_user) FROM pg_tables WHERE tablename LIKE 'audit\\_%%'", ()
        )
        assert cursor.fetchone() == (True,)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET reason = 'better' WHERE seq = 2",
        "UPDATE audit_entry SET reason = reason",
        "UPDATE audit_entry SET reason = 'better' WHERE false",
        "DELETE FROM audit_entry WHERE seq = 3",
        "DELETE FROM audit_entry WHERE false",
        "TRUNCATE audit_entry CASCADE",
        "TRUNCATE audit_mention",
        "INSERT INTO audit_entry SELECT * FROM audit_entry WHERE seq = 3 ON CONFLICT (seq) DO UPDATE SET reason = ''",
        "UPDATE audit_mention SET ident = 'somebody else'",
        "DELETE FROM audit_mention",
        "UPDATE audit_verification SET ok = true",
        "DELETE FROM audit_verification",
        "TRUNCATE audit_verification",
        "DELETE FROM audit_head",
        "TRUNCATE audit_head",
    ],
)
def test_it_is_append_only(statement: str) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        run(statement)
    assert verify(now=timezone.now()).ok


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_head SET seq = seq - 1",
        "UPDATE audit_head SET seq = seq + 1",
        "UPDATE audit_head SET seq = seq + 2",
        "UPDATE audit_head SET hash = repeat('0', 64)",
        "UPDATE audit_head SET at = now()",
        "UPDATE audit_head SET seq = 1, hash = (SELECT hash FROM audit_entry WHERE seq = 1)",
    ],
)
def test_the_end_of_the_chain_moves_only_with_an_entry(statement: str) -> None:
    with pytest.raises(IntegrityError, match="moves only by one"), transaction.atomic():
        run(statement)
    assert verify(now=timezone.now()).ok


def test_there_is_one_end_of_the_chain() -> None:
    with pytest.raises(IntegrityError, match="audit_head_is_one_row"), transaction.atomic():
        run("INSERT INTO audit_head (id, seq, hash, at) SELECT 2, seq, hash, at FROM audit_head")


@pytest.mark.parametrize(
    ("column", "value"),
    [("seq", 3), ("seq", 5), ("seq", 0), ("prev_hash", "ab" * 32), ("at", "2001-01-01T00:00:00Z")],
)
def test_an_entry_that_does_not_follow_the_last_one_is_refused(column: str, value: object) -> None:
    last = Entry.objects.get(seq=3)
    forged = Entry.objects.get(seq=3)
    forged.seq, forged.prev_hash = 4, last.hash
    setattr(forged, column, value)
    forged.at = Entry._meta.get_field("at").to_python(forged.at)
    forged.hash = digest(forged.content())
    with pytest.raises(IntegrityError), transaction.atomic():
        forged.save(force_insert=True)
    assert verify(now=timezone.now()).checked == 3


@pytest.mark.parametrize("text", ["", "ABCDEF" + "0" * 58, "0" * 63])
def test_a_hash_is_a_hash(text: str) -> None:
    last = Entry.objects.get(seq=3)
    last.seq, last.prev_hash, last.hash = 4, last.hash, text
    with pytest.raises(IntegrityError, match="audit_entry_hashes_are_sha256"), transaction.atomic():
        last.save(force_insert=True)


def test_the_models_cannot_change_it_either() -> None:
    entry = Entry.objects.get(seq=2)
    entry.reason = "better"
    for attempt in (
        entry.save,
        entry.delete,
        Entry.objects.all().delete,
        lambda: Entry.objects.update(reason="better"),
        lambda: Head.objects.all().delete(),
        lambda: Mention.objects.all().delete(),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            attempt()
    assert Entry.objects.get(seq=2).reason == "Reason 2"


def test_not_even_a_session_that_silences_triggers_is_let_through() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'A' AND tgname LIKE 'audit%%'", ()
        )
        always = {name for (name,) in cursor.fetchall()}
    assert always == {
        "audit_entry_append_only",
        "audit_mention_append_only",
        "audit_verification_append_only",
        "audit_head_stays",
        "audit_statement_append_only",
        "audit_stream_stays",
        "audit_checkpoint_append_only",
        "audit_checkpointkey_append_only",
    }


def test_a_temporary_table_cannot_stand_in_for_the_end_of_the_chain() -> None:
    run("CREATE TEMPORARY TABLE audit_head (LIKE audit_head) ON COMMIT DROP")
    run("INSERT INTO pg_temp.audit_head SELECT * FROM public.audit_head")
    last = Entry.objects.get(seq=3)
    last.seq, last.prev_hash = 4, last.hash
    last.hash = digest(last.content())
    last.save(force_insert=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq FROM public.audit_head")
        assert cursor.fetchone() == (4,)
    run("DROP TABLE pg_temp.audit_head")


@pytest.mark.django_db(transaction=True)
def test_the_clean_up_of_tests_that_commit_is_the_only_one_who_may_empty_it() -> None:
    with pytest.raises(IntegrityError, match="append-only"):
        run("TRUNCATE audit_entry, audit_mention")
    assert Entry.objects.count() == 3
