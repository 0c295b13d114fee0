"""What answers at a server's address is another one than before: an administrator says what it is."""

from __future__ import annotations

from django.db import models, transaction

from access.errors import Stale
from access.models import Grant, Server
from access.recognition import twins_of
from access.services.catalogue.checks import check_administrator
from access.services.door import actor_of
from access.states import LIVING
from audit.events import Event
from audit.log import Subject, record
from people.models import User


class Seen(models.TextChoices):
    """What an administrator says of the server that answers."""

    BECAME = "became", "The same server, upgraded or moved with its accounts"
    ANOTHER = "another", "Another server: the accounts stayed where they were"
    SAME = "same", "The same server under another address"
    COPY = "copy", "A copy of it: restored from a backup, or cloned"


class NothingToConfirm(Stale):
    """Nothing has to be confirmed here, or something else answers meanwhile. Look at the server's page again."""


def answers_for(server: Server) -> list[Seen]:
    """What there is to choose from."""
    if server.stranger_since is None:
        return []
    twins = bool(twins_of(server, server.found_identity))
    if not server.identity:
        return [Seen.SAME, Seen.COPY]
    return [Seen.BECAME, Seen.ANOTHER, *([Seen.COPY] if twins else [])]


def confirm_identity(*, person: User, server: Server, found: str, seen: Seen) -> Server:
    """From now on the server is what answers. `found` is what the administrator was shown. Raises `NothingToConfirm`.

    With `Seen.BECAME` the living accounts of the server are looked for where it answers now; else they stay known by the
    server on which they were made, and no receipt is written from this one.
    """
    check_administrator(person)
    with transaction.atomic():
        row = Server.objects.select_for_update(of=("self",), no_key=True).get(pk=server.pk)
        if row.found_identity != found or seen not in answers_for(row):
            raise NothingToConfirm
        before = row.identity
        row.identity, row.is_copy = found, seen is Seen.COPY
        row.found_identity, row.stranger_since = "", None
        row.checked_at, row.check_ok, row.check_message = None, None, ""
        row.save()
        followed = 0
        if seen is Seen.BECAME:
            living = Grant.objects.filter(server=row, server_identity=before, state__in=LIVING)
            followed = living.update(server_identity=found)
        record(
            Event.SERVER_CONFIRMED,
            actor=actor_of(person),
            subject=Subject("server", row.slug, row.name),
            before={"server_identity": before},
            after={"server_identity": found, "seen_as": str(seen), "followed": followed},
            reason=str(seen.label),
        )
    return row
