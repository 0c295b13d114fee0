"""Fields are written by hand, and are to the letter what Django's own templates would write."""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.forms.renderers import DjangoTemplates, get_default_renderer
from django.utils.safestring import mark_safe

from console.forms.quick import QuickRenderer, tick_of

CHOICES = [
    ("", "Nobody"),
    ("dba", "DBA & friends"),
    ('a"><script>', "<b>'x'</b>"),
    (7, mark_safe("<i>Ops</i>")),
    ("A & B", [("in", "In a group"), ("out", "Also")]),
]
WIDGETS: tuple[forms.Widget, ...] = (
    forms.TextInput(),
    forms.NumberInput(),
    forms.EmailInput(),
    forms.URLInput(),
    forms.PasswordInput(render_value=True),
    forms.HiddenInput(),
    forms.DateInput(),
    forms.DateTimeInput(),
    forms.TimeInput(),
    forms.CheckboxInput(),
    forms.Textarea(),
    forms.Select(choices=CHOICES),
)


@pytest.mark.parametrize("widget", WIDGETS, ids=lambda widget: type(widget).__name__)
@pytest.mark.parametrize("value", ["", None, "dba", "in", 'a"><script>', "gone", 0, 7, 1_234_567, "&\n<x>'"])
@pytest.mark.parametrize(
    "attrs",
    [{}, {"class": 'form-"select', "id": "id_x", "required": True, "disabled": False, "rows": 2, "data-x": None}],
)
def test_a_field_is_written_as_django_writes_it(widget: forms.Widget, value: Any, attrs: dict[str, Any]) -> None:
    name = 'n"ame'
    assert widget.render(name, value, attrs, QuickRenderer()) == widget.render(name, value, attrs, DjangoTemplates())


def test_a_box_is_written_as_django_writes_it() -> None:
    class Some(forms.Form):
        teams = forms.MultipleChoiceField(choices=CHOICES, widget=forms.CheckboxSelectMultiple)

    boxes = list(Some(initial={"teams": ["dba", 'a"><script>']}, renderer=DjangoTemplates())["teams"])
    assert [tick_of(box.data) for box in boxes] == [box.tag() for box in boxes]
    assert sum("checked" in tick_of(box.data) for box in boxes) == 2


def test_what_is_not_written_by_hand_is_left_to_django() -> None:
    widget = forms.RadioSelect(choices=CHOICES)
    assert widget.render("n", "dba", {}, QuickRenderer()) == widget.render("n", "dba", {}, DjangoTemplates())


def test_every_form_is_written_so() -> None:
    assert isinstance(get_default_renderer(), QuickRenderer)
