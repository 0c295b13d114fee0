"""The database itself keeps the log append-only and in one order, also for the account that owns the tables.

Nothing here can be switched off by the application: it takes an `ALTER TABLE` by the owner or a superuser, which
`verify_audit` then sees in the chain. `docs/audit.md` says how to take ownership away from the application as well.
"""

from datetime import UTC, datetime

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit log is append-only: % on % is refused.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

-- ALWAYS: session_replication_role, which silences ordinary triggers, does not silence these. Per statement: a change
-- of no row is refused as well, so that a probe cannot tell anything.
CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_append_only;

CREATE TRIGGER audit_mention_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_mention
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_mention ENABLE ALWAYS TRIGGER audit_mention_append_only;

CREATE TRIGGER audit_verification_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_verification
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_verification ENABLE ALWAYS TRIGGER audit_verification_append_only;

CREATE TRIGGER audit_head_stays BEFORE DELETE OR TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_head_stays;
"""

#: An ordinary trigger: on a logical replica the head and the mentions arrive by themselves.
FOLLOW = """
CREATE FUNCTION audit_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE audit_head SET seq = NEW.seq, hash = NEW.hash, at = NEW.at
     WHERE id = 1 AND seq = NEW.seq - 1 AND hash = NEW.prev_hash AND at <= NEW.at;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Audit entry % does not follow the end of the chain.', NEW.seq
            USING ERRCODE = 'restrict_violation';
    END IF;
    INSERT INTO audit_mention (kind, ident, entry_id)
        SELECT NEW.actor_kind, NEW.actor_id, NEW.seq
        UNION SELECT NEW.subject_kind, NEW.subject_id, NEW.seq
        UNION SELECT other ->> 'kind', other ->> 'id', NEW.seq FROM jsonb_array_elements(NEW.related) AS other;
    RETURN NULL;
END $$;

CREATE TRIGGER audit_entry_follows AFTER INSERT ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION audit_follow();
"""

STEP = """
CREATE FUNCTION audit_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.id <> OLD.id OR NEW.seq <> OLD.seq + 1 OR NOT EXISTS (
        SELECT FROM audit_entry
         WHERE seq = NEW.seq AND hash = NEW.hash AND prev_hash = OLD.hash AND at = NEW.at
    ) THEN
        RAISE EXCEPTION 'The end of the audit log moves only by one, and only onto an entry that follows it.'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER audit_head_steps BEFORE UPDATE ON audit_head
    FOR EACH ROW EXECUTE FUNCTION audit_step();
"""

#: Without this a temporary table named like ours could stand in for it inside the functions.
PIN_SEARCH_PATH = """
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['audit_refuse', 'audit_follow', 'audit_step'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SET search_path = %I, pg_temp', name, current_schema());
    END LOOP;
END $$;
"""

REMOVE = """
DROP TRIGGER audit_head_steps ON audit_head;
DROP TRIGGER audit_entry_follows ON audit_entry;
DROP TRIGGER audit_head_stays ON audit_head;
DROP TRIGGER audit_verification_append_only ON audit_verification;
DROP TRIGGER audit_mention_append_only ON audit_mention;
DROP TRIGGER audit_entry_append_only ON audit_entry;
DROP FUNCTION audit_step();
DROP FUNCTION audit_follow();
DROP FUNCTION audit_refuse();
"""


def make_head(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The one row of the head, before anything was recorded."""
    head = apps.get_model("audit", "Head")
    head.objects.using(schema_editor.connection.alias).create(id=1, at=datetime(1970, 1, 1, tzinfo=UTC))


class Migration(migrations.Migration):
    """Triggers, and the row that they guard."""

    dependencies = [("audit", "0001_tables")]

    operations = [
        migrations.RunPython(make_head, migrations.RunPython.noop),
        migrations.RunSQL(REFUSE + FOLLOW + STEP + PIN_SEARCH_PATH, REMOVE),
    ]
