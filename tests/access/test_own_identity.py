"""Access with people's own identity: who they are in the directory is part of what is approved, and no password is made."""

from __future__ import annotations

import pytest
from allauth.socialaccount.models import SocialAccount
from django.urls import reverse
from pytest_django import Settings

from access import provisioning
from access.errors import NoOwnIdentity
from access.models import AccessRole, Environment, Grant
from access.queries.roles import plan_of
from access.services import catalogue, grants
from access.services.catalogue.checks import OwnIdentityNotThere
from access.services.grants import NothingToShow
from access.states import GrantState
from connectors.base import Level, Secret
from tests.access.test_votes import approve
from tests.access.world import NOW, World
from tests.console.people_and_pages import signed_in

ALICE = "alice@corp.example"


@pytest.fixture
def role(world: World, settings: Settings) -> AccessRole:
    """A role on Azure SQL, in which people are themselves; Alice signs in through Entra ID."""
    settings.LOCKGATE_SSO = {"entra": object()}
    server = catalogue.add_server(
        person=world.erin,
        slug="cloud",
        name="Cloud",
        engine="azuresql",
        environment=Environment.PRODUCTION,
        host="cloud.database.windows.test",
        port=1433,
        admin_user="lockgate",
        admin_secret=world.server.admin_secret,
    )
    return catalogue.define_role(
        person=world.erin,
        slug="cloud-read",
        name="Cloud, read",
        server=server,
        policy=world.policy,
        level=Level.READ,
        databases=["orders"],
        own_identity=True,
    )


def known(world: World, account: str = ALICE) -> None:
    SocialAccount.objects.create(user=world.alice, provider="entra", uid="1", extra_data={"account": account})


def test_whom_no_directory_knows_is_refused_before_anybody_looks_at_it(world: World, role: AccessRole) -> None:
    with pytest.raises(NoOwnIdentity):
        world.ask(role=role)
    known(world, account="")
    with pytest.raises(NoOwnIdentity):
        world.ask(role=role)


def test_what_is_approved_names_the_person_and_what_runs_makes_no_account(world: World, role: AccessRole) -> None:
    known(world)
    request = world.ask(role=role)
    assert request.frozen.identity == ALICE
    plan = [statement.sql for statement in plan_of(request).provision]
    assert f"CREATE USER [{ALICE}] FROM EXTERNAL PROVIDER" in plan
    assert not any("PASSWORD" in sql for sql in plan)
    approve(world, "bob", request)
    assert Grant.objects.get(request=request).identity == ALICE


def test_there_is_no_password(world: World, role: AccessRole) -> None:
    known(world)
    request = world.ask(role=role)
    approve(world, "bob", request)
    grant = Grant.objects.get(request=request)
    password = provisioning._start(grant.pk, "worker", lambda: NOW)
    assert password == Secret("")
    assert provisioning._start(grant.pk, "another", lambda: NOW) == Secret("")
    grant.refresh_from_db()
    assert (grant.state, grant.password) == (GrantState.PROVISIONING, "")
    Grant.objects.filter(pk=grant.pk).update(state=GrantState.ACTIVE)
    with pytest.raises(NothingToShow):
        grants.reveal_password(person=world.alice, grant=grant, now=NOW)
    page = signed_in(world.alice).get(reverse("grant", args=[grant.reference])).content.decode()
    assert "Show the password" not in page


def test_a_grant_knows_as_whom_it_has_to_be_taken_away(world: World, role: AccessRole) -> None:
    known(world)
    request = world.ask(role=role)
    approve(world, "bob", request)
    grant = Grant.objects.get(request=request)
    assert provisioning.revoke_request(grant).identity == ALICE


def test_where_people_cannot_be_themselves_the_role_is_refused(world: World) -> None:
    with pytest.raises(OwnIdentityNotThere):
        catalogue.define_role(
            person=world.erin,
            slug="not-here",
            name="Not here",
            server=world.server,
            policy=world.policy,
            level=Level.READ,
            databases=["orders"],
            own_identity=True,
        )
