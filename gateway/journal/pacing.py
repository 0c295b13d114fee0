"""How fast records travel: statements come first, as long as what waits is little. Pure: no clock, no I/O.

A record is evidence as soon as it is in the journal; that it is in the console's database as well is for those who search it.
So on a machine that is full the shipper takes only a small share of the time, more the more waits, and all of it long before
the journal would have to refuse statements. On a machine with room it never pauses.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The share of time that shipping takes at least, however busy the machine is.
LEAST_SHARE = 0.01
#: The backlog, as a share of its bound, from which on shipping takes all the time there is.
HURRY_AT = 0.25
#: The longest pause, in seconds.
LONGEST_PAUSE = 2.0
#: A machine is full when a process that could run waits for a processor for this share of the time.
_FULL_AT = 0.15


@dataclass(frozen=True, slots=True)
class Turn:
    """One piece of work of the shipper."""

    took: float
    """Seconds from its start to its end."""
    waited: float
    """Seconds of these in which it could have run, and no processor was free."""
    backlog: float
    """How full the fullest journal is afterwards: 0 empty, 1 at its bound."""


def pause_after(turn: Turn) -> float:
    """Seconds to leave to the statements before the next turn."""
    if turn.took <= 0 or turn.waited / turn.took < _FULL_AT:
        return 0.0
    # Squared: what a burst of some seconds leaves behind is nothing to hurry for.
    share = max(LEAST_SHARE, (turn.backlog / HURRY_AT) ** 2)
    if share >= 1:
        return 0.0
    return min(LONGEST_PAUSE, turn.took * (1 / share - 1))
