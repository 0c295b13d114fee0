"""What every test shares. The servers are started by `tests.servers`, before anything else."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.core.cache import caches
from pytest_django import Settings

pytest_plugins = ["tests.audit.plugin", "tests.connectors.sqlserver_summary", "tests.lock_order"]


@pytest.fixture(autouse=True)
def _quick_password_hashes(settings: Settings) -> None:
    """Making people is not what the tests are about, and a good hash takes a fifth of a second."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _cache_of_its_own(settings: Settings) -> None:
    """Tests run side by side and share one Redis: what one of them counts or keeps is not for the others."""
    settings.CACHES["default"]["KEY_PREFIX"] = uuid4().hex
    caches["default"].key_prefix = settings.CACHES["default"]["KEY_PREFIX"]
