"""A request says which team it waits for, and a grant which teams may see and end it: questions of every page, answered by
an index instead of by counting votes.

The columns come with a default, so they are added at once. Filling them in rewrites every grant and every open request in
this transaction: some seconds for a hundred thousand of them.
"""

from typing import ClassVar

import django.contrib.postgres.fields
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from access.quorum import Ballot, Step, Verdict, decide

_BATCH = 1000

TEAMS_OF_GRANTS = """
    UPDATE access_grant AS g
       SET approving_teams = ARRAY(SELECT DISTINCT step ->> 0 FROM jsonb_array_elements(r.terms -> 'steps') AS step ORDER BY 1)
      FROM access_accessrequest AS r
     WHERE r.id = g.request_id
"""


def note_who_is_waited_for(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Count the votes on each open request once more, as the door does from now on."""
    model = apps.get_model("access", "AccessRequest")
    rows = model.objects.using(schema_editor.connection.alias).filter(state="pending").prefetch_related("votes")
    waiting = []
    for request in rows.iterator(chunk_size=_BATCH):
        ballots = [
            Ballot(vote.voter_id, Verdict(vote.verdict), vote.content_hash, vote.team)
            for vote in sorted(request.votes.all(), key=lambda vote: vote.pk)
        ]
        decision = decide(
            steps=[Step(team, count) for team, count in request.terms["steps"]],
            requester=request.requester_id,
            content_hash=request.content_hash,
            ballots=ballots,
        )
        request.waits_for = decision.current.team if decision.current else ""
        waiting.append(request)
    model.objects.using(schema_editor.connection.alias).bulk_update(waiting, ["waits_for"], batch_size=_BATCH)


class Migration(migrations.Migration):
    """Two columns, and what belongs into them."""

    dependencies: ClassVar = [("access", "0008_known_by_what_they_are")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="accessrequest",
            name="waits_for",
            field=models.CharField(blank=True, default="", max_length=50),
        ),
        migrations.AddField(
            model_name="grant",
            name="approving_teams",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=50), blank=True, default=list, size=None
            ),
        ),
        migrations.RunPython(note_who_is_waited_for, migrations.RunPython.noop),
        migrations.RunSQL(TEAMS_OF_GRANTS, migrations.RunSQL.noop),
    ]
