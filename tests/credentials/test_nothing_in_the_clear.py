"""Nothing secret arrives where it is not known who listens: proved with real listeners, on every engine, for every setting.

A driver's option is not trusted by its name: what counts is what the listener has heard.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from connectors.base import Authentication, ConnectionHint, Secret, Target, Tls
from connectors.errors import (
    AdminLoginRefused,
    ConnectorError,
    NotEncrypted,
    PasswordNeedsTls,
    PrincipalCannotLogIn,
    ServerRefused,
)
from connectors.registry import open_connector
from tests.credentials.peers.listeners import MariaDBListener, PostgreSQLListener
from tests.credentials.peers.tds import TokenLoginServer
from tests.credentials.peers.web import certificate_for

PASSWORD = "Of-This-Account-0123456789"
LISTENERS = {"postgresql": PostgreSQLListener, "mariadb": MariaDBListener}
ENCRYPTED = (Tls.VERIFY_FULL, Tls.VERIFY_CA, Tls.REQUIRE)
CHECKED = (Tls.VERIFY_FULL, Tls.VERIFY_CA)


@pytest.fixture(scope="module")
def somebody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine that an authority of somebody else's vouches for."""
    return certificate_for(tmp_path_factory.mktemp("theirs"), "localhost", "LOCALHOST")[0]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority that the server's setting names."""
    return certificate_for(tmp_path_factory.mktemp("ours"), "localhost", "LOCALHOST")[1]


@pytest.fixture(params=["a password", "a token"])
def authentication(request: pytest.FixtureRequest) -> Authentication:
    return Authentication.ACCESS_TOKEN if request.param == "a token" else Authentication.PASSWORD


def target_of(engine: str, port: int, tls: Tls, ca_file: Path | None = None) -> Target:
    return Target(
        engine,
        "localhost",
        port,
        "lockgate",
        Secret(PASSWORD),
        tls=tls,
        tls_ca_file=str(ca_file or ""),
        connect_timeout=timedelta(seconds=2),
        statement_timeout=timedelta(seconds=2),
    )


def refused(target: Target) -> ConnectorError:
    """What became of a login of Lockgate's own account, and of one as an account of a grant."""
    with open_connector(target) as connector:
        with pytest.raises(ConnectorError):
            connector.prove_login("lg_abc_alice", Secret(PASSWORD), "orders")
        with pytest.raises(ConnectorError) as error:
            connector.prove_own_login(target.password)
    return error.value


# --- No TLS, or somebody else's


@pytest.mark.wide(one_in=3)
@pytest.mark.parametrize("engine", LISTENERS)
@pytest.mark.parametrize("tls", ENCRYPTED)
def test_a_listener_without_tls_hears_no_secret(
    engine: str, tls: Tls, authentication: Authentication, authority: Path
) -> None:
    with LISTENERS[engine]() as peer:
        error = refused(replace(target_of(engine, peer.port, tls, authority), authentication=authentication))
    assert peer.connections
    assert PASSWORD.encode() not in peer.heard
    assert isinstance(error, AdminLoginRefused) or error.sentence


@pytest.mark.wide(one_in=3)
@pytest.mark.parametrize("engine", LISTENERS)
@pytest.mark.parametrize("tls", CHECKED)
def test_a_listener_with_another_certificate_hears_no_secret(
    engine: str, tls: Tls, authentication: Authentication, somebody: Path, authority: Path
) -> None:
    with LISTENERS[engine](somebody) as peer:
        refused(replace(target_of(engine, peer.port, tls, authority), authentication=authentication))
    assert peer.connections
    assert PASSWORD.encode() not in peer.heard


@pytest.mark.parametrize("engine", LISTENERS)
def test_encryption_alone_gives_nobody_the_secret_itself(
    engine: str, authentication: Authentication, somebody: Path
) -> None:
    """With 'require' nobody knows who is at the other end: who asks for the password or token as it is gets neither."""
    with LISTENERS[engine](somebody) as peer:
        error = refused(replace(target_of(engine, peer.port, Tls.REQUIRE), authentication=authentication))
    assert peer.connections
    assert PASSWORD.encode() not in peer.heard
    if authentication is Authentication.PASSWORD:
        assert isinstance(error, AdminLoginRefused)
        assert "verify-full" in str(error)


@pytest.mark.parametrize("engine", LISTENERS)
def test_without_encryption_nobody_gets_the_secret_itself(engine: str) -> None:
    with LISTENERS[engine]() as peer:
        error = refused(target_of(engine, peer.port, Tls.DISABLE))
    assert peer.connections
    assert PASSWORD.encode() not in peer.heard
    assert isinstance(error, AdminLoginRefused)
    assert "verify-full" in str(error)


@pytest.mark.wide(one_in=3)
@pytest.mark.parametrize("plugin", ["mysql_clear_password", "dialog", "caching_sha2_password", "mysql_old_password"])
@pytest.mark.parametrize("tls", [Tls.REQUIRE, Tls.DISABLE])
@pytest.mark.parametrize("is_first_word", [True, False])
def test_no_plugin_of_mariadb_is_told_the_password(plugin: str, tls: Tls, is_first_word: bool, somebody: Path) -> None:
    greets_with = plugin if is_first_word else "mysql_native_password"
    with MariaDBListener(somebody if tls is Tls.REQUIRE else None, plugin, greets_with=greets_with) as peer:
        refused(target_of("mariadb", peer.port, tls))
    assert peer.connections
    assert PASSWORD.encode() not in peer.heard


def test_a_server_without_tls_is_told_in_words() -> None:
    with MariaDBListener() as peer:
        error = refused(target_of("mariadb", peer.port, Tls.REQUIRE))
    assert isinstance(error, NotEncrypted)
    assert "Nothing secret was sent" in str(error)


# --- SQL Server: its protocol knows no proof but the password


@pytest.mark.wide(one_in=3)
@pytest.mark.parametrize("engine", ["sqlserver", "azuresql"])
@pytest.mark.parametrize("what", ["no TLS", "a certificate that nobody vouches for"])
def test_a_sql_server_that_is_not_to_be_trusted_hears_no_password(engine: str, what: str, somebody: Path) -> None:
    has_tls = what != "no TLS"
    peer = TokenLoginServer("", somebody if has_tls else None)
    try:
        for tls in CHECKED if has_tls else ENCRYPTED:
            refused(target_of(engine, peer.port, tls))
    finally:
        peer.close()
    assert peer.in_the_clear
    assert (peer.logins, peer.inside_tls) == (0, [])
    assert as_tds_sends(PASSWORD) not in peer.in_the_clear


@pytest.mark.parametrize("engine", ["sqlserver", "azuresql"])
def test_a_token_goes_to_a_checked_sql_server_alone_whatever_the_setting(engine: str, somebody: Path) -> None:
    peer = TokenLoginServer("", somebody)
    try:
        target = replace(
            target_of(engine, peer.port, Tls.REQUIRE),
            authentication=Authentication.ACCESS_TOKEN,
        )
        with open_connector(target) as connector, pytest.raises(ConnectorError):
            connector.prove_own_login(target.password)
    finally:
        peer.close()
    assert (peer.logins, peer.inside_tls) == (0, [])


@pytest.mark.parametrize("engine", ["sqlserver", "azuresql"])
def test_a_password_leaves_this_machine_for_a_sql_server_inside_tls_alone(engine: str) -> None:
    target = replace(target_of(engine, 1433, Tls.DISABLE), host="orders.db.test")
    with open_connector(target) as connector:
        with pytest.raises(PasswordNeedsTls):
            connector.prove_own_login(target.password)
        with pytest.raises((PasswordNeedsTls, PrincipalCannotLogIn)):
            connector.prove_login("lg_abc_alice", Secret(PASSWORD), "orders")


def as_tds_sends(password: str) -> bytes:
    """The login message mixes the password with a constant, which hides it from nobody."""
    return bytes(((byte << 4 | byte >> 4) & 0xFF) ^ 0xA5 for byte in password.encode("utf-16-le"))


# --- The lines that people paste


def hints_of(engine: str, port: int, tls: Tls, authority: Path) -> dict[str, ConnectionHint]:
    with open_connector(target_of(engine, port, tls, authority)) as connector:
        return {hint.label: hint for hint in connector.connection_hints("lg_abc_alice", "orders")}


def run(command: str, variable: str) -> None:
    """A line from the page, in a shell, with the password where the client asks for it."""
    environment = {**os.environ, variable: PASSWORD, "HOME": "/nonexistent"}
    pasted = command.replace(" --password ", " ").replace("mariadb ", "mariadb --no-defaults ", 1)
    done = subprocess.run(
        pasted, shell=True, env=environment, capture_output=True, timeout=20, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode != 0


@pytest.fixture(params=ENCRYPTED)
def tls(request: pytest.FixtureRequest) -> Tls:
    return Tls(request.param)


def test_the_line_for_the_mariadb_client_gives_nothing_to_a_listener_without_tls(tls: Tls, authority: Path) -> None:
    with MariaDBListener() as peer:
        run(hints_of("mariadb", peer.port, tls, authority)["mariadb"].text, "MYSQL_PWD")
    assert peer.connections
    assert PASSWORD.encode() not in peer.heard


def test_the_address_for_sqlalchemy_gives_nothing_to_a_listener_without_tls(tls: Tls, authority: Path) -> None:
    """Its driver is mysqlclient, which is Lockgate's own."""
    from urllib.parse import parse_qsl, urlsplit

    import MySQLdb

    with MariaDBListener() as peer:
        address = urlsplit(hints_of("mariadb", peer.port, tls, authority)["SQLAlchemy"].text)
        options = dict(parse_qsl(address.query))
        with pytest.raises(MySQLdb.Error):
            MySQLdb.connect(
                host="LOCALHOST",
                port=peer.port,
                user="lg_abc_alice",
                password=PASSWORD,
                ssl_mode=options["ssl_mode"],
                ssl={"ca": options["ssl_ca"]},
            )
    assert peer.connections
    assert PASSWORD.encode() not in peer.heard


@pytest.mark.wide(one_in=3)
@pytest.mark.parametrize("label", ["psql", "libpq URI"])
def test_the_lines_for_libpq_give_nothing_to_a_listener_without_tls(label: str, tls: Tls, authority: Path) -> None:
    with PostgreSQLListener() as peer:
        text = hints_of("postgresql", peer.port, tls, authority)[label].text.replace(authority.name, str(authority))
        if label == "psql":
            run(text, "PGPASSWORD")
        else:
            with pytest.raises(psycopg.Error):
                psycopg.connect(text.replace("{password}", PASSWORD))
    assert peer.connections
    assert PASSWORD.encode() not in peer.heard


# --- What is told


@pytest.mark.parametrize("version", ["8.4.6", "9.7.4"])
@pytest.mark.parametrize("tls", [Tls.REQUIRE, Tls.DISABLE])
def test_a_mysql_that_wants_its_own_way_of_logging_in_is_called_mysql(version: str, tls: Tls, somebody: Path) -> None:
    certificate = somebody if tls is Tls.REQUIRE else None
    with MariaDBListener(certificate, "caching_sha2_password", version) as peer:
        error = refused(target_of("mariadb", peer.port, tls))
    assert isinstance(error, ServerRefused)
    assert f"MySQL {version}, not MariaDB" in str(error)
