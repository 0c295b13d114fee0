"""The canonical text and the hash: one spelling, for ever, for everybody."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from audit.chain import GENESIS, canonical, digest, timestamp
from audit.errors import NotRecordable
from tests.audit.values import json_values

#: An entry as version 1 seals it. If its hash ever changes, every log out there looks broken: make a version 2 instead.
SEALED = {
    "v": 1,
    "seq": 7,
    "at": "2026-01-31T09:30:00.000000Z",
    "event": "request.approved",
    "actor": {"kind": "person", "id": "2", "label": "bob@example.com"},
    "subject": {"kind": "request", "id": "R-12", "label": "Read orders"},
    "related": [{"kind": "server", "id": "orders", "label": "Bestellungen – Köln"}],
    "before": {"state": "pending"},
    "after": {"state": "approved", "steps": [["dba", 2]], "ticket": None, "break_glass": False},
    "reason": 'Say "yes"\n\t\\ \x1f \x7f 😀',
    "origin": {"channel": "web", "ip": "192.0.2.1", "request_id": "", "user_agent": ""},
    "prev_hash": GENESIS,
}


def test_the_hash_of_version_1_never_changes() -> None:
    assert digest(SEALED) == "19ce68b78eba263900de226c48ac76e09775630a703e835e361b9aa01a7cfe18"


def test_keys_are_sorted_as_rfc_8785_says() -> None:
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    written = json.loads(canonical(dict.fromkeys(names)), object_pairs_hook=lambda pairs: [name for name, _ in pairs])
    assert written == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_text_is_escaped_as_little_as_rfc_8785_says() -> None:
    assert canonical('\u20ac$\x0f\nA\'B"\\\\"/') == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()


@given(json_values)
def test_what_is_written_reads_back_the_same_and_writes_the_same(value: Any) -> None:
    text = canonical(value)
    assert canonical(json.loads(text)) == text


@given(json_values, json_values)
def test_two_values_have_one_text_only_when_they_are_the_same(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) == (_typed(one) == _typed(other))


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        2**53,
        -(2**53),
        "a\x00b",
        "\ud800",
        {1: "a"},
        {"a\x00": 1},
        b"a",
        Decimal(1),
        datetime.now(UTC),
    ],
)
def test_what_has_more_than_one_spelling_is_refused(value: Any) -> None:
    with pytest.raises(NotRecordable):
        canonical({"detail": [value]})


def test_a_time_is_written_in_utc_with_all_its_digits() -> None:
    cest = timezone(timedelta(hours=2))
    assert timestamp(datetime(2026, 7, 1, 1, 30, tzinfo=cest)) == "2026-06-30T23:30:00.000000Z"
    assert timestamp(datetime(2026, 7, 1, 1, 30, 0, 7, tzinfo=UTC)) == "2026-07-01T01:30:00.000007Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(NotRecordable):
        timestamp(datetime(2026, 7, 1, 1, 30))  # noqa: DTZ001 - the very point


@pytest.mark.parametrize("name", list(SEALED))
def test_every_part_of_an_entry_is_sealed(name: str) -> None:
    without = {key: value for key, value in SEALED.items() if key != name}
    assert digest(without) != digest(SEALED)


def _typed(value: Any) -> Any:
    """The value with its types beside it, since Python takes True for 1."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return type(value).__name__, value
