"""Requests to a provider that end in time, however slowly it answers.

A timeout of `requests` is one of each read: who sends a byte every few seconds is never late by it. Here the connection itself
is cut when the time is over, in whatever the exchange is by then, its TLS handshake and its headers included.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import requests
from requests.adapters import HTTPAdapter

#: For one read.
TIMEOUT_SECONDS = 5
#: For one request, from its first byte to the last of its answer.
REQUEST_SECONDS = 8.0
#: For everything that one sign-in asks of a provider, one request after the other.
EXCHANGE_SECONDS = 20.0

_ends: ContextVar[float] = ContextVar("sso_exchange_ends")


@contextmanager
def exchange() -> Iterator[None]:
    """All requests to a provider inside take no longer together than `EXCHANGE_SECONDS`."""
    token = _ends.set(time.monotonic() + EXCHANGE_SECONDS)
    try:
        yield
    finally:
        _ends.reset(token)


class BoundedSession(requests.Session):
    """A session whose every request raises `requests.Timeout`, or another of its errors, once its time is over."""

    def request(self, method: str, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """As in `requests`."""
        remaining = min(REQUEST_SECONDS, _ends.get(time.monotonic() + REQUEST_SECONDS) - time.monotonic())
        if remaining <= 0:
            raise requests.Timeout("The whole sign-in took too long.")
        kwargs.setdefault("timeout", TIMEOUT_SECONDS)
        with _Deadline(remaining) as deadline:
            for scheme in ("http://", "https://"):
                self.mount(scheme, _WatchedAdapter(deadline))
            answer = super().request(method, url, *args, **kwargs)
        if deadline.is_over:
            # Where an answer ends with its connection, one that was cut looks whole.
            raise requests.Timeout("The answer took too long.")
        return answer


class _Deadline:
    """Cuts the connections that were opened meanwhile."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._timer.cancel()
        with self._lock:
            for each in self._watched:
                each.close()
            self._watched.clear()

    def watch(self, connection: socket.socket) -> None:
        """By a handle of its own: TLS takes the connection over, and leaves the first one empty."""
        with self._lock:
            self._watched.append(connection.dup())
            if self.is_over:
                self._shut()

    def _cut(self) -> None:
        with self._lock:
            self.is_over = True
            self._shut()

    def _shut(self) -> None:
        for each in self._watched:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class _WatchedAdapter(HTTPAdapter):
    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """The pool, whose connections are watched from their first byte on."""
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        kind: Any = pool.ConnectionCls
        deadline = self._deadline

        class Watched(kind):  # type: ignore[misc]  # which kind it is depends on the scheme
            def _new_conn(self) -> socket.socket:
                opened: socket.socket = super()._new_conn()
                deadline.watch(opened)
                return opened

        pool.ConnectionCls = Watched
        return pool
