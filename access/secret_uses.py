"""To which addresses a secret of Lockgate's own accounts may be sent. Asked before a secret is fetched for a connection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from access.credentials import Account
from access.credentials.places import host_of, names_another, place_of
from access.errors import SecretUnavailable
from access.models import SecretUse, Server
from connectors.registry import sends_secrets
from people.models import User


class SecretHeld(SecretUnavailable):
    """The secret of this server belongs to another address, and was not sent. Another administrator has to confirm it first."""


def require_bound(server: Server, account: Account) -> None:
    """Raises `SecretHeld` unless the server's secret may be sent to the account's address."""
    if not sends_secrets(account.engine):
        return
    use = bind(server, account, asked_by=None, now=timezone.now())
    if use.confirmed_at is None:
        raise SecretHeld(f"{use.host}:{use.port}.")


def bind(server: Server, account: Account, *, asked_by: User | None, now: datetime) -> SecretUse:
    """What is known of the server's secret at this address: new where nobody asked before, and then free only if the secret
    has not been used anywhere else. Raises `ReferenceNotUnderstood`.
    """
    place = place_of(server.admin_secret, account)
    host = host_of(account.host)
    uses = SecretUse.objects.filter(place=place)
    known = uses.filter(host=host, port=account.port).first()
    if known is not None:
        return known
    is_first = not uses.exists() and not names_another(server.admin_secret, account)
    try:
        with transaction.atomic():
            return SecretUse.objects.create(
                place=place,
                host=host,
                port=account.port,
                server=server,
                asked_by=asked_by,
                confirmed_at=now if is_first else None,
            )
    except IntegrityError:
        return uses.get(host=host, port=account.port)


def bind_where_accounts_live(server: Server, addresses: list[Mapping[str, Any]], *, now: datetime) -> None:
    """A secret that is new goes to where the server's accounts were made as well: they have to be taken away there."""
    for address in addresses:
        account = Account(address["engine"], address["host"], address["port"], server.admin_user)
        SecretUse.objects.update_or_create(
            place=place_of(server.admin_secret, account),
            host=host_of(account.host),
            port=account.port,
            defaults={"confirmed_at": now},
            create_defaults={"server": server, "confirmed_at": now},
        )
