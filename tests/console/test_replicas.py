"""Replicas: an administrator names where they listen, the server's page says who follows, a receipt what was not seen."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from django.template.loader import render_to_string
from django.urls import reverse

from access.models import SecretUse, Server
from access.targets import connect
from connectors.base import Replica
from console.forms.lines import AddressesField
from tests.access.world import NOW, World
from tests.console.people_and_pages import signed_in


def form_of(server: Server, **changes: str) -> dict[str, str]:
    """The form as it is sent."""
    names = ("name", "environment", "host", "port", "database", "tls", "tls_ca_file", "admin_user", "revision")
    return {name: str(getattr(server, name)) for name in names} | {"is_enabled": "on", "admin_secret": "", **changes}


def change(world: World, **changes: str) -> Server:
    server = Server.objects.get(pk=world.server.pk)
    client = signed_in(world.erin)
    answer = client.post(reverse("server_edit", args=[server.slug]), form_of(server, **changes))
    assert answer.status_code == 302, answer.content.decode()
    server.refresh_from_db()
    return server


def test_addresses_are_lines(world: World) -> None:
    server = change(world, replicas="standby-1.test:5432\n\n standby-2.test:5433 \nstandby-1.test:5432")
    assert server.replicas == [["standby-1.test", 5432], ["standby-2.test", 5433]]
    text = signed_in(world.erin).get(reverse("server_edit", args=[server.slug])).content.decode()
    assert "standby-1.test:5432\nstandby-2.test:5433" in text
    assert change(world).replicas == []


@pytest.mark.parametrize(
    "line", ["standby", "standby:", ":5432", "standby:0", "standby:65536", "u:p@standby:5432", "a b:1"]
)
def test_what_is_no_address_is_refused(line: str) -> None:
    from django.forms import ValidationError

    with pytest.raises(ValidationError, match="host:port"):
        AddressesField().to_python(line)


def test_the_secret_goes_to_no_replica_that_one_administrator_alone_has_named(world: World) -> None:
    with connect(Server.objects.get(pk=world.server.pk)):
        pass
    server = change(world, replicas="listener.test:5432")
    use = SecretUse.objects.get(host="listener.test", port=5432)
    assert (use.confirmed_at, use.asked_by) == (None, world.erin)
    with connect(server) as connector:
        assert connector.target.replicas == ()
    SecretUse.objects.filter(pk=use.pk).update(confirmed_at=NOW)
    with connect(server) as connector:
        assert connector.target.replicas == (("listener.test", 5432),)


def test_the_page_of_a_server_says_who_follows_it(world: World) -> None:
    seen = [Replica("walreceiver", "192.0.2.7", "streaming"), Replica("standby:5433", "standby", "", is_reached=True)]
    Server.objects.filter(pk=world.server.pk).update(replicas_seen=[asdict(each) for each in seen])
    text = signed_in(world.erin).get(reverse("server", args=[world.server.slug])).content.decode()
    assert "Followed by" in text
    assert "192.0.2.7" in text
    assert "sessions there are not seen (streaming)" in text
    assert "sessions there are ended" in text


def test_a_receipt_says_what_it_did_not_see() -> None:
    receipt = {"is_clean": True, "principal": "lg_x", "server_time": "2026-03-02T09:00:00+00:00", "findings": []}
    shown = render_to_string("parts/receipt.html", {"receipt": {**receipt, "not_seen": ["1 of 1 servers that follow"]}})
    assert "Not seen from here." in shown
    assert "1 of 1 servers that follow" in shown
    assert "Not seen" not in render_to_string("parts/receipt.html", {"receipt": receipt})
