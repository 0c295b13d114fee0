"""Durations as people type and read them: `30m`, `1h30m`, `2 d`. Pure."""

from __future__ import annotations

import re
from datetime import timedelta

LONGEST = timedelta(days=3660)

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_PIECE = re.compile(r"(\d{1,5})\s*(days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)", re.IGNORECASE)


def parse(text: str, *, by_seconds: bool = False) -> timedelta:
    """The duration that `text` names, e.g. `45m`, `1h 30m`, `2 hours`, `1d`; a bare number is minutes.

    Seconds, as in `30s`, are understood where they matter: with `by_seconds`. Raises `ValueError`, also for more than ten
    years: no date that is counted on from it may leave the calendar.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,5}", text):
        return timedelta(minutes=int(text))
    pieces = _PIECE.findall(text)
    if not pieces or _PIECE.sub("", text).strip(" ,+"):
        raise ValueError(text)
    total = sum((timedelta(**{_UNITS[unit[0].lower()]: int(number)}) for number, unit in pieces), timedelta())
    if total > LONGEST or not (by_seconds or all(unit[0] not in "sS" for _, unit in pieces)):
        raise ValueError(text)
    return total


def spoken(duration: timedelta) -> str:
    """For people: `1 h 30 min`, `2 d`, `45 s` for less than a minute; to the nearest minute, since the window of one hour
    may be half a second shorter.
    """
    seconds = round(duration.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    return " ".join(f"{number} {unit}" for number, unit in _pieces((seconds + 30) // 60 * 60, ("d", "h", "min")))


def compact(duration: timedelta, *, by_seconds: bool = False) -> str:
    """For fields and addresses, as `parse` reads it: `1h30m`; `1m30s` with `by_seconds`."""
    seconds = int(duration.total_seconds())
    pieces = _pieces(seconds, ("d", "h", "m"))
    if by_seconds and seconds % 60:
        pieces.append((seconds % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in pieces) or "0m"


def _pieces(seconds: int, units: tuple[str, str, str]) -> list[tuple[int, str]]:
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    numbers = (days, hours, rest // 60)
    return [(number, unit) for number, unit in zip(numbers, units, strict=True) if number]
