"""What reaches the log is declared, and no secret is among it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from access.states import GrantState
from audit import redaction
from audit.errors import NotRecordable
from audit.events import Event
from audit.log import record
from audit.models import Entry
from audit.redaction import MASK, MASKED, SHOWN, UNDECLARED, clean_text, disclosed, is_declared, looks_secret
from connectors.base import Finding, Limits, Receipt, Scope, Secret
from tests.audit.forging import ALICE, request

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("access", "audit", "console", "people", "gateway")


def recorded_fields() -> Iterator[tuple[str, str]]:
    """Where in the code a `before` or `after` is written down, and the names in it."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.keyword) and node.arg in ("before", "after"):
                    yield from ((f"{path.relative_to(ROOT)}:{key.lineno}", key.value) for key in _names(node.value))


def _names(value: ast.expr) -> Iterator[Any]:
    for node in ast.walk(value):
        if isinstance(node, ast.Dict):
            yield from (key for key in node.keys if isinstance(key, ast.Constant))


def test_every_field_that_the_code_records_is_declared() -> None:
    names = dict(recorded_fields())
    assert "state" in names.values(), "The search for what is recorded found nothing: it is broken."
    assert {place: name for place, name in names.items() if not is_declared(name)} == {}


@pytest.mark.parametrize("kind", [Scope, Limits, Receipt, Finding])
def test_every_field_of_what_is_recorded_whole_is_declared(kind: type[Any]) -> None:
    seconds = {"statement_timeout", "idle_in_transaction_timeout"}  # as `…_s`
    names = {f"{field.name}_s" if field.name in seconds else field.name for field in fields(kind)}
    assert {name for name in names if not is_declared(name)} == set()


def test_a_field_is_declared_once() -> None:
    assert SHOWN.isdisjoint(MASKED | redaction.HARMLESS)


def test_nothing_that_is_shown_looks_like_a_secret() -> None:
    assert {name for name in SHOWN if looks_secret(name)} == set()


@pytest.mark.parametrize(
    "name",
    [
        *("password", "new_password", "token", "api_token", "admin_secret", "secret", "key", "private_key"),
        *("scram_verifier", "password_hash", "Authorization_Token", "credentials", "session_cookie", "dsn", "otp"),
    ],
)
def test_what_looks_like_a_secret_is_masked_declared_or_not(name: str) -> None:
    assert disclosed({name: "hunter2"}) == {name: MASK}
    assert disclosed({"scope": [{"limits": {name: {"deep": "hunter2"}}}]}) == {"scope": [{"limits": {name: MASK}}]}


def test_a_field_that_nobody_declared_is_replaced_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[str] = []
    monkeypatch.setattr(redaction, "report_undeclared", reported.append)
    assert disclosed({"state": "active", "shoe_size": 43, "scope": {"hat": 1}}) == {
        "state": "active",
        "shoe_size": UNDECLARED,
        "scope": {"hat": UNDECLARED},
    }
    assert reported == ["shoe_size", "hat"]


def test_a_field_that_nobody_declared_fails_the_test_in_which_it_is_recorded() -> None:
    with pytest.raises(AssertionError, match="shoe_size"):
        disclosed({"shoe_size": 43})


@pytest.mark.django_db
def test_the_entry_itself_holds_no_secret() -> None:
    record(
        Event.SERVER_ADDED,
        actor=ALICE,
        subject=request(1),
        before={"password": "hunter2"},
        after={"detail": "postgresql://lockgate:hunter2@db/orders refused", "admin_secret": "hunter2"},
        reason="tried mysql://root:hunter2@10.0.0.1:3306/",
    )
    entry = Entry.objects.get()
    assert "hunter2" not in str(entry.content())
    assert entry.reason == f"tried mysql://root:{MASK}@10.0.0.1:3306/"
    assert entry.before == {"password": MASK}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://example.com/a:b@c", "https://example.com/a:b@c"),
        ("postgres://:hunter2@h/d and redis://u:p@h", f"postgres://:{MASK}@h/d and redis://u:{MASK}@h"),
        ("alice@example.com: please", "alice@example.com: please"),
        ("postgres://h:5432/d", "postgres://h:5432/d"),
    ],
)
def test_passwords_inside_addresses_are_masked_and_nothing_else(text: str, kept: str) -> None:
    assert clean_text(text) == kept


def test_values_become_what_has_one_text() -> None:
    values = {
        "state": GrantState.ACTIVE,
        "at": datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
        "valid_until": date(2026, 1, 31),
        "detail": timedelta(hours=1, microseconds=1),
        "count": 2**60,
        "found": Decimal("1.50"),
        "reference": UUID(int=7),
        "teams": {"b", "a"},
        "steps": (("dba", 2), None, True),
    }
    assert disclosed(values) == {
        "state": "active",
        "at": "2026-01-31T09:30:00.000000Z",
        "valid_until": "2026-01-31",
        "detail": "P0DT01H00M00.000001S",
        "count": "1152921504606846976",
        "found": "1.50",
        "reference": "00000000-0000-0000-0000-000000000007",
        "teams": ["a", "b"],
        "steps": [["dba", 2], None, True],
    }


@pytest.mark.parametrize("value", [1.5, b"bytes", object(), Secret("hunter2"), {"text": [Secret("hunter2")]}])
def test_a_value_without_one_text_is_refused(value: Any) -> None:
    with pytest.raises(NotRecordable) as refusal:
        disclosed({"detail": value})
    assert "hunter2" not in str(refusal.value)


def test_nothing_before_stays_nothing() -> None:
    assert disclosed(None) is None
    assert disclosed({}) == {}
