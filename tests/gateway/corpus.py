"""Some thousand statements of PostgreSQL 15 with what each of them is: a table of truth, put together from pieces.

A piece is written once and meets every place where it can stand, so that the table is as wide as the grammar and not as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from access.gateway_rules import StatementClass as C

Truth = tuple[str, frozenset[C]]

EXPRESSIONS = [
    *("1", "-1.5e3", "'text'", "E'a\\nb'", "U&'d\\0061t'", "$$text$$", "$q$it's$q$", "B'101'", "X'1F'", "NULL", "true"),
    *(
        "a",
        "t.a",
        '"A b"',
        "t.*",
        "(t).a",
        "a[1]",
        "a[1:2]",
        "a[:2]",
        "(a).b",
        "ARRAY[1, 2]",
        "ARRAY[]::int[]",
        "ROW(1, 'x')",
    ),
    *(
        "a + b",
        "a ^ b",
        "a || b",
        "a % b",
        "@ -5",
        "|/ a",
        "!! a",
        "a <<= b",
        "a >>= b",
        "a ~ 'x'",
        "a !~* 'x'",
        "a ~~ 'x'",
    ),
    *(
        "a ~= b",
        "a ~>=~ b",
        "a ## b",
        "a <-> b",
        "a <@ b",
        "a @> b",
        "a && b",
        "a ? 'k'",
        "a ?| b",
        "a -> 'k'",
        "a #>> '{k}'",
    ),
    *(
        "a OPERATOR(pg_catalog.+) b",
        "a IS DISTINCT FROM b",
        "a IS NULL",
        "a ISNULL",
        "a NOTNULL",
        "a IS NOT TRUE",
        "a IS DOCUMENT",
    ),
    *(
        "a BETWEEN 1 AND 2",
        "a BETWEEN SYMMETRIC 2 AND 1",
        "a NOT IN (1, 2)",
        "a IN (SELECT 1)",
        "a = ANY ('{1}'::int[])",
        "a > ALL (SELECT 1)",
    ),
    *(
        "a LIKE 'x%' ESCAPE '!'",
        "a ILIKE ANY (ARRAY['x'])",
        "a SIMILAR TO 'x'",
        "NOT a",
        "a AND b OR c",
        "EXISTS (SELECT 1)",
    ),
    *(
        "CASE a WHEN 1 THEN 'x' ELSE 'y' END",
        "CASE WHEN a THEN 1 END",
        "COALESCE(a, 1)",
        "NULLIF(a, b)",
        "GREATEST(a, b)",
    ),
    *(
        "a::int",
        "a::numeric(10, 2)",
        "CAST(a AS text[])",
        "int '1'",
        "interval '1 day'",
        "interval '1' day",
        "a::bit(3)",
        "point '1,2'",
    ),
    *(
        "a::timestamp with time zone",
        "a AT TIME ZONE 'UTC'",
        'a COLLATE "C"',
        "'x'::regclass[]",
        "date 'today'",
        "time '10:00'",
    ),
    *(
        "f()",
        "s.f(1, b => 2)",
        "f(VARIADIC a)",
        "count(*)",
        "count(DISTINCT a)",
        "sum(a) FILTER (WHERE b)",
        "array_agg(a ORDER BY b DESC)",
    ),
    *(
        "rank() OVER (PARTITION BY a ORDER BY b ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
        "sum(a) OVER w",
        "lag(a) OVER ()",
    ),
    *(
        "percentile_cont(0.5) WITHIN GROUP (ORDER BY a)",
        "extract(year FROM a)",
        "substring(a FROM 1 FOR 2)",
        "trim(BOTH 'x' FROM a)",
    ),
    *(
        "substring(a SIMILAR 'x#\"y#\"z' ESCAPE '#')",
        "overlay(a PLACING 'x' FROM 1)",
        "position('x' IN a)",
        "normalize(a, NFC)",
    ),
    *(
        "xmlparse(CONTENT '<a/>')",
        "xmlelement(NAME a, xmlattributes(b AS c))",
        "xmlforest(a, b)",
        "xmlserialize(CONTENT a AS text)",
    ),
    *(
        "xmlconcat(a, b)",
        "xmlpi(NAME x)",
        "xmlexists('/a' PASSING a)",
        "current_date",
        "current_timestamp(3)",
        "localtime",
        "current_user",
    ),
    *(
        "session_user",
        "current_catalog",
        "current_schema",
        "(SELECT max(x) FROM u)",
        "ARRAY(SELECT 1)",
        "grouping(a)",
        "$1",
        "$2::oid[]",
    ),
    *(
        "generate_series('2020-01-01'::date, now(), '1 day')",
        "(a, b) OVERLAPS (c, d)",
        "a IS OF_TYPE",
        "row_to_json(t)",
    ),
]
EXPRESSIONS.remove("a IS OF_TYPE")

SOURCES = [
    "",
    "FROM t",
    "FROM ONLY s.t AS x",
    "FROM t, LATERAL (SELECT t.a) l",
    "FROM t JOIN u USING (id)",
    "FROM t NATURAL LEFT JOIN u",
    "FROM t FULL JOIN u ON t.a = u.a CROSS JOIN v",
    "FROM t TABLESAMPLE bernoulli (10) REPEATABLE (1)",
    "FROM generate_series(1, 2) WITH ORDINALITY AS g (n, o)",
    "FROM ROWS FROM (f(1), g(2)) AS r",
    "FROM json_to_recordset('[]') AS r (a int, b text)",
    "FROM xmltable('/a' PASSING d COLUMNS id int PATH '@id' DEFAULT 0, o FOR ORDINALITY) AS x",
    "FROM (VALUES (1, 'x'), (2, 'y')) AS v (a, b)",
]

TAILS = [
    "",
    "ORDER BY 1 DESC NULLS LAST LIMIT 5 OFFSET 2",
    "ORDER BY 1 FETCH FIRST 3 ROWS WITH TIES",
    "GROUP BY GROUPING SETS ((), (1)) HAVING count(*) > 1",
    "WINDOW w AS (PARTITION BY 1)",
]

CONDITIONS = [
    "",
    "WHERE a = 1",
    "WHERE a IN (SELECT id FROM u)",
    "WHERE CURRENT OF c",
    "WHERE t.a > $1 AND b LIKE 'x%'",
]
RETURNING = ["", "RETURNING *", "RETURNING a AS x, f(b)"]

CHANGES = [
    "INSERT INTO t VALUES (1, DEFAULT), (2, 'x') {returning}",
    "INSERT INTO s.t AS x (a, b[1], c.d) SELECT 1, 2, 3 {returning}",
    "INSERT INTO t DEFAULT VALUES {returning}",
    "INSERT INTO t (a) OVERRIDING SYSTEM VALUE VALUES (1) {returning}",
    "INSERT INTO t (a) OVERRIDING USER VALUE SELECT 1 {returning}",
    "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING {returning}",
    "INSERT INTO t VALUES (1) ON CONFLICT (a) WHERE b DO UPDATE SET a = excluded.a WHERE t.a > 1 {returning}",
    "INSERT INTO t VALUES (1) ON CONFLICT ON CONSTRAINT k DO UPDATE SET (a, b) = (1, 2) {returning}",
    "UPDATE t SET a = 1, b = DEFAULT {condition} {returning}",
    "UPDATE ONLY t SET (a, b) = (SELECT 1, 2), c[1] = 3 {condition} {returning}",
    "UPDATE t SET a = u.a FROM u JOIN v USING (id) {condition} {returning}",
    "DELETE FROM t {condition} {returning}",
    "DELETE FROM t USING u, v {condition} {returning}",
    "WITH x AS (SELECT 1) UPDATE t SET a = 1 {condition} {returning}",
    "WITH x AS (SELECT 1) DELETE FROM t {condition} {returning}",
]

DEFINITIONS = [
    "CREATE TABLE {n} (id int PRIMARY KEY, b text NOT NULL DEFAULT 'x', c int GENERATED ALWAYS AS IDENTITY)",
    "CREATE TABLE IF NOT EXISTS {n} (LIKE t INCLUDING ALL)",
    "CREATE TEMP TABLE {n} (a int) ON COMMIT DROP",
    "CREATE UNLOGGED TABLE {n} (a int, CHECK (a > 0), FOREIGN KEY (a) REFERENCES u (id) ON DELETE CASCADE)",
    "CREATE TABLE {n} PARTITION OF t FOR VALUES FROM (1) TO (2)",
    "CREATE TABLE {n} (a int) PARTITION BY RANGE (a)",
    "CREATE TABLE {n} (a int, g int GENERATED ALWAYS AS (a * 2) STORED) INHERITS (t) WITH (fillfactor = 70)",
    "CREATE TABLE {n} OF mood (PRIMARY KEY (a))",
    "CREATE TABLE {n} AS SELECT 1 AS a WITH NO DATA",
    "CREATE TABLE {n} (a int, EXCLUDE USING gist (a WITH &&))",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON {n} USING btree (lower(a) DESC NULLS LAST) INCLUDE (b) WHERE a > 1",
    "CREATE UNIQUE INDEX ON {n} (a) NULLS NOT DISTINCT",
    "CREATE OR REPLACE VIEW {n} AS SELECT * FROM t WITH LOCAL CHECK OPTION",
    "CREATE RECURSIVE VIEW {n} (a) AS SELECT 1",
    "CREATE MATERIALIZED VIEW {n} AS SELECT 1 AS a",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY {n}",
    "CREATE SEQUENCE {n} AS bigint INCREMENT BY 2 START 1 CACHE 5 CYCLE OWNED BY t.a",
    "ALTER SEQUENCE {n} RESTART WITH 5",
    "CREATE SCHEMA IF NOT EXISTS x",
    "CREATE TYPE {n} AS ENUM ('a', 'b')",
    "CREATE TYPE {n} AS (a int, b text)",
    "CREATE TYPE {n} AS RANGE (subtype = float8)",
    "ALTER TYPE {n} ADD VALUE IF NOT EXISTS 'c' BEFORE 'b'",
    "ALTER TYPE {n} RENAME VALUE 'a' TO 'b'",
    "CREATE DOMAIN {n} AS text CHECK (VALUE <> '')",
    "ALTER DOMAIN {n} SET NOT NULL",
    "CREATE FUNCTION {n}(a int, VARIADIC b text[]) RETURNS TABLE (x int) LANGUAGE sql STABLE AS 'SELECT 1'",
    "CREATE FUNCTION {n}() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END",
    "CREATE FUNCTION {n}() RETURNS int LANGUAGE sql RETURN 1",
    "CREATE OR REPLACE PROCEDURE {n}(INOUT a int) LANGUAGE plpgsql AS $$ BEGIN END $$",
    "CREATE AGGREGATE {n}(int) (sfunc = int4pl, stype = int)",
    "CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq)",
    "CREATE CAST (text AS int) WITH INOUT AS ASSIGNMENT",
    "CREATE COLLATION {n} (provider = icu, locale = 'de')",
    "CREATE TRIGGER r BEFORE INSERT OR UPDATE OF a ON {n} FOR EACH ROW WHEN (new.a > 1) EXECUTE FUNCTION f()",
    "CREATE RULE r AS ON UPDATE TO {n} WHERE old.a = 1 DO INSTEAD NOTHING",
    "CREATE RULE r AS ON INSERT TO {n} DO ALSO (INSERT INTO u VALUES (1); DELETE FROM v)",
    "CREATE STATISTICS st (ndistinct) ON a, b FROM {n}",
    "CREATE TEXT SEARCH CONFIGURATION {n} (copy = simple)",
    "ALTER TABLE {n} ADD COLUMN IF NOT EXISTS b int DEFAULT 1, DROP COLUMN c CASCADE, ALTER a TYPE bigint USING a::bigint",
    "ALTER TABLE {n} ADD CONSTRAINT k CHECK (a > 0) NOT VALID",
    "ALTER TABLE {n} VALIDATE CONSTRAINT k",
    "ALTER TABLE IF EXISTS ONLY {n} RENAME a TO b",
    "ALTER TABLE {n} RENAME TO u",
    "ALTER TABLE {n} SET SCHEMA x",
    "ALTER TABLE {n} OWNER TO CURRENT_USER",
    "ALTER TABLE {n} ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE {n} ATTACH PARTITION u DEFAULT",
    "ALTER TABLE {n} DISABLE TRIGGER ALL",
    "ALTER TABLE {n} ALTER a SET STATISTICS 100",
    "ALTER TABLE {n} REPLICA IDENTITY FULL",
    "ALTER INDEX {n} SET (fillfactor = 70)",
    "ALTER VIEW {n} ALTER a SET DEFAULT 1",
    "ALTER FUNCTION {n}(int) STABLE",
    "DROP TABLE IF EXISTS {n}, u CASCADE",
    "DROP VIEW {n}",
    "DROP MATERIALIZED VIEW {n}",
    "DROP INDEX CONCURRENTLY {n}",
    "DROP SEQUENCE {n} RESTRICT",
    "DROP FUNCTION {n}(int, text)",
    "DROP TYPE {n}",
    "DROP SCHEMA x CASCADE",
    "DROP TRIGGER r ON {n}",
    "COMMENT ON TABLE {n} IS 'text'",
    "COMMENT ON COLUMN {n}.a IS NULL",
]

ADMINISTRATION = [
    "CREATE ROLE {n} LOGIN PASSWORD 'x' VALID UNTIL 'infinity' IN ROLE r",
    "ALTER USER {n} WITH NOCREATEDB",
    "ALTER ROLE {n} IN DATABASE d SET work_mem = '1MB'",
    "DROP ROLE IF EXISTS {n}",
    "GRANT {n} TO r WITH ADMIN OPTION",
    "REVOKE {n} FROM r",
    "GRANT SELECT (a), UPDATE ON t TO {n} WITH GRANT OPTION",
    "GRANT ALL ON ALL TABLES IN SCHEMA s TO {n}",
    "REVOKE GRANT OPTION FOR SELECT ON t FROM {n} CASCADE",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {n} IN SCHEMA s GRANT SELECT ON TABLES TO r",
    "REASSIGN OWNED BY {n} TO r",
    "DROP OWNED BY {n}",
    "CREATE DATABASE {n} TEMPLATE template0",
    "ALTER DATABASE {n} SET search_path = s",
    "DROP DATABASE {n} WITH (FORCE)",
    "ALTER SYSTEM SET work_mem = '1MB'",
    "CREATE TABLESPACE {n} LOCATION '/x'",
    "CREATE EXTENSION IF NOT EXISTS {n} WITH SCHEMA s CASCADE",
    "ALTER EXTENSION {n} UPDATE TO '2'",
    "DROP EXTENSION {n}",
    "CREATE SERVER {n} FOREIGN DATA WRAPPER w OPTIONS (host 'x')",
    "CREATE FOREIGN TABLE {n} (a int) SERVER s OPTIONS (x 'y')",
    "CREATE USER MAPPING FOR {n} SERVER s OPTIONS (password 'x')",
    "IMPORT FOREIGN SCHEMA x FROM SERVER s INTO {n}",
    "CREATE EVENT TRIGGER {n} ON ddl_command_end EXECUTE FUNCTION f()",
    "CREATE POLICY {n} ON t FOR SELECT TO r USING (a = 1)",
    "CREATE PUBLICATION {n} FOR TABLE t",
    "CREATE SUBSCRIPTION {n} CONNECTION 'x' PUBLICATION p",
    "CREATE LANGUAGE {n}",
    "CREATE ACCESS METHOD {n} TYPE INDEX HANDLER h",
    "VACUUM (FULL, ANALYZE) {n}",
    "ANALYZE VERBOSE {n} (a, b)",
    "CLUSTER {n} USING i",
    "REINDEX TABLE CONCURRENTLY {n}",
    "SECURITY LABEL ON TABLE {n} IS 'x'",
    "COPY {n} TO '/x'",
    "COPY {n} FROM PROGRAM 'x' WITH (FORMAT csv)",
    "COPY (SELECT * FROM {n}) TO PROGRAM 'x'",
]
ADMINISTRATION_ALONE = ["CHECKPOINT", "LOAD 'x'", "ALTER SYSTEM RESET ALL"]

TRANSACTIONS = [
    *(
        "BEGIN",
        "BEGIN WORK",
        "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
        "START TRANSACTION READ WRITE",
    ),
    *("COMMIT", "COMMIT AND CHAIN", "END", "ROLLBACK", "ABORT", "ROLLBACK AND NO CHAIN", "SAVEPOINT a", "RELEASE a"),
    *("ROLLBACK TO SAVEPOINT a", "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'", "LOCK t"),
    "LOCK TABLE ONLY t, s.u IN ACCESS EXCLUSIVE MODE NOWAIT",
]
SESSIONS = [
    *(
        "SET x.y = 'z'",
        "SET LOCAL work_mem TO '1MB'",
        "SET search_path = a, \"B\", 'c'",
        "SET TIME ZONE LOCAL",
        "SET NAMES 'UTF8'",
    ),
    *(
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET ROLE NONE",
    ),
    *(
        "SET SESSION AUTHORIZATION DEFAULT",
        "SET CONSTRAINTS ALL DEFERRED",
        "SET XML OPTION DOCUMENT",
        "RESET ALL",
        "RESET x.y",
    ),
    *(
        "SHOW ALL",
        "SHOW TIME ZONE",
        "SHOW x.y",
        "DISCARD ALL",
        "DISCARD TEMP",
        "LISTEN a",
        "NOTIFY a, 'b'",
        "UNLISTEN *",
    ),
    *(
        "DEALLOCATE ALL",
        "DEALLOCATE PREPARE a",
        "EXECUTE a (1, 'x')",
        "FETCH ALL FROM c",
        "FETCH BACKWARD 3 IN c",
        "MOVE NEXT c",
    ),
    *("CLOSE c", "CLOSE ALL"),
]
CALLS = ["CALL p(1, b => 'x')", "DO $$ BEGIN NULL; END $$", "DO LANGUAGE plpgsql 'BEGIN END'"]

_NAMES = ["t", "s.t", '"Odd name"', "naïve"]
_FEW = ["t", '"Odd"']


def corpus() -> Iterator[Truth]:
    """Each statement with its classes."""
    yield from _selects()
    yield from _around_selects()
    yield from _changes()
    for texts, names, kind in ((DEFINITIONS, _NAMES, C.DDL), (ADMINISTRATION, _FEW, C.ADMIN)):
        for one, name in product(texts, names):
            if "{n}" in one or name == "t":
                yield one.replace("{n}", name), frozenset({kind})
    yield from _alone()


def _selects() -> Iterator[Truth]:
    for expression, source in product(EXPRESSIONS, SOURCES):
        yield f"SELECT {expression} {source}", frozenset({C.READ})
    for expression, tail in product(EXPRESSIONS, TAILS):
        if "OVER w" not in expression:
            yield f"SELECT {expression} AS x FROM t WHERE b {tail}", frozenset({C.READ})


def _changes() -> Iterator[Truth]:
    for change, condition, returning in product(CHANGES, CONDITIONS, RETURNING):
        if condition and "{condition}" not in change:
            continue
        text = change.format(condition=condition, returning=returning)
        yield text, frozenset({C.WRITE})
        yield f"EXPLAIN (ANALYZE, BUFFERS) {text}", frozenset({C.WRITE})
        yield f"EXPLAIN {text}", frozenset({C.READ})
        yield f"PREPARE p AS {text}", frozenset({C.SESSION, C.WRITE})
    yield "TRUNCATE t, ONLY s.u RESTART IDENTITY CASCADE", frozenset({C.WRITE})
    yield "COPY t (a, b) FROM STDIN WHERE a > 1", frozenset({C.WRITE})


def _alone() -> Iterator[Truth]:
    kinds = ((ADMINISTRATION_ALONE, C.ADMIN), (TRANSACTIONS, C.TRANSACTION), (SESSIONS, C.SESSION), (CALLS, C.CALL))
    for texts, kind in kinds:
        for one in texts:
            yield one, frozenset({kind})
            yield f"/* {one} */ {one} -- ;", frozenset({kind})
            yield f"{one}; SELECT 1;", frozenset({kind, C.READ})


def _around_selects() -> Iterator[Truth]:
    read = frozenset({C.READ})
    for select in (
        "SELECT 1",
        "SELECT * FROM t WHERE a = 1",
        "TABLE t",
        "VALUES (1), (2)",
        "(SELECT 1 UNION ALL SELECT 2) EXCEPT SELECT 3",
    ):
        yield select, read
        yield f"WITH x AS MATERIALIZED ({select}) SELECT * FROM x", read
        yield f"WITH RECURSIVE x (n) AS (SELECT 1 UNION SELECT n FROM x) {select}", read
        yield f"COPY ({select}) TO STDOUT WITH (FORMAT csv, HEADER)", read
        yield f"EXPLAIN {select}", read
        yield f"EXPLAIN (ANALYZE off, FORMAT json) {select}", read
        yield f"DECLARE c NO SCROLL CURSOR WITH HOLD FOR {select}", frozenset({C.READ, C.SESSION})
        yield f"PREPARE p (int) AS {select}", frozenset({C.READ, C.SESSION})
        yield f"CREATE TABLE y AS {select}", frozenset({C.DDL})
        yield f"{select}; {select}", read
    for strength in ("UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE"):
        for how in ("", "NOWAIT", "SKIP LOCKED"):
            yield f"SELECT * FROM t FOR {strength} OF t {how}", frozenset({C.READ, C.WRITE})
    yield "SELECT 1 INTO TEMP x", frozenset({C.READ, C.DDL})
    yield "WITH d AS (DELETE FROM t WHERE a = 1 RETURNING *) SELECT * FROM d", frozenset({C.READ, C.WRITE})
    yield "WITH d AS (INSERT INTO t VALUES (1) RETURNING *) TABLE d", frozenset({C.READ, C.WRITE})
    yield (
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED AND u.b THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (1)",
        frozenset({C.WRITE}),
    )
