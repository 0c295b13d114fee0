"""A worker's record as the settings say: where it lies, how much it holds, and under which key its texts are sealed."""

from __future__ import annotations

import asyncio
import base64

from django.conf import settings

from access.sealing import seal
from connectors.base import Secret
from gateway.journal.journal import Journal, Limits


def begin(loop: asyncio.AbstractEventLoop) -> Journal:
    """The record of this process. Blocks for some milliseconds. Raises `NotRecorded`."""
    limits = Limits(
        unshipped_bytes=settings.LOCKGATE_GATEWAY_JOURNAL_MIB * 1024**2,
        unshipped_entries=settings.LOCKGATE_GATEWAY_JOURNAL_ENTRIES,
    )
    return Journal.begin(settings.LOCKGATE_GATEWAY_JOURNAL, loop=loop, seal=_sealed, limits=limits)


def _sealed(key: bytes) -> str:
    return seal(Secret(base64.b64encode(key).decode()))
