"""Durations as people type and read them: `30m`, `1h30m`, `2 d`. Pure."""

from __future__ import annotations

import re
from datetime import timedelta

LONGEST = timedelta(days=3660)

_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
_PIECE = re.compile(r"(\d{1,5})\s*(days?|d|hours?|hrs?|h|minutes?|mins?|m)", re.IGNORECASE)


def parse(text: str) -> timedelta:
    """The duration that `text` names, e.g. `45m`, `1h 30m`, `2 hours`, `1d`; a bare number is minutes.

    Raises `ValueError`, also for more than ten years: no date that is counted on from it may leave the calendar.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,5}", text):
        return timedelta(minutes=int(text))
    pieces = _PIECE.findall(text)
    if not pieces or _PIECE.sub("", text).strip(" ,+"):
        raise ValueError(text)
    total = sum((timedelta(**{_UNITS[unit[0].lower()]: int(number)}) for number, unit in pieces), timedelta())
    if total > LONGEST:
        raise ValueError(text)
    return total


def spoken(duration: timedelta) -> str:
    """For people: `1 h 30 min`, `2 d`, `45 s` for less than a minute."""
    seconds = int(duration.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    return " ".join(f"{number} {unit}" for number, unit in _pieces(seconds, ("d", "h", "min")))


def compact(duration: timedelta) -> str:
    """For fields and addresses, as `parse` reads it: `1h30m`."""
    pieces = _pieces(int(duration.total_seconds()), ("d", "h", "m"))
    return "".join(f"{number}{unit}" for number, unit in pieces) or "0m"


def _pieces(seconds: int, units: tuple[str, str, str]) -> list[tuple[int, str]]:
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    numbers = (days, hours, rest // 60)
    return [(number, unit) for number, unit in zip(numbers, units, strict=True) if number]
