"""The record of statements: streams, and their entries in monthly partitions, as append-only as the log itself.

An entry is let in only when it follows the last one of its stream; the same statement moves the stream's position. So
whatever a shipper does, and however often it does it again, no entry is there twice and none is missing.
"""

from django.db import migrations, models
from django.db.models import Q

ENTRIES = """
CREATE TABLE audit_statement_entry (
    stream uuid NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    kind varchar(10) NOT NULL,
    session bigint NOT NULL,
    statement bigint NOT NULL,
    person varchar(64) NOT NULL,
    grant_reference varchar(12) NOT NULL,
    role varchar(100) NOT NULL,
    server varchar(200) NOT NULL,
    fingerprint varchar(16) NOT NULL,
    verdict varchar(10) NOT NULL,
    hash varchar(64) NOT NULL,
    content text NOT NULL,
    PRIMARY KEY (stream, seq, at)
) PARTITION BY RANGE (at);

CREATE INDEX audit_statement_at ON audit_statement_entry (at, stream, seq) WHERE kind IN ('intent', 'refused');
CREATE INDEX audit_statement_person ON audit_statement_entry (person, at) WHERE kind IN ('intent', 'refused');
CREATE INDEX audit_statement_grant ON audit_statement_entry (grant_reference, at) WHERE kind IN ('intent', 'refused');
CREATE INDEX audit_statement_server ON audit_statement_entry (server, at) WHERE kind IN ('intent', 'refused');
CREATE INDEX audit_statement_fingerprint ON audit_statement_entry (fingerprint, at) WHERE kind IN ('intent', 'refused');
CREATE INDEX audit_statement_verdict ON audit_statement_entry (verdict, at)
    WHERE kind IN ('outcome', 'refused') AND NOT (verdict = 'done');
CREATE INDEX audit_statement_outcome ON audit_statement_entry (stream, statement) WHERE kind = 'outcome';
CREATE INDEX audit_statement_session ON audit_statement_entry (stream, session) WHERE kind = 'opened';

-- What no month was made for: nothing is ever refused for its time.
CREATE TABLE audit_statement_entry_other PARTITION OF audit_statement_entry DEFAULT;
"""

GUARDS = """
CREATE TRIGGER audit_statement_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_statement_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_statement_entry ENABLE ALWAYS TRIGGER audit_statement_append_only;

CREATE TRIGGER audit_stream_stays BEFORE DELETE OR TRUNCATE ON audit_stream
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_stream ENABLE ALWAYS TRIGGER audit_stream_stays;

-- A trigger for each statement knows only the table that the statement names: each partition has its own. INSERT too,
-- since what is put into a partition by name would go past the check that it follows.
CREATE FUNCTION audit_guard_statement_partition(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER audit_statement_append_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %I'
        ' FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()', name);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER audit_statement_append_only', name);
END $$;

SELECT audit_guard_statement_partition('audit_statement_entry_other');
"""

FOLLOW = """
-- The hash of the entry before is the last member of an entry's text: ..."prev":"<64 digits>"}
CREATE FUNCTION audit_follow_stream() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stray record;
    grown record;
BEGIN
    WITH linked AS (
        SELECT stream, seq, left(right(content, 66), 64) AS prev, lag(seq) OVER w AS seq_before, lag(hash) OVER w AS hash_before
          FROM fresh WINDOW w AS (PARTITION BY stream ORDER BY seq)
    )
    SELECT linked.stream, linked.seq INTO stray
      FROM linked LEFT JOIN audit_stream AS s ON s.id = linked.stream
     WHERE linked.seq IS DISTINCT FROM COALESCE(seq_before, s.seq) + 1
        OR linked.prev IS DISTINCT FROM COALESCE(hash_before, s.hash)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'Entry % does not follow the end of the stream %.', stray.seq, stray.stream
            USING ERRCODE = 'restrict_violation';
    END IF;
    FOR grown IN
        SELECT DISTINCT ON (stream) stream, seq, hash, at, kind, min(seq) OVER (PARTITION BY stream) AS first
          FROM fresh ORDER BY stream, seq DESC
    LOOP
        UPDATE audit_stream
           SET seq = grown.seq, hash = grown.hash, at = grown.at,
               ended_at = CASE WHEN grown.kind = 'ended' THEN grown.at END
         WHERE id = grown.stream AND seq = grown.first - 1 AND ended_at IS NULL;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'The stream % has ended, or grew elsewhere.', grown.stream
                USING ERRCODE = 'restrict_violation';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE TRIGGER audit_statement_follows AFTER INSERT ON audit_statement_entry
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION audit_follow_stream();

CREATE FUNCTION audit_step_stream() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.seq <> 0 OR NEW.hash <> repeat('0', 64) OR NEW.ended_at IS NOT NULL THEN
            RAISE EXCEPTION 'A stream begins with nothing.' USING ERRCODE = 'restrict_violation';
        END IF;
    ELSIF NEW.id <> OLD.id OR NEW.host <> OLD.host OR NEW.seen_at <> OLD.seen_at OR NEW.seq < OLD.seq OR (
        (NEW.seq, NEW.hash, NEW.at, NEW.ended_at) IS DISTINCT FROM (OLD.seq, OLD.hash, OLD.at, OLD.ended_at)
        AND NOT EXISTS (
            SELECT FROM audit_statement_entry AS e
             WHERE e.stream = NEW.id AND e.seq = NEW.seq AND e.hash = NEW.hash AND e.at = NEW.at
               AND (NEW.ended_at IS NOT DISTINCT FROM CASE WHEN e.kind = 'ended' THEN e.at END)
        )
    ) THEN
        RAISE EXCEPTION 'The position of a stream moves only onward, and only onto an entry of it.'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER audit_stream_steps BEFORE INSERT OR UPDATE ON audit_stream
    FOR EACH ROW EXECUTE FUNCTION audit_step_stream();
"""

#: By the owner of the tables, whoever calls it: the application's account may own nothing.
PARTITIONS = """
CREATE FUNCTION audit_make_statement_partition(wanted date) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    first timestamptz := date_trunc('month', wanted::timestamp) AT TIME ZONE 'UTC';
    next timestamptz := (date_trunc('month', wanted::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
    name text := 'audit_statement_entry_' || to_char(wanted, 'YYYY_MM');
BEGIN
    IF to_regclass(quote_ident(name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('audit_make_statement_partition'));
    -- What came in before its month was made stays where it is, and so does all of that month.
    IF to_regclass(quote_ident(name)) IS NOT NULL OR EXISTS (
        SELECT FROM audit_statement_entry_other WHERE at >= first AND at < next
    ) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I PARTITION OF audit_statement_entry FOR VALUES FROM (%L) TO (%L)', name, first, next);
    PERFORM audit_guard_statement_partition(name);
    RETURN true;
END $$;
"""

PIN_SEARCH_PATH = """
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'audit_follow_stream()', 'audit_step_stream()', 'audit_guard_statement_partition(text)',
        'audit_make_statement_partition(date)'
    ] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
    END LOOP;
END $$;
SELECT audit_make_statement_partition((date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead))::date)
  FROM generate_series(0, 2) AS ahead;
"""

REMOVE = """
DROP TABLE audit_statement_entry;
DROP TRIGGER audit_stream_steps ON audit_stream;
DROP TRIGGER audit_stream_stays ON audit_stream;
DROP FUNCTION audit_make_statement_partition(date);
DROP FUNCTION audit_step_stream();
DROP FUNCTION audit_follow_stream();
DROP FUNCTION audit_guard_statement_partition(text);
"""

BEGINS = Q(kind__in=["intent", "refused"])


class Migration(migrations.Migration):
    """Tables, triggers, and the first partitions."""

    dependencies = [("audit", "0002_append_only")]

    operations = [
        migrations.CreateModel(
            name="Stream",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("host", models.CharField(max_length=255)),
                ("sealed_key", models.TextField(blank=True)),
                ("seen_at", models.DateTimeField(auto_now_add=True)),
                ("seq", models.BigIntegerField(default=0)),
                ("hash", models.CharField(default="0" * 64, max_length=64)),
                ("at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={"default_permissions": (), "ordering": ("seen_at", "id")},
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="StatementEntry",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "stream", "seq", "at", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("stream", models.UUIDField()),
                        ("seq", models.BigIntegerField()),
                        ("at", models.DateTimeField()),
                        ("kind", models.CharField(max_length=10)),
                        ("session", models.BigIntegerField()),
                        ("statement", models.BigIntegerField()),
                        ("person", models.CharField(max_length=64)),
                        ("grant_reference", models.CharField(max_length=12)),
                        ("role", models.CharField(max_length=100)),
                        ("server", models.CharField(max_length=200)),
                        ("fingerprint", models.CharField(max_length=16)),
                        ("verdict", models.CharField(max_length=10)),
                        ("hash", models.CharField(max_length=64)),
                        ("content", models.TextField()),
                    ],
                    options={
                        "verbose_name_plural": "statement entries",
                        "db_table": "audit_statement_entry",
                        "ordering": ("-at", "-stream", "-seq"),
                        "default_permissions": ("view",),
                        "indexes": [
                            models.Index(fields=["at", "stream", "seq"], condition=BEGINS, name="audit_statement_at"),
                            models.Index(fields=["person", "at"], condition=BEGINS, name="audit_statement_person"),
                            models.Index(
                                fields=["grant_reference", "at"], condition=BEGINS, name="audit_statement_grant"
                            ),
                            models.Index(fields=["server", "at"], condition=BEGINS, name="audit_statement_server"),
                            models.Index(
                                fields=["fingerprint", "at"], condition=BEGINS, name="audit_statement_fingerprint"
                            ),
                            models.Index(
                                fields=["verdict", "at"],
                                condition=Q(kind__in=["outcome", "refused"]) & ~Q(verdict="done"),
                                name="audit_statement_verdict",
                            ),
                            models.Index(
                                fields=["stream", "statement"],
                                condition=Q(kind="outcome"),
                                name="audit_statement_outcome",
                            ),
                            models.Index(
                                fields=["stream", "session"],
                                condition=Q(kind="opened"),
                                name="audit_statement_session",
                            ),
                        ],
                    },
                ),
            ],
            database_operations=[migrations.RunSQL(ENTRIES + GUARDS + FOLLOW + PARTITIONS + PIN_SEARCH_PATH, REMOVE)],
        ),
    ]
