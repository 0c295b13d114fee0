"""Fixtures for the tests of references to secrets: an empty cache, and no identity that the machine happens to have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from access.credentials.cache import CACHE
from connectors.base import Target
from tests.connectors.conftest import lab_of
from tests.connectors.labs.base import Lab

#: Beginnings of variables that clients of clouds and stores read.
_OF_CLOUDS = ("AWS_", "AZURE_", "VAULT_", "IDENTITY_", "MSI_", "IMDS_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test finds what another one, or the machine, has left."""
    import os

    for name in [name for name in os.environ if name.startswith(_OF_CLOUDS)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    CACHE.clear()
    yield
    CACHE.clear()


@pytest.fixture(scope="session")
def labs() -> Iterator[dict[str, Lab]]:
    """The laboratories that this process has opened."""
    opened: dict[str, Lab] = {}
    yield opened
    for each in opened.values():
        each.close()


@pytest.fixture(params=["postgresql", "mariadb", "sqlserver"])
def lab(request: pytest.FixtureRequest, labs: dict[str, Lab]) -> Lab:
    """A real server of one engine; SQL Server's cases are skipped where the environment names none."""
    return lab_of(str(request.param), labs)


@pytest.fixture
def target(lab: Lab) -> Target:
    """Lockgate's own account there."""
    return cast(Target, lab.target)
