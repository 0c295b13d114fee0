"""The two connections of a session, as what stands between them sees them."""

from __future__ import annotations

from typing import Protocol

from gateway.errors import GatewayError


class Side(Protocol):
    """One of the two connections."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def pause_reading(self) -> None:
        """Do not take any more bytes until `resume_reading`."""
        ...

    def resume_reading(self) -> None:
        """Take bytes again."""
        ...


class Session(Protocol):
    """Whose two connections they are."""

    def end(self, error: GatewayError) -> None:
        """Tell the client, and close both."""
        ...


class Connection(Protocol):
    """What asyncio calls seldom."""

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, or broken."""
        ...

    def pause_writing(self) -> None:
        """Too much waits to be sent."""
        ...

    def resume_writing(self) -> None:
        """It has gone."""
        ...
