"""The two probes: one says that the process lives, the other that it can serve."""

from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys

import pytest
from django.test import Client
from pytest_django import Settings

from deploy.local.servers import free_port


def test_the_process_lives(client: Client) -> None:
    """Without asking the database, which this test may not use."""
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_it_is_ready_when_database_and_redis_answer(client: Client) -> None:
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"database": "ok", "redis": "ok"})


@pytest.mark.django_db
def test_without_redis_it_is_ready_all_the_same_and_says_so(client: Client, settings: Settings) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"database": "ok", "redis": "down"})


def test_without_its_database_it_is_not_ready_but_lives() -> None:
    """In a process of its own, whose database is really away."""
    code = (
        "import django; django.setup(); from django.test import Client; client = Client();"
        "ready, live = client.get('/readyz'), client.get('/healthz');"
        "print(ready.status_code, ready.json()['database'], live.status_code)"
    )
    environment = {**os.environ, "DATABASE_URL": f"postgresql://nobody:nothing@127.0.0.1:{free_port()}/nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["503", "down", "200"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_comes_by_address_and_without_https(client: Client, settings: Settings, path: str) -> None:
    settings.ALLOWED_HOSTS = ["lockgate.example.com"]
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(path, headers={"host": "10.1.2.3:8000"}).status_code == 200


def test_a_web_process_keeps_what_it_has_loaded_out_of_the_collectors_way() -> None:
    importlib.import_module("console.wsgi")
    assert gc.get_freeze_count() > 0
    gc.unfreeze()
