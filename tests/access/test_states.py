"""The transition tables: what is legal, and that nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.states import (
    GRANT_MOVES,
    LIVING,
    REQUEST_MOVES,
    GrantMove,
    GrantState,
    IllegalMove,
    RequestMove,
    RequestState,
    next_grant_state,
    next_request_state,
)
from access.states_diagram import page


def test_every_state_has_its_row() -> None:
    assert set(REQUEST_MOVES) == set(RequestState)
    assert set(GRANT_MOVES) == set(GrantState)


@pytest.mark.parametrize("state", [state for state in RequestState if state is not RequestState.PENDING])
@pytest.mark.parametrize("move", list(RequestMove))
def test_a_decided_request_never_moves_again(state: RequestState, move: RequestMove) -> None:
    with pytest.raises(IllegalMove):
        next_request_state(state, move)


def test_an_ending_grant_leaves_only_by_a_clean_reading() -> None:
    assert set(GRANT_MOVES[GrantState.REVOKING]) == {GrantMove.CLOSE, GrantMove.CLOSE_FAILED}


@pytest.mark.parametrize("state", [GrantState.SCHEDULED, GrantState.PROVISIONING, GrantState.ACTIVE])
def test_every_living_grant_can_be_ended(state: GrantState) -> None:
    assert next_grant_state(state, GrantMove.END) is GrantState.REVOKING


@given(st.lists(st.sampled_from(list(GrantMove)), max_size=12))
def test_whatever_happens_a_dead_grant_was_being_revoked_before(moves: list[GrantMove]) -> None:
    state, before = GrantState.SCHEDULED, GrantState.SCHEDULED
    for move in moves:
        try:
            state, before = next_grant_state(state, move), state
        except IllegalMove:
            continue
    assert state in LIVING or before is GrantState.REVOKING


def test_the_documented_diagrams_are_those_of_the_tables() -> None:
    assert Path("docs/states.md").read_text() == page()
