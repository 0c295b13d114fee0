"""How much could go wrong with a request, from what it reaches and for how long. Pure.

It informs; all that it decides is which requests may be approved several at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from connectors.base import Level

#: Longer than a working day: nobody watches it all the time.
LONG = timedelta(hours=8)


class Risk(IntEnum):
    """From little to much."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


@dataclass(frozen=True, slots=True)
class Assessment:
    """How much, and why in words."""

    risk: Risk
    why: str

    @property
    def level(self) -> str:
        """`low`, `medium` or `high`."""
        return self.risk.name.lower()


_IN_PRODUCTION: Mapping[Level, tuple[Risk, str]] = {
    Level.READ: (Risk.LOW, "reads production"),
    Level.WRITE: (Risk.MEDIUM, "changes production data"),
    Level.DDL: (Risk.HIGH, "changes production schemas"),
    Level.MEMBER: (Risk.HIGH, "joins existing roles in production"),
}

_ELSEWHERE: Mapping[Level, tuple[Risk, str]] = {
    Level.READ: (Risk.LOW, "reads"),
    Level.WRITE: (Risk.LOW, "changes data outside production"),
    Level.DDL: (Risk.MEDIUM, "changes schemas outside production"),
    Level.MEMBER: (Risk.MEDIUM, "joins existing roles outside production"),
}


def assess(*, level: Level, environment: str, duration: timedelta) -> Assessment:
    """The risk of access at `level` in `environment` ('production' or another) for `duration`."""
    table = _IN_PRODUCTION if environment == "production" else _ELSEWHERE
    risk, why = table[level]
    if duration > LONG and risk is not Risk.HIGH:
        return Assessment(Risk(risk + 1), f"{why}, for longer than a working day")
    return Assessment(risk, why)
