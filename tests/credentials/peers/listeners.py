"""Listeners that are no database server: they ask for the password as it is, and write down all that they hear.

Each speaks its protocol up to the login, with a certificate or without TLS. What is heard is what an eavesdropper, or an
administrator's own listener at the address of a server, would get.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from pathlib import Path
from typing import Any

from tests.credentials.peers import mariadb

_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_ASK_CLEARTEXT = b"R" + struct.pack("!II", 8, 3)
_LISTENS_SECONDS = 5


class Listener:
    """Hears every byte of what comes, in the clear and inside TLS."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.connections = 0
        self.heard = b""
        self._opened: list[socket.socket] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if self._context is not None and certificate is not None:
            self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        # Closing it does not wake who waits in accept(); ending it does.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(2 * _LISTENS_SECONDS)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            plain.settimeout(_LISTENS_SECONDS)
            try:
                self.converse(plain)
            except (OSError, EOFError):
                pass  # The client has gone, which is what the tests want to see.
            finally:
                for each in (*self._opened, plain):
                    each.close()
                self._opened.clear()

    def converse(self, plain: socket.socket) -> None:
        """One conversation, to the end."""
        raise NotImplementedError

    def inside_tls(self, plain: socket.socket) -> Any:
        assert self._context is not None
        secure = self._context.wrap_socket(plain, server_side=True)
        self._opened.append(secure)
        return secure

    @property
    def has_tls(self) -> bool:
        return self._context is not None

    def hear_out(self, connection: Any) -> None:
        while more := connection.recv(4096):
            self.heard += more


class PostgreSQLListener(Listener):
    """Asks for a cleartext password."""

    def converse(self, plain: socket.socket) -> None:
        first = plain.recv(4096)
        self.heard += first
        connection: Any = plain
        if first == _SSL_REQUEST:
            plain.sendall(b"S" if self.has_tls else b"N")
            connection = self.inside_tls(plain) if self.has_tls else plain
            self.heard += connection.recv(4096)
        connection.sendall(_ASK_CLEARTEXT)
        self.hear_out(connection)


class MariaDBListener(Listener):
    """Asks for the password by the plugin that is named."""

    def __init__(
        self,
        certificate: Path | None = None,
        plugin: str = "mysql_clear_password",
        version: str = "5.5.5-10.11.9-MariaDB",
        greets_with: str = "mysql_native_password",
    ) -> None:
        super().__init__(certificate)
        self._plugin = plugin
        self._version = version
        self._greets_with = greets_with

    def converse(self, plain: socket.socket) -> None:
        mariadb.send(plain, 0, mariadb.greeting(with_tls=self.has_tls, version=self._version, plugin=self._greets_with))
        number, payload = mariadb.receive(plain)
        self.heard += payload
        connection: Any = plain
        if self.has_tls and len(payload) == mariadb.SSL_REQUEST_BYTES:
            connection = self.inside_tls(plain)
            number, payload = mariadb.receive(connection)
            self.heard += payload
        mariadb.send(connection, number + 1, b"\xfe" + self._plugin.encode() + b"\x00")
        self.hear_out(connection)
