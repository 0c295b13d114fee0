"""What every test shares. The servers are started by `tests.servers`, before anything else."""

from __future__ import annotations

import pytest
from pytest_django import Settings

pytest_plugins = ["tests.audit.plugin"]


@pytest.fixture(autouse=True)
def _quick_password_hashes(settings: Settings) -> None:
    """Making people is not what the tests are about, and a good hash takes a fifth of a second."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
