"""A worker's record as the settings say: where it lies, how much it holds, and under which key its texts are sealed."""

from __future__ import annotations

import asyncio

from django.conf import settings

from access.statement_sealing import sealed_key
from gateway.journal.journal import Journal, Limits


def limits() -> Limits:
    """How much of a worker's record may wait for the database."""
    return Limits(
        unshipped_bytes=settings.LOCKGATE_GATEWAY_JOURNAL_MIB * 1024**2,
        unshipped_entries=settings.LOCKGATE_GATEWAY_JOURNAL_ENTRIES,
    )


def begin(loop: asyncio.AbstractEventLoop) -> Journal:
    """The record of this process. Blocks for some milliseconds. Raises `NotRecorded`."""
    return Journal.begin(settings.LOCKGATE_GATEWAY_JOURNAL, loop=loop, seal=sealed_key, limits=limits())
