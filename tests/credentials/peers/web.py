"""A web server on this machine that answers under other hosts' names, with certificates that the tests' clients trust.

The clients under test are told nothing: names are resolved to this machine, as a line in /etc/hosts would do, and the
certificate authority is named by the variable that they all read. What they send is what they would send to the world.
"""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back, as JSON."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Answering = Callable[[Asked], Answer]


class Web:
    """One server; `answer` decides. `asked` is what came."""

    def __init__(self, answer: Answering, certificate: Path | None = None) -> None:
        self.asked: list[Asked] = []
        self._answer = answer
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                parts = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(
                    self.command,
                    headers.get("host", ""),
                    parts.path,
                    dict(parse_qsl(parts.query)),
                    headers,
                    self.rfile.read(length),
                )
                web.asked.append(asked)
                answer = web._answer(asked)
                body = b"" if answer.body is None else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Nothing: a test says itself what it looks at."""

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler._do)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def serving(answer: Answering, certificate: Path | None = None) -> Iterator[Web]:
    """A server while the block runs."""
    web = Web(answer, certificate)
    try:
        yield web
    finally:
        web.close()


def certificate_for(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate with its key for these names, and the file of the authority that signed it."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tests' authority")])
    now = datetime.datetime.now(datetime.UTC)

    def made(name: x509.Name, public_key: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(authority_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    authority = made(authority_name, authority_key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    server = made(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), key.public_key()).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(private + server.sign(authority_key, hashes.SHA256()).public_bytes(pem))
    (folder / "authority.pem").write_bytes(authority.sign(authority_key, hashes.SHA256()).public_bytes(pem))
    return folder / "server.pem", folder / "authority.pem"


def answer_under(monkeypatch: pytest.MonkeyPatch, places: Mapping[tuple[str, int], int]) -> None:
    """From now on these names and ports lead to ports of this machine, and every other name leads nowhere."""
    honest = socket.getaddrinfo

    def resolved(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if (name, port) in places:
            return honest("127.0.0.1", places[name, port], *args, **options)
        if name in ("127.0.0.1", "localhost", "::1", None):
            return honest(host, port, *args, **options)
        raise socket.gaierror(socket.EAI_NONAME, f"Tests know no {name}:{port}")

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
