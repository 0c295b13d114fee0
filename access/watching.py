"""A look at each server every few seconds: does it answer, was it started anew, does an account of ours that is gone exist.

A server that is away is looked at every other second, so that its return is what brings the next attempt, not a pause that
has grown meanwhile. One that was started since its last sweep may have been restored from a backup that holds accounts
which ended long ago: it is swept at once, and so is one that has such an account although it never stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.db.models import Q

from access.errors import SecretUnavailable
from access.models import Grant, Server, SweepFinding
from access.models.sweeps import FindingKind
from access.silence import note_answer
from access.states import LIVING
from access.sweeping import sweep_server
from access.targets import connect
from connectors.base import SignsOfLife
from connectors.errors import ConnectorError, ServerUnreachable

log = structlog.get_logger(__name__)

EVERY = timedelta(seconds=5)
EVERY_WHILE_AWAY = timedelta(seconds=2)
#: Some servers tell how long they have run, in whole seconds, by a clock that may be set.
SAME_START_WITHIN = timedelta(seconds=5)
_CONNECT = timedelta(seconds=2)


def due(*, now: datetime) -> list[Server]:
    """The servers to look at now; nobody else is given them for a while."""
    late = (
        Q(probed_at__isnull=True)
        | Q(probed_at__lte=now - EVERY)
        | Q(probed_at__gt=now + EVERY)
        | Q(down_since__isnull=False, probed_at__lte=now - EVERY_WHILE_AWAY)
    )
    rows = Server.objects.filter(late, Q(is_enabled=True) | Q(down_since__isnull=False))
    return [server for server in rows if Server.objects.filter(late, pk=server.pk).update(probed_at=now)]


def look(server: Server, *, clock: Callable[[], datetime]) -> None:
    """See how it is, keep that on its row, and do what follows."""
    looked_at = clock()
    try:
        with connect(server, connect_timeout=_CONNECT) as connector:
            signs = connector.signs_of_life()
    except ServerUnreachable as error:
        if Server.objects.filter(pk=server.pk, down_since__isnull=True).update(down_since=looked_at):
            log.warning("server.silent", server=server.slug, error=str(error))
        return
    except (ConnectorError, SecretUnavailable) as error:
        # It is there, and does not let us in: that is for the check to say, and for the pauses to go by.
        log.info("server.not_looked_at", server=server.slug, error=str(error))
        Server.objects.filter(pk=server.pk).update(down_since=None)
        return
    if server.down_since is not None:
        log.warning("server.answers_again", server=server.slug, waiting=note_answer(server))
    _sweep_if_it_may_be_another(server, signs, looked_at, clock)


def _sweep_if_it_may_be_another(
    server: Server, signs: SignsOfLife, looked_at: datetime, clock: Callable[[], datetime]
) -> None:
    if server.started_at is None:
        # Seen for the first time: the sweep comes by its own schedule.
        Server.objects.filter(pk=server.pk).update(started_at=signs.started_at)
        return
    if abs(signs.started_at - server.started_at) > SAME_START_WITHIN:
        log.warning("server.started_anew", server=server.slug)
    elif _risen(server, signs, looked_at):
        log.warning("server.dead_account", server=server.slug)
    else:
        return
    report = sweep_server(server=server, now=clock())
    if not report.error:
        Server.objects.filter(pk=server.pk).update(started_at=signs.started_at)


def _risen(server: Server, signs: SignsOfLife, looked_at: datetime) -> bool:
    """Whether it has an account that was proved gone, and that no sweep has found so far."""
    gone = Grant.objects.filter(principal__in=signs.accounts, closed_at__lt=looked_at).exclude(state__in=LIVING)
    known = SweepFinding.objects.filter(server=server, kind=FindingKind.ORPHAN, settled_at=None)
    return gone.exclude(principal__in=known.values("principal")).exists()
