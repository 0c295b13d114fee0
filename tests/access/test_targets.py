"""Names and passwords of accounts: what every server takes."""

from __future__ import annotations

import re

import pytest

from access import targets
from access.targets import make_password


def test_a_password_needs_no_quoting_and_no_two_are_the_same() -> None:
    drawn = [make_password().reveal() for _ in range(500)]
    assert len(set(drawn)) == 500
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", text) for text in drawn)


def test_a_password_has_what_a_policy_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = ["only-Letters-in-this-one", "only-small-letters-and-1", "ONLY-CAPITALS-AND-1", "Letters-and-1"]
    monkeypatch.setattr(targets.secrets, "token_urlsafe", lambda size: draws.pop(0))
    assert make_password().reveal() == "Letters-and-1"
