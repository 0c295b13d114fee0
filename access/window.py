"""Windows of time and the pauses between attempts. Pure: `now` always comes in as an argument.

A window is half-open, `[starts_at, ends_at)`: at `ends_at` the access is over. All times are aware UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

#: A revocation that has not been proved this long after the end of the window is overdue: the console alarms.
OVERDUE_AFTER = timedelta(seconds=30)

#: Pauses grow from the first to the longest and stay there: a revocation is tried for ever.
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=1)

#: Clocks of machines that are further apart are said to be; nothing that ends access hangs on how far.
CLOCKS_AGREE_WITHIN = timedelta(seconds=2)
#: Clocks that are this far apart stop approvals until somebody has set them right; ends go on.
CLOCKS_STOP_APPROVALS = timedelta(seconds=30)

#: How long making an account is tried before it is given up and cleaned away.
PROVISION_PATIENCE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Window:
    """The time in which a grant may be used."""

    starts_at: datetime
    ends_at: datetime

    def __post_init__(self) -> None:
        if self.starts_at.tzinfo is None or self.ends_at.tzinfo is None:
            raise ValueError("A window needs aware times.")
        if self.ends_at <= self.starts_at:
            raise ValueError("A window ends after it begins.")

    def contains(self, now: datetime) -> bool:
        """Whether the access may be used at `now`."""
        return self.starts_at <= now < self.ends_at

    def remaining(self, now: datetime) -> timedelta:
        """Time left at `now`, never negative."""
        return max(self.ends_at - now, timedelta(0))


def whole_second(moment: datetime) -> datetime:
    """The moment without its fraction: some servers keep the end of an account in whole seconds, and round up."""
    return moment.replace(microsecond=0)


def is_overdue(ends_at: datetime, now: datetime) -> bool:
    """Whether access that should be gone since `ends_at` is late enough to alarm."""
    return now >= ends_at + OVERDUE_AFTER


def pause_after(attempts: int) -> timedelta:
    """How long to wait after the `attempts`-th failed attempt (1, 2, 4 … seconds, a minute at the most)."""
    if attempts < 1:
        raise ValueError("The first attempt is number 1.")
    # 2**6 s is already past the longest pause; the cap keeps the power small after a week of failures.
    return min(FIRST_PAUSE * (1 << min(attempts - 1, 6)), LONGEST_PAUSE)
