"""Rules about votes that no code path can get around: they never change, and nobody votes on their own request."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

GUARD = """
CREATE FUNCTION access_vote_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        RAISE EXCEPTION 'votes are never changed or removed' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF EXISTS (SELECT FROM access_accessrequest r WHERE r.id = NEW.request_id AND r.requester_id = NEW.voter_id) THEN
        RAISE EXCEPTION 'nobody votes on their own request' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER access_vote_guard BEFORE INSERT OR UPDATE OR DELETE ON access_vote
    FOR EACH ROW EXECUTE FUNCTION access_vote_guard();
"""

NO_GUARD = """
DROP TRIGGER access_vote_guard ON access_vote;
DROP FUNCTION access_vote_guard();
"""


class Migration(migrations.Migration):
    """Triggers on the votes."""

    dependencies: ClassVar = [("access", "0001_initial")]

    operations: ClassVar = [migrations.RunSQL(GUARD, NO_GUARD)]
