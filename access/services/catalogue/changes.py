"""What every change of the catalogue has in common: noticing somebody else's, recording, telling, holding back.

A change is compared before and after, also in what it gives to the person who makes it. What it lets them take without
anybody's consent is held back until another administrator confirms it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from access import queueing
from access.audience import Way, ways_of
from access.errors import Refused, Stale
from access.models import AccessRole, HeldBack, Policy, SecretUse, Server
from access.services.catalogue.checks import check_administrator
from access.services.door import actor_of
from audit.events import Event
from audit.log import Actor, Subject, record
from people.models import User

Changeable = TypeVar("Changeable", Policy, AccessRole, Server)

#: What somebody may do with which access roles.
Ways = dict[AccessRole, frozenset[Way]]

#: Ways that need nobody else's consent.
_ALONE = frozenset({Way.AT_ONCE, Way.GLASS})
_MOST_GAINS = 50
#: Any number that no other advisory lock of the console's database uses.
_CATALOGUE_LOCK = 0x10C6A7E


class EditedMeanwhile(Stale):
    """This was changed after you opened it, so nothing of yours was saved yet. Look at what changed, then save again."""


class NotYourOwnRight(Refused):
    """Another administrator has to confirm this: it is a right that you gave to yourself."""


class NotYourOwnSecret(Refused):
    """Another administrator has to confirm this: it is you who wants the secret sent to this address."""


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """A transaction that no other change of the catalogue runs beside.

    What a change gives to its author depends on policy, role and server together: two changes at the same instant, each
    harmless by what it can see of the other, must not add up to a right that nobody noticed.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CATALOGUE_LOCK])
        yield


def locked(model: type[Changeable], pk: int, revision: int) -> Changeable:
    """The row, locked until the end of the transaction; raises `EditedMeanwhile` when it is not at `revision`."""
    row = model._default_manager.select_for_update(of=("self",), no_key=True).get(pk=pk)
    if row.revision != revision:
        raise EditedMeanwhile
    return row


def with_consent_only(had: Ways) -> Ways:
    """The same without what needs nobody's consent: to be gained anew, since it has become more."""
    return {role: ways - _ALONE for role, ways in had.items()}


def ways_on(person: User, roles: QuerySet[AccessRole]) -> Ways:
    """What the person may do with each of the roles, read now; nothing where role or server is switched off."""
    rows = roles.select_related("server", "policy__break_glass_team")
    ways: Ways = {}
    for role in rows.prefetch_related("policy__requesters", "policy__steps__team"):
        rules = role.policy.rules() if role.policy and role.is_enabled and role.server.is_enabled else None
        ways[role] = ways_of(teams=person.team_slugs, rules=rules, role=role.guarded)
    return ways


def record_added(
    event: Event,
    *,
    person: User,
    subject: Subject,
    after: Mapping[str, Any],
    roles: QuerySet[AccessRole] | None = None,
    related: Sequence[Subject] = (),
) -> None:
    """Write the entry about something new, and tell the other administrators."""
    gained = _gained({}, ways_on(person, roles)) if roles is not None else {}
    _record(event, person, subject, None, dict(after), gained, related)


def record_changed(
    event: Event,
    *,
    person: User,
    subject: Subject,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    had: Ways,
    roles: QuerySet[AccessRole],
    revision: int,
    related: Sequence[Subject] = (),
) -> None:
    """Write the entry about a change, with only what differs, and tell the other administrators.

    `had` is what the person could do with `roles` before. `revision` is the one that the change made.
    """
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    then = {name: before.get(name) for name in names}
    now = {name: after.get(name) for name in names}
    gained = _gained(had, ways_on(person, roles))
    _record(event, person, subject, then, {**now, "revision": revision}, gained, related)


def _record(
    event: Event,
    person: User,
    subject: Subject,
    before: dict[str, Any] | None,
    after: dict[str, Any],
    gained: Ways,
    related: Sequence[Subject],
) -> None:
    for role, ways in gained.items():
        if ways & _ALONE:
            HeldBack.objects.get_or_create(person=person, role=role)
    if gives := [way.of(role.name) for role, ways in gained.items() for way in sorted(ways)]:
        after["gives_the_actor"] = gives[:_MOST_GAINS]
    entry = record(event, actor=actor_of(person), subject=subject, before=before, after=after, related=related)
    queueing.tell_administrators_on_commit(entry.seq)


def _gained(had: Ways, has: Ways) -> Ways:
    gained = {role: ways - had.get(role, frozenset()) for role, ways in has.items()}
    return {role: ways for role, ways in gained.items() if ways}


def confirm_secret(*, actor: Actor, person: User | None, use: SecretUse) -> None:
    """Somebody else than who asked agrees that the secret goes to the address; without a person, whoever runs the machine."""
    if person is not None:
        check_administrator(person)
        if use.asked_by_id == person.pk:
            raise NotYourOwnSecret
    with one_at_a_time():
        found = SecretUse.objects.select_for_update(of=("self",)).select_related("server").filter(pk=use.pk).first()
        if found is None or found.confirmed_at is not None:
            raise Stale("It was confirmed already.")
        found.confirmed_at = timezone.now()
        found.save(update_fields=["confirmed_at"])
        record(
            Event.SERVER_SECRET_CONFIRMED,
            actor=actor,
            subject=Subject("server", found.server.slug, found.server.name),
            after={
                "host": found.host,
                "port": found.port,
                "tls": found.tls,
                "tls_ca_file": found.tls_ca_file,
                "source": found.scheme,
            },
        )


def confirm_right(*, person: User, held: HeldBack) -> None:
    """Another administrator agrees that whoever changed the rules may use them in their own favour."""
    check_administrator(person)
    if held.person_id == person.pk:
        raise NotYourOwnRight
    with one_at_a_time():
        rows = HeldBack.objects.select_for_update(of=("self",)).select_related("role", "person")
        found = rows.filter(pk=held.pk).first()
        if found is None:
            raise Stale("It was confirmed already.")
        found.delete()
        record(
            Event.ROLE_CONFIRMED,
            actor=actor_of(person),
            subject=Subject("role", found.role.slug, found.role.name),
            related=[Subject("person", str(found.person_id), found.person.email)],
        )
