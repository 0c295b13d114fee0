"""Two servers that only the demo uses: it names databases and accounts as an administrator would, for the whole server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from deploy.local.stack import Stack

#: To be unset in every test, whatever the machine's own environment says.
_READ_BY_THE_DEMO = ("LOCKGATE_DATA", "LOCKGATE_DEMO_POSTGRESQL_URL", "LOCKGATE_DEMO_MARIADB_URL")


@pytest.fixture(scope="session")
def demo_servers() -> Iterator[Stack]:
    """A PostgreSQL and a MariaDB, empty at first."""
    folder = Path(tempfile.mkdtemp(prefix="lockgate-test-demo-"))
    folder.chmod(0o711)  # the servers run as other users
    stack = Stack(folder, durable=False)
    try:
        stack.orders.start()
        stack.catalogue.start()
        yield stack
    finally:
        stack.stop()
        stack.forget()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def demo(transactional_db: None, demo_servers: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The servers, where `load_demo` looks for them."""
    environment = demo_servers.environment()
    for name in _READ_BY_THE_DEMO:
        monkeypatch.setenv(name, environment[name])
    return demo_servers


def load_demo(*options: str) -> str:
    """What the command prints."""
    out = StringIO()
    call_command("load_demo", *options, stdout=out)
    return out.getvalue()
