"""Personal tokens at the gateway's door: who comes in, who does not, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from access.gateway_rules import rules_for
from access.models import GatewayToken, Grant
from access.services import grants, tokens
from audit.events import Event
from audit.models import Entry
from connectors.base import Level, Secret
from gateway import identity
from gateway.admission import Attempt
from gateway.errors import NotAdmitted, TooManyAttempts
from gateway.identity import PersonalTokens
from people.models import User
from tests.access.conftest import world  # noqa: F401
from tests.access.test_ends import sent, server  # noqa: F401
from tests.access.test_tokens import grant  # noqa: F401
from tests.access.world import NOW, World

pytestmark = pytest.mark.usefixtures("server", "sent")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside the test's transaction the connection has to stay."""
    monkeypatch.setattr(identity, "close_old_connections", lambda: None)


@pytest.fixture
def attempt(world: World, grant: Grant) -> Attempt:  # noqa: F811
    """Alice, with a good token."""
    _, text = tokens.make_token(person=world.alice, grant=grant, name="", now=NOW)
    return Attempt("alice@example.com", Secret(text), "orders-read", "192.0.2.1", 5000, "psql")


def at(moment: datetime = NOW) -> PersonalTokens:
    return PersonalTokens(clock=lambda: moment)


def test_a_good_token_opens_its_own_grant(attempt: Attempt, grant: Grant) -> None:  # noqa: F811
    for user, wanted in (("alice", grant.reference), ("ALICE@example.com", "orders-read/orders")):
        admitted = at().identify(replace(attempt, user=user, wanted=wanted))
        assert (admitted.grant_id, admitted.upstream.user) == (grant.pk, grant.principal)
        assert (admitted.upstream.database, admitted.rules) == ("orders", rules_for(Level.READ))
    assert GatewayToken.objects.get().used_at == NOW


@pytest.mark.parametrize(
    "wrong",
    [
        {"user": "bob@example.com"},
        {"user": ""},
        {"wanted": "orders"},
        {"wanted": "orders-read/other"},
        {"password": Secret("lgt_no")},
        {"password": Secret("\ud800")},
    ],
)
def test_whatever_is_wrong_the_answer_is_the_same_and_audited(attempt: Attempt, wrong: dict[str, object]) -> None:
    with pytest.raises(NotAdmitted) as told:
        at().identify(replace(attempt, **wrong))  # type: ignore[arg-type]
    assert told.value.args == NotAdmitted().args
    entry = Entry.objects.get(event=Event.GATEWAY_REFUSED)
    assert attempt.password.reveal() not in str(entry.__dict__)


def _revoked(who: World, grant: Grant) -> None:  # noqa: F811
    tokens.revoke_token(person=who.alice, token=GatewayToken.objects.get(), now=NOW)


def _ended(who: World, grant: Grant) -> None:  # noqa: F811
    grants.end(person=who.alice, grant=grant, reason="Done", now=NOW)


def _deactivated(who: World, grant: Grant) -> None:  # noqa: F811
    User.objects.filter(pk=who.alice.pk).update(is_active=False)


def _other_engine(who: World, grant: Grant) -> None:  # noqa: F811
    Grant.objects.filter(pk=grant.pk).update(address={**grant.address, "engine": "mariadb"})


def _unsealable(who: World, grant: Grant) -> None:  # noqa: F811
    Grant.objects.filter(pk=grant.pk).update(password="not a seal")


@pytest.mark.parametrize("change", [_revoked, _ended, _deactivated, _other_engine, _unsealable])
def test_what_has_ended_does_not_come_in(world: World, grant: Grant, attempt: Attempt, change) -> None:  # type: ignore[no-untyped-def]  # noqa: F811
    at().identify(attempt)
    change(world, grant)
    with pytest.raises(NotAdmitted) as told:
        at().identify(attempt)
    assert told.value.args == NotAdmitted().args
    assert Entry.objects.filter(event=Event.GATEWAY_REFUSED).count() == 1


def test_knocking_is_throttled_and_told_once(attempt: Attempt) -> None:
    for _ in range(identity.MOST_FAILURES):
        with pytest.raises(NotAdmitted):
            at().identify(replace(attempt, user="bob"))
    for _ in range(3):
        with pytest.raises(TooManyAttempts):
            at().identify(attempt)
    assert Entry.objects.filter(event=Event.GATEWAY_LIMITED).count() == 1
    at().identify(replace(attempt, client_ip="192.0.2.2"))


def test_whatever_the_minute_no_more_than_ten_failures_are_in_it(attempt: Attempt) -> None:
    """Five on either side of where a minute of the clock begins are ten, and they go out of it as they came."""
    turn = NOW.replace(second=0) + timedelta(minutes=1)
    for seconds in (-5, 5):
        for _ in range(identity.MOST_FAILURES // 2):
            with pytest.raises(NotAdmitted):
                at(turn + timedelta(seconds=seconds)).identify(replace(attempt, user="bob"))
    for seconds in (6, 30, 54):
        with pytest.raises(TooManyAttempts):
            at(turn + timedelta(seconds=seconds)).identify(attempt)
    at(turn + timedelta(seconds=60)).identify(attempt)
    for _ in range(identity.MOST_FAILURES // 2):
        with pytest.raises(NotAdmitted):
            at(turn + timedelta(seconds=61)).identify(replace(attempt, user="bob"))
    with pytest.raises(TooManyAttempts):
        at(turn + timedelta(seconds=62)).identify(attempt)


def test_many_sessions_are_looked_up_with_one_query(
    world: World,  # noqa: F811
    grant: Grant,  # noqa: F811
    attempt: Attempt,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    sessions = [at().identify(attempt)]
    for _ in range(4):
        _, text = tokens.make_token(person=world.alice, grant=grant, name="", now=NOW)
        sessions.append(at().identify(replace(attempt, password=Secret(text))))
    GatewayToken.objects.filter(pk=sessions[1].credential_id).update(revoked_at=NOW)
    GatewayToken.objects.filter(pk=sessions[2].credential_id).delete()
    with django_assert_num_queries(1):
        found = at().ended(sessions)
    over = [found[session.credential_id, grant.pk][1] is not None for session in sessions]
    assert over == [False, True, True, False, False]
    late = at(grant.ends_at + timedelta(seconds=1)).ended(sessions)
    assert all(ended is not None for _, ended in late.values())
