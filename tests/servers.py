"""Starts the servers that the tests run against, once a run, before any setting is read.

A variable that is set already is used as it is, each for itself: point `LOCKGATE_TEST_POSTGRESQL_URL` at a server of your
own, say, to test against that one and the usual others. `LOCKGATE_TEST_POSTGRESQL_VERSION` and `LOCKGATE_TEST_MARIADB_VERSION`
choose another version than the system's, which is fetched where it is not there yet.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from pathlib import Path

import pytest

from deploy.local import versions
from deploy.local.stack import Stack

_STACK: Stack | None = None

#: Set in the controlling process: its workers inherit it with all the addresses, and start nothing.
_STARTED = "LOCKGATE_TEST_SERVERS_STARTED"


def _start() -> None:
    """In the controlling process only: its workers inherit the environment."""
    global _STACK
    if "LOCKGATE_STATIC_ROOT" not in os.environ:
        # WhiteNoise warns when nothing has been collected, and nothing has to be for tests.
        os.environ["LOCKGATE_STATIC_ROOT"] = tempfile.mkdtemp(prefix="lockgate-static-")
        atexit.register(os.rmdir, os.environ["LOCKGATE_STATIC_ROOT"])
    if _STARTED in os.environ:
        return
    folder = Path(tempfile.mkdtemp(prefix="lockgate-test-"))
    folder.chmod(0o755)  # the servers run as other users
    wanted = {engine: os.environ.get(f"LOCKGATE_TEST_{engine.upper()}_VERSION") for engine in ("postgresql", "mariadb")}
    _STACK = Stack(
        folder,
        durable=False,
        postgresql=versions.postgresql(wanted["postgresql"]) if wanted["postgresql"] else None,
        mariadb=versions.mariadb(wanted["mariadb"]) if wanted["mariadb"] else None,
    )
    atexit.register(_stop)
    _STACK.start()
    os.environ.update({**_STACK.environment(), **os.environ, _STARTED: "yes"})


def _stop() -> None:
    global _STACK
    if _STACK is not None:
        stack, _STACK = _STACK, None
        stack.stop()
        stack.forget()
        os.environ.pop(_STARTED, None)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last thing of a run, after Ctrl-C too."""
    _stop()


# pytest-django reads the settings before any conftest is imported, so this is a plugin, and cannot wait for a hook.
_start()
