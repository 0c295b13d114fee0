"""Windows are half-open, and pauses grow to a minute and no further."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from access.window import LONGEST_PAUSE, OVERDUE_AFTER, Window, is_overdue, pause_after

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)


def test_the_beginning_belongs_to_the_window_and_the_end_does_not() -> None:
    window = Window(NOON, NOON + HOUR)
    assert not window.contains(NOON - INSTANT)
    assert window.contains(NOON)
    assert window.contains(NOON + HOUR - INSTANT)
    assert not window.contains(NOON + HOUR)


def test_time_left_is_never_negative() -> None:
    window = Window(NOON, NOON + HOUR)
    assert window.remaining(NOON + timedelta(minutes=15)) == timedelta(minutes=45)
    assert window.remaining(NOON + 2 * HOUR) == timedelta(0)


@pytest.mark.parametrize("end", [NOON, NOON - HOUR])
def test_a_window_ends_after_it_begins(end: datetime) -> None:
    with pytest.raises(ValueError, match="ends after"):
        Window(NOON, end)


def test_naive_times_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        Window(NOON.replace(tzinfo=None), NOON + HOUR)


def test_late_is_late_from_the_first_instant_on() -> None:
    assert not is_overdue(NOON, NOON + OVERDUE_AFTER - INSTANT)
    assert is_overdue(NOON, NOON + OVERDUE_AFTER)


def test_pauses_double_up_to_a_minute_and_never_end() -> None:
    assert [pause_after(n).total_seconds() for n in range(1, 8)] == [1, 2, 4, 8, 16, 32, 60]
    assert pause_after(100_000) == LONGEST_PAUSE
