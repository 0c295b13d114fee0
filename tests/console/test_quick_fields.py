"""What is written by hand is to the letter what templates would write: fields, and the sheets of Approvals."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django import forms
from django.forms.renderers import DjangoTemplates, get_default_renderer
from django.template.loader import render_to_string
from django.utils.html import conditional_escape
from django.utils.safestring import mark_safe

from access.models import AccessRequest, AccessRole
from console.forms.quick import QuickRenderer, options_of, ticks_of
from console.sheets import sheets_of
from console.views.requests import deciding_forms
from people.models import User

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
    written = ticks_of(Some(initial={"teams": ["dba", 'a"><script>']})["teams"])
    labels = (conditional_escape(box.choice_label) for box in boxes)
    assert written == "".join(
        f'<label class="tick">{box.tag()} <span>{label}</span></label>'
        for box, label in zip(boxes, labels, strict=True)
    )
    assert written.count("checked") == 2


@pytest.mark.parametrize("value", ["", "dba", 'a"><script>', "gone"])
def test_options_are_written_as_django_writes_them(value: str) -> None:
    plain = CHOICES[:3]
    select = forms.Select(choices=plain).render("n", value, {}, DjangoTemplates())
    assert re.findall("<option.*?</option>", select) == re.findall("<option.*?</option>", options_of(plain, value))


def test_what_is_not_written_by_hand_is_left_to_django() -> None:
    widget = forms.RadioSelect(choices=CHOICES)
    assert widget.render("n", "dba", {}, QuickRenderer()) == widget.render("n", "dba", {}, DjangoTemplates())


def test_every_form_is_written_so() -> None:
    assert isinstance(get_default_renderer(), QuickRenderer)


@pytest.mark.parametrize("name", ["", "Bob <b>&amp;</b>", "standsfor0here", '"Carol" standsfor5here'])
@pytest.mark.parametrize("minutes", [10, 60, 61, 480])
def test_sheets_are_filled_in_as_they_would_be_written(name: str, minutes: int) -> None:
    who = User(email="o'standsfor2here@example.com", display_name=name)
    role = AccessRole(name="<orders> & 'standsfor1here'")
    asked = AccessRequest(
        reference="R-7K2M9QXT",
        content_hash="ab" * 32,
        requester=who,
        role=role,
        duration=timedelta(minutes=minutes),
    )
    context = {"request_": asked, "back": "approvals", "csrf_token": "T0ken", **deciding_forms(asked)}
    assert sheets_of(asked, "T0ken") == render_to_string("approvals/_sheets.html", context)
