"""What changed, in words."""

from __future__ import annotations

from typing import Any

import pytest

from access.differences import Difference, differences, in_words


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("longest_s", 5400, "1 h 30 min"),
        ("lapses_after_s", 90061, "1 d 1 h 1 min 1 s"),
        ("statement_timeout_s", None, "no limit"),
        ("connections", None, "no limit"),
        ("connections", 5, "5"),
        ("is_enabled", False, "no"),
        ("break_glass_team", "", "nothing"),
        ("steps", [{"team": "dba", "count": 2}, {"team": "security", "count": 1}], "2 of dba, then 1 of security"),
        ("tables", [["public", "orders"], ["public", "lines"]], "public.orders, public.lines"),
        ("requesters", ["backend", "data"], "backend, data"),
    ],
)
def test_values_read_as_people_say_them(name: str, value: Any, words: str) -> None:
    assert in_words(name, value) == words


def test_only_what_has_a_name_for_people_is_a_difference() -> None:
    found = differences({"name": "A", "port": 1}, {"name": "B", "port": 2, "revision": 3, "gives_the_actor": ["x"]})
    assert found == (Difference("name", "Name", "A", "B"), Difference("port", "Port", "1", "2"))


def test_something_new_tells_what_it_has() -> None:
    assert differences(None, {"name": "A", "schemas": [], "policy": ""}) == (Difference("name", "Name", "", "A"),)
    assert differences(None, None) == ()
