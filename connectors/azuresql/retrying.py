"""Trying a step again when Azure was just moving the database, short of something, or lost the connection.

Which errors pass by themselves is Microsoft's list, by number. A step is tried until its own deadline, which is that of
the target's statements: nobody waits longer for a step that is tried again than for one that takes its time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from connectors.errors import ConnectorError, ServerUnreachable

Result = TypeVar("Result")

#: Microsoft's 'transient fault error codes' of Azure SQL Database, and those of a connection that broke on the way.
TRANSIENT = frozenset({
    "40613", "40197", "40501",  # the database is not available just now, is being moved, the service is busy
    "49918", "49919", "49920",  # too few resources, too many operations at once
    "10928", "10929",  # the limit of workers or sessions is reached
    "4060", "4221",  # the database cannot be opened just now, a replica that is not ready for reading
    "615", "926",  # the database is being put somewhere else, and what the server remembers of it is the old place
    "10053", "10054", "10060", "233", "64", "20",  # the network
})  # fmt: skip
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 4.0


def is_transient(error: ConnectorError) -> bool:
    """Whether the same step may succeed in a moment. Of a connection that broke the driver tells no number."""
    return error.code in TRANSIENT or isinstance(error, ServerUnreachable)


class Retrying:
    """The patience for one step after another, each with a deadline of its own."""

    def __init__(
        self,
        patience: timedelta,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._patience = patience.total_seconds()
        self._clock = clock
        self._sleep = sleep

    def insist(self, step: Callable[[], Result]) -> Result:
        """What the step gives, tried again while its errors are passing ones and its deadline allows.

        The step must bear being repeated after it was done: a connection may break behind the last statement.
        """
        deadline = self._clock() + self._patience
        pause = _FIRST_PAUSE
        while True:
            try:
                return step()
            except ConnectorError as error:
                # Not all at the same moment, and never behind the deadline.
                wait = pause * random.uniform(0.8, 1.2)  # noqa: S311 - no secret hangs on it
                if not is_transient(error) or self._clock() + wait >= deadline:
                    raise
            self._sleep(wait)
            pause = min(_LONGEST_PAUSE, pause * 2)
