"""Django's ORM: many objects at once, a cursor on the server, inspectdb, and a migration on a ddl role."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import django
from django.conf import settings

from tests.clients.programs.telling import LEVEL, MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version

_MODELS = """
from django.db import models


class Order(models.Model):
    id = models.IntegerField(primary_key=True)
    item = models.CharField(max_length=50)

    class Meta:
        managed, db_table = False, "orders"


class Thing(models.Model):
    name = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2, null=True)
    made = models.DateTimeField(auto_now_add=True)

    class Meta:
        managed, db_table = False, "things"


class Made(models.Model):
    name = models.CharField(max_length=50, db_index=True)
    about = models.JSONField(default=dict)


class Part(models.Model):
    made = models.ForeignKey(Made, models.CASCADE)
"""


def project(folder: Path) -> None:
    """A project with one app, in a folder of its own."""
    app = folder / "shelf"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "models.py").write_text(_MODELS)
    sys.path.insert(0, str(folder))
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["PGHOST"],
        "PORT": os.environ["PGPORT"],
        "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ["PGPASSWORD"],
        "NAME": os.environ["PGDATABASE"],
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
    settings.configure(
        DATABASES={"default": database},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "shelf"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        TIME_ZONE="Europe/Berlin",
        USE_TZ=True,
    )
    django.setup()


def write(thing: Any) -> None:
    from django.db import transaction

    with does("batch", "bulk_create of 1,000, bulk_update"):
        thing.objects.bulk_create([thing(name=f"n{number}", price=number) for number in range(1000)])
        changed = list(thing.objects.all())
        for one in changed:
            one.name, one.price = f"{one.name}!", 1
        same(thing.objects.bulk_update(changed, ["name", "price"]), 1000)
    with does("bulk", "bulk_create of 5,000, ignore_conflicts"):
        thing.objects.bulk_create([thing(name=f"c{number}") for number in range(5000)], ignore_conflicts=True)
    with does("transactions", "atomic in atomic, select_for_update"), transaction.atomic():
        one = thing.objects.select_for_update(skip_locked=True).first()
        with transaction.atomic():
            one.delete()
        thing.objects.update_or_create(name="n5!", defaults={"price": 2})


def main() -> None:
    version(django.__version__)
    with tempfile.TemporaryDirectory() as folder:
        project(Path(folder))
        use()


def use() -> None:
    from django.apps import apps
    from django.core.management import call_command
    from django.db import connection

    order, thing = apps.get_model("shelf", "Order"), apps.get_model("shelf", "Thing")
    with does("connects", "ENGINE postgresql, psycopg 3"):
        same(order.objects.count(), 3)
    with does("inspectdb", "every table"):
        said = io.StringIO()
        call_command("inspectdb", stdout=said)
        same("class Visits" in said.getvalue(), True)
    if MAY_WRITE:
        write(thing)
    else:
        with does("batch", "in_bulk, id__in"):
            same(len(order.objects.in_bulk(range(500))), 3)
        with does("bulk", "iterator(), a cursor on the server"):
            same(sum(1 for _ in order.objects.iterator(chunk_size=2)), 3)
    if LEVEL == "ddl":
        with does("migration", "makemigrations, migrate, and back"):
            call_command("makemigrations", "shelf", verbosity=0)
            call_command("migrate", verbosity=0)
            apps.get_model("shelf", "Made").objects.create(name="x")
            call_command("migrate", "shelf", "zero", verbosity=0)
    with refused():
        if LEVEL == "read":
            thing.objects.create(name="not allowed")
        else:
            connection.cursor().execute(NOT_ALLOWED_SQL)
    with does("goes on", "after a refusal"):
        same(order.objects.get(id=2).item, "milk")


if __name__ == "__main__":
    main()
