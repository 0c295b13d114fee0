"""Whether what answers at an address is the server that is meant: a server is known by what it is, not by where it is.

What it is was kept when it was first seen (`Server.identity`) and when an account was made on it (`Grant.server_identity`).
Where something else answers, nothing is granted, nothing is swept and nothing that is read there proves that an access is
gone, until an administrator has said what it is (`access.services.identities`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction

from access.errors import AnotherServer, SecretUnavailable
from access.models import Grant, Server
from access.services.door import lock_grant, record_about
from access.targets import connect
from audit.events import Event
from audit.log import Actor, Subject, record
from connectors.base import Connector
from connectors.errors import ConnectorError, ServerUnreachable

log = structlog.get_logger(__name__)

_WATCHER = Actor("worker", "recognition", "recognition")
_UNKNOWN = "a server that does not tell what it is"


def twins_of(server: Server, identity: str) -> list[Server]:
    """Other entries that are the same server, or a copy of it."""
    if not identity:
        return []
    return list(Server.objects.filter(identity=identity).exclude(pk=server.pk).order_by("name"))


def recognise(server: Server, found: str, *, now: datetime) -> None:
    """Keep what answers at the server's present address. Raises `AnotherServer` where it has to be confirmed first."""
    if found and server.identity == found and server.stranger_since is None:
        return
    with transaction.atomic():
        row = Server.objects.select_for_update(of=("self",), no_key=True).get(pk=server.pk)
        if not row.identity and not twins_of(row, found):
            _adopt(row, found)
        elif row.identity == found:
            _is_itself(row)
        else:
            _is_a_stranger(row, found, now)
        for name in ("identity", "found_identity", "stranger_since"):
            setattr(server, name, getattr(row, name))
    if server.stranger_since is not None:
        raise AnotherServer(strangeness_of(server))


def strangeness_of(server: Server) -> str:
    """What answers instead of the server, in a sentence; empty where it is itself."""
    if server.stranger_since is None:
        return ""
    twins = [twin.name for twin in twins_of(server, server.found_identity)]
    if twins:
        return f"It is {', '.join(twins)}, or a copy of it: {server.found_identity}."
    return f"It was {server.identity or _UNKNOWN}; now {server.found_identity or _UNKNOWN} answers."


def require_itself(server: Server, connector: Connector, address: dict[str, Any], *, now: datetime) -> str:
    """What the server is, asked now. Raises `AnotherServer` where that is not what the server is known to be."""
    found = connector.identify()
    if address == server.address:
        recognise(server, found, now=now)
    elif found != server.identity:
        raise AnotherServer(f"At {address['host']}:{address['port']}, {found or _UNKNOWN} answers.")
    return found


@contextmanager
def where_held(grant: Grant) -> Iterator[tuple[Connector, dict[str, Any]]]:
    """A connector for the server that really holds the grant's account, and the address at which it was found.

    First where the account was made; then where that server is now, under whichever entry, unless the first one is only away
    for the first time: it is waited for once. Raises `AnotherServer` where
    only others answer, and else what the first address raised: then nothing is known of the account.
    """
    with ExitStack() as opened:
        problem: Exception | None = None
        for server, address in _places_of(grant):
            try:
                connector = opened.enter_context(connect(server, address))
                found = connector.identify() if grant.server_identity or server.identity else ""
                _require_holder(grant, connector, found, address)
            except (ConnectorError, SecretUnavailable, AnotherServer) as error:
                problem = problem or error
                if isinstance(problem, ServerUnreachable) and not grant.attempts:
                    break
                continue
            yield connector, address
            return
        raise problem or AnotherServer()


def _places_of(grant: Grant) -> list[tuple[Server, dict[str, Any]]]:
    places = [(grant.server, grant.address)]
    if grant.server_identity:
        same = Server.objects.filter(identity=grant.server_identity, is_copy=False).exclude(pk=grant.server_id)
        now_at = [grant.server] if grant.server.identity == grant.server_identity else []
        places += [(server, server.address) for server in (*now_at, *same) if server.address != grant.address]
    return places


def _require_holder(grant: Grant, connector: Connector, found: str, address: dict[str, Any]) -> None:
    """Raises `AnotherServer` where what answers is not the server on which the account was made."""
    known_by = grant.server_identity or (grant.server.identity if address == grant.server.address else "")
    if not known_by or found == known_by:
        return
    made_here = address == grant.address and grant.server_identity
    if made_here and any(account.principal == grant.principal for account in connector.list_principals()):
        _follow(grant, found)
        return
    raise AnotherServer(f"At {address['host']}:{address['port']}, {found or _UNKNOWN} answers.")


def _follow(grant: Grant, found: str) -> None:
    """Where the account was made, something else answers and holds it: that is what the server has become.

    An upgrade makes a server with another identity and takes the accounts along. No other server has an account of this
    name, half of which was drawn for it. Written down before it is taken away: whoever comes after a crash finds it gone.
    """
    with transaction.atomic():
        locked = lock_grant(grant.pk)
        before, locked.server_identity = locked.server_identity, found
        locked.save(update_fields=["server_identity"])
        record_about(
            locked,
            Event.GRANT_FOLLOWED,
            actor=_WATCHER,
            before={"server_identity": before},
            after={"server_identity": found},
            reason="The server where the account was made has another identity now, and holds the account.",
        )
    grant.server_identity = found


def _adopt(row: Server, found: str) -> None:
    if not found:
        return
    row.identity, row.found_identity, row.stranger_since = found, "", None
    row.save(update_fields=["identity", "found_identity", "stranger_since"])
    _record(row, Event.SERVER_RECOGNISED, after={"server_identity": found})


def _is_itself(row: Server) -> None:
    if row.stranger_since is None:
        return
    row.found_identity, row.stranger_since = "", None
    row.save(update_fields=["found_identity", "stranger_since"])
    _record(row, Event.SERVER_RECOGNISED, after={"server_identity": row.identity}, reason="It is back.")


def _is_a_stranger(row: Server, found: str, now: datetime) -> None:
    if row.stranger_since is not None and row.found_identity == found:
        return
    row.found_identity, row.stranger_since = found, row.stranger_since or now
    row.save(update_fields=["found_identity", "stranger_since"])
    _record(
        row,
        Event.SERVER_STRANGER,
        before={"server_identity": row.identity},
        after={"server_identity": found},
        reason=strangeness_of(row),
    )
    log.warning("server.stranger", server=row.slug, known=row.identity, found=found)


def _record(row: Server, event: Event, **told: Any) -> None:
    record(event, actor=_WATCHER, subject=Subject("server", row.slug, row.name), **told)
