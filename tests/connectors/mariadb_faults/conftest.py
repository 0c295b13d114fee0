"""One MariaDB for both modules: most of it is set for the server as a whole."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.base import Target
from connectors.mariadb.session import _CACHE
from tests.connectors.labs.private_mariadb import Alice, PrivateServer, set_up


@pytest.fixture(scope="package")
def server() -> Iterator[PrivateServer]:
    folder = Path(tempfile.mkdtemp(prefix="lockgate-mariadb-"))
    private = PrivateServer(folder)
    private.start("--event-scheduler=ON")
    yield private
    private.stop()
    shutil.rmtree(folder)


@pytest.fixture
def target(server: PrivateServer) -> Iterator[Target]:
    """Lockgate's account, as the setup makes it, with a database to give access to."""
    server.run("CREATE DATABASE IF NOT EXISTS shop; CREATE TABLE IF NOT EXISTS shop.orders (id INT)")
    yield set_up(server)
    _CACHE.close_all()


@pytest.fixture
def alice(target: Target) -> Alice:
    return Alice(target).provision()
