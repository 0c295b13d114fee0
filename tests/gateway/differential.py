"""What our reading says of a text beside what a real server does with it: how many statements it was, which tables they
touched, and whether they wrote.

    python -m tests.gateway.differential URL --examples 100000

makes texts by hypothesis: statements on three tables with literals, comments, names and scopes in every form, several in one
text. Each runs on the server in a transaction that is rolled back; the locks that it holds tell what it touched.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.pq import DiagnosticField, ExecStatus

from access.gateway_rules import StatementClass
from gateway.statements import understand

TABLES = ("orders", "customers", "Odd")
#: In a database of its own.
SETUP = """
DROP TABLE IF EXISTS public.orders, public.customers, public."Odd";
CREATE TABLE public.orders (id int, item text);
CREATE TABLE public.customers (id int, item text);
CREATE TABLE public."Odd" (id int, item text);
"""
_LOCKS = """
SELECT c.relname, bool_or(l.mode NOT IN ('AccessShareLock', 'RowShareLock')) FROM pg_locks l
JOIN pg_class c ON c.oid = l.relation WHERE l.pid = pg_backend_pid() AND c.relnamespace = 'public'::regnamespace
AND c.relkind = 'r' GROUP BY 1
"""

_space = st.sampled_from([" ", "\n", "\t", "  ", " /* a; b */ ", " -- no; more\n", " /* /* '; */ */ ", "\f", "\r\n"])
_inside = st.text(st.sampled_from("ab;'\"\\$-/* \n%é"), max_size=8)


def _plain(inside: str) -> str:
    return "'" + inside.replace("'", "''") + "'"


def _escaped(inside: str) -> str:
    return "E'" + inside.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _dollars(inside: str) -> str:
    return "$q$" + inside + "$q$"


def _unicode(inside: str) -> str:
    return "U&'" + inside.replace("\\", "\\\\").replace("'", "''") + "'"


def _continued(inside: str) -> str:
    return "'a'\n  " + _plain(inside)


_text = st.builds(
    lambda how, inside: how(inside), st.sampled_from([_plain, _escaped, _dollars, _unicode, _continued]), _inside
)
_number = st.sampled_from(["1", "-2", "0.5", "1e3", ".5", "10"])
_table = st.sampled_from(
    ["orders", "customers", '"Odd"', "public.orders", "ORDERS", 'public . "customers"', 'U&"\\006frders"']
)
_cte = st.sampled_from(["orders", "customers", '"Odd"', "w", '"ORDERS"'])


def _spaced(*pieces: str | st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """The pieces with any white space between them."""
    parts: list[st.SearchStrategy[str]] = []
    for piece in pieces:
        parts += [_space, piece if isinstance(piece, st.SearchStrategy) else st.just(piece)]
    return st.tuples(*parts).map("".join)


_condition = st.one_of(
    _spaced("id =", _number),
    _spaced("item =", _text),
    _spaced("item IN (", _text, ",", _text, ")"),
    _spaced("EXISTS (SELECT 1 FROM", _table, ")"),
    _spaced("id IN (SELECT id FROM", _table, "WHERE item LIKE", _text, ")"),
    st.just(" true"),
)
_select = st.recursive(
    st.one_of(
        _spaced("SELECT", _text),
        _spaced("SELECT count(*) FROM", _table, "WHERE", _condition),
        _spaced("SELECT 1 FROM", _table, "t WHERE", _condition),
        _spaced("SELECT 1 FROM", _table, "a,", _table, "b"),
        _spaced("TABLE", _cte).filter(lambda text: "w" not in text.split()),
        _spaced("VALUES (", _text, ")"),
    ),
    lambda inner: st.one_of(
        _spaced("WITH", _cte, "AS (", inner, ") SELECT 1 FROM", _cte),
        _spaced("WITH w AS (", inner, "),", _cte, "AS (", inner, ") SELECT 1 FROM", _cte, "q"),
        _spaced("WITH RECURSIVE", _cte, "AS (", inner, ") SELECT 1 FROM", _cte),
        _spaced("SELECT 1 FROM (", inner, ") s,", _table, "z"),
        _spaced("SELECT (SELECT count(*) FROM (", inner, ") s)"),
    ),
    max_leaves=4,
)
_change = st.one_of(
    _spaced("DELETE FROM", _table, "WHERE", _condition),
    _spaced("UPDATE", _table, "SET item =", _text, "WHERE", _condition),
    _spaced("INSERT INTO", _table, "(id, item) VALUES (", _number, ",", _text, ")"),
    _spaced("INSERT INTO", _table, "(item) SELECT 'x' FROM (", _select, ") s"),
    _spaced("WITH", _cte, "AS (", _select, ") DELETE FROM", _table),
    _spaced("WITH gone AS (DELETE FROM", _table, "RETURNING 1) SELECT 1 FROM gone"),
)
_other = st.one_of(
    _spaced("EXPLAIN", _select),
    _spaced("EXPLAIN", _change),
    _spaced("EXPLAIN (ANALYZE", st.sampled_from(["", "off", "'on'", "false", "1", "0"]), ")", _change),
    _spaced("SELECT 1 AS", st.sampled_from(['"; DROP TABLE orders"', '"a""b"', "x"])),
    _spaced("SET LOCAL application_name =", _text),
)
_one = st.one_of(_select, _change, _other)
texts = st.one_of(
    _one,
    st.lists(st.one_of(_one, st.just(""), _space), min_size=1, max_size=3).map(";".join),
    # Broken on the way: a piece is missing, or there is one too many.
    st.builds(
        lambda text, at, piece: text[: at % (len(text) + 1)] + piece + text[at % (len(text) + 1) :],
        _one,
        st.integers(0, 400),
        _inside,
    ),
)


@dataclass(frozen=True)
class Did:
    """What a text was, to one of the two."""

    count: int
    tables: frozenset[str]
    writes: bool


def by_server(connection: psycopg.Connection[tuple[object, ...]], text: str) -> Did | None:
    """What the server did; None where it did not take the text, and an error of any other kind is no answer either."""
    pgconn = connection.pgconn
    pgconn.exec_(b"BEGIN")
    try:
        pgconn.send_query(text.encode())
        count, failed, said = 0, "", b""
        while (result := pgconn.get_result()) is not None:
            if result.status == ExecStatus.FATAL_ERROR:
                failed = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
                said = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b""
            elif result.status != ExecStatus.EMPTY_QUERY:
                count += 1
        if failed == "42601" and (b"syntax error at" in said or b"unterminated" in said):
            return None
        if failed:
            raise LookupError(failed)
        held = pgconn.exec_(_LOCKS.encode())
        rows = [(held.get_value(row, 0), held.get_value(row, 1)) for row in range(held.ntuples)]
        tables = frozenset((name or b"").decode() for name, _ in rows)
        return Did(count, tables, any(writes == b"t" for _, writes in rows))
    finally:
        pgconn.exec_(b"ROLLBACK")


def by_us(text: str) -> Did | None:
    """What our reading says."""
    statement = understand(text, "postgres").statement
    if not statement.is_parsed:
        return None
    tables = frozenset(table.removeprefix("public.") for table in statement.tables)
    return Did(statement.count, tables, StatementClass.WRITE in statement.classes)


def compare(connection: psycopg.Connection[tuple[object, ...]], text: str) -> None:
    """Raise where they differ."""
    try:
        server = by_server(connection, text)
    except LookupError:
        return
    ours = by_us(text)
    if server is None or ours is None:
        assert server is ours, (text, server, ours)
        return
    assert (server.count, server.tables) == (ours.count, ours.tables), (text, server, ours)
    # EXPLAIN of a change holds the locks of one and changes nothing.
    assert server.writes == ours.writes or (server.writes and "EXPLAIN" in text), (text, server, ours)


def main() -> None:
    """Until so many texts were compared, or two differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--examples", type=int, default=100_000)
    arguments = parser.parse_args()
    with psycopg.connect(arguments.url, autocommit=True) as connection:
        connection.execute(SETUP)
        seen = 0

        @settings(
            max_examples=arguments.examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(texts)
        def run(text: str) -> None:
            nonlocal seen
            seen += 1
            compare(connection, text)

        run()
    print(f"{seen} texts, no difference")


if __name__ == "__main__":
    main()
