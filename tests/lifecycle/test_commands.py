"""What a worker does, done by hand: `tick`, `revoke`, `sweep`, `doctor`."""

from __future__ import annotations

import json
import socketserver
import threading
from datetime import timedelta
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from access import provisioning
from access.models import Grant, Server
from tests.access.world import World
from tests.lifecycle.conftest import reached_at
from tests.lifecycle.estates import Estate
from tests.lifecycle.test_lifecycle import granted, provisioned, refused


def output_of(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def test_tick_makes_and_takes_away_without_any_worker(shop_world: World, shop: Estate) -> None:
    grant = granted(shop_world)
    assert "provisioned" in output_of("tick")
    grant.refresh_from_db()
    assert grant.state == "active"
    Grant.objects.filter(pk=grant.pk).update(starts_at=timezone.now() - timedelta(hours=1), ends_at=timezone.now())
    assert "revoked" in output_of("tick")
    grant.refresh_from_db()
    assert grant.state == "revoked"
    assert shop.accounts(grant.principal) == 0


def test_revoke_ends_a_grant_and_prints_the_receipt(shop_world: World, shop: Estate) -> None:
    grant, password = provisioned(shop_world)
    receipt = json.loads(output_of("revoke", grant.reference))
    assert receipt["is_clean"]
    assert refused(lambda: shop.log_in(grant.principal, password))
    with pytest.raises(CommandError, match="There is no grant"):
        call_command("revoke", "G-NOTHING")


def test_revoke_says_so_when_the_server_is_away(shop_world: World, shop: Estate) -> None:
    grant, _ = provisioned(shop_world)
    reached_at(shop_world, 1)
    Grant.objects.filter(pk=grant.pk).update(address={**grant.address, "port": 1})
    with pytest.raises(CommandError, match="does not answer"):
        call_command("revoke", grant.reference, stdout=StringIO())


def test_doctor_says_when_an_old_key_can_go(shop_world: World, shop: Estate, settings: Settings) -> None:
    """Only passwords that nobody has looked at yet are still stored."""
    provisioning.provision(grant_id=granted(shop_world).pk, claimant="test")
    old, new = settings.LOCKGATE_ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    told = {}
    for name, keys in {"alone": [old], "rotated": [new, old], "lost": [new]}.items():
        settings.LOCKGATE_ENCRYPTION_KEYS = keys
        out = StringIO()
        with pytest.raises(CommandError):  # there is no worker
            call_command("doctor", stdout=out)
        told[name] = out.getvalue()
    assert "ok   1 stored secrets can be read; the newest key reads them all." in told["alone"]
    assert "ok   1 stored secrets can be read; 1 of them need an older key, which has to stay." in told["rotated"]
    assert "BAD  1 stored secrets cannot be read." in told["lost"]


def test_doctor_names_what_is_wrong(shop_world: World, shop: Estate) -> None:
    out = StringIO()
    Server.objects.filter(slug="orders").update(admin_secret="env:NO_SUCH_VARIABLE")
    with pytest.raises(CommandError, match="BAD"):
        call_command("doctor", stdout=out)
    told = out.getvalue()
    assert "BAD  No worker has ticked" in told
    assert "ok   Redis answers." in told
    assert "shop: PostgreSQL" in told or "shop: MariaDB" in told
    assert "BAD  orders: There is no secret at the place that the reference names." in told


class PostOffice(socketserver.StreamRequestHandler):
    """Greets, agrees to everything, and hangs up when it is told to."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            self.wfile.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 yes\r\n")


def test_doctor_tries_whether_mails_can_leave(shop_world: World, shop: Estate, settings: Settings) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1"
    told = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), PostOffice) as office:
        settings.EMAIL_PORT = office.server_address[1]
        serving = threading.Thread(target=office.serve_forever, daemon=True)
        serving.start()
        told.append(doctors_report())
        office.shutdown()
    told.append(doctors_report())
    assert f"ok   Mails leave through 127.0.0.1:{settings.EMAIL_PORT}." in told[0]
    assert f"BAD  Mails cannot leave through 127.0.0.1:{settings.EMAIL_PORT}: [Errno 111]" in told[1]


def doctors_report() -> str:
    out = StringIO()
    with pytest.raises(CommandError):  # there is no worker
        call_command("doctor", stdout=out)
    return out.getvalue()
