"""What somebody with the rights of the tables' owner could do to the log, for the tests that have to find it out.

None of it goes through the product: the triggers are taken away, the rows are changed by SQL, the triggers come back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from audit.chain import GENESIS, digest
from audit.events import Event
from audit.log import Actor, Subject, record
from audit.models import Entry, Head, Mention

ALICE = Actor("person", "1", "alice@example.com")
BOB = Actor("person", "2", "bob@example.com")
ORDERS = Subject("server", "orders", "Orders")


def request(number: int) -> Subject:
    """A request as the log names it."""
    return Subject("request", f"R-{number}", "Read orders")


def fill(count: int) -> list[Entry]:
    """So many entries, of different events, about different requests."""
    events = (Event.REQUEST_SUBMITTED, Event.VOTE_APPROVED, Event.GRANT_ACTIVE)
    with transaction.atomic():
        return [
            record(
                events[number % 3],
                actor=ALICE if number % 2 else BOB,
                subject=request(number),
                after={"state": "active"},
                reason=f"Reason {number}",
                related=[ORDERS],
            )
            for number in range(1, count + 1)
        ]


@contextmanager
def unguarded() -> Iterator[None]:
    """The tables without their triggers, as their owner can have them."""
    tables = ("audit_entry", "audit_head", "audit_mention", "audit_verification")
    # What is still to be checked at the commit would stand in the way of ALTER TABLE.
    run("SET CONSTRAINTS ALL IMMEDIATE")
    guards = _guards(tables)
    for table in tables:
        run(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    run("SET CONSTRAINTS ALL DEFERRED")
    yield
    run("SET CONSTRAINTS ALL IMMEDIATE")
    for table, guard, always in guards:
        run(f"ALTER TABLE {table} ENABLE {'ALWAYS' if always else ''} TRIGGER {guard}")
    run("SET CONSTRAINTS ALL DEFERRED")


@contextmanager
def unguarded_everywhere() -> Iterator[None]:
    """Without any trigger of the audit log, on streams, partitions and checkpoints too."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relname LIKE 'audit\\_%%' AND relkind IN ('r', 'p')", ()
        )
        tables = [str(table) for (table,) in cursor.fetchall()]
    run("SET CONSTRAINTS ALL IMMEDIATE")
    guards = _guards(tuple(tables))
    for table in tables:
        run(f"ALTER TABLE ONLY {table} DISABLE TRIGGER USER")
    run("SET CONSTRAINTS ALL DEFERRED")
    yield
    run("SET CONSTRAINTS ALL IMMEDIATE")
    for table, guard, always in guards:
        run(f"ALTER TABLE ONLY {table} ENABLE {'ALWAYS' if always else ''} TRIGGER {guard}")
    run("SET CONSTRAINTS ALL DEFERRED")


def run(sql: str, *values: Any) -> int:
    """One statement; how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return int(cursor.rowcount)


def change(seq: int, **columns: Any) -> None:
    """Overwrite columns of an entry."""
    with unguarded():
        assert Entry.objects.filter(seq=seq).update(**columns) == 1


def reseal(seq: int) -> str:
    """Compute an entry's hash anew, as somebody does who has read how; returns it."""
    entry = Entry.objects.get(seq=seq)
    sealed = digest(entry.content())
    change(seq, hash=sealed)
    return sealed


def rewrite_from(seq: int) -> None:
    """Compute every hash from an entry on anew, and move the end of the chain along: no link is broken afterwards."""
    before = Entry.objects.filter(seq=seq - 1).values_list("hash", flat=True).first() or GENESIS
    for number in range(seq, Head.objects.get().seq + 1):
        change(number, prev_hash=before)
        before = reseal(number)
    set_end(Head.objects.get().seq, before)


def set_end(seq: int, last_hash: str) -> None:
    """Put the end of the chain somewhere else."""
    with unguarded():
        Head.objects.update(seq=seq, hash=last_hash)


def remove(first: int, last: int) -> None:
    """Delete entries and every trace of them."""
    with unguarded():
        run("DELETE FROM audit_mention WHERE entry_id BETWEEN %s AND %s", first, last)
        assert run("DELETE FROM audit_entry WHERE seq BETWEEN %s AND %s", first, last) == last - first + 1


def renumber(first: int, by: int) -> None:
    """Move all entries from a number on up or down."""
    with unguarded():
        # Over numbers far away, since a unique key is checked row by row.
        far = 1_000_000
        for table, column in (("audit_entry", "seq"), ("audit_mention", "entry_id")):
            run(f"UPDATE {table} SET {column} = {column} + %s WHERE {column} >= %s", far, first)
            run(f"UPDATE {table} SET {column} = {column} - %s WHERE {column} >= %s", far - by, far)


def swap(one: int, other: int) -> None:
    """Let two entries change places."""
    with unguarded():
        for table, column in (("audit_entry", "seq"), ("audit_mention", "entry_id")):
            for old, new in ((one, 999_999), (other, one), (999_999, other)):
                run(f"UPDATE {table} SET {column} = %s WHERE {column} = %s", new, old)


def insert(seq: int, *, prev_hash: str, reason: str = "never happened") -> Entry:
    """Put an entry into a free place, with a hash of its own that is right."""
    pattern = Entry.objects.order_by("seq").first()
    assert pattern is not None
    pattern.seq, pattern.reason, pattern.prev_hash = seq, reason, prev_hash
    pattern.hash = digest(pattern.content())
    with unguarded():
        pattern.save(force_insert=True)
        for kind, ident in {(pattern.actor_kind, pattern.actor_id), (pattern.subject_kind, pattern.subject_id)}:
            Mention.objects.create(kind=kind, ident=ident, entry=pattern)
        for other in pattern.related:
            Mention.objects.create(kind=other["kind"], ident=other["id"], entry=pattern)
    return pattern


def _guards(tables: tuple[str, ...]) -> list[tuple[str, str, bool]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, tgname, tgenabled = 'A' FROM pg_trigger"
            " WHERE NOT tgisinternal AND tgrelid::regclass::text = ANY(%s)",
            [list(tables)],
        )
        return [(str(table), str(name), bool(always)) for table, name, always in cursor.fetchall()]
