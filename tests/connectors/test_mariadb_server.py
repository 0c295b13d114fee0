"""Whether a server as a whole will do, which version it is, and TLS: on a MariaDB of this module's own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import MySQLdb
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.base import CheckReport, Level, ProvisionRequest, Remedy, RevokeRequest, Scope, Secret, Target, Tls
from connectors.errors import AdminLoginRefused, ConnectorError, NotEncrypted, ServerRefused
from connectors.registry import open_connector
from tests.connectors.conftest import Notebook
from tests.connectors.labs.base import make_password, make_principal
from tests.connectors.labs.mariadb import run_in_client
from tests.connectors.labs.private_mariadb import PrivateServer

#: One worker is enough: each would start a server.
pytestmark = pytest.mark.xdist_group("private MariaDB")


def check(target: Target) -> CheckReport:
    with open_connector(target) as connector:
        return connector.check()


def apply(root: Target, remedy: Remedy) -> None:
    """What the remedy says, pasted into the client."""
    run_in_client(root, remedy.what_to_do)


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateServer]:
    # Not in pytest's own folder, which no other user may enter; the server runs as one.
    folder = Path(tempfile.mkdtemp(prefix="lockgate-mariadb-"))
    private = PrivateServer(folder)
    yield private
    private.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def plain(server: PrivateServer) -> PrivateServer:
    """As a distribution starts it."""
    server.start()
    return server


def set_up(server: PrivateServer, **changes: Any) -> Target:
    target = replace(server.root, user="lockgate", password=Secret("chosen"), **changes)
    server.run(open_connector(target).setup_sql())
    server.run("SET PASSWORD FOR lockgate = PASSWORD('chosen')")
    return target


def test_a_scheduler_that_is_off_is_told(plain: PrivateServer) -> None:
    target = set_up(plain)
    plain.run("SET GLOBAL event_scheduler = OFF")
    report = check(target)
    assert report.ok
    assert [remedy.blocking for remedy in report.remedies if "event scheduler" in remedy.problem] == [False]
    plain.run("SET GLOBAL event_scheduler = ON")
    assert not [remedy for remedy in check(target).remedies if "event scheduler" in remedy.problem]


def test_a_server_without_our_schema_is_told(plain: PrivateServer) -> None:
    target = set_up(plain)
    plain.run("DROP DATABASE lockgate")
    report = check(target)
    assert not report.ok
    apply(plain.root, next(remedy for remedy in report.remedies if "schema" in remedy.problem))
    assert check(target).ok


def test_a_replica_is_told(plain: PrivateServer) -> None:
    target = set_up(plain)
    plain.run("SET GLOBAL read_only = ON")
    try:
        report = check(target)
        assert not report.ok
        assert "read-only" in report.remedies[0].problem
    finally:
        plain.run("SET GLOBAL read_only = OFF")


def test_anonymous_accounts_are_told(plain: PrivateServer) -> None:
    target = set_up(plain)
    plain.run("CREATE USER ''@'somewhere.example'")
    remedy = next(remedy for remedy in check(target).remedies if "Anonymous" in remedy.problem)
    assert not remedy.blocking
    while any("Anonymous" in remedy.problem for remedy in check(target).remedies):
        apply(plain.root, next(remedy for remedy in check(target).remedies if "Anonymous" in remedy.problem))


def test_a_server_that_validates_passwords_is_told(plain: PrivateServer) -> None:
    target = set_up(plain)
    plain.run("INSTALL SONAME 'simple_password_check'")
    try:
        report = check(target)
        assert not report.ok
        remedy = next(remedy for remedy in report.remedies if "passwords" in remedy.problem)
        plain.run(remedy.what_to_do.split(";", maxsplit=1)[0])
        assert check(target).ok
    finally:
        plain.run("UNINSTALL SONAME 'simple_password_check'; SET GLOBAL strict_password_validation = ON")


def test_an_heir_with_privileges_is_told(plain: PrivateServer) -> None:
    target = set_up(plain)
    plain.run("CREATE DATABASE IF NOT EXISTS shop; GRANT SELECT ON shop.* TO lockgate_heir")
    remedy = next(remedy for remedy in check(target).remedies if "has privileges" in remedy.problem)
    apply(plain.root, remedy)
    assert not any("has privileges" in remedy.problem for remedy in check(target).remedies)


def test_an_heir_of_somebody_else_is_told(plain: PrivateServer) -> None:
    target = set_up(plain)
    plain.run("DROP ROLE lockgate_heir; CREATE ROLE lockgate_heir")
    remedy = next(remedy for remedy in check(target).remedies if "hand anything over" in remedy.problem)
    apply(plain.root, remedy)
    assert not any("hand anything over" in remedy.problem for remedy in check(target).remedies)


# --- Another engine, another version


def test_mysql_is_refused_by_its_name(server: PrivateServer) -> None:
    server.start("--version=8.0.40")
    request = ProvisionRequest(
        make_principal(), make_password(), Scope(Level.READ, ("shop",)), datetime.now(UTC) + timedelta(hours=1)
    )
    report = check(server.root)
    assert not report.ok
    assert report.version == "MySQL 8.0.40"
    assert "MySQL 8.0.40, not MariaDB" in report.remedies[0].problem
    with open_connector(server.root) as connector:
        with pytest.raises(ServerRefused, match=r"MySQL 8\.0\.40"):
            connector.provision(request, Notebook())
        with pytest.raises(ServerRefused, match=r"MySQL 8\.0\.40"):
            connector.revoke(RevokeRequest(request.principal, request.scope), Notebook())
        with pytest.raises(ServerRefused, match=r"MySQL 8\.0\.40"):
            connector.describe()


def test_an_old_mariadb_is_refused(server: PrivateServer) -> None:
    server.start("--version=10.5.29-MariaDB")
    report = check(server.root)
    assert not report.ok
    assert "10.6 or later" in report.remedies[0].problem


# --- TLS


class Authority:
    """Signs certificates for one test."""

    def __init__(self, folder: Path, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(
            self._certificate(self._name, self._key.public_key(), x509.BasicConstraints(True, None)).public_bytes(
                serialization.Encoding.PEM
            )
        )

    def issue(self, folder: Path, host: str) -> list[str]:
        """A certificate for a host; gives the options of the server."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        certificate = self._certificate(name, key.public_key(), names)
        (folder / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / "server.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (folder / "server.key").chmod(0o644)
        return [f"--ssl-cert={folder / 'server.pem'}", f"--ssl-key={folder / 'server.key'}"]

    def _certificate(self, name: x509.Name, key: Any, extension: x509.ExtensionType) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self._name, name, key, x509.random_serial_number())
        dated = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        return dated.add_extension(extension, critical=False).sign(self._key, hashes.SHA256())


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    folder = tmp_path_factory.mktemp("authorities")
    return Authority(folder, "ours"), Authority(folder, "theirs")


@pytest.fixture(scope="module")
def encrypted(server: PrivateServer, authorities: tuple[Authority, Authority]) -> PrivateServer:
    """A server that has a certificate for `localhost`."""
    server.start(*authorities[0].issue(server.folder, "localhost"))
    return server


def test_a_certificate_is_verified(encrypted: PrivateServer, authorities: tuple[Authority, Authority]) -> None:
    ours, theirs = (str(authority.file) for authority in authorities)
    verified = set_up(encrypted, host="localhost", tls=Tls.VERIFY_FULL, tls_ca_file=ours)
    report = check(verified)
    assert report.ok
    assert report.encrypted
    assert check(replace(verified, tls=Tls.REQUIRE, tls_ca_file="")).encrypted
    assert check(replace(verified, tls=Tls.VERIFY_CA)).encrypted
    for wrong in (
        replace(verified, tls_ca_file=theirs),
        replace(verified, tls=Tls.VERIFY_CA, tls_ca_file=theirs),
        replace(verified, host="127.0.0.1"),
        replace(verified, tls_ca_file=""),
    ):
        with pytest.raises(AdminLoginRefused):
            check(wrong)


def test_a_connection_in_the_clear_is_told(encrypted: PrivateServer) -> None:
    assert not check(replace(encrypted.root, tls=Tls.DISABLE)).encrypted


def test_an_account_that_asks_for_tls_is_told_as_that(encrypted: PrivateServer) -> None:
    with open_connector(replace(encrypted.root, user="secured", password=Secret("chosen"))) as connector:
        encrypted.run("CREATE USER secured@'%' IDENTIFIED BY 'chosen' REQUIRE SSL")
        with pytest.raises(AdminLoginRefused, match="asks for TLS") as refused:
            connector.check()
        assert refused.value.code == "1045"
        encrypted.run("DROP USER secured@'%'")
        with pytest.raises(AdminLoginRefused, match="Most likely the password"):
            connector.check()


def test_verify_ca_checks_the_chain_and_not_the_name(
    encrypted: PrivateServer, authorities: tuple[Authority, Authority]
) -> None:
    ours, theirs = (str(authority.file) for authority in authorities)
    elsewhere = replace(encrypted.root, host="127.0.0.1", tls=Tls.VERIFY_CA, tls_ca_file=ours)
    assert check(elsewhere).encrypted
    with pytest.raises(AdminLoginRefused):
        check(replace(elsewhere, tls=Tls.VERIFY_FULL))
    with pytest.raises(NotEncrypted):
        check(replace(elsewhere, tls_ca_file=theirs))


def test_a_certificate_that_is_renewed_is_looked_at_anew(
    server: PrivateServer, encrypted: PrivateServer, authorities: tuple[Authority, Authority]
) -> None:
    target = replace(encrypted.root, tls=Tls.REQUIRE)
    with open_connector(target) as connector:
        connector.prove_own_login(target.password)
        server.start(*authorities[0].issue(server.folder, "localhost"))
        connector.prove_own_login(target.password)
    assert check(target).encrypted


def test_an_account_is_proved_over_tls_too(encrypted: PrivateServer, authorities: tuple[Authority, Authority]) -> None:
    encrypted.run("CREATE DATABASE IF NOT EXISTS shop")
    target = set_up(encrypted, host="localhost", tls=Tls.VERIFY_FULL, tls_ca_file=str(authorities[0].file))
    scope = Scope(Level.READ, ("shop",), group="lockgate_shop")
    request = ProvisionRequest(make_principal(), make_password(), scope, datetime.now(UTC) + timedelta(hours=1))
    administrator: Any = MySQLdb.connect(
        host="127.0.0.1", port=encrypted.port, user="root", password="of this test", ssl_mode="REQUIRED"
    )
    administrator.query("SET GLOBAL require_secure_transport = ON")
    try:
        with open_connector(target) as connector:
            connector.provision(request, Notebook())
            assert connector.revoke(RevokeRequest(request.principal, scope), Notebook()).is_clean
        with pytest.raises(ConnectorError):
            check(replace(target, tls=Tls.DISABLE))
    finally:
        administrator.query("SET GLOBAL require_secure_transport = OFF")
        administrator.close()
