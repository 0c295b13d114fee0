"""Lists ask the database the same number of questions, whether they show one thing or eight."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from access import clock
from access.models import AccessRequest, Heartbeat, Server, SweepFinding
from access.models.sweeps import FindingKind
from access.services import requests
from connectors.base import Level
from people.models import User
from tests.access.world import World
from tests.console.people_and_pages import activated, approved, ask, ended, signed_in

Grow = Callable[[World, int], None]


@pytest.fixture(autouse=True)
def _the_clock_was_asked_just_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked every other second, and not by what is counted here."""
    monkeypatch.setattr(clock, "GOOD_FOR", timedelta(hours=1))


def _role(world: World, number: int, kind: str) -> AccessRequest:
    role = world.role(f"{kind}-{number}", world.policy, Level.READ)
    return ask(world, role=role)


def _waiting(world: World, number: int) -> None:
    _role(world, number, "waiting")


def _living(world: World, number: int) -> None:
    activated(approved(world, _role(world, number, "living")))


def _over(world: World, number: int) -> None:
    ended(activated(approved(world, _role(world, number, "over"))))


def _server(world: World, number: int) -> None:
    server = Server.objects.create(
        slug=f"server-{number}", name=f"Server {number}", engine="postgresql", host="h", port=1, admin_user="a"
    )
    SweepFinding.objects.create(
        server=server, kind=FindingKind.DRIFT, principal="lg_x", detail="", found_at=timezone.now()
    )


def _comment(world: World, number: int) -> None:
    request = AccessRequest.objects.order_by("id").first() or ask(world, role=world.two_people())
    author = User.objects.create_user(f"{number}@example.com")
    author.memberships.create(team=world.dba)
    requests.comment(person=User.objects.get(pk=author.pk), request=request, text="!", now=timezone.now())


def _requestable(world: World, number: int) -> None:
    world.role(f"role-{number}", world.policy)


LISTS: list[tuple[str, str, Grow]] = [
    ("home", "alice", _waiting),
    ("home", "alice", _living),
    ("home", "bob", _waiting),
    ("requests", "alice", _waiting),
    ("requests", "alice", _over),
    ("approvals", "bob", _waiting),
    ("access", "alice", _living),
    ("access", "alice", _over),
    ("access", "bob", _living),
    ("access", "auditor", _living),
    ("audit", "auditor", _waiting),
    ("servers", "erin", _server),
    ("request_new", "alice", _requestable),
    ("request", "bob", _comment),
    ("server", "erin", _requestable),
    ("pulse", "bob", _waiting),
]


@pytest.mark.parametrize(("name", "who", "grow"), LISTS, ids=[f"{n}-{w}-{g.__name__}" for n, w, g in LISTS])
def test_the_number_of_queries_does_not_grow(world: World, name: str, who: str, grow: Grow) -> None:
    Heartbeat.objects.create(worker="tests", seen_at=timezone.now() + timedelta(hours=1))
    grow(world, 0)
    one = _queries(world, name, who)
    for number in range(1, 8):
        grow(world, number)
    assert _queries(world, name, who) == one


def _queries(world: World, name: str, who: str) -> int:
    arguments = {"request": [AccessRequest.objects.order_by("id").first()], "server": [world.server.slug]}
    path = reverse(name, args=[getattr(it, "reference", it) for it in arguments.get(name, [])])
    client = signed_in(getattr(world, who))
    client.get(path)  # what is read once and kept, such as content types and templates
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)
