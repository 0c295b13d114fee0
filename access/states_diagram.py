"""Draws the transition tables as Mermaid state diagrams: `python -m access.states_diagram > docs/states.md`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from access.states import GRANT_MOVES, REQUEST_MOVES, GrantState, RequestState

_PAGE = """# States

Drawn from the tables in `access/states.py` by `python -m access.states_diagram > docs/states.md`; a test compares.

## A request

{requests}

## A grant

`revoking` is left only by a clean read-back: there is no way to give up.

{grants}
"""


def page() -> str:
    """The whole of `docs/states.md`."""
    return _PAGE.format(
        requests=_diagram(RequestState.PENDING, REQUEST_MOVES), grants=_diagram(GrantState.SCHEDULED, GRANT_MOVES)
    )


State = TypeVar("State", bound=StrEnum)
Move = TypeVar("Move", bound=StrEnum)


def _diagram(first: State, table: Mapping[State, Mapping[Move, State]]) -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    for state, moves in table.items():
        lines += [f"    {state} --> {target}: {move}" for move, target in moves.items()]
        if not moves:
            lines.append(f"    {state} --> [*]")
    return "\n".join([*lines, "```"])


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - this is a command
