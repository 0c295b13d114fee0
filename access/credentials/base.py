"""The interface between a reference and those who give secrets: what goes in, what comes out, what a store promises."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from connectors.base import Authentication, Secret


@dataclass(frozen=True, slots=True)
class Account:
    """Lockgate's own account on a server: a token is made for it alone."""

    engine: str
    host: str
    port: int
    user: str


@dataclass(frozen=True, slots=True)
class Credential:
    """What an account logs in with."""

    secret: Secret
    authentication: Authentication = Authentication.PASSWORD
    expires_at: datetime | None = None
    """When a token runs out, aware UTC; a password does not."""


class Store(Protocol):
    """Gives the secret that one reference names."""

    #: Whether asking costs nothing, so that nothing is kept.
    is_local: bool

    def fetch(self) -> Credential:
        """Ask now. Raises a `SecretUnavailable`."""
        ...


@runtime_checkable
class WritableStore(Store, Protocol):
    """A store that a rotation can write to. It holds two secrets meanwhile: the current one, and the next beside it.

    The next one, once written, is only ever promoted and never replaced. So whoever starts a rotation anew goes on with
    it, and of the two one always gets in, wherever the one before was interrupted.
    """

    def fetch_next(self) -> Secret | None:
        """The next secret; `None` when no rotation is unfinished."""
        ...

    def keep_next(self, secret: Secret) -> Secret:
        """Put it beside the current one. Gives the one that is there now, which may be that of an earlier rotation."""
        ...

    def promote(self, secret: Secret) -> None:
        """Make it the current one, with none beside it. Harmless when it is already."""
        ...
