"""A secret is bound to the encryption as well with which it was sent; what is in use goes on."""

from __future__ import annotations

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from access.credentials.base import Account
from access.credentials.errors import ReferenceNotUnderstood
from access.credentials.places import host_of, place_of


def bind_to_what_is_in_use(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Two entries may share a secret and an address, each with an encryption of its own: both go on."""
    servers, uses = apps.get_model("access", "Server"), apps.get_model("access", "SecretUse")
    for use in uses.objects.select_related("server"):
        use.tls, use.tls_ca_file = use.server.tls, use.server.tls_ca_file
        use.save(update_fields=["tls", "tls_ca_file"])
    for server in servers.objects.exclude(engine="fake"):
        try:
            place = place_of(server.admin_secret, Account(server.engine, server.host, server.port, server.admin_user))
        except ReferenceNotUnderstood:
            continue  # Nothing has ever been sent by it.
        there = {"place": place, "host": host_of(server.host), "port": server.port}
        if known := uses.objects.filter(**there, confirmed_at__isnull=False).first():
            encryption = {"tls": server.tls, "tls_ca_file": server.tls_ca_file}
            uses.objects.get_or_create(
                **there, **encryption, defaults={"server": server, "confirmed_at": known.confirmed_at}
            )


class Migration(migrations.Migration):
    dependencies = [("access", "0014_which_lockgate_made_it")]

    operations = [
        migrations.AddField("secretuse", "tls", models.CharField(default="verify-full", max_length=20)),
        migrations.AddField(
            "secretuse", "tls_ca_file", models.CharField(blank=True, default="", max_length=500), preserve_default=False
        ),
        migrations.RemoveConstraint("secretuse", "access_secret_use_once"),
        migrations.AddConstraint(
            "secretuse",
            models.UniqueConstraint(
                fields=["place", "host", "port", "tls", "tls_ca_file"], name="access_secret_use_once"
            ),
        ),
        migrations.RunPython(bind_to_what_is_in_use, migrations.RunPython.noop),
    ]
