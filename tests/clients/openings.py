"""What tools, drivers and pools send by themselves: texts of ours, written after what their public sources send.

They stand in for clients that cannot be had here, and for what others do only now and then, as pools when they take back.
"""

from __future__ import annotations

OPENINGS: dict[str, list[str]] = {
    "pgAdmin": [
        "SET DateStyle=ISO; SET client_min_messages=notice; SELECT set_config('bytea_output','hex',false)"
        " FROM pg_show_all_settings() WHERE name = 'bytea_output'; SET client_encoding='utf-8';",
        "SELECT version()",
        "SELECT db.oid AS did, db.datname, db.datallowconn, pg_encoding_to_char(db.encoding) AS serverencoding,"
        " has_database_privilege(db.oid, 'CREATE') AS cancreate FROM pg_database db WHERE db.datname = current_database()",
        "SELECT roles.oid AS id, roles.rolname AS name, roles.rolsuper AS is_superuser FROM pg_catalog.pg_roles AS roles"
        " WHERE rolname = current_user",
    ],
    "DBeaver": [
        "SET extra_float_digits = 3",
        "SET application_name = 'DBeaver - Main'",
        "SELECT current_schema(), session_user",
        "SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d"
        " ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass ORDER BY nspname",
        "SHOW search_path",
        "SELECT * FROM pg_catalog.pg_settings WHERE name = 'standard_conforming_strings'",
    ],
    "DataGrip": [
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SELECT current_database() AS a, current_schemas(false) AS b",
        "SELECT case when pg_catalog.pg_is_in_recovery() then null else pg_catalog.txid_current()::varchar::bigint end",
        "SELECT L.transactionid::varchar::bigint AS transaction_id FROM pg_catalog.pg_locks L",
    ],
    "Metabase": [
        "SET SESSION TIMEZONE TO 'UTC'",
        "SELECT c.relname, d.description FROM pg_class c LEFT JOIN pg_description d ON c.oid = d.objoid WHERE c.relkind = 'r'",
        'SELECT TRUE AS _ FROM "public"."orders" WHERE 1 <> 1 LIMIT 0',
        "-- Metabase:: userID: 1 queryType: native\nSELECT count(*) FROM orders",
    ],
    "Superset": [
        'SET search_path = "public"',
        "SELECT pg_catalog.version()",
        "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%' ORDER BY nspname",
    ],
    "Grafana": [
        "SELECT extract(epoch FROM now()) AS time, id AS value FROM orders WHERE id >= 1 ORDER BY 1",
        "SELECT current_setting('server_version_num')::int/100 AS version",
    ],
    "Tableau": [
        'BEGIN;declare "SQL_CUR0x1" cursor with hold for SELECT 1; fetch 10 in "SQL_CUR0x1"; close "SQL_CUR0x1"; COMMIT',
        "SELECT NULL::text, N.nspname, C.relname FROM pg_catalog.pg_class C JOIN pg_catalog.pg_namespace N"
        " ON N.oid = C.relnamespace WHERE C.relkind IN ('r', 'v')",
    ],
    "Hasura": [
        "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY",
        "SELECT coalesce(json_agg(root), '[]') AS root FROM (SELECT row_to_json((SELECT e FROM (SELECT o.id AS id) AS e))"
        " AS root FROM (SELECT * FROM public.orders WHERE 'true') AS o) AS r",
        "COMMIT",
    ],
    "PostgREST": [
        "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY",
        "SELECT set_config('search_path', 'public', true), set_config('request.jwt.claims', '{}', true),"
        " set_config('request.method', 'GET', true)",
        "WITH pgrst_source AS (SELECT orders.* FROM public.orders) SELECT null::bigint AS total,"
        " pg_catalog.count(_t) AS page, coalesce(json_agg(_t), '[]') AS body FROM (SELECT * FROM pgrst_source) _t",
        "COMMIT",
    ],
    "Prisma": [
        'SET search_path = "public"',
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
        'SELECT "public"."orders"."id" FROM "public"."orders" WHERE 1=1 OFFSET 0',
    ],
    "Rails": [
        "SET client_min_messages TO 'warning'",
        "SET standard_conforming_strings = on",
        "SET SESSION timezone TO 'UTC'",
        "SHOW max_identifier_length",
        "SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype"
        " FROM pg_type AS t LEFT JOIN pg_range AS r ON oid = rngtypid WHERE t.typname IN ('int2', 'text')",
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull FROM"
        " pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attrelid ="
        " '\"orders\"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
    ],
    "Django": [
        "SELECT set_config('TimeZone', 'UTC', false)",
        "SELECT c.relname, CASE WHEN c.relispartition THEN 'p' WHEN c.relkind IN ('m', 'v') THEN 'v' ELSE 't' END,"
        " obj_description(c.oid, 'pg_class') FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n"
        " ON n.oid = c.relnamespace WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND n.nspname NOT IN ('pg_catalog')",
    ],
    "psycopg2, read-only": [
        "SET default_transaction_read_only TO 'on'",
        "SET default_transaction_read_only TO DEFAULT",
    ],
    "JDBC, read-only in each mode": [
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "BEGIN READ ONLY",
        "COMMIT",
    ],
    "asyncpg": [
        "SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new",
        "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;",
    ],
    "Npgsql": [
        "DISCARD ALL",
        "SELECT version(); SELECT ns.nspname, t.oid FROM pg_type t JOIN pg_namespace ns ON ns.oid = typnamespace",
    ],
    "deadpool": [
        "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; SELECT pg_advisory_unlock_all();"
        " DISCARD TEMP; DISCARD SEQUENCES;"
    ],
    "pools that take back steps": [
        "SET SESSION AUTHORIZATION DEFAULT; RESET ALL",
        "SET ROLE NONE",
        "SET role TO DEFAULT",
        "SET LOCAL ROLE NONE",
        "SET SESSION ROLE NONE",
        "RESET ROLE",
    ],
    "tenants": [
        "BEGIN; SELECT set_config('app.tenant', '42', true); SELECT count(*) FROM orders; COMMIT",
    ],
}
