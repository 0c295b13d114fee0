"""Says what is being done and how long it took, one line a step."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(words: str) -> Iterator[None]:
    """Print `words` before the block and its duration after."""
    begun = time.monotonic()
    sys.stderr.write(f"  {words} … ")
    sys.stderr.flush()
    try:
        yield
    except BaseException:
        sys.stderr.write("not done\n")
        raise
    sys.stderr.write(f"{time.monotonic() - begun:.1f} s\n")


def say(words: str) -> None:
    """One line."""
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()
