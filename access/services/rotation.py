"""Rotating the password of Lockgate's own account on a server: who may, when not, and what the audit trail keeps of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from access.credentials import writable_store
from access.credentials.cache import CACHE
from access.credentials.references import same_place
from access.credentials.rotation import rotate
from access.errors import AccessError, Refused, Stale
from access.models import Grant, Server
from access.rules import may_manage_servers
from access.services.door import actor_of
from access.states import LIVING
from access.targets import account_of, connect, make_password
from audit.events import Event
from audit.log import Actor, Subject, record
from connectors.base import JournalEntry
from connectors.errors import ConnectorError
from people.models import User

#: The first of the two numbers of this kind of advisory lock; the other is the server's.
_ROTATION_LOCK = 0x20747


class SecretShared(Refused):
    """Other servers use the same secret and would be locked out. Give each server a secret of its own first."""


class GrantsElsewhere(Refused):
    """Access still lives at an earlier address of this server, where the password would stay the old one. Wait for its end."""


class RotationUnderWay(Stale):
    """The password of this server's account is being changed right now. Look at the server's history in a moment."""


def rotate_admin_secret(*, person: User, server: Server) -> None:
    """Rotate, as an administrator at the console. Raises what `rotate_as` raises, and `Refused`."""
    if not may_manage_servers(person):
        raise Refused("Only administrators change the password of Lockgate's account.")
    rotate_as(actor=actor_of(person), server=server)


def rotate_as(*, actor: Actor, server: Server) -> None:
    """Make a new password for Lockgate's account on the server, prove it, and only then forget the old one.

    Raises an `AccessError` or a `ConnectorError`; either way Lockgate still gets in.
    """
    with _alone(server):
        attempt = _Attempt(actor, server)
        attempt.record(Event.SERVER_SECRET_ROTATING)
        try:
            _refuse_if_others_would_suffer(server)
            account = account_of(server)
            store = writable_store(server.admin_secret, account)
            with connect(server) as connector:
                rotate(connector=connector, store=store, make=make_password, journal=attempt.note)
            CACHE.forget((server.admin_secret, account))
        except (AccessError, ConnectorError) as error:
            attempt.record(Event.SERVER_SECRET_ROTATION_FAILED, reason=str(error))
            raise
        attempt.record(Event.SERVER_SECRET_ROTATED)


class _Attempt:
    """What the audit trail gets of one rotation: that it began, how it went, and a hash of each statement."""

    def __init__(self, actor: Actor, server: Server) -> None:
        self._actor = actor
        self._subject = Subject("server", server.slug, server.name)
        self._statements: list[dict[str, str]] = []

    def note(self, entry: JournalEntry) -> None:
        """The statement itself carries a verifier of the password; its hash finds it in the server's own log."""
        outcome = "refused" if entry.error else "done"
        self._statements.append({"sha256": entry.digest, "at": entry.at.isoformat(), "outcome": outcome})

    def record(self, event: Event, reason: str = "") -> None:
        """One entry."""
        after: dict[str, Any] = {"statements": self._statements} if self._statements else {}
        with transaction.atomic():
            record(event, actor=self._actor, subject=self._subject, after=after, reason=reason)


def _refuse_if_others_would_suffer(server: Server) -> None:
    """Raises `SecretShared` or `GrantsElsewhere`."""
    account = account_of(server)
    for other in Server.objects.exclude(pk=server.pk):
        if same_place(other.admin_secret, server.admin_secret) and account_of(other) != account:
            raise SecretShared(f"{other.slug} is one of them.")
    living = Grant.objects.filter(server=server, state__in=LIVING)
    if any(_place(grant.address) != _place(server.address) for grant in living):
        raise GrantsElsewhere


def _place(address: dict[str, Any]) -> tuple[Any, Any]:
    return address["host"], address["port"]


@contextmanager
def _alone(server: Server) -> Iterator[None]:
    """While nobody else rotates this server's secret; the lock ends with the connection, so a crash leaves none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_ROTATION_LOCK, server.pk])
        if not cursor.fetchone()[0]:
            raise RotationUnderWay
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_ROTATION_LOCK, server.pk])
