"""A proxy in front of a database server that can stop time: once a statement has gone through, no answer comes back.

So the worker that sent it hangs exactly in the middle of its work, with the statement done, and can be killed there.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class TimeStopper:
    """Forwards between its own port and a server; `stop_after(text)` lets one such statement pass and holds the answer."""

    def __init__(self, host: str, port: int, *, at: int = 0) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", at))
        self.port: int = self._listener.getsockname()[1]
        self._pattern: bytes | None = None
        self.stopped = threading.Event()
        self._running = threading.Event()
        self._running.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def stop_after(self, text: str) -> None:
        """From the next statement that contains `text` on, answers are held."""
        self._pattern = text.encode()

    def go_on(self) -> None:
        """Time runs again, for old connections and new ones."""
        self._pattern = None
        self._running.set()

    def close(self) -> None:
        """Take no more connections."""
        self.go_on()
        # Closed alone it would go on listening, for the thread that waits at it.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            threading.Thread(target=self._forward, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, is_question: bool) -> None:
        with source, target, suppress(OSError):
            try:
                while data := source.recv(65536):
                    if is_question and self._pattern and self._pattern in data:
                        self._running.clear()
                        target.sendall(data)
                        self.stopped.set()
                        continue
                    if not is_question:
                        self._running.wait()
                    target.sendall(data)
            finally:
                # Closing alone tells nobody while the other thread still waits for something to come.
                for end in (source, target):
                    with suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def time_stopper(host: str, port: int, *, at: int = 0) -> Iterator[TimeStopper]:
    """One, on a port of its own choice or on that one; closed afterwards."""
    proxy = TimeStopper(host, port, at=at)
    try:
        yield proxy
    finally:
        proxy.close()
