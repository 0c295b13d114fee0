"""Durations as people type and read them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import durations


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("30m", 30),
        ("1h", 60),
        ("1h30m", 90),
        ("1h 30 min", 90),
        ("2 hours, 5 minutes", 125),
        ("90", 90),
        (" 1 d ", 1440),
        ("1D 2H", 1560),
    ],
)
def test_what_people_type_is_understood(text: str, minutes: int) -> None:
    assert durations.parse(text) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "soon", "h", "1w", "-1h", "1.5h", "1h soon", "999999999", "99999d", "٣٠m٣"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        durations.parse(text)


@given(st.integers(min_value=1, max_value=60 * 24 * 30))
def test_what_is_written_is_read_back(minutes: int) -> None:
    duration = timedelta(minutes=minutes)
    assert durations.parse(durations.compact(duration)) == duration
    assert durations.parse(durations.spoken(duration)) == duration


def test_less_than_a_minute_is_said_in_seconds() -> None:
    assert durations.spoken(timedelta(seconds=45)) == "45 s"
    assert durations.spoken(timedelta(hours=25, minutes=1)) == "1 d 1 h 1 min"


def test_a_window_that_is_half_a_second_shorter_is_told_as_what_was_asked_for() -> None:
    assert durations.spoken(timedelta(minutes=59, seconds=59.3)) == "1 h"
    assert durations.spoken(timedelta(seconds=59.7)) == "1 min"
