"""When somebody else saved first: what only they changed is taken over, what somebody typed themself stays.

The audit trail says what was there when the form was opened: the oldest `before` of each field since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from access.differences import LABELS
from access.queries.catalogue import Change


@dataclass(frozen=True, slots=True)
class Merged:
    """The form to go on with."""

    initial: dict[str, Any]
    taken_over: tuple[str, ...]
    """What only somebody else changed, in words."""
    disputed: tuple[str, ...]
    """What both changed; what the person typed stands."""


def merge(
    *,
    mine: Mapping[str, Any],
    recorded: Mapping[str, Any],
    saved: Mapping[str, Any],
    changes: Sequence[Change],
) -> Merged:
    """`mine` and `saved` are the form's values as typed and as saved now; `recorded` is what was typed, by the names and
    in the shape of the audit trail. `changes` is what others saved meanwhile, latest first.
    """
    initial = {**mine, "revision": saved["revision"]}
    taken_over, disputed = [], []
    opened = _opened(changes)
    for name in (name for name in LABELS if name in opened and name in recorded):
        field = field_of(name)
        if recorded[name] == opened[name]:
            initial[field] = saved[field]
            taken_over.append(LABELS[name])
        elif recorded[name] != _latest(changes, name):
            disputed.append(LABELS[name])
    return Merged(initial, tuple(taken_over), tuple(disputed))


def field_of(name: str) -> str:
    """The form's name for a recorded one: durations are recorded in seconds."""
    return name.removesuffix("_s")


def seconds(duration: timedelta | None) -> int | None:
    """A duration as it is recorded."""
    return None if duration is None else int(duration.total_seconds())


def _opened(changes: Sequence[Change]) -> dict[str, Any]:
    """What was there before the first of the changes, for whatever they changed."""
    opened: dict[str, Any] = {}
    for change in changes:  # Latest first: the oldest one is written last.
        opened.update(change.entry.before or {})
    return opened


def _latest(changes: Sequence[Change], name: str) -> Any:
    return next(after[name] for after in (change.entry.after or {} for change in changes) if name in after)
