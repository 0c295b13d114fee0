"""What templates need beyond Django."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from html import unescape

from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from console.templatetags import lockgate


def test_a_time_is_utc_until_the_browser_says_otherwise() -> None:
    at = datetime(2026, 3, 2, 10, 30, tzinfo=timezone(timedelta(hours=2)))
    shown = lockgate.moment(at)
    assert 'datetime="2026-03-02T08:30:00+00:00"' in shown
    assert 'title="2026-03-02 08:30:00 UTC"' in shown
    assert ">2 Mar 2026, 08:30 UTC<" in shown


def test_sql_is_marked_and_escaped() -> None:
    shown = lockgate.sql("""GRANT SELECT ON "<b>" TO 'it''s <i>'""")
    assert '<span class="k">GRANT</span>' in shown
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    assert '<span class="s">&#x27;it&#x27;&#x27;s &lt;i&gt;&#x27;</span>' in shown


@given(st.text())
def test_marking_loses_nothing_and_lets_nothing_through(statement: str) -> None:
    shown = lockgate.sql(statement)
    plain = shown.replace('<span class="k">', "").replace('<span class="s">', "").replace("</span>", "")
    assert "<" not in plain
    assert unescape(plain) == statement


def test_a_ticket_is_linked_where_the_settings_know_the_tracker(settings: Settings) -> None:
    assert lockgate.ticket("OPS-1") == "OPS-1"
    settings.LOCKGATE_TICKET_URL = "https://tracker.example/{ticket}"
    assert 'href="https://tracker.example/OPS-1"' in lockgate.ticket("OPS-1")
    hostile = lockgate.ticket('../"><script>')
    assert 'href="https://tracker.example/..script"' in hostile
    assert "<script>" not in hostile


def test_initials_of_a_name_and_of_an_address() -> None:
    assert lockgate.initials("Alice Moreno") == "AM"
    assert lockgate.initials("bob@example.com") == "B"
    assert lockgate.initials("") == "?"


def test_where_an_entry_leads() -> None:
    assert lockgate.leads_to({"kind": "request", "id": "R-1"}) == "/requests/R-1/"
    assert lockgate.leads_to({"kind": "policy", "id": "one"}) == "/settings/policies/one/"
    assert lockgate.leads_to({"kind": "team", "id": "dba"}) == "/settings/teams/dba/"
    assert lockgate.leads_to({"kind": "session", "id": "one"}) == ""


def test_a_kept_time_is_shown_like_any_other() -> None:
    assert "2026-03-02 08:30:00 UTC" in lockgate.stamp(datetime(2026, 3, 2, 8, 30, tzinfo=UTC).isoformat())
    assert lockgate.stamp(None) == ""
