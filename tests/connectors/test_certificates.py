"""A server that answers with a certificate that is not accepted is told so, and not that nobody answers."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.base import Secret, Target, Tls
from connectors.errors import CertificateRefused, ServerUnreachable
from connectors.registry import open_connector
from connectors.sqlserver.failures import refused_login
from tests.connectors.test_sqlserver_failures import reported

_DAY = timedelta(days=1)


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """One that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    made, kept = folder / "server.crt", folder / "server.key"
    made.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8
    kept.write_bytes(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
    return made, kept


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A listener that offers TLS as PostgreSQL does, for the name `db.example.com`; and its own authority."""
    made, key = certificate(tmp_path, "db.example.com")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                one, _ = listening.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), one:
                one.recv(8)  # SSLRequest
                one.sendall(b"S")
                with context.wrap_socket(one, server_side=True) as inside:
                    inside.recv(1)

    threading.Thread(target=serve, daemon=True).start()
    yield listening.getsockname()[1], made
    listening.close()


@pytest.mark.parametrize("is_known", [False, True])
def test_postgresql_is_told_whose_certificate_is_not_accepted(postgresql: tuple[int, Path], is_known: bool) -> None:
    port, authority = postgresql
    target = Target(
        "postgresql",
        "127.0.0.1",
        port,
        "lockgate",
        Secret("x"),
        tls=Tls.VERIFY_FULL,
        tls_ca_file=str(authority) if is_known else "",
    )
    with pytest.raises(CertificateRefused, match="its certificate is not accepted") as refused:
        open_connector(target).check()
    assert "does not answer" not in str(refused.value)


def test_nobody_at_home_is_still_nobody_at_home() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    target = Target("postgresql", "127.0.0.1", port, "lockgate", Secret("x"), tls=Tls.VERIFY_FULL)
    with pytest.raises(ServerUnreachable):
        open_connector(target).check()


def test_the_driver_of_sql_server_tells_it_by_openssls_number() -> None:
    words = "SSL Provider: [error:0A000086:SSL routines::certificate verify failed:self-signed certificate]"
    assert isinstance(refused_login(reported("08001", words)), CertificateRefused)
    assert isinstance(refused_login(reported("08001", "TCP Provider: Error code 0x2AF9")), ServerUnreachable)
