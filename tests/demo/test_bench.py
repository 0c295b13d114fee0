"""What the benchmark is made of: a person over HTTP reads the real pages right, and a prober is not easily satisfied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from access import provisioning
from access.demo import estates, people
from access.models import Grant
from access.services import grants
from deploy.local.stack import Stack
from tests.bench.console import PageError, Person
from tests.bench.lifecycle import percentile
from tests.bench.prober import FAILED, Place, hold, run
from tests.demo.conftest import load_demo

pytestmark = [
    pytest.mark.xdist_group("demo"),
    # WhiteNoise says so when nothing has been collected, and nothing has to be for these tests.
    pytest.mark.filterwarnings("ignore:No directory at"),
]


@pytest.fixture(params=["orders-read", "catalogue-write"])
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(demo: Stack, role: str) -> Place:
    """Where the role is of use, with the data on it."""
    if role == "orders-read":
        estates.orders()
        return Place("postgresql", urlsplit(demo.orders.url), "orders")
    estates.catalogue()
    return Place("mariadb", urlsplit(demo.catalogue.url), "catalogue")


@pytest.fixture
def signed_in(demo: Stack, live_server: LiveServer) -> Iterator[dict[str, Person]]:
    """Alice and Bob, each in front of a browser."""
    load_demo()
    both = {name: Person(live_server.url, f"{name}@demo.example", people.PASSWORD) for name in ("alice", "bob")}
    yield both
    for person in both.values():
        person.close()


def test_a_grant_is_asked_for_approved_and_used_over_http(
    signed_in: dict[str, Person], role: str, place: Place
) -> None:
    alice, bob = signed_in["alice"], signed_in["bob"]
    reference = alice.ask(role, 1, "Measured")
    assert alice.grant_of(reference) == ""
    bob.approve(reference, bob.content_hash(reference))
    shown = alice.grant_of(reference)
    assert alice.reveal(shown) is None  # no worker has made it yet
    grant = Grant.objects.get(reference=shown)
    provisioning.provision(grant_id=grant.pk, claimant="test")
    credentials = alice.reveal(shown)
    grant.refresh_from_db()
    assert credentials is not None
    assert (credentials.principal, credentials.ends_at) == (grant.principal, grant.ends_at)

    held = hold(place, credentials)
    held.look()
    assert held.works()
    assert not held.is_gone
    grants.end(person=grant.person, grant=grant, reason="", now=timezone.now())
    provisioning.revoke(grant_id=grant.pk, claimant="test")
    ended = timezone.now()
    held.look()
    assert held.is_gone
    assert timedelta(0) <= timezone.now() - ended < timedelta(seconds=5)


def test_an_account_that_may_log_in_is_not_gone_though_its_session_is(place: Place, account: str) -> None:
    with closing(place.log_in(account, "pw")) as session:
        end_sessions(place, account)
        with pytest.raises(FAILED):
            run(session, "SELECT 1")
    assert not place.refuses(account, "pw")
    assert place.refuses(account, "wrong")


def test_a_full_server_is_not_taken_for_a_refusal(place: Place, account: str) -> None:
    with closing(place.as_root()) as root:
        limit_to_one(root, place, account)
        with closing(place.log_in(account, "pw")):
            assert not place.refuses(account, "pw")


def test_a_server_that_is_away_is_not_taken_for_a_refusal(place: Place) -> None:
    away = Place(place.engine, urlsplit("any://nobody:pw@127.0.0.1:1/"), place.database)
    assert not away.refuses("nobody", "pw")


def test_what_a_person_may_not_do_is_an_error_and_no_result(signed_in: dict[str, Person]) -> None:
    reference = signed_in["alice"].ask("orders-read", 1, "Measured")
    with pytest.raises(PageError, match="nothing to approve"):
        signed_in["alice"].content_hash(reference)
    with pytest.raises(PageError):
        signed_in["bob"].ask("orders-read", 1, "May Bob ask?")


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2.0), (0.95, 4.0), (0.25, 1.0)])
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    assert percentile([4.0, 2.0, 1.0, 3.0], share) == expected


@pytest.fixture
def account(demo: Stack, place: Place) -> Iterator[str]:
    """An account that Lockgate did not make, with the password 'pw'."""
    name, kind = "bench_somebody", "ROLE" if place.engine == "postgresql" else "USER"
    identified = "LOGIN PASSWORD" if kind == "ROLE" else "IDENTIFIED BY"
    with closing(place.as_root()) as root:
        command(root, f"CREATE {kind} {name} {identified} 'pw'")
        command(
            root,
            f"GRANT CONNECT ON DATABASE orders TO {name}"
            if kind == "ROLE"
            else f"GRANT SELECT ON catalogue.* TO {name}",
        )
        yield name
        end_sessions(place, name)
        if kind == "ROLE":
            command(root, f"DROP OWNED BY {name}")
        command(root, f"DROP {kind} {name}")


def command(root: object, statement: str) -> None:
    cursor = root.cursor()  # type: ignore[attr-defined]
    cursor.execute(statement)
    cursor.close()


def end_sessions(place: Place, account: str) -> None:
    with closing(place.as_root()) as root:
        if place.engine == "postgresql":
            run(root, f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{account}'")
        else:
            command(root, f"KILL USER {account}")


def limit_to_one(root: object, place: Place, account: str) -> None:
    if place.engine == "postgresql":
        command(root, f"ALTER ROLE {account} CONNECTION LIMIT 1")
    else:
        command(root, f"ALTER USER {account} WITH MAX_USER_CONNECTIONS 1")
