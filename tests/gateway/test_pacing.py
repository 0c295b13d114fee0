"""Statements come first while little waits; records come first long before anything would have to be refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.journal.pacing import HURRY_AT, LEAST_SHARE, LONGEST_PAUSE, Turn, pause_after


@pytest.mark.parametrize(
    ("took", "waited", "backlog", "pause"),
    [
        (0.010, 0.000, 0.00, 0.0),  # a machine with room
        (0.010, 0.001, 0.20, 0.0),
        (0.010, 0.008, 0.00, 0.990),  # a full one, and nothing waits: a hundredth of the time
        (0.010, 0.008, 0.05, 0.240),  # four of them
        (0.010, 0.008, 0.125, 0.030),  # a quarter of the time
        (0.010, 0.008, 0.25, 0.0),  # all of it
        (0.010, 0.008, 0.90, 0.0),
        (1.000, 0.800, 0.00, LONGEST_PAUSE),
        (0.000, 0.000, 0.00, 0.0),
    ],
)
def test_how_long_the_shipper_leaves_to_the_statements(
    took: float, waited: float, backlog: float, pause: float
) -> None:
    assert pause_after(Turn(took, waited, backlog)) == pytest.approx(pause)


@given(st.floats(0.0001, 5), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_more_waits_the_shorter_is_the_pause(took: float, share: float, one: float, other: float) -> None:
    less, more = sorted((one, other))
    shorter, longer = (pause_after(Turn(took, took * share, backlog)) for backlog in (more, less))
    assert 0 <= shorter <= longer <= min(LONGEST_PAUSE, took / LEAST_SHARE)
    assert more < HURRY_AT or shorter == 0
