"""A session's two connections, as asyncio calls them once there is a session: what comes goes to the relay without a detour."""

from __future__ import annotations

import structlog

from gateway.errors import GatewayError
from gateway.wire.postgresql.relay import Relay
from gateway.wire.sides import Connection, Session

log = structlog.get_logger(__name__)


class FromClient:
    """The client's."""

    def __init__(self, relay: Relay, session: Session, connection: Connection) -> None:
        self._relay, self._session, self._connection = relay, session, connection

    def data_received(self, data: bytes) -> None:
        """Part of asyncio's protocol, as the next four."""
        try:
            self._take(data)
        except GatewayError as error:
            self._session.end(error)
        except Exception:
            # A mistake of ours ends this session, and is seen in the log; the others go on.
            log.exception("gateway.session_failed")
            self._session.end(GatewayError())

    def _take(self, data: bytes) -> None:
        self._relay.client_said(data)

    def eof_received(self) -> bool:
        """It sends no more: close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Too much waits."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """It has gone."""
        self._connection.resume_writing()


class FromServer(FromClient):
    """The server's, likewise."""

    def _take(self, data: bytes) -> None:
        self._relay.server_said(data)
