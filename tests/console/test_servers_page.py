"""The Servers pages: health, roles, findings, the SQL to paste, and a test that tells what to do."""

from __future__ import annotations

import html
import os
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.urls import reverse
from django.utils import timezone

from access.models import Server, SweepFinding
from access.models.sweeps import FindingKind
from connectors.base import Tls
from tests.access.world import World
from tests.console.people_and_pages import Pages, signed_in


def show(world: World) -> str:
    return signed_in(world.erin).get(reverse("server", args=[world.server.slug])).content.decode()


def test_the_list_tells_health_engine_roles_access_and_findings(pages: Pages) -> None:
    server = pages.world.server
    server.check_ok, server.version = True, "PostgreSQL 15.18"
    server.save()
    SweepFinding.objects.create(
        server=server, kind=FindingKind.ORPHAN, principal="lg_left_over", detail="", found_at=timezone.now()
    )
    text = signed_in(pages.world.auditor).get(reverse("servers")).content.decode()
    for words in ("Healthy", "PostgreSQL 15.18", "Production", "1 open"):
        assert words in text


def test_a_server_shows_its_roles_and_the_sql_for_its_account(pages: Pages) -> None:
    text = show(pages.world)
    assert "Orders, read" in text
    assert "One DBA" in text
    assert "lockgate" in text
    assert "\\password" in text


def test_orphans_and_drift_are_shown_until_they_are_settled(pages: Pages) -> None:
    assert "The server and the grants agree." in show(pages.world)
    finding = SweepFinding.objects.create(
        server=pages.world.server,
        kind=FindingKind.ORPHAN,
        principal="lg_left_over",
        detail="It can log in.",
        found_at=timezone.now(),
    )
    assert "An account of ours without a living grant" in show(pages.world)
    finding.settled_at = timezone.now()
    finding.save()
    assert "The server and the grants agree." in show(pages.world)
    assert "1 settled" in show(pages.world)


def test_where_the_password_of_our_account_lies_is_nobodys_business(pages: Pages) -> None:
    text = show(pages.world)
    assert "TEST_SERVER_PASSWORD" not in text
    assert "env" in text


@pytest.mark.parametrize("htmx", [True, False])
def test_a_server_that_does_not_answer_is_told_with_a_remedy(world: World, htmx: bool) -> None:
    world.server.host, world.server.port = "127.0.0.1", 9
    world.server.save()
    headers = {"HTTP_HX_REQUEST": "true"} if htmx else {}
    response = signed_in(world.erin).post(reverse("server_test", args=["orders"]), **headers)
    text = response.content.decode()
    assert response.status_code == 422
    assert "The database server does not answer. Check its address" in text
    assert "Needs attention" in text


def test_a_missing_secret_is_told_with_a_remedy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_SERVER_PASSWORD")
    response = signed_in(world.erin).post(reverse("server_test", args=["orders"]))
    assert response.status_code == 422
    assert "The environment variable TEST_SERVER_PASSWORD is empty or not set." in response.content.decode()


def test_a_refused_login_is_told_with_its_likely_cause(world: World) -> None:
    url = urlsplit(os.environ["LOCKGATE_TEST_POSTGRESQL_URL"])
    server = world.server
    server.host, server.port, server.admin_user = url.hostname or "", url.port or 5432, url.username or ""
    server.engine, server.database, server.tls = "postgresql", "postgres", Tls.DISABLE
    server.save()
    text = signed_in(world.erin).post(reverse("server_test", args=["orders"])).content.decode()
    assert "Most likely the password that the reference gives is not the account" in text
    assert "[28P01]" in text
    assert "not-used-by-the-fake" not in text


def test_a_store_that_does_not_answer_is_told_with_a_remedy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "https://127.0.0.1:9")
    monkeypatch.setenv("VAULT_TOKEN", "hvs.any")
    world.server.admin_secret = "vault:secret/orders"
    world.server.save()
    text = signed_in(world.erin).post(reverse("server_test", args=["orders"])).content.decode()
    assert "The secret store or identity provider does not answer. Check its address" in text
    world.server.refresh_from_db()
    assert world.server.check_ok is False
    assert "does not answer" in world.server.check_message


def test_a_server_that_answers_is_healthy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    url = urlsplit(os.environ["LOCKGATE_TEST_POSTGRESQL_URL"])
    monkeypatch.setenv("TEST_SERVER_PASSWORD", url.password or "none")
    server = world.server
    server.host, server.port, server.admin_user = url.hostname or "", url.port or 5432, url.username or ""
    server.database, server.tls = "postgres", Tls.DISABLE
    server.save()
    # There are no other databases on it, and what an access role names and is not there is in the way.
    server.roles.update(databases=["postgres"])
    response = signed_in(world.erin).post(reverse("server_test", args=["orders"]), HTTP_HX_REQUEST="true")
    text = response.content.decode()
    assert response.status_code == 200
    assert "PostgreSQL" in text
    assert "Last checked" in text
    server.refresh_from_db()
    assert server.checked_at is not None
    assert timezone.now() - server.checked_at < timedelta(minutes=1)


def test_an_auditor_watches_and_finds_no_test(pages: Pages) -> None:
    text = signed_in(pages.world.auditor).get(reverse("server", args=["orders"])).content.decode()
    assert "Test connection" not in text


NEW = {
    "name": "Billing",
    "slug": "billing",
    "engine": "postgresql",
    "environment": "staging",
    "host": "billing.test",
    "port": "5432",
    "tls": "verify-full",
    "admin_user": "lockgate",
    "admin_secret": "env:TEST_SERVER_PASSWORD",
}


def test_adding_a_server_leads_to_the_sql_to_run_on_it(world: World) -> None:
    response = signed_in(world.erin).post(reverse("server_add"), NEW, follow=True)
    text = response.content.decode()
    assert response.redirect_chain == [(reverse("server", args=["billing"]), 302)]
    assert "Now run the SQL below on the server" in text
    assert "CREATE ROLE" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"slug": "orders"}, "Another server has this short name."),
        ({"admin_secret": "hunter2"}, "It begins with a scheme, such as env:NAME or file:PATH."),
        ({"admin_secret": "env:NOT_SET_ANYWHERE"}, "The environment variable NOT_SET_ANYWHERE is empty or not set."),
        ({"admin_secret": "vault:secret/orders"}, "VAULT_ADDR is not set."),
        ({"admin_secret": "azure:my-identity"}, "are managed-identity, workload-identity, client-secret, not"),
        ({"admin_secret": "aws-iam:eu-central-1", "tls": "disable"}, "goes to the server as it is, so it needs TLS."),
        ({"slug": "Big_Name"}, "The short name takes lower-case letters"),
        ({"port": "70000"}, "less than or equal to 65535"),
        ({"engine": "fake"}, "fake is not one of the available choices"),
    ],
)
def test_a_server_that_cannot_be_added_is_told_why(world: World, change: dict[str, str], words: str) -> None:
    response = signed_in(world.erin).post(reverse("server_add"), {**NEW, **change})
    assert response.status_code == 422
    assert words in response.content.decode()
    assert 'value="billing.test"' in response.content.decode()


@pytest.mark.parametrize(
    ("engine", "port", "words"),
    [
        ("postgresql", 5432, "CREATE ROLE"),
        ("mariadb", 3306, "CREATE USER IF NOT EXISTS"),
        ("sqlserver", 1433, "GRANT ALTER ANY LOGIN TO [lockgate]"),
        ("azuresql", 1433, "ALTER SERVER ROLE [##MS_DefinitionReader##] ADD MEMBER [lockgate]"),
    ],
)
def test_every_engine_can_be_added_and_has_its_port_and_its_sql(
    world: World, engine: str, port: int, words: str
) -> None:
    new = {**NEW, "engine": engine, "slug": engine, "name": engine, "port": ""}
    text = signed_in(world.erin).post(reverse("server_add"), new, follow=True).content.decode()
    assert Server.objects.get(slug=engine).port == port
    assert words in html.unescape(text)


def test_encryption_is_on_unless_somebody_switches_it_off_and_then_it_is_shown(world: World) -> None:
    form = signed_in(world.erin).get(reverse("server_add")).content.decode()
    assert form.index("verify-full") < form.index("NOT ENCRYPTED")
    assert "not encrypted" not in show(world).lower()
    Server.objects.filter(slug="orders").update(tls=Tls.DISABLE)
    assert "Connections to this server are not encrypted." in show(world)
    assert "Not encrypted" in signed_in(world.erin).get(reverse("servers")).content.decode()
