"""Tokens for the gateway: who makes them, what they outlive (nothing), and that their text is kept nowhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from access import provisioning
from access.content import Content
from access.errors import GrantIsOver, NotInCharge, NotThroughTheGateway, NotYours, TooManyTokens
from access.gateway_rules import rules_for, rules_to_json
from access.models import AccessRole, GatewayToken, Grant
from access.services import grants, tokens
from access.states import GrantState
from audit.events import Event
from audit.models import Entry
from connectors.base import Level
from connectors.fake.server import FakeServer
from tests.access.test_ends import active, sent, server  # noqa: F401
from tests.access.world import HOUR, NOW, World

pytestmark = pytest.mark.usefixtures("server", "sent")


@pytest.fixture
def grant(world: World, server: FakeServer) -> Grant:  # noqa: F811 - a fixture
    """An active grant of Alice whose server speaks PostgreSQL's protocol."""
    made = active(world)
    Grant.objects.filter(pk=made.pk).update(address={**made.address, "engine": "postgresql"})
    return Grant.objects.get(pk=made.pk)


def test_the_text_of_a_token_is_nowhere_in_the_database(world: World, grant: Grant) -> None:
    token, text = tokens.make_token(person=world.alice, grant=grant, name="  my   laptop ", now=NOW)
    assert text.startswith(tokens.PREFIX)
    assert token.name == "my laptop"
    assert token.digest == tokens.digest_of(text)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            quoted = connection.ops.quote_name(table)
            cursor.execute(f"SELECT count(*) FROM {quoted} t WHERE strpos(t::text, %s) > 0", [text])
            assert cursor.fetchone() == (0,), table
    assert Entry.objects.filter(event=Event.TOKEN_MADE).count() == 1


def test_only_the_owner_makes_one(world: World, grant: Grant) -> None:
    for person in (world.bob, world.erin, world.oscar):
        with pytest.raises(NotYours):
            tokens.make_token(person=person, grant=grant, name="", now=NOW)
    assert not GatewayToken.objects.exists()


def test_none_is_made_after_the_window_or_the_end(world: World, grant: Grant) -> None:
    with pytest.raises(GrantIsOver):
        tokens.make_token(person=world.alice, grant=grant, name="", now=grant.ends_at + timedelta(seconds=1))
    grants.end(person=world.alice, grant=grant, reason="Done", now=NOW)
    with pytest.raises(GrantIsOver):
        tokens.make_token(person=world.alice, grant=grant, name="", now=NOW)


def test_another_engine_is_refused_with_its_sentence(world: World, grant: Grant) -> None:
    Grant.objects.filter(pk=grant.pk).update(address={**grant.address, "engine": "mariadb"})
    with pytest.raises(NotThroughTheGateway):
        tokens.make_token(person=world.alice, grant=grant, name="", now=NOW)


def test_there_are_at_most_so_many_and_a_revoked_one_makes_room(
    world: World, grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MOST_TOKENS", 2)
    first, _ = tokens.make_token(person=world.alice, grant=grant, name="", now=NOW)
    tokens.make_token(person=world.alice, grant=grant, name="", now=NOW)
    with pytest.raises(TooManyTokens):
        tokens.make_token(person=world.alice, grant=grant, name="", now=NOW)
    tokens.revoke_token(person=world.alice, token=first, now=NOW)
    tokens.make_token(person=world.alice, grant=grant, name="", now=NOW)


def test_whoever_may_end_the_grant_revokes_once(world: World, grant: Grant) -> None:
    token, _ = tokens.make_token(person=world.alice, grant=grant, name="", now=NOW)
    with pytest.raises(NotInCharge):
        tokens.revoke_token(person=world.oscar, token=token, now=NOW)
    tokens.revoke_token(person=world.bob, token=token, now=NOW)
    tokens.revoke_token(person=world.alice, token=token, now=NOW + HOUR)
    token.refresh_from_db()
    assert (token.revoked_at, token.revoked_by) == (NOW, world.bob)
    assert Entry.objects.filter(event=Event.TOKEN_REVOKED).count() == 1


def test_the_password_stays_sealed_after_it_was_shown(world: World, grant: Grant) -> None:
    grants.reveal_password(person=world.alice, grant=grant, now=NOW)
    grant.refresh_from_db()
    assert grant.password
    assert tokens.why_not_through_the_gateway(grant) == ""


def test_the_password_is_destroyed_at_the_end(world: World, grant: Grant) -> None:
    grants.reveal_password(person=world.alice, grant=grant, now=NOW)
    Grant.objects.filter(pk=grant.pk).update(address={**grant.address, "engine": "fake"})
    grants.end(person=world.alice, grant=grant, reason="Done", now=NOW)
    provisioning.revoke(grant_id=grant.pk, claimant="w", clock=lambda: NOW + timedelta(seconds=1))
    grant.refresh_from_db()
    assert (grant.state, grant.password) == (GrantState.REVOKED, "")


def test_the_rules_are_frozen_at_approval(world: World, grant: Grant) -> None:
    assert grant.state == GrantState.ACTIVE
    frozen = rules_to_json(rules_for(Level.READ))
    assert grant.gateway == frozen
    AccessRole.objects.filter(pk=world.read.pk).update(gateway={**frozen, "keep": "text"})
    grant.refresh_from_db()
    assert grant.gateway == frozen


def test_a_content_of_before_the_gateway_keeps_its_hash(world: World, grant: Grant) -> None:
    stored = dict(grant.request.content)
    with_rules = Content.from_json(stored, grant.request.content_hash)
    assert with_rules.gateway == rules_for(Level.READ)
    old = with_rules.changed(gateway=None)
    assert "gateway" not in old.to_json()
    assert old.hash != with_rules.hash
    assert Content.from_json(old.to_json(), old.hash) == old
