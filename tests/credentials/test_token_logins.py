"""Logins with tokens, the whole way: from the reference in a server's row to a session on the server."""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.utils import timezone

from access.credentials import Account, ServerSource, resolve
from access.services import catalogue
from access.services.catalogue.checks import TokenInTheClear
from access.services.servers import test_connection as check_connection
from access.targets import connect
from connectors import session as connection_cache
from connectors.base import Authentication, Secret, Target, Tls
from connectors.errors import AdminLoginRefused, CertificateRefused, ConnectorError, ServerUnreachable, TokenNeedsTls
from connectors.registry import open_connector
from tests.access.world import World, build
from tests.credentials.peers.entra import IMDS, Entra
from tests.credentials.peers.mariadb import ClearPasswordServer
from tests.credentials.peers.postgresql import TokenServer
from tests.credentials.peers.tds import TokenLoginServer
from tests.credentials.peers.web import answer_under, certificate_for, serving

AWS = "aws-iam:eu-central-1"
AZURE = "azure:managed-identity"


@pytest.fixture(scope="module")
def server() -> Iterator[TokenServer]:
    """One with TLS, of this module's own."""
    folder = Path(tempfile.mkdtemp(prefix="lockgate-test-tls-"))
    folder.chmod(0o755)  # the server runs as another user
    made = TokenServer(folder / "server", durable=False)
    made.start()
    yield made
    made.stop()
    shutil.rmtree(folder)


@pytest.fixture
def account(server: TokenServer) -> str:
    """Lockgate's own account, as the setup makes it but without a password."""
    name = f"lockgate_{secrets.token_hex(4)}"
    with psycopg.connect(server.url, autocommit=True) as root:
        root.execute(f"CREATE ROLE {name} LOGIN CREATEROLE")
        root.execute(f"GRANT pg_signal_backend, pg_read_all_stats TO {name}")
    return name


def expect(server: TokenServer, account: str, token: str) -> None:
    """From now on this is what the account gets in with."""
    with psycopg.connect(server.url, autocommit=True) as root:
        root.execute("SET log_statement = 'none'")
        root.execute(psycopg.sql.SQL("ALTER ROLE {} PASSWORD {}").format(psycopg.sql.Identifier(account), token))


@pytest.fixture
def world(db: None, server: TokenServer, account: str, monkeypatch: pytest.MonkeyPatch) -> World:
    """The small world, with a second server that Lockgate logs in to by a token."""
    monkeypatch.setenv("TEST_SERVER_PASSWORD", "not-used-by-the-fake")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    built = build("env:TEST_SERVER_PASSWORD")
    built.server = catalogue.add_server(
        person=built.erin,
        slug="cloud",
        name="Cloud",
        engine="postgresql",
        environment=built.server.environment,
        host="localhost",
        port=server.port,
        admin_user=account,
        admin_secret=AWS,
        tls=Tls.VERIFY_FULL,
        tls_ca_file=str(server.authority),
    )
    return built


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Entra]:
    """A machine on Azure, which has an identity."""
    made = Entra()
    monkeypatch.setenv("NO_PROXY", "*")
    with serving(made.answer) as web:
        answer_under(monkeypatch, {(IMDS, 80): web.port})
        yield made


def test_an_aws_token_opens_a_session_and_is_in_no_log(
    world: World, server: TokenServer, account: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="access")
    token = resolve(AWS, Account("postgresql", "localhost", server.port, account)).secret.reveal()
    expect(server, account, token)

    report = check_connection(person=world.erin, server=world.server, now=timezone.now())

    assert report.encrypted
    world.server.refresh_from_db()
    assert world.server.version.startswith("PostgreSQL")
    assert (
        f"connection authorized: user={account} database=postgres application_name=lockgate SSL"
        in server.log.read_text()
    )
    assert token not in server.log.read_text() + caplog.text


def test_a_token_that_is_refused_is_told_with_the_likely_cause(world: World, server: TokenServer, account: str) -> None:
    expect(server, account, "another")
    with pytest.raises(AdminLoginRefused) as refused:
        check_connection(person=world.erin, server=world.server, now=timezone.now())
    assert refused.value.code == "28P01"
    assert "on Amazon RDS the account needs the role rds_iam" in str(refused.value)
    token = resolve(AWS, Account("postgresql", "localhost", server.port, account)).secret.reveal()
    assert token not in str(refused.value)
    assert not _holds(refused.value, token)


def test_a_refused_token_is_dropped_once_and_the_next_one_gets_in(
    world: World, server: TokenServer, account: str, peer: Entra
) -> None:
    world.server.admin_secret = AZURE
    first = resolve(AZURE, Account("postgresql", "localhost", server.port, account)).secret.reveal()
    following = f"token-{int(first.split('-')[1]) + 1}-of-the-identity-provider"
    expect(server, account, following)

    with connect(world.server) as connector:
        connector.prove_own_login(Secret(following))
        connector.list_principals()

    assert peer.given == [first, following]
    expect(server, account, "nothing gets in any more")
    connection_cache_is_empty()
    with pytest.raises(AdminLoginRefused), connect(world.server) as connector:
        connector.list_principals()
    assert peer.given == [first, following], "who is refused for good does not ask for a token each time"


def test_a_token_that_ran_out_while_a_connector_was_open_is_not_used(
    server: TokenServer, account: str, peer: Entra
) -> None:
    """A revocation goes through hundreds of databases, and connects to each."""
    peer.lasts = 3
    where = Account("postgresql", "localhost", server.port, account)
    source = ServerSource(AZURE, where, settle=lambda promote: None)
    target = token_target(server, account, resolve(AZURE, where).secret, source)
    time.sleep(3.1)
    first = peer.given[0]
    expect(server, account, f"token-{int(first.split('-')[1]) + 1}-of-the-identity-provider")
    with open_connector(target) as connector:
        connector.list_principals()
    assert len(peer.given) == 2
    assert server.log.read_text().count(f'password authentication failed for user "{account}"') == 0


def test_connections_of_the_token_before_idle_out(
    server: TokenServer, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_cache, "IDLE_SECONDS", 0.5)
    sessions = []
    for token in ("one", "two"):
        expect(server, account, token)
        with open_connector(token_target(server, account, Secret(token))) as connector:
            connector.list_principals()
        sessions.append(backends_of(server, account))
    assert sessions == [1, 2], "a fresh token is a fresh connection"
    deadline = time.monotonic() + 10
    while backends_of(server, account) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert backends_of(server, account) == 0


# --- Never in the clear


def test_a_server_without_tls_is_not_saved_with_a_token(world: World) -> None:
    with pytest.raises(TokenInTheClear):
        catalogue.change_server(
            person=world.erin,
            server=world.server,
            revision=world.server.revision,
            name="Cloud",
            environment=world.server.environment,
            host="localhost",
            port=world.server.port,
            database="",
            tls=Tls.DISABLE,
            tls_ca_file="",
            admin_user=world.server.admin_user,
            admin_secret="",
            is_enabled=True,
        )


@pytest.mark.parametrize("engine", ["postgresql", "mariadb", "sqlserver", "azuresql"])
def test_without_tls_nothing_is_sent(engine: str) -> None:
    with Eavesdropper(b"") as peer:
        target = Target(engine, "127.0.0.1", peer.port, "lockgate", Secret("the-token"), tls=Tls.DISABLE)
        with (
            pytest.raises(TokenNeedsTls),
            open_connector(replace(target, authentication=Authentication.ACCESS_TOKEN)) as connector,
        ):
            connector.check()
    assert (peer.connections, peer.heard) == (0, b"")


def test_a_postgresql_server_that_has_no_tls_hears_no_token() -> None:
    with Eavesdropper(b"N") as peer:
        target = Target("postgresql", "127.0.0.1", peer.port, "lockgate", Secret("the-token"), tls=Tls.REQUIRE)
        with (
            pytest.raises(ConnectorError),
            open_connector(replace(target, authentication=Authentication.ACCESS_TOKEN)) as connector,
        ):
            connector.check()
    assert peer.connections > 0
    assert b"the-token" not in peer.heard


def test_a_mariadb_server_gets_the_token_inside_tls_alone(tmp_path: Path) -> None:
    certificate, authority = certificate_for(tmp_path, "localhost", "LOCALHOST")
    token = f"the-token-{'x' * 1500}"
    peer = ClearPasswordServer(token, certificate)
    try:
        target = Target(
            "mariadb",
            "localhost",
            peer.port,
            "lockgate",
            Secret(token),
            tls=Tls.VERIFY_CA,
            tls_ca_file=str(authority),
            authentication=Authentication.ACCESS_TOKEN,
        )
        with open_connector(target) as connector:
            connector.prove_own_login(Secret(token))
            assert peer.logins == 1
            with pytest.raises(AdminLoginRefused, match="AWSAuthenticationPlugin"):
                connector.prove_own_login(Secret("another-token"))
    finally:
        peer.close()
    assert any(token.encode() in heard for heard in peer.inside_tls)
    assert b"token" not in peer.in_the_clear


def test_a_mariadb_server_that_has_no_tls_hears_no_token() -> None:
    peer = ClearPasswordServer("the-token", None)
    try:
        target = Target(
            "mariadb",
            "127.0.0.1",
            peer.port,
            "lockgate",
            Secret("the-token"),
            tls=Tls.REQUIRE,
            authentication=Authentication.ACCESS_TOKEN,
        )
        with open_connector(target) as connector, pytest.raises(ConnectorError):
            connector.prove_own_login(target.password)
    finally:
        peer.close()
    assert b"token" not in peer.in_the_clear
    assert peer.logins == 0


@pytest.mark.parametrize("engine", ["sqlserver", "azuresql"])
def test_a_sql_server_gets_the_token_inside_tls_alone(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, authority = certificate_for(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    token = f"the-token-{'x' * 1500}"
    peer = TokenLoginServer(token, certificate)
    try:
        with open_connector(sql_server_target(engine, peer, token, Tls.VERIFY_FULL)) as connector:
            connector.prove_own_login(Secret(token))
            assert peer.logins == 1
            with pytest.raises(AdminLoginRefused, match="does not know the identity") as refused:
                connector.prove_own_login(Secret("another-token"))
    finally:
        peer.close()
    assert "another-token" not in repr(refused.value) + str(refused.value.__cause__)
    assert [token.encode("utf-16-le") in login for login in peer.inside_tls] == [True, False]
    assert "token".encode("utf-16-le") not in peer.in_the_clear


@pytest.mark.parametrize("engine", ["sqlserver", "azuresql"])
@pytest.mark.parametrize("what", ["a certificate that nobody vouches for", "a certificate of another name", "no TLS"])
def test_a_sql_server_that_is_not_to_be_trusted_hears_no_token(
    engine: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, authority = certificate_for(tmp_path, "elsewhere.test" if "name" in what else "localhost")
    if "name" in what:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    has_tls = what != "no TLS"
    peer = TokenLoginServer("the-token", certificate if has_tls else None)
    target = sql_server_target(engine, peer, "the-token", Tls.VERIFY_FULL if has_tls else Tls.REQUIRE)
    expected = CertificateRefused if has_tls else ServerUnreachable
    try:
        with open_connector(target) as connector, pytest.raises(expected) as refused:
            connector.prove_own_login(target.password)
    finally:
        peer.close()
    assert ("certificate" in str(refused.value)) is has_tls
    assert peer.in_the_clear
    assert (peer.logins, peer.inside_tls) == (0, [])
    assert "token".encode("utf-16-le") not in peer.in_the_clear


# --- Hands


def sql_server_target(engine: str, peer: TokenLoginServer, token: str, tls: Tls) -> Target:
    return Target(
        engine,
        "localhost",
        peer.port,
        "lockgate",
        Secret(token),
        tls=tls,
        authentication=Authentication.ACCESS_TOKEN,
        statement_timeout=timedelta(seconds=2),
    )


def token_target(server: TokenServer, account: str, token: Secret, source: ServerSource | None = None) -> Target:
    return Target(
        "postgresql",
        "localhost",
        server.port,
        account,
        token,
        tls=Tls.VERIFY_FULL,
        tls_ca_file=str(server.authority),
        authentication=Authentication.ACCESS_TOKEN,
        source=source,
    )


def backends_of(server: TokenServer, account: str) -> int:
    with psycopg.connect(server.url) as root:
        row = root.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", [account]).fetchone()
    assert row is not None
    return int(row[0])


def connection_cache_is_empty() -> None:
    """As after ten seconds: what waits would get in without a login."""
    from connectors.postgresql.session import _CACHE

    _CACHE.close_all()


def _holds(error: BaseException, secret: str) -> bool:
    """Whether the secret is anywhere in an exception or in what caused it."""
    seen: BaseException | None = error
    while seen is not None:
        if secret in repr(seen) + str(seen) + repr(getattr(seen, "__dict__", "")):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


class Eavesdropper:
    """Listens, answers the first thing it hears with `answer`, and writes down everything."""

    def __init__(self, answer: bytes) -> None:
        self.connections = 0
        self.heard = b""
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Eavesdropper:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        time.sleep(0.1)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.connections += 1
                connection.settimeout(5)
                try:
                    while heard := connection.recv(4096):
                        self.heard += heard
                        connection.sendall(self._answer)
                except OSError:
                    continue
