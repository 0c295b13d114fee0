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
from connectors.base import Tls
from connectors.registry import sends_secrets
from people.models import User


class SecretHeld(SecretUnavailable):
    """The secret of this server belongs to another address, and was not sent. Another administrator has to confirm it first."""


class EncryptionHeld(SecretHeld):
    """This server is to be reached with less encryption, or another authority, than before. Another administrator has to
    confirm that first; nothing was sent.
    """


#: How far each setting goes in proving who answers.
_RANKS = {Tls.DISABLE: 0, Tls.REQUIRE: 1, Tls.VERIFY_CA: 2, Tls.VERIFY_FULL: 3}


def covers(confirmed: tuple[str, str], wanted: tuple[str, str]) -> bool:
    """Whether nobody has to confirm an encryption, with its file of an authority, where another one was confirmed. Pure."""
    had, has = _RANKS[Tls(confirmed[0])], _RANKS[Tls(wanted[0])]
    # Whose certificates were never looked at, every authority is more than that.
    return has >= had and (had < _RANKS[Tls.VERIFY_CA] or confirmed[1] == wanted[1])


def require_bound(server: Server, account: Account, *, where_made: bool = False) -> tuple[str, str]:
    """With which encryption the server's secret may be sent to the account's address. Raises `SecretHeld`.

    Where a change of that waits for another administrator, `where_made` gives what was confirmed last: what lives there
    ends all the same.
    """
    wanted = (server.tls, server.tls_ca_file)
    if not sends_secrets(account.engine):
        return wanted
    use = bind(server, account, asked_by=None, now=timezone.now())
    if use.confirmed_at is not None:
        return wanted
    before = SecretUse.objects.filter(place=use.place, host=use.host, port=use.port, confirmed_at__isnull=False).last()
    if before is None:
        raise SecretHeld(f"{use.host}:{use.port}.")
    if not where_made:
        raise EncryptionHeld(f"{use.host}:{use.port}, {server.tls}.")
    return before.tls, before.tls_ca_file


def keep_encryption(server: Server, account: Account) -> None:
    """After a login with more encryption than was confirmed: from here on less is less, unless another entry needs it."""
    if not sends_secrets(account.engine):
        return
    use = bind(server, account, asked_by=None, now=timezone.now())
    sharing = Server.objects.exclude(pk=server.pk).filter(
        host__iexact=server.host, port=server.port, admin_secret=server.admin_secret
    )
    if use.confirmed_at is None or (use.tls, use.tls_ca_file) == (server.tls, server.tls_ca_file) or sharing.exists():
        return
    with transaction.atomic():
        SecretUse.objects.filter(place=use.place, host=use.host, port=use.port).exclude(pk=use.pk).delete()
        use.tls, use.tls_ca_file = server.tls, server.tls_ca_file
        use.save(update_fields=["tls", "tls_ca_file"])


def bind(server: Server, account: Account, *, asked_by: User | None, now: datetime) -> SecretUse:
    """What is known of the server's secret at this address: new where nobody asked before, and then free only if the secret
    has not been used anywhere else. Raises `ReferenceNotUnderstood`.
    """
    place = place_of(server.admin_secret, account)
    host = host_of(account.host)
    uses = SecretUse.objects.filter(place=place)
    wanted = (server.tls, server.tls_ca_file)
    known = list(uses.filter(host=host, port=account.port))
    for use in known:
        if use.confirmed_at is not None and covers((use.tls, use.tls_ca_file), wanted):
            return use
    for use in known:
        if (use.tls, use.tls_ca_file) == wanted:
            return use
    is_first = not uses.exists() and not names_another(server.admin_secret, account)
    try:
        with transaction.atomic():
            return SecretUse.objects.create(
                place=place,
                host=host,
                port=account.port,
                tls=server.tls,
                tls_ca_file=server.tls_ca_file,
                server=server,
                asked_by=asked_by,
                confirmed_at=now if is_first else None,
            )
    except IntegrityError:
        return uses.get(host=host, port=account.port, tls=server.tls, tls_ca_file=server.tls_ca_file)


def bind_where_accounts_live(server: Server, addresses: list[Mapping[str, Any]], *, now: datetime) -> None:
    """A secret that is new goes to where the server's accounts were made as well: they have to be taken away there."""
    for address in addresses:
        account = Account(address["engine"], address["host"], address["port"], server.admin_user)
        SecretUse.objects.update_or_create(
            place=place_of(server.admin_secret, account),
            host=host_of(account.host),
            port=account.port,
            tls=server.tls,
            tls_ca_file=server.tls_ca_file,
            defaults={"confirmed_at": now},
            create_defaults={"server": server, "confirmed_at": now},
        )
