"""How much could go wrong, level by level."""

from __future__ import annotations

from datetime import timedelta

import pytest

from access.risk import Risk, assess
from connectors.base import Level

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("level", "environment", "risk"),
    [
        (Level.READ, "production", Risk.LOW),
        (Level.WRITE, "production", Risk.MEDIUM),
        (Level.DDL, "production", Risk.HIGH),
        (Level.MEMBER, "production", Risk.HIGH),
        (Level.READ, "staging", Risk.LOW),
        (Level.WRITE, "staging", Risk.LOW),
        (Level.DDL, "development", Risk.MEDIUM),
        (Level.MEMBER, "development", Risk.MEDIUM),
    ],
)
def test_every_level_has_a_risk(level: Level, environment: str, risk: Risk) -> None:
    assert assess(level=level, environment=environment, duration=HOUR).risk is risk


@pytest.mark.parametrize("level", list(Level))
def test_longer_than_a_working_day_is_riskier_and_never_more_than_high(level: Level) -> None:
    short = assess(level=level, environment="production", duration=timedelta(hours=8))
    long = assess(level=level, environment="production", duration=timedelta(hours=9))
    assert long.risk == min(short.risk + 1, Risk.HIGH)
