"""Databases of a server that nobody can open any more: written down by name, once, so that no revocation waits for them."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from access.models import Server
from access.services.catalogue.checks import check_administrator, check_printable
from access.services.door import actor_of
from audit.events import Event
from audit.log import Subject, record
from people.models import User


def write_down_shut(*, person: User, server: Server, databases: Sequence[str]) -> Server:
    """From now on these databases, and no others, are known to be shut. What may be left in them is told in each receipt."""
    check_administrator(person)
    check_printable(databases)
    with transaction.atomic():
        row = Server.objects.select_for_update(of=("self",), no_key=True).get(pk=server.pk)
        before, row.known_shut = row.known_shut, sorted(set(databases))
        if row.known_shut == before:
            return row
        row.save(update_fields=["known_shut"])
        record(
            Event.SERVER_SHUT_KNOWN,
            actor=actor_of(person),
            subject=Subject("server", row.slug, row.name),
            before={"databases": before},
            after={"databases": row.known_shut},
        )
    return row
