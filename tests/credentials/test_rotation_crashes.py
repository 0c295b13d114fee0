"""A rotation that is killed, for real and at every single step, leaves a way in; and the next one finishes it."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from access.credentials import Account, ServerSource
from access.credentials.files import FileSecret
from access.credentials.references import parse
from access.credentials.registry import writable_store
from access.credentials.rotation import RotationNotProved, rotate
from access.targets import make_password
from connectors.base import Connector, Secret
from connectors.errors import AdminLoginRefused, ServerUnreachable
from connectors.registry import open_connector
from tests.connectors.conftest import Notebook
from tests.connectors.labs.base import Lab

#: A rotation has fewer points than this at which it can be killed.
_MANY = 250


class Rotating:
    """Lockgate's account on one server, with its password in a file."""

    def __init__(self, lab: Lab, path: Path) -> None:
        self.path = path
        self.lab = lab
        self.settled = 0
        self._reference = f"file:{path}"
        self._account = Account(lab.target.engine, lab.target.host, lab.target.port, lab.target.user)
        path.write_text(lab.target.password.reveal() + "\n")
        path.chmod(0o600)

    @property
    def store(self) -> FileSecret:
        return FileSecret(parse(self._reference))

    def connector(self) -> Connector:
        """A login through the source, past every connection that waits."""
        source = ServerSource(self._reference, self._account, settle=self._settle)
        return open_connector(replace(self.lab.target, password=make_password(), source=source))

    def rotate(self) -> None:
        """Once, as the service does."""
        store = writable_store(self._reference, self._account)
        with self.connector() as connector:
            rotate(connector=connector, store=store, make=make_password, journal=Notebook())

    def assert_in(self) -> None:
        """Lockgate gets in; afterwards one password is left, and it is the one in the file."""
        with self.connector() as connector:
            connector.list_principals()
            connector.prove_own_login(self.store.fetch().secret)

    def _settle(self, promote: Callable[[], bool]) -> None:
        self.settled += promote()


@pytest.fixture
def rotating(lab: Lab, tmp_path: Path) -> Iterator[Rotating]:
    """The account; its password is what it was when the test is over."""
    account = Rotating(lab, tmp_path / "orders")
    yield account
    with account.connector() as connector:
        connector.change_own_password(lab.target.password, Notebook())


def in_child(work: Callable[[], None]) -> int:
    """Run it in a fork; gives the number of the signal that killed it, 0 when it came to its end."""
    child = os.fork()
    if child == 0:
        # No exception may get out, since the rest of the test run is here too.
        status = 1
        # What other tests left to be collected would clear away its files here, and each of these would count as a step.
        gc.disable()
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "It failed by itself."
    assert not os.WIFSIGNALED(status) or os.WTERMSIG(status) == signal.SIGKILL, (
        f"It crashed with {os.WTERMSIG(status)}."
    )
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def dying_at(number: int, work: Callable[[], None], log: Path) -> None:
    """Run it, and die as by a power cut at its n-th step: before or after a call that changes a file or the server."""
    steps = count(1)
    told = log.open("w")

    def step(what: str) -> None:
        told.write(f"{what}\n")
        told.flush()
        if next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def stepping(owner: Any, name: str) -> None:
        honest = getattr(owner, name)

        def stopped(*args: Any, **options: Any) -> Any:
            step(f"before {name} {args[:1]}")
            result = honest(*args, **options)
            step(f"after {name}")
            return result

        setattr(owner, name, stopped)

    from connectors.mariadb.connector import MariaDBConnector
    from connectors.postgresql.connector import PostgreSQLConnector
    from connectors.sqlserver.connector import SQLServerConnector

    for name in ("open", "fsync", "link", "replace", "unlink", "fchmod"):
        stepping(os, name)
    for connector in (PostgreSQLConnector, MariaDBConnector, SQLServerConnector):
        for verb in ("signs_of_life", "change_own_password", "prove_own_login"):
            stepping(connector, verb)
    for verb in ("fetch", "keep_next", "promote"):
        stepping(FileSecret, verb)
    work()


def test_wherever_it_is_killed_lockgate_gets_in_and_the_next_one_finishes(rotating: Rotating, tmp_path: Path) -> None:
    killed, log = 0, tmp_path / "steps"
    passwords = {rotating.store.fetch().secret}
    for number in range(1, _MANY):
        if in_child(lambda number=number: dying_at(number, rotating.rotate, log)) == 0:  # type: ignore[misc]
            break
        killed += 1
        rotating.assert_in()
        rotating.rotate()
        rotating.assert_in()
        assert rotating.store.fetch_next() is None
        passwords.add(rotating.store.fetch().secret)
    else:
        pytest.fail(f"It never came to its end:\n{log.read_text()}")
    assert killed > 20
    assert len(passwords) > killed, "each of them ended with a new password"


def test_a_login_finishes_what_had_reached_the_server(rotating: Rotating) -> None:
    """Killed between the server's taking it and the store's."""
    before, following = rotating.store.fetch().secret, make_password()
    with rotating.connector() as connector:
        rotating.store.keep_next(following)
        connector.change_own_password(following, Notebook())

    rotating.assert_in()

    assert rotating.settled == 1
    assert rotating.store.fetch().secret == following
    assert rotating.store.fetch_next() is None
    with rotating.connector() as connector, pytest.raises(AdminLoginRefused):
        connector.prove_own_login(before)


def test_what_had_not_reached_the_server_is_left_for_the_next_rotation(rotating: Rotating) -> None:
    before, following = rotating.store.fetch().secret, make_password()
    rotating.store.keep_next(following)
    rotating.assert_in()
    assert (rotating.store.fetch().secret, rotating.store.fetch_next()) == (before, following)
    assert rotating.settled == 0

    rotating.rotate()

    assert rotating.store.fetch().secret == following, "two rotations agree on one password"
    rotating.assert_in()


def test_a_password_that_does_not_get_in_is_taken_back(rotating: Rotating, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a server that stores another verifier than the one it was sent."""
    before, engine = rotating.store.fetch().secret, type(rotating.connector())
    honest = engine.change_own_password
    taken: list[Secret] = []

    def mistaken(connector: Any, password: Secret, journal: Any) -> None:
        taken.append(password)
        honest(connector, password if password == before else make_password(), journal)

    monkeypatch.setattr(engine, "change_own_password", mistaken)
    with pytest.raises(RotationNotProved, match="the old one was set again"):
        rotating.rotate()
    monkeypatch.undo()

    assert taken[-1] == before
    assert rotating.store.fetch().secret == before
    rotating.assert_in()
    rotating.rotate()
    rotating.assert_in()


def test_a_server_that_goes_away_before_the_proof_keeps_both(
    rotating: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(connector: Any, password: Secret) -> None:
        raise ServerUnreachable("It went away.")

    with monkeypatch.context() as patched:
        patched.setattr(type(rotating.connector()), "prove_own_login", gone)
        with pytest.raises(ServerUnreachable):
            rotating.rotate()
    assert rotating.store.fetch_next() is not None
    rotating.assert_in()
    assert rotating.settled == 1
    assert rotating.store.fetch_next() is None
