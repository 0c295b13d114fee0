"""A world with pages in it: the people of `tests.access.world`, and requests and grants in every state that a page shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from allauth.account.internal.flows.login import (
    AUTHENTICATION_METHODS_SESSION_KEY,
    clear_authentication_records,
    record_authentication,
)
from django.db import transaction
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from access.models import AccessRequest, Grant, Heartbeat
from access.models.grants import Direction, EndReason
from access.sealing import seal
from access.services import votes
from access.states import GrantState
from connectors.base import Secret
from people.models import User
from tests.access.world import HOUR, World

PASSWORD = "3xTr4-s3cret_pa55word"


@contextmanager
def undone() -> Iterator[None]:
    """What is done to the database inside is undone at the end: one world serves many tries, each of which finds it new.

    By a savepoint and not by a transaction, which would be taken for one of the product.
    """
    before = transaction.savepoint()
    try:
        yield
    finally:
        transaction.savepoint_rollback(before)


def signed_in(person: User | None) -> Client:
    """A browser in which the person has just signed in; nobody is, for None."""
    client = Client()
    if person is not None:
        client.force_login(person)
        authenticated(client, person, timezone.now())
    return client


def authenticated(client: Client, person: User, at: datetime) -> None:
    """The person last showed then, in this browser, that it is them: `force_login` asks for no password."""
    request = HttpRequest()
    request.session = client.session
    clear_authentication_records(request)
    record_authentication(request, person, method="password")
    request.session[AUTHENTICATION_METHODS_SESSION_KEY][-1]["at"] = at.timestamp()
    request.session.save()


def approved(world: World, request: AccessRequest, now: datetime | None = None) -> Grant:
    """What Bob's yes makes of the request."""
    votes.approve(
        person=world.bob,
        request=request,
        content_hash=request.content_hash,
        now=now or timezone.now(),
        authenticated_at=now or timezone.now(),
    )
    return Grant.objects.get(request=request)


def activated(grant: Grant, *, left: timedelta = HOUR) -> Grant:
    """The grant as a worker leaves it when its account works."""
    now = timezone.now()
    grant.state = GrantState.ACTIVE
    grant.starts_at = grant.activated_at = now + left - grant.duration
    grant.ends_at = now + left
    grant.password = seal(Secret(PASSWORD))
    grant.save()
    grant.journal.create(direction=Direction.PROVISION, at=now, database="orders", sql='CREATE ROLE "lg_x" LOGIN')
    return grant


def ended(grant: Grant, *, reason: EndReason = EndReason.EXPIRED) -> Grant:
    """The grant as a worker leaves it when its account is proved gone."""
    now = timezone.now()
    grant.state = GrantState.REVOKED
    grant.end_reason, grant.ending_since, grant.closed_at, grant.password = reason, now, now, ""
    grant.activated_at = grant.activated_at or now
    grant.receipt = {
        "principal": grant.principal,
        "server_time": now.isoformat(),
        "findings": [{"question": "the account", "sql": "SELECT 1", "found": [], "database": ""}],
        "handed_over": [],
        "unreadable": [],
        "errors": [],
        "sessions_ended": 2,
        "is_clean": True,
    }
    grant.save()
    grant.journal.create(direction=Direction.REVOKE, at=now, sql='DROP ROLE "lg_x"')
    return grant


@dataclass(slots=True)
class Pages:
    """A world, and one of everything to look at."""

    world: World
    pending: AccessRequest
    active: Grant
    over: Grant


def with_pages(world: World) -> Pages:
    """Alice has one access, had another one, and waits for a third. A worker lives."""
    # Plans and hints need a real engine's connector, and ask the server nothing.
    world.server.engine = "postgresql"
    world.server.save()
    Heartbeat.objects.create(worker="tests", seen_at=timezone.now() + timedelta(hours=1))
    over = ended(activated(approved(world, ask(world))))
    active = activated(approved(world, ask(world)))
    return Pages(world, ask(world, role=world.two_people()), active, over)


def ask(world: World, **wishes: Any) -> AccessRequest:
    """Alice asks, now."""
    return world.ask(now=timezone.now(), **wishes)
