"""The life of a request and of a grant: every state, every legal move, in two tables.

Pure: no framework, no clock, no I/O. Nothing else in the project decides whether a move is legal; the diagrams in
`docs/states.md` are drawn from these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class RequestState(StrEnum):
    """Where a request stands."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"


class RequestMove(StrEnum):
    """What can happen to a request."""

    APPROVE = "approve"
    DENY = "deny"
    CANCEL = "cancel"
    LAPSE = "lapse"


class GrantState(StrEnum):
    """Where a grant stands."""

    SCHEDULED = "scheduled"
    PROVISIONING = "provisioning"
    ACTIVE = "active"
    REVOKING = "revoking"
    REVOKED = "revoked"
    FAILED = "failed"
    """Never became usable, and what was half made has been taken away and read back."""


class GrantMove(StrEnum):
    """What can happen to a grant."""

    START = "start"
    ACTIVATE = "activate"
    END = "end"
    CLOSE = "close"
    CLOSE_FAILED = "close failed"


class IllegalMove(ValueError):
    """This cannot be done any more, because it has already moved on."""

    def __init__(self, state: str, move: str) -> None:
        super().__init__(f"{move!r} is not possible from {state!r}")
        self.state = state
        self.move = move


REQUEST_MOVES: Mapping[RequestState, Mapping[RequestMove, RequestState]] = {
    RequestState.PENDING: {
        RequestMove.APPROVE: RequestState.APPROVED,
        RequestMove.DENY: RequestState.DENIED,
        RequestMove.CANCEL: RequestState.CANCELLED,
        RequestMove.LAPSE: RequestState.LAPSED,
    },
    RequestState.APPROVED: {},
    RequestState.DENIED: {},
    RequestState.CANCELLED: {},
    RequestState.LAPSED: {},
}

GRANT_MOVES: Mapping[GrantState, Mapping[GrantMove, GrantState]] = {
    GrantState.SCHEDULED: {GrantMove.START: GrantState.PROVISIONING, GrantMove.END: GrantState.REVOKING},
    GrantState.PROVISIONING: {GrantMove.ACTIVATE: GrantState.ACTIVE, GrantMove.END: GrantState.REVOKING},
    GrantState.ACTIVE: {GrantMove.END: GrantState.REVOKING},
    # A grant leaves `revoking` only by a clean read-back; there is no way to give up.
    GrantState.REVOKING: {GrantMove.CLOSE: GrantState.REVOKED, GrantMove.CLOSE_FAILED: GrantState.FAILED},
    GrantState.REVOKED: {},
    GrantState.FAILED: {},
}

#: Grants for which something may still exist on a server.
LIVING = frozenset({GrantState.SCHEDULED, GrantState.PROVISIONING, GrantState.ACTIVE, GrantState.REVOKING})


def next_request_state(state: RequestState, move: RequestMove) -> RequestState:
    """Where `move` leads from `state`; raises `IllegalMove`."""
    try:
        return REQUEST_MOVES[state][move]
    except KeyError:
        raise IllegalMove(state, move) from None


def next_grant_state(state: GrantState, move: GrantMove) -> GrantState:
    """Where `move` leads from `state`; raises `IllegalMove`."""
    try:
        return GRANT_MOVES[state][move]
    except KeyError:
        raise IllegalMove(state, move) from None
