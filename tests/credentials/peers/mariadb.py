"""The beginning of a conversation with a MariaDB server that wants a token as it is, as Amazon RDS and Azure do.

A real server needs PAM for that, which is set up for a whole machine. This one speaks the documented protocol up to the
login, writes down every byte that came in the clear, and what came inside TLS.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from pathlib import Path
from typing import Any

_LONG_PASSWORD, _WITH_DB, _PROTOCOL_41, _SSL = 0x1, 0x8, 0x200, 0x800
_TRANSACTIONS, _SECURE, _PLUGIN_AUTH = 0x2000, 0x8000, 0x80000
_CAPABILITIES = _LONG_PASSWORD | _WITH_DB | _PROTOCOL_41 | _TRANSACTIONS | _SECURE | _PLUGIN_AUTH
_OK = b"\x00\x00\x00\x02\x00\x00\x00"
SSL_REQUEST_BYTES = 32


class ClearPasswordServer:
    """Lets in whoever sends `password`, by the plugin mysql_clear_password."""

    def __init__(self, password: str, certificate: Path | None) -> None:
        self.in_the_clear = b""
        self.inside_tls: list[bytes] = []
        self.logins = 0
        self._password = password
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if self._context is not None and certificate is not None:
            self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        # Closing it does not wake who waits in accept(); ending it does.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            try:
                self._converse(plain)
            except (OSError, EOFError):
                pass  # The client has gone, which is what some tests want to see.
            finally:
                plain.close()

    def _converse(self, plain: socket.socket) -> None:
        send(plain, 0, greeting(with_tls=self._context is not None))
        number, payload = receive(plain)
        self.in_the_clear += payload
        if self._context is None or len(payload) != SSL_REQUEST_BYTES:
            return
        with self._context.wrap_socket(plain, server_side=True) as secure:
            number, login = receive(secure)
            self.inside_tls.append(login)
            send(secure, number + 1, b"\xfemysql_clear_password\x00")
            number, answer = receive(secure)
            self.inside_tls.append(answer)
            if answer.rstrip(b"\x00").decode() != self._password:
                send(secure, number + 1, b"\xff" + struct.pack("<H", 1045) + b"#28000Access denied")
                return
            self.logins += 1
            send(secure, number + 1, _OK)
            while True:
                number, command = receive(secure)
                if command[:1] == b"\x01":  # COM_QUIT
                    return
                send(secure, number + 1, _OK)


def greeting(*, with_tls: bool, version: str = "5.5.5-10.11.9-MariaDB", plugin: str = "mysql_native_password") -> bytes:
    """What a server says first."""
    capabilities = _CAPABILITIES | (_SSL if with_tls else 0)
    return b"".join(
        (
            b"\x0a" + version.encode() + b"\x00",
            struct.pack("<I", 7),
            b"12345678\x00",
            struct.pack("<H", capabilities & 0xFFFF),
            b"\x2d",
            struct.pack("<H", 2),
            struct.pack("<H", capabilities >> 16),
            b"\x15",
            bytes(10),
            b"123456789012\x00",
            plugin.encode() + b"\x00",
        )
    )


def send(connection: Any, number: int, payload: bytes) -> None:
    connection.sendall(struct.pack("<I", len(payload))[:3] + bytes([number]) + payload)


def receive(connection: Any) -> tuple[int, bytes]:
    head = _exactly(connection, 4)
    return head[3], _exactly(connection, int.from_bytes(head[:3], "little"))


def _exactly(connection: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
