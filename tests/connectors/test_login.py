"""Getting in with a secret that comes from a source."""

from __future__ import annotations

import pytest

from connectors.base import Secret, Target, Tls
from connectors.login import log_in

SECRET = Secret("first")


class Opened:
    """A connection."""

    def __init__(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False


class Forgetful:
    """A source whose store is away when it is told that its secret got in."""

    def current(self) -> Secret:
        return SECRET

    def instead_of(self, refused: Secret) -> Secret | None:
        return None

    def accepted(self, secret: Secret) -> None:
        raise RuntimeError("The store is away.")


def test_a_connection_that_nobody_gets_is_closed() -> None:
    target = Target("postgresql", "127.0.0.1", 1, "lockgate", SECRET, "postgres", tls=Tls.DISABLE, source=Forgetful())
    opened = Opened()
    with pytest.raises(RuntimeError):
        log_in(target, lambda ready: opened)
    assert not opened.is_open
