"""How far a server's own clock is from that of the console's database.

The server ends logins by its own, Lockgate by the database's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from connectors.base import CheckReport, Remedy

#: Some servers tell whole seconds.
AGREES_WITHIN = timedelta(seconds=2)
#: The shortest access would have ended there before it began.
_AHEAD_OF_THE_SHORTEST = timedelta(minutes=1)

_SET_IT = "Set it right (NTP), or the clock of Lockgate's own database, whichever is wrong."


def about_its_clock(report: CheckReport, *, before: datetime, after: datetime) -> Iterator[Remedy]:
    """A remedy where the server's clock is off; it was read between these two moments of the database's."""
    ahead = max(report.server_time - after, timedelta(0)) - max(before - report.server_time, timedelta(0))
    if abs(ahead) <= AGREES_WITHIN:
        return
    seconds = round(abs(ahead).total_seconds())
    if ahead < timedelta(0):
        problem = f"The server's clock is {seconds} seconds behind: what it ends by itself, should Lockgate be gone, ends late."
        yield Remedy(problem, _SET_IT, blocking=False)
        return
    problem = f"The server's clock is {seconds} seconds ahead: it refuses logins that much before access ends."
    yield Remedy(problem, _SET_IT, blocking=ahead >= _AHEAD_OF_THE_SHORTEST)
