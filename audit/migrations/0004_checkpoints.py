"""Checkpoints and their keys, append-only; and how far each stream was checkpointed and verified."""

from django.db import migrations, models

GUARDS = """
CREATE TRIGGER audit_checkpoint_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_checkpoint ENABLE ALWAYS TRIGGER audit_checkpoint_append_only;

CREATE TRIGGER audit_checkpointkey_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpointkey
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_checkpointkey ENABLE ALWAYS TRIGGER audit_checkpointkey_append_only;
"""

REMOVE = """
DROP TRIGGER audit_checkpointkey_append_only ON audit_checkpointkey;
DROP TRIGGER audit_checkpoint_append_only ON audit_checkpoint;
"""


class Migration(migrations.Migration):
    """Tables and their guards."""

    dependencies = [("audit", "0003_statements")]

    operations = [
        migrations.AddField("stream", "checkpointed_seq", models.BigIntegerField(default=0)),
        migrations.AddField("stream", "verified_seq", models.BigIntegerField(default=0)),
        migrations.AddField("stream", "verified_hash", models.CharField(default="0" * 64, max_length=64)),
        migrations.CreateModel(
            name="CheckpointKey",
            fields=[
                ("number", models.IntegerField(primary_key=True, serialize=False)),
                ("key_id", models.CharField(max_length=16, unique=True)),
                ("public_key", models.CharField(max_length=64)),
                ("content", models.TextField()),
                ("signature", models.CharField(blank=True, max_length=128)),
            ],
            options={"default_permissions": (), "ordering": ("number",)},
        ),
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("key_id", models.CharField(max_length=16)),
                ("content", models.TextField()),
                ("hash", models.CharField(max_length=64)),
                ("signature", models.CharField(max_length=128)),
            ],
            options={"default_permissions": ("view",), "ordering": ("-number",)},
        ),
        migrations.RunSQL(GUARDS, REMOVE),
    ]
