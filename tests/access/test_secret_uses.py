"""A secret is bound to its server: it goes to no other address before a second administrator has agreed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from access.credentials.base import Account
from access.credentials.places import host_of, names_another, place_of
from access.models import Environment, Grant, SecretUse, Server
from access.secret_uses import EncryptionHeld, SecretHeld, keep_encryption
from access.services import catalogue, servers
from access.services.catalogue.changes import NotYourOwnSecret
from access.services.catalogue.checks import OutsideTheFolders, OwnSecret
from access.services.door import actor_of
from access.targets import account_of, connect
from audit.models import Entry
from connectors.base import Tls
from connectors.errors import ConnectorError
from people.models import User
from people.services import add_person, join
from tests.access.test_ends import granted
from tests.access.world import SETUP, World

HERE = Account("postgresql", "db.example.com", 5432, "lockgate")
OF_ORDERS = "env:TEST_SERVER_PASSWORD"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somebody's own program that listens for a password."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        yield listening


@pytest.fixture
def frank(world: World) -> User:
    """A second administrator."""
    person = add_person(email="frank@example.com", display_name="Frank", password="correct-horse-battery", actor=SETUP)
    join(person=person, team=world.erin.teams.get(), actor=SETUP)
    return person


@pytest.fixture
def orders(world: World) -> Server:
    return added(world, "orders-db", OF_ORDERS, "db.example.com", 5432)


def added(
    world: World, slug: str, secret: str, host: str, port: int, *, tls: Tls = Tls.DISABLE, tls_ca_file: str = ""
) -> Server:
    return catalogue.add_server(
        person=world.erin,
        slug=slug,
        name=slug,
        engine="postgresql",
        environment=Environment.PRODUCTION,
        host=host,
        port=port,
        admin_user="lockgate",
        admin_secret=secret,
        tls=tls,
        tls_ca_file=tls_ca_file,
    )


def changed(world: World, server: Server, **wanted: object) -> Server:
    server.refresh_from_db()
    kept = {name: getattr(server, name) for name in ("name", "host", "port", "database", "tls_ca_file", "admin_user")}
    asked = {**kept, "environment": Environment.PRODUCTION, "tls": Tls.DISABLE, "admin_secret": "", "is_enabled": True}
    return catalogue.change_server(
        person=world.erin,
        server=server,
        revision=server.revision,
        **{**asked, **wanted},  # type: ignore[arg-type]
    )


def calls(listener: socket.socket) -> int:
    """How often somebody connected."""
    try:
        listener.accept()[0].close()
    except TimeoutError:
        return 0
    return 1


def test_the_password_of_one_server_is_not_sent_to_an_address_that_an_administrator_adds(
    world: World, orders: Server, listener: socket.socket
) -> None:
    mine = added(world, "mine", OF_ORDERS, *listener.getsockname()[:2])
    with pytest.raises(SecretHeld):
        servers.check(server=mine, now=timezone.now())
    assert calls(listener) == 0
    assert "belongs to another address" in mine.check_message
    assert Entry.objects.get(event="server.added", subject_id="mine").after["waits_for"].startswith("localhost:")


@pytest.mark.parametrize("wanted", [{"host": "127.0.0.1"}, {"port": 5433}])
def test_nor_to_an_address_that_an_edit_names(world: World, orders: Server, wanted: dict[str, object]) -> None:
    moved = changed(world, orders, **wanted)
    with pytest.raises(SecretHeld):
        connect(moved)
    assert connect(moved, {**moved.address, "host": "db.example.com", "port": 5432}), "what lives there still ends"


@pytest.mark.parametrize(
    ("before", "after", "is_held"),
    [
        ((Tls.VERIFY_FULL, ""), (Tls.REQUIRE, ""), True),
        ((Tls.VERIFY_FULL, ""), (Tls.DISABLE, ""), True),
        ((Tls.VERIFY_FULL, "/ca.pem"), (Tls.VERIFY_CA, "/ca.pem"), True),
        ((Tls.VERIFY_FULL, ""), (Tls.VERIFY_FULL, "/mine.pem"), True),
        ((Tls.VERIFY_FULL, "/ca.pem"), (Tls.VERIFY_FULL, ""), True),
        ((Tls.REQUIRE, ""), (Tls.DISABLE, ""), True),
        ((Tls.REQUIRE, ""), (Tls.VERIFY_FULL, "/ca.pem"), False),
        ((Tls.DISABLE, ""), (Tls.REQUIRE, ""), False),
        ((Tls.VERIFY_CA, "/ca.pem"), (Tls.VERIFY_FULL, "/ca.pem"), False),
    ],
)
def test_nor_with_less_encryption_than_before_nor_by_another_authority(
    world: World, before: tuple[Tls, str], after: tuple[Tls, str], is_held: bool, frank: User
) -> None:
    orders = added(world, "orders-db", OF_ORDERS, "db.example.com", 5432, tls=before[0], tls_ca_file=before[1])
    assert connect(orders)
    less = changed(world, orders, tls=after[0], tls_ca_file=after[1])
    if not is_held:
        assert connect(less).target.tls is after[0]
        return
    with pytest.raises(EncryptionHeld):
        connect(less)
    there = connect(less, less.address).target
    assert (there.tls, there.tls_ca_file) == before, "what lives there still ends, as it was reached until now"
    use = SecretUse.objects.get(confirmed_at=None)
    with pytest.raises(NotYourOwnSecret):
        catalogue.confirm_secret(actor=actor_of(world.erin), person=world.erin, use=use)
    catalogue.confirm_secret(actor=actor_of(frank), person=frank, use=use)
    assert connect(less).target.tls is after[0]


def test_what_is_taken_back_waits_for_nobody(world: World, orders: Server) -> None:
    stronger = changed(world, orders, tls=Tls.REQUIRE)
    assert connect(stronger)
    # As a check does that has got in.
    keep_encryption(stronger, account_of(stronger))
    weaker = changed(world, stronger, tls=Tls.DISABLE)
    assert SecretUse.objects.filter(confirmed_at=None).exists()
    assert connect(changed(world, weaker, tls=Tls.REQUIRE))
    assert not SecretUse.objects.filter(confirmed_at=None).exists()


def test_a_second_administrator_confirms_it_and_not_the_one_who_asked(
    world: World, orders: Server, frank: User, listener: socket.socket
) -> None:
    mine = added(world, "mine", OF_ORDERS, *listener.getsockname()[:2])
    use = SecretUse.objects.get(confirmed_at=None)
    with pytest.raises(NotYourOwnSecret):
        catalogue.confirm_secret(actor=actor_of(world.erin), person=world.erin, use=use)
    with pytest.raises(catalogue.NotAnAdministrator):
        catalogue.confirm_secret(actor=actor_of(world.auditor), person=world.auditor, use=use)
    catalogue.confirm_secret(actor=actor_of(frank), person=frank, use=use)
    assert Entry.objects.get(event="server.secret_confirmed").actor_label == "frank@example.com"
    listener.close()
    with pytest.raises(ConnectorError):
        servers.check(server=mine, now=timezone.now())


def test_the_first_address_of_a_secret_needs_nobodys_word(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_OWN_PASSWORD", "x")
    assert connect(added(world, "own", "env:TEST_OWN_PASSWORD", "own.example.com", 5432))


def test_a_second_entry_of_the_same_address_needs_nobodys_word(world: World, orders: Server) -> None:
    assert connect(added(world, "twin", OF_ORDERS, "DB.example.com.", 5432))


def test_a_new_secret_goes_to_where_accounts_live_too(
    world: World, orders: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_OWN_PASSWORD", "x")
    grant = granted(world)
    Grant.objects.filter(pk=grant.pk).update(server=orders, address=orders.address)
    moved = changed(world, orders, host="new.example.com", admin_secret="env:TEST_OWN_PASSWORD")
    assert connect(moved)
    assert connect(moved, orders.address)


def test_a_secret_that_was_put_into_the_row_by_hand_is_held_as_well(world: World, orders: Server) -> None:
    Server.objects.filter(pk=orders.pk).update(host="127.0.0.1")
    assert connect(orders), "the row as it was"
    orders.refresh_from_db()
    with pytest.raises(SecretHeld):
        connect(orders)


# --- Which references lead to the same secret


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("vault:secret/orders#password", "vault:/secret//orders?kv=2&mount=secret"),
        ("vault:secret/orders", "vault:secret/./x/../orders#password_next"),
        ("vault:secret/orders", "vault:secret/%6frders"),
        ("aws-secret:lockgate/orders#password", "aws-secret:lockgate/orders?region=eu-west-1"),
        ("aws-secret:lockgate-orders", "aws-secret:arn:aws:secretsmanager:eu-west-1:1:secret:lockgate-orders-AbC12z"),
        ("aws-secret:lockgate-orders", "aws-secret:arn:aws:secretsmanager:eu-west-1:1:secret:lockgate-orders"),
        ("azure-secret:shop/orders", "azure-secret:https://SHOP.vault.azure.net/Orders#password"),
        ("azure-secret:shop/orders", "azure-secret:shop/orders-next"),
        ("azure:managed-identity", "azure:managed-identity?scope=https://database.windows.net/.default"),
    ],
)
def test_two_ways_to_write_one_secret_are_one(one: str, other: str) -> None:
    assert place_of(one, HERE) == place_of(other, HERE)


def test_a_file_by_another_path_and_the_one_beside_it_are_the_same_secret(tmp_path: Path) -> None:
    (tmp_path / "orders").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "orders")
    ways = ("orders", "./orders", "link", "x/../orders", "orders.next")
    assert {place_of(f"file:{tmp_path}/{way}", HERE) for way in ways} == {f"file:{tmp_path}/orders"}


def test_a_token_signed_for_another_endpoint_is_named() -> None:
    assert names_another("aws-iam:eu-west-1?host=prod.rds.amazonaws.com", HERE)
    assert not names_another("aws-iam:eu-west-1", HERE)
    assert place_of("aws-iam:eu-west-1", HERE) != place_of("aws-iam:eu-west-1?host=prod.rds.amazonaws.com", HERE)


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST", "localhost.", "::1", "127.8.8.8"])
def test_this_machine_is_this_machine(host: str) -> None:
    assert host_of(host) == "localhost"


# --- Which files and variables may be named at all


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "/run/servers/../../etc/hostname", "/run/secrets/gateway_key", "/etc/shadow"]
)
def test_only_files_in_a_folder_of_their_own_are_secrets_of_servers(world: World, path: str) -> None:
    with pytest.raises(OutsideTheFolders, match="LOCKGATE_SECRET_FOLDERS"):
        added(world, "files", f"file:{path}", "db.example.com", 5432)


def test_a_link_out_of_the_folder_leads_nowhere(world: World, settings: Settings, tmp_path: Path) -> None:
    settings.LOCKGATE_SECRET_FOLDERS = [tmp_path / "servers"]
    (tmp_path / "servers").mkdir()
    (tmp_path / "elsewhere").write_text("x")
    (tmp_path / "servers" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "servers" / "orders").write_text("x")
    with pytest.raises(OutsideTheFolders):
        added(world, "files", f"file:{tmp_path}/servers/link", "db.example.com", 5432)
    assert added(world, "files", f"file:{tmp_path}/servers/orders", "db.example.com", 5432)


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "LOCKGATE_SECRET_KEY", "PGPASSWORD", "SENTRY_DSN", "Aws_Session_Token"]
)
def test_no_variable_of_lockgate_or_its_clients_is_a_secret_of_a_server(world: World, name: str) -> None:
    with pytest.raises(OwnSecret):
        added(world, "variables", f"env:{name}", "db.example.com", 5432)


def test_the_account_is_that_of_the_address(world: World, orders: Server) -> None:
    assert account_of(orders).host == "db.example.com"
