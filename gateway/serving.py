"""One worker as a process: what it is made of, when it starts and when it ends."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import ssl
import sys

import structlog
import uvloop
from django.conf import settings

from gateway.errors import NotRecorded
from gateway.examining import examiner
from gateway.identity import PersonalTokens
from gateway.journal import configured
from gateway.worker import Settings, Worker

log = structlog.get_logger(__name__)


def serve(number: int) -> int:
    """Be a worker until SIGTERM, or until the supervisor is gone; the exit status."""
    return uvloop.run(_serve(number))


async def _serve(number: int) -> int:
    loop = asyncio.get_running_loop()
    try:
        journal = configured.begin(loop)
    except NotRecorded as error:
        log.error("gateway.no_journal", error=str(error))  # noqa: TRY400 - the sentence says it all
        return 1
    worker = Worker(settings_of(number), identifier=PersonalTokens(), recorder=journal, examiner=examiner)
    await worker.start()
    # What is there now stays, and statements come and go by the thousand and hold no cycles: the collector looks seldom.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    await _until_told(loop)
    await worker.stop()
    try:
        journal.close()
    except NotRecorded as error:
        log.error("gateway.end_not_recorded", error=str(error))  # noqa: TRY400 - the sentence says it all
        return 1
    return 0


async def _until_told(loop: asyncio.AbstractEventLoop) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    if not sys.stdin.closed and not sys.stdin.isatty():
        # The supervisor holds the other end of this pipe: it ends when the supervisor does, however that comes.
        loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(0, 1) else told.set())
    await told.wait()


def settings_of(number: int) -> Settings:
    """What the environment says of workers."""
    host, port = settings.LOCKGATE_GATEWAY_LISTEN
    return Settings(
        host=host,
        port=port,
        number=number,
        folder=settings.LOCKGATE_GATEWAY_JOURNAL,
        tls=_tls(),
        balancers=settings.LOCKGATE_GATEWAY_PROXIES,
    )


def _tls() -> ssl.SSLContext | None:
    if not settings.LOCKGATE_GATEWAY_CERTIFICATE:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.LOCKGATE_GATEWAY_CERTIFICATE, settings.LOCKGATE_GATEWAY_KEY or None)
    return context
