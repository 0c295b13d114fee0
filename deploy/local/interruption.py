"""Ending in order when somebody says so: Ctrl-C, a closed terminal, `kill`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """Somebody asked this program to end."""


@contextmanager
def interruptible() -> Iterator[None]:
    """The first signal to end raises `Interrupted`; further ones, here and afterwards, are not needed."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted

    for each in SIGNALS:
        signal.signal(each, interrupt)
    try:
        yield
    finally:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
