"""What every test shares. The servers are started by `tests.servers`, before anything else."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.core.cache import caches
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django import Settings
from whitenoise.middleware import WhiteNoiseMiddleware

from deploy.local import installed

pytest_plugins = ["tests.audit.plugin", "tests.connectors.sqlserver_summary", "tests.lock_order"]

# How long a busy machine takes says nothing of what is tested.
hypothesis_settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make test-wide` asks for all of what is marked wide."""
    parser.addoption("--wide", action="store_true", help="every case of the tests that are marked wide")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a wide test, one case in so many: the same ones each time, and the first of each function. With 0, none.

    Whoever names a test gets it.
    """
    if config.getoption("--wide") or any("::" in argument for argument in config.args):
        return
    kept, left, seen = [], [], set()
    for item in items:
        marker = item.get_closest_marker("wide")
        function = item.nodeid.partition("[")[0]
        one_in = 1 if marker is None else marker.kwargs["one_in"]
        if one_in and (function not in seen or zlib.crc32(item.nodeid.encode()) % one_in == 0):
            kept.append(item)
            seen.add(function)
        else:
            left.append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def pytest_configure() -> None:
    """An extension module runs in the place of its source: beside a changed source the tests would test what was."""
    if any(map(installed.extensions_of, installed.COMPILED)) and not installed.is_compiled():
        pytest.exit("Compiled modules are older than their sources: `make setup` compiles them anew.", returncode=2)


@pytest.fixture(autouse=True)
def _quick_password_hashes(settings: Settings) -> None:
    """Making people is not what the tests are about, and a good hash takes a fifth of a second."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _cache_of_its_own(settings: Settings) -> None:
    """Tests run side by side and share one Redis: what one of them counts or keeps is not for the others.

    So a test finds it empty. It must not clear it: that empties the whole of Redis, the neighbours' counts as well.
    """
    settings.CACHES["default"]["KEY_PREFIX"] = uuid4().hex
    caches["default"].key_prefix = settings.CACHES["default"]["KEY_PREFIX"]


@pytest.fixture(scope="session", autouse=True)
def _static_files_are_looked_for_once() -> Iterator[None]:
    """Each browser of a test has a console of its own, and each console looks for all its files: the half of many a test."""
    look, found = WhiteNoiseMiddleware.add_files_from_finders, dict[str, object]()

    def look_once(console: WhiteNoiseMiddleware) -> None:
        if not found:
            look(console)
            found.update(console.files)
        console.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", look_once)
        yield
