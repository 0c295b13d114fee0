"""Servers that do not answer: since when, and what waits for them. `access.watching` looks when they are back."""

from __future__ import annotations

from datetime import datetime

from access.models import Grant, Server


def note_silence(grant: Grant, *, now: datetime) -> None:
    """The server did not answer where the grant's account was made; from now on somebody looks every other second."""
    if grant.address == grant.server.address:
        Server.objects.filter(pk=grant.server_id, down_since__isnull=True).update(down_since=now, probed_at=now)


def note_answer(server: Server) -> int:
    """It answers again: whatever waits for it is due now. Gives how many grants that are."""
    Server.objects.filter(pk=server.pk).update(down_since=None)
    waiting = Grant.objects.filter(server=server, waits_for_server=True)
    return waiting.update(waits_for_server=False, next_attempt_at=None, queued_until=None)
