"""Keeps the workers and the shipper running: starts them, starts them again when one dies, ends them in order."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import structlog
from django.conf import settings

from gateway.wire.postgresql import relay

log = structlog.get_logger(__name__)

#: Between two starts of one that dies at once.
_PAUSE_SECONDS = 1.0
#: Workers have sessions to end and records to write.
_PATIENCE_SECONDS = 20.0


class Child:
    """One process, started again whenever it ends."""

    def __init__(self, name: str, *words: str) -> None:
        self._name = name
        self._command = [sys.executable, "-m", *words]
        self._started = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def keep_running(self, now: float) -> None:
        """Start it if it does not run, but not more than once a second."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            log.error("gateway.process_died", name=self._name, status=self._process.returncode)
            self._close_pipe()
            self._process = None
        if now - self._started >= _PAUSE_SECONDS:
            self._started = now
            # By the end of this pipe it learns that we are gone.
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE)

    def ask_to_end(self) -> None:
        """A signal; `wait` waits."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, until: float) -> None:
        """Until it has ended; insists when it takes too long."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("gateway.process_killed", name=self._name)  # noqa: TRY400 - there is nothing to trace
            self._process.kill()
            self._process.wait()
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()


def supervise() -> int:
    """Run until SIGTERM or SIGINT; the exit status."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    if not _has_a_folder():
        return 1
    if relay.__file__.endswith(".py"):
        log.warning("gateway.not_compiled", remedy="python -m deploy.compiling makes it faster")
    workers = [Child(f"worker {n}", "gateway", f"--worker={n}") for n in range(settings.LOCKGATE_GATEWAY_WORKERS)]
    shipper = Child("shipper", "gateway.journal", "--until-input-ends")
    while not told.is_set():
        now = time.monotonic()
        for child in (*workers, shipper):
            child.keep_running(now)
        told.wait(0.2)
    _end(workers)
    # Last, so that what the workers said in the end is shipped as well.
    _end([shipper])
    return 0


def _has_a_folder() -> bool:
    """Whether the journal's is there, or could be made; it is said otherwise."""
    try:
        settings.LOCKGATE_GATEWAY_JOURNAL.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        remedy = "Make it for the user that the gateway runs as, or name another one in LOCKGATE_GATEWAY_JOURNAL."
        log.error("gateway.no_journal", error=str(error), remedy=remedy)  # noqa: TRY400 - the sentence says it all
        return False
    return True


def _end(children: list[Child]) -> None:
    for child in children:
        child.ask_to_end()
    until = time.monotonic() + _PATIENCE_SECONDS
    for child in children:
        child.wait(until)
