"""Indexes for what every page asks, most of them over the few rows that are open.

Each is built under a lock that keeps writers out, for some tenths of a second with a hundred thousand grants: the workers
wait, and nothing ends late by more than that.
"""

from typing import ClassVar

import django.contrib.postgres.indexes
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes, and that only what is open waits for somebody."""

    dependencies: ClassVar = [
        ("access", "0009_whom_a_request_waits_for"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations: ClassVar = [
        migrations.RemoveIndex(
            model_name="grant",
            name="access_grant_living",
        ),
        migrations.AddIndex(
            model_name="accessrequest",
            index=models.Index(
                condition=models.Q(("state", "pending")), fields=["waits_for", "id"], name="access_request_waiting"
            ),
        ),
        migrations.AddIndex(
            model_name="accessrequest",
            index=models.Index(condition=models.Q(("state", "pending")), fields=["id"], name="access_request_pending"),
        ),
        migrations.AddIndex(
            model_name="accessrequest",
            index=models.Index(
                condition=models.Q(("state", "pending")), fields=["requester", "id"], name="access_request_mine_open"
            ),
        ),
        migrations.AddIndex(
            model_name="accessrequest",
            index=models.Index(fields=["role", "-id"], name="access_request_of_role"),
        ),
        migrations.AddIndex(
            model_name="grant",
            index=models.Index(
                condition=models.Q(("state__in", ["active", "provisioning", "revoking", "scheduled"])),
                fields=["ends_at", "id"],
                name="access_grant_living",
            ),
        ),
        migrations.AddIndex(
            model_name="grant",
            index=models.Index(
                condition=models.Q(("state__in", ["active", "provisioning", "revoking", "scheduled"])),
                fields=["person", "ends_at", "id"],
                name="access_grant_mine_living",
            ),
        ),
        migrations.AddIndex(
            model_name="grant",
            index=models.Index(
                condition=models.Q(("state__in", ["active", "provisioning", "revoking", "scheduled"])),
                fields=["server"],
                name="access_grant_of_server",
            ),
        ),
        migrations.AddIndex(
            model_name="grant",
            index=django.contrib.postgres.indexes.GinIndex(
                condition=models.Q(("state__in", ["active", "provisioning", "revoking", "scheduled"])),
                fields=["approving_teams"],
                name="access_grant_of_teams",
            ),
        ),
        migrations.AddIndex(
            model_name="grant",
            index=models.Index(
                condition=models.Q(("state", "revoking")), fields=["ending_since"], name="access_grant_ending"
            ),
        ),
        migrations.AddIndex(
            model_name="grant",
            index=models.Index(
                condition=models.Q(
                    ("questioned_at__isnull", False), ("state__in", ["active", "provisioning", "scheduled"])
                ),
                fields=["questioned_at", "id"],
                name="access_grant_questioned",
            ),
        ),
        migrations.AddIndex(
            model_name="sweepfinding",
            index=models.Index(
                condition=models.Q(("settled_at__isnull", False)),
                fields=["server", "-settled_at"],
                name="access_finding_settled",
            ),
        ),
        migrations.AddConstraint(
            model_name="accessrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(("state", "pending"), ("waits_for", ""), _connector="OR"),
                name="access_request_decided_waits_for_nobody",
            ),
        ),
    ]
