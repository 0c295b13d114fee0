"""Fields with hundreds of choices are written by hand, and are to a browser what Django's own would be."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django import forms

from console.forms.quick import QuickSelect, tick_of

CHOICES = [("", "Nobody"), ("dba", "DBA & friends"), ('a"><script>', "<b>'x'</b>"), ("ops", "Ops")]


def _plain(page: str) -> str:
    """Without the white space between elements."""
    return re.sub(r">\s+<", "><", page.strip())


@pytest.mark.parametrize("value", ["", None, "dba", 'a"><script>', "gone"])
@pytest.mark.parametrize("attrs", [{}, {"class": "form-select", "id": "id_x", "required": True, "disabled": False}])
def test_a_select_is_written_as_django_writes_it(value: str | None, attrs: dict[str, Any]) -> None:
    ours, theirs = QuickSelect(choices=CHOICES), forms.Select(choices=CHOICES)
    assert _plain(ours.render('n"ame', value, attrs)) == _plain(theirs.render('n"ame', value, attrs))


def test_a_box_is_written_as_django_writes_it() -> None:
    class Some(forms.Form):
        teams = forms.MultipleChoiceField(choices=CHOICES, widget=forms.CheckboxSelectMultiple)

    boxes = list(Some(initial={"teams": ["dba", 'a"><script>']})["teams"])
    assert [tick_of(box.data) for box in boxes] == [box.tag() for box in boxes]
    assert sum("checked" in tick_of(box.data) for box in boxes) == 2
