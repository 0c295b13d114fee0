"""Names cannot lie: whatever a client does with names, the record says what ran, or that a name was executed."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tests.gateway.wire.gateways import Gateway, Ran, packed, sha256
from tests.gateway.wire.sockets import SYNC, Wire, bind, close, errors, execute, parse, query, values

FIRST, SECOND = "SELECT 'first'", "SELECT 'second'"
WHAT = {sha256(FIRST): "first", sha256(SECOND): "second", sha256('EXECUTE "a"'): "?", sha256('FETCH FROM "p"'): "?"}


def recorded(gateway: Gateway) -> list[str]:
    """What the record says gave rows, in the order of its intents."""
    return [WHAT[one.sha256] for one in done(gateway)]


def done(gateway: Gateway) -> list[Ran]:
    return [one for one in gateway.all_settled() if one.sha256 in WHAT and one.verdict == "done"]


def agree(ran: list[str], record: list[str]) -> bool:
    """Whether the record tells what ran; `?` is the execution of a name."""
    return len(ran) == len(record) and all(told in ("?", was) for was, told in zip(ran, record, strict=True))


RUN_A = bind("", "a") + execute()
BROKEN = parse("", "SELECT nonsense FROM nowhere")

#: Each is what is sent in one packet, packet by packet; and the number of times the server gets ready.
TRICKS: dict[str, list[tuple[bytes, int]]] = {
    "a taken name": [
        (parse("a", FIRST) + SYNC, 1),
        (parse("a", SECOND) + SYNC, 1),
        (RUN_A + SYNC, 1),
    ],
    "a taken name, all at once": [
        (parse("a", FIRST) + SYNC + parse("a", SECOND) + SYNC + RUN_A + SYNC, 3),
    ],
    "a skipped Parse": [
        (parse("a", FIRST) + SYNC, 1),
        (BROKEN + close("S", "a") + parse("a", SECOND) + SYNC + RUN_A + SYNC, 2),
    ],
    "a skipped Close": [
        (parse("a", FIRST) + SYNC + BROKEN + close("S", "a") + SYNC + parse("a", SECOND) + SYNC + RUN_A + SYNC, 4),
    ],
    "closed and made again": [
        (parse("a", FIRST) + close("S", "a") + parse("a", SECOND) + RUN_A + SYNC, 1),
    ],
    "deallocated by SQL and made again": [
        (parse("a", FIRST) + SYNC, 1),
        (query("DEALLOCATE a") + parse("a", SECOND) + SYNC + RUN_A + SYNC, 3),
    ],
    "prepared by SQL": [
        (parse("a", FIRST) + SYNC, 1),
        (query("DEALLOCATE a") + query(f"PREPARE a AS {SECOND}") + RUN_A + SYNC, 3),
    ],
    "prepared by SQL behind a comment": [
        (parse("a", FIRST) + SYNC, 1),
        (query("DISCARD ALL") + query("PRE/**/PARE x AS SELECT 1") + query(f"/* */ PREPARE a AS {SECOND}"), 3),
        (RUN_A + SYNC, 1),
    ],
    "prepared by an Execute": [
        (parse("a", FIRST) + SYNC, 1),
        (
            parse("", "DEALLOCATE a")
            + bind("", "")
            + execute()
            + parse("", f"PREPARE a AS {SECOND}")
            + bind("", "")
            + execute()
            + RUN_A
            + SYNC,
            1,
        ),
    ],
    "deallocated in a transaction that is rolled back": [
        (parse("a", FIRST) + SYNC + query("BEGIN") + query("DEALLOCATE a") + query("ROLLBACK"), 4),
        (parse("a", SECOND) + SYNC + RUN_A + SYNC, 2),
    ],
    "a portal of an older statement": [
        (query("BEGIN") + parse("a", FIRST) + bind("p", "a") + close("S", "a") + parse("a", SECOND) + SYNC, 2),
        (execute("p") + SYNC + RUN_A + SYNC, 2),
    ],
    "a portal behind a savepoint": [
        (query("BEGIN") + parse("a", FIRST) + bind("p", "a") + SYNC + query("SAVEPOINT s"), 3),
        (
            parse("b", SECOND) + close("P", "p") + bind("p", "b") + SYNC + query("ROLLBACK TO s") + execute("p") + SYNC,
            3,
        ),
    ],
    "a cursor of SQL as a portal": [
        (query("BEGIN") + parse("a", FIRST) + bind("p", "a") + SYNC, 2),
        (query("CLOSE p") + query(f"DECLARE p CURSOR FOR {SECOND}") + execute("p") + SYNC, 3),
    ],
    "a COPY that was sent with its end": [
        (
            query("CREATE TEMP TABLE t (x text)")
            + parse("", "COPY t FROM STDIN")
            + bind("", "")
            + execute()
            + packed(b"d", b"x\n")
            + packed(b"c")
            + SYNC,
            2,
        ),
        (parse("a", FIRST) + SYNC, 1),
        (parse("a", SECOND) + SYNC + RUN_A + SYNC, 2),
    ],
    "a COPY with Syncs that the server reads past": [
        (query("CREATE TEMP TABLE t (x text)") + query("COPY t FROM STDIN") + SYNC + SYNC + packed(b"c"), 2),
        (parse("a", FIRST) + SYNC, 1),
        (parse("a", SECOND) + SYNC, 1),
        (RUN_A + SYNC, 1),
    ],
}


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("in_pieces", [False, True])
def test_the_record_tells_what_ran(gateway: Gateway, trick: str, in_pieces: bool) -> None:
    ran: list[str] = []
    with Wire(gateway) as wire:
        for packet, times in TRICKS[trick]:
            if in_pieces:
                for at in range(0, len(packet), 7):
                    wire.send(packet[at : at + 7])
            else:
                wire.send(packet)
            ran += [value for value in values(wire.until(b"Z", times)) if value in ("first", "second")]
        # The session is in step: what comes last is answered and recorded as itself.
        wire.query("ROLLBACK")
        assert values(wire.query("SELECT 'last'")) == ["last"]
    assert agree(ran, recorded(gateway)), (ran, recorded(gateway))
    assert gateway.ran("SELECT 'last'").rows == 1


def test_what_is_prepared_by_sql_is_recorded_as_the_execution_of_a_name(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        wire.query(f"PREPARE a AS {SECOND}")
        wire.send(RUN_A, SYNC)
        assert values(wire.until(b"Z")) == ["second"]
    assert recorded(gateway) == ["?"]


def test_a_name_that_was_sent_behind_a_copy_that_failed_at_once_is_not_believed(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        wire.query("CREATE TEMP TABLE trig (x int)")
        wire.query("CREATE FUNCTION pg_temp.no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$")
        said = wire.query("CREATE TRIGGER no BEFORE INSERT ON trig FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.no()")
        assert errors(said) == []
        wire.send(parse("a", FIRST), SYNC)
        wire.until(b"Z")
        wire.send(parse("", "COPY trig FROM STDIN"), bind("", ""), execute(), parse("a", SECOND), SYNC)
        assert errors(wire.until(b"Z")) == ["P0001"]
        wire.send(RUN_A, SYNC)
        assert values(wire.until(b"Z")) == ["first"]
    assert agree(["first"], recorded(gateway)), recorded(gateway)


def test_a_refused_text_under_a_taken_name_does_not_run(start: Callable[..., Gateway]) -> None:
    gateway = start()
    with Wire(gateway) as wire, psycopg.connect(gateway.shop.conninfo) as own:
        wire.send(parse("a", FIRST), SYNC, parse("a", "SELECT 'unterminated"), SYNC, RUN_A, SYNC)
        said = wire.until(b"Z", 3)
        assert values(said) == ["first"]
        assert errors(said) == ["42601"]
        assert own.execute("SELECT 1").fetchone() == (1,)
    assert recorded(gateway) == ["first"]


@pytest.mark.parametrize(
    "harmless",
    [
        "SELECT 'discard'",
        "SELECT 1 /* prepare, deallocate */",
        "DISCARD TEMP",
        "DISCARD PLANS",
        "DISCARD SEQUENCES",
        "PREPARE x AS SELECT 1",
        'SELECT 1 AS "close all"',
        "DEALLOCATE nobody",
    ],
)
def test_a_harmless_word_makes_the_record_forget_nothing(gateway: Gateway, harmless: str) -> None:
    with Wire(gateway) as wire:
        wire.send(parse("a", FIRST), SYNC)
        wire.until(b"Z")
        wire.query(harmless)
        wire.send(RUN_A, SYNC)
        assert values(wire.until(b"Z")) == ["first"]
    assert recorded(gateway) == ["first"]


def test_names_that_agree_in_what_the_server_keeps_of_them_are_one(gateway: Gateway) -> None:
    long = "n" * 63
    with Wire(gateway) as wire:
        wire.send(parse(long + "one", FIRST), SYNC, close("S", long + "two"), parse(long + "three", SECOND), SYNC)
        wire.until(b"Z", 2)
        wire.send(bind("", long + "one"), execute(), SYNC)
        assert values(wire.until(b"Z")) == ["second"]
    assert recorded(gateway) == ["second"]


def test_portals_end_with_their_transaction(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        for number in range(300):
            wire.send(parse("", FIRST), bind(f"p{number}", ""), execute(f"p{number}"), SYNC)
            assert errors(wire.until(b"Z")) == []
        (client,) = gateway.worker.clients
        assert len(client.relay.names._portals) < 5  # type: ignore[union-attr]


def test_names_are_read_in_the_encoding_of_the_client(gateway: Gateway) -> None:
    with Wire(gateway) as wire:
        wire.send(parse("naïve", FIRST), SYNC)
        wire.until(b"Z")
        assert errors(wire.query("SET client_encoding = 'LATIN1'")) == []
        wire.send(packed(b"B", b"\0na\xefve\0\0\0\0\0\0\0"), execute(), SYNC)
        assert values(wire.until(b"Z")) == ["first"]
    assert recorded(gateway) == ["first"]


def test_a_text_behind_a_change_of_encoding_is_read_in_it(gateway: Gateway) -> None:
    text = "SELECT 'café'"
    with Wire(gateway) as wire:
        wire.send(
            query("SET client_encoding = 'LATIN1'"), packed(b"Q", text.encode("latin-1") + b"\0"), query("RESET ALL")
        )
        wire.until(b"Z", 3)
        wire.query(text)
    assert [one.verdict for one in gateway.all_settled() if one.sha256 == sha256(text)] == ["done", "done"]
