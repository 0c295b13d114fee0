"""The terms under which a request is decided: a policy, frozen at submission. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from access.content import hash_of
from access.quorum import Step


@dataclass(frozen=True, slots=True)
class Terms:
    """What the policy asked for when the request was made."""

    policy: str
    steps: tuple[Step, ...]
    approves_itself: bool
    """Nobody has to agree: a read on an environment for which the policy says so."""
    break_glass: bool
    """Granted at once to somebody who may break the glass; to be reviewed afterwards."""
    longest: timedelta
    lapses_after: timedelta
    through: tuple[str, ...] = ()
    """The person's teams that the policy let ask: when they are in none of them any more, what rests on them is reviewed."""

    @property
    def is_immediate(self) -> bool:
        """Granted without a vote."""
        return self.approves_itself or self.break_glass

    def to_json(self) -> dict[str, Any]:
        """As stored on the request."""
        return {
            "policy": self.policy,
            "steps": [[step.team, step.count] for step in self.steps],
            "approves_itself": self.approves_itself,
            "break_glass": self.break_glass,
            "longest_s": int(self.longest.total_seconds()),
            "lapses_after_s": int(self.lapses_after.total_seconds()),
            "through": list(self.through),
        }

    @property
    def hash(self) -> str:
        """Part of the request's content: a vote is a vote under these terms."""
        return hash_of(self.to_json())

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Terms:
        """The terms that `to_json` wrote."""
        return cls(
            policy=data["policy"],
            steps=tuple(Step(team, count) for team, count in data["steps"]),
            approves_itself=data["approves_itself"],
            break_glass=data["break_glass"],
            longest=timedelta(seconds=data["longest_s"]),
            lapses_after=timedelta(seconds=data["lapses_after_s"]),
            through=tuple(data.get("through", ())),
        )
