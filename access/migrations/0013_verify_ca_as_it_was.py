"""Servers whose driver has checked the name all the time say so: for SQL Server and Azure SQL 'verify-ca' was 'verify-full'."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def _say_what_is_done(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    servers = apps.get_model("access", "Server").objects.filter(engine__in=("sqlserver", "azuresql"))
    servers.filter(tls="verify-ca").update(tls="verify-full")


class Migration(migrations.Migration):
    dependencies = [("access", "0012_clocks_presences_and_silence")]

    operations = [migrations.RunPython(_say_what_is_done, migrations.RunPython.noop)]
