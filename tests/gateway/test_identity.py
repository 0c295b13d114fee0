"""Personal tokens at the gateway's door: who comes in, who does not, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
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
from gateway.errors import NotAdmitted, NotOpen, TooManyAttempts
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
def attempt(world: World, grant: Grant) -> Attempt:  # noqa: F811 - a fixture
    """Alice, with a good token."""
    _, text = tokens.make_token(person=world.alice, grant=grant, name="", now=NOW)
    return Attempt("alice@example.com", Secret(text), "orders-read", "192.0.2.1", 5000, "psql")


def at(moment: datetime = NOW) -> PersonalTokens:
    return PersonalTokens(clock=lambda: moment)


def test_a_good_token_opens_its_own_grant(attempt: Attempt, grant: Grant) -> None:  # noqa: F811 - a fixture
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


def _revoked(who: World, grant: Grant) -> None:  # noqa: F811 - a fixture
    tokens.revoke_token(person=who.alice, token=GatewayToken.objects.get(), now=NOW)


def _ended(who: World, grant: Grant) -> None:  # noqa: F811 - a fixture
    grants.end(person=who.alice, grant=grant, reason="Done", now=NOW)


def _deactivated(who: World, grant: Grant) -> None:  # noqa: F811 - a fixture
    User.objects.filter(pk=who.alice.pk).update(is_active=False)


def _other_engine(who: World, grant: Grant) -> None:  # noqa: F811 - a fixture
    Grant.objects.filter(pk=grant.pk).update(address={**grant.address, "engine": "mariadb"})


def _unsealable(who: World, grant: Grant) -> None:  # noqa: F811 - a fixture
    Grant.objects.filter(pk=grant.pk).update(password="not a seal")


_SAID = {
    _revoked: "Its token was revoked at 2026-03-02",
    _ended: "The access ended at 2026-03-02",
    _deactivated: "Its owner was deactivated",
    _other_engine: "speaks the protocol of PostgreSQL alone",
    _unsealable: "",
}


@pytest.mark.parametrize("change", list(_SAID))
def test_what_has_ended_does_not_come_in_and_its_owner_is_told_why(
    world: World,  # noqa: F811 - a fixture
    grant: Grant,  # noqa: F811 - a fixture
    attempt: Attempt,
    change: Callable[[World, Grant], None],
) -> None:
    at().identify(attempt)
    change(world, grant)
    for _ in range(identity.MOST_FAILURES + 2):
        with pytest.raises((NotOpen, NotAdmitted)) as told:
            at().identify(attempt)
        assert _SAID[change] in str(told.value)
        assert isinstance(told.value, NotOpen) == bool(_SAID[change])
    with pytest.raises(NotAdmitted):
        at().identify(replace(attempt, user="bob"))
    reasons = list(Entry.objects.filter(event=Event.GATEWAY_REFUSED).values_list("reason", flat=True))
    assert len(reasons) == 2, "A pool that goes on is in the log once a minute."


@pytest.mark.parametrize("wanted", ["customers", "orders-read/other", "orders-read/", "", "ORDERS"])
def test_a_wrong_database_is_told_what_the_token_opens_and_is_no_guess(attempt: Attempt, wanted: str) -> None:
    for _ in range(identity.MOST_FAILURES + 2):
        with pytest.raises(NotOpen, match="This token opens orders-read: write orders-read, ") as told:
            at().identify(replace(attempt, wanted=wanted))
    assert str(told.value).endswith("(orders).")
    assert at().identify(attempt).upstream.database == "orders"


def test_the_real_name_of_a_database_of_the_grant_opens_it(attempt: Attempt, grant: Grant) -> None:  # noqa: F811 - a fixture
    Grant.objects.filter(pk=grant.pk).update(
        scope={**grant.scope, "databases": ["orders", "orders/old", "orders-read"]}
    )
    for wanted, database in (
        *(("orders", "orders"), ("orders/old", "orders/old"), ("orders-read/orders", "orders")),
        *(("orders-read/orders/old", "orders/old"), (grant.reference, "orders"), ("orders-read", "orders-read")),
    ):
        assert at().identify(replace(attempt, wanted=wanted)).upstream.database == database


def test_whoever_guesses_locks_out_nobody_with_a_good_token(
    world: World,  # noqa: F811 - a fixture
    grant: Grant,  # noqa: F811 - a fixture
    attempt: Attempt,
) -> None:
    for _ in range(identity.MOST_FAILURES):
        with pytest.raises(NotAdmitted):
            at().identify(replace(attempt, password=Secret("lgt_guess")))
    with pytest.raises(TooManyAttempts):
        at().identify(replace(attempt, password=Secret("lgt_guess")))
    at().identify(attempt)
    with pytest.raises(NotOpen):
        at().identify(replace(attempt, wanted="other"))
    _ended(world, grant)
    with pytest.raises(NotOpen, match="The access ended at"):
        at().identify(attempt)


@pytest.mark.parametrize("where", ["user", "wanted", "application"])
def test_a_token_that_is_typed_in_the_wrong_place_is_in_no_log(attempt: Attempt, where: str) -> None:
    token = attempt.password.reveal()
    typed = {where: f"x {token.upper()} {token}", "password": Secret("x")}
    with pytest.raises(NotAdmitted):
        at().identify(replace(attempt, **typed))  # type: ignore[arg-type]
    if where == "wanted":
        with pytest.raises(NotOpen) as told:
            at().identify(replace(attempt, wanted=token))
        assert token not in str(told.value)
    for entry in Entry.objects.filter(event=Event.GATEWAY_REFUSED):
        assert token.lower() not in str(entry.__dict__).lower()
        assert "********" in str(entry.__dict__) or "This token opens" in str(entry.__dict__)


def test_knocking_is_throttled_and_told_once(attempt: Attempt) -> None:
    for _ in range(identity.MOST_FAILURES):
        with pytest.raises(NotAdmitted):
            at().identify(replace(attempt, user="bob"))
    for _ in range(3):
        with pytest.raises(TooManyAttempts):
            at().identify(replace(attempt, user="bob"))
    assert Entry.objects.filter(event=Event.GATEWAY_LIMITED).count() == 1
    with pytest.raises(NotAdmitted):
        at().identify(replace(attempt, user="bob", client_ip="192.0.2.2"))


def test_whatever_the_minute_no_more_than_ten_failures_are_in_it(attempt: Attempt) -> None:
    """Five on either side of where a minute of the clock begins are ten, and they go out of it as they came."""
    turn = NOW.replace(second=0) + timedelta(minutes=1)
    for seconds in (-5, 5):
        for _ in range(identity.MOST_FAILURES // 2):
            with pytest.raises(NotAdmitted):
                at(turn + timedelta(seconds=seconds)).identify(replace(attempt, user="bob"))
    for seconds in (6, 30, 54):
        with pytest.raises(TooManyAttempts):
            at(turn + timedelta(seconds=seconds)).identify(replace(attempt, user="bob"))
    for _ in range(identity.MOST_FAILURES // 2):
        with pytest.raises(NotAdmitted):
            at(turn + timedelta(seconds=61)).identify(replace(attempt, user="bob"))
    with pytest.raises(TooManyAttempts):
        at(turn + timedelta(seconds=62)).identify(replace(attempt, user="bob"))


def test_many_sessions_are_looked_up_with_one_query(
    world: World,  # noqa: F811 - a fixture
    grant: Grant,  # noqa: F811 - a fixture
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
