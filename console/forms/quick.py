"""Fields with hundreds of choices, written without a template for each of them: Django's own take a millisecond a choice."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from django import forms
from django.forms.renderers import BaseRenderer
from django.forms.utils import flatatt
from django.utils.safestring import SafeString, mark_safe


class QuickSelect(forms.Select):
    """A select, as Django writes it; its choices are in no groups."""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: BaseRenderer | None = None
    ) -> SafeString:
        """As HTML; everything is escaped."""
        widget = self.get_context(name, value, attrs)["widget"]
        options = "".join(
            f'<option value="{_escaped(option["value"])}"{flatatt(option["attrs"])}>{_escaped(option["label"])}</option>'
            for _, group, _ in widget["optgroups"]
            for option in group
        )
        whole = f'<select name="{_escaped(widget["name"])}"{flatatt(widget["attrs"])}>{options}</select>'
        return mark_safe(whole)  # noqa: S308 - each value is escaped above


def tick_of(choice: Mapping[str, Any]) -> SafeString:
    """The box of one choice (`BoundWidget.data`), as Django writes it."""
    kind, name, value = (_escaped(choice[key]) for key in ("type", "name", "value"))
    whole = f'<input type="{kind}" name="{name}" value="{value}"{flatatt(choice["attrs"])}>'
    return mark_safe(whole)  # noqa: S308 - each value is escaped above


def _escaped(value: Any) -> str:
    return html.escape(str(value))
