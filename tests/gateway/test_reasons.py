"""Why a session ended, in the words that its client gets: what ended, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from access.models import GatewayToken, Grant
from access.services import grants, tokens
from connectors.base import Secret
from gateway import identity
from gateway.admission import Admitted, Attempt, Ended
from gateway.identity import PersonalTokens
from people.models import User
from tests.access.conftest import world  # noqa: F401
from tests.access.test_ends import sent, server  # noqa: F401
from tests.access.test_tokens import grant  # noqa: F401
from tests.access.world import NOW, World

pytestmark = pytest.mark.usefixtures("server", "sent")

LATER = NOW + timedelta(minutes=20)


@pytest.fixture
def session(world: World, grant: Grant, monkeypatch: pytest.MonkeyPatch) -> Admitted:  # noqa: F811 - a fixture
    """Alice is in."""
    # Inside the test's transaction the connection has to stay.
    monkeypatch.setattr(identity, "close_old_connections", lambda: None)
    _, text = tokens.make_token(person=world.alice, grant=grant, name="", now=NOW)
    attempt = Attempt("alice", Secret(text), "orders-read", "192.0.2.41", 5000, "psql")
    return PersonalTokens(clock=lambda: NOW).identify(attempt)


def asked(session: Admitted, at: datetime = LATER) -> tuple[datetime, Ended | None]:
    return PersonalTokens(clock=lambda: at).ended([session])[session.credential_id, session.grant_id]


def revoked(who: World, given: Grant) -> None:
    tokens.revoke_token(person=who.alice, token=GatewayToken.objects.get(), now=LATER)


def given_back(who: World, given: Grant) -> None:
    grants.end(person=who.alice, grant=given, reason="Done", now=LATER)


def switched_off(who: World, given: Grant) -> None:
    User.objects.filter(pk=who.alice.pk).update(is_active=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (revoked, "Its token was revoked at 2026-03-02 09:20:00 UTC."),
        (given_back, "The access ended at 2026-03-02 09:20:00 UTC."),
        (switched_off, "Its owner was deactivated, as seen at 2026-03-02 09:20:00 UTC."),
    ],
)
def test_it_says_what_ended_and_when(
    world: World,  # noqa: F811 - a fixture
    grant: Grant,  # noqa: F811 - a fixture
    session: Admitted,
    change: Callable[[World, Grant], None],
    words: str,
) -> None:
    assert asked(session) == (grant.ends_at, None)
    change(world, grant)
    assert asked(session)[1] == Ended(words)


def test_the_window_is_half_open(grant: Grant, session: Admitted) -> None:  # noqa: F811 - a fixture
    assert asked(session, grant.ends_at - timedelta(microseconds=1))[1] is None
    ended = asked(session, grant.ends_at)[1]
    assert ended == Ended(f"The access ended at {grant.ends_at:%Y-%m-%d %H:%M:%S} UTC.")


def test_an_extension_is_told(grant: Grant, session: Admitted) -> None:  # noqa: F811 - a fixture
    longer = grant.ends_at + timedelta(hours=2)
    Grant.objects.filter(pk=grant.pk).update(ends_at=longer)
    assert asked(session, grant.ends_at) == (longer, None)
