"""The page of a server, where an administrator says what it is, lets a secret go there, and writes down what is shut."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from access.models import SecretUse, Server
from access.services import servers
from audit.models import Entry
from connectors.fake.server import FakeServer
from people.models import User
from people.services import add_person, join
from tests.access.world import NOW, SETUP, World
from tests.console.people_and_pages import signed_in


@pytest.fixture
def server(world: World) -> Server:
    """A server that was known, and behind whose address another one answers now."""
    Server.objects.filter(pk=world.server.pk).update(engine="fake", host="words.test", identity="fake:known")
    found = Server.objects.get(pk=world.server.pk)
    FakeServer.named("words.test")
    servers.check(server=found, now=NOW)
    return found


def page(person: User, server: Server) -> str:
    return signed_in(person).get(reverse("server", args=[server.slug])).content.decode()


def said(person: User, server: Server, what: str, **form: str) -> Client:
    client = signed_in(person)
    assert client.post(reverse(f"server_{what}", args=[server.slug]), form).status_code == 302
    return client


def test_a_stranger_is_shown_loudly_with_what_there_is_to_say(world: World, server: Server) -> None:
    text = page(world.erin, server)
    assert "What answers here is not the server that Lockgate knows." in text
    assert "It was fake:known; now" in text
    assert text.count('name="seen"') == 2
    assert 'name="seen"' not in page(world.auditor, server)
    assert "Another server answers" in signed_in(world.erin).get(reverse("servers")).content.decode()


def test_an_administrator_says_what_it_is_and_the_page_is_quiet(world: World, server: Server) -> None:
    found = FakeServer.named("words.test").identity
    said(world.erin, server, "confirm", seen="another", found=found)
    server.refresh_from_db()
    assert server.identity == found
    assert "not the server that Lockgate knows" not in page(world.erin, server)
    assert "fake:" in page(world.erin, server)


@pytest.mark.parametrize("form", [{"seen": "nonsense"}, {"seen": "became", "found": "fake:something-else"}, {}])
def test_nothing_else_can_be_said(world: World, server: Server, form: dict[str, str]) -> None:
    client = said(world.erin, server, "confirm", **form)
    server.refresh_from_db()
    assert server.identity == "fake:known"
    assert "Nothing has to be confirmed here" in client.get(reverse("server", args=[server.slug])).content.decode()


def test_a_secret_that_is_held_back_is_confirmed_by_another_administrator(world: World, server: Server) -> None:
    frank = add_person(email="frank@example.com", display_name="Frank", password="correct-horse-battery", actor=SETUP)
    join(person=frank, team=world.erin.teams.get(), actor=SETUP)
    use = SecretUse.objects.create(place="env:X", host="evil.test", port=1, server=server, asked_by=world.erin)
    assert "held back from evil.test:1" in page(frank, server)
    assert reverse("server_secret", args=[server.slug]) not in page(world.erin, server)
    said(world.erin, server, "secret")
    use.refresh_from_db()
    assert use.confirmed_at is None
    said(frank, server, "secret")
    use.refresh_from_db()
    assert use.confirmed_at is not None
    assert "held back" not in page(frank, server)


def test_what_is_shut_is_written_down_by_name_and_audited(world: World, server: Server) -> None:
    said(world.erin, server, "shut", databases="rdsadmin\narchive2019\nrdsadmin")
    server.refresh_from_db()
    assert server.known_shut == ["archive2019", "rdsadmin"]
    entry = Entry.objects.get(event="server.shut_known")
    assert entry.after["databases"] == ["archive2019", "rdsadmin"]
    assert "archive2019\nrdsadmin" in page(world.erin, server)


# --- The form of an access role, beside its server


def role_form(world: World, **typed: str) -> dict[str, str]:
    usual = {"name": "Billing", "slug": "billing-read", "server": world.server.slug, "level": "read", "longest": "8h"}
    usual |= {"databases": "billing", "connections": "5", "policy": world.policy.slug, "gateway_rules": "level"}
    return {**usual, **typed}


def test_a_role_that_names_what_is_not_there_is_not_saved(world: World, server: Server) -> None:
    FakeServer.named("words.test").make_table("billing", "public", "invoice")
    Server.objects.filter(pk=server.pk).update(identity=FakeServer.named("words.test").identity, stranger_since=None)
    client = signed_in(world.erin)
    response = client.post(reverse("settings_role_add"), role_form(world, databases="biling"))
    assert response.status_code == 422
    assert "“biling” is not on the server. Did you mean “billing”?" in response.content.decode()
    assert client.post(reverse("settings_role_add"), role_form(world)).status_code == 302
    response = client.post(
        reverse("settings_role_add"), role_form(world, slug="billing-invoice", tables="public.invoices")
    )
    assert "Did you mean “public.invoice”?" in response.content.decode()


def test_names_are_offered_while_one_types(world: World, server: Server) -> None:
    FakeServer.named("words.test").make_table("billing", "public", "in.voice ")
    path = reverse("settings_role_add")
    asked = {"part": "names", "kind": "tables", "server": server.slug, "databases": "billing", "find_tables": "VOICE"}
    text = signed_in(world.erin).get(path, asked, headers={"HX-Request": "true"}).content.decode()
    assert 'data-add-line="id_tables"' in text
    assert "public.&quot;in.voice &quot;" in text
    FakeServer.named("words.test").is_down = True
    text = signed_in(world.erin).get(path, asked, headers={"HX-Request": "true"}).content.decode()
    assert "does not answer" in text
    FakeServer._servers.pop("words.test")
