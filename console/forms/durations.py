"""The field for a duration: chips for the usual ones, and one to type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.forms.renderers import BaseRenderer
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from console import durations

#: The chips, shortest first.
CHIPS = (timedelta(minutes=30), timedelta(hours=1), timedelta(hours=4))
CUSTOM = "custom"


class DurationChips(forms.Widget):
    """Radio buttons that look like chips; `custom` comes with a text field. Chips longer than `longest` are off."""

    template_name = "parts/duration_chips.html"

    def __init__(self, *, chips: tuple[timedelta, ...] = CHIPS, longest: timedelta | None = None) -> None:
        super().__init__()
        self.chips = chips
        self.must_choose = False  # Whether the browser already asks for a choice.
        self.longest = longest

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> str:
        """What was chosen, or typed where `custom` was chosen."""
        chosen = str(data.get(name, ""))
        return str(data.get(f"{name}_custom", "")) if chosen == CUSTOM else chosen

    def render(
        self,
        name: str,
        value: Any,
        attrs: dict[str, Any] | None = None,
        renderer: BaseRenderer | None = None,
    ) -> SafeString:
        """As HTML, from the project's own templates: the renderer of forms knows only those of apps."""
        return render_to_string(self.template_name, self.get_context(name, value, attrs))

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """The chips, which of them is on, and what was typed."""
        context = super().get_context(name, value, attrs)
        text = durations.compact(value) if isinstance(value, timedelta) else str(value or "")
        chips = [
            {
                "value": durations.compact(chip),
                "label": durations.spoken(chip),
                "off": self.longest is not None and chip > self.longest,
            }
            for chip in self.chips
        ]
        known = any(chip["value"] == text for chip in chips)
        context.update(
            chips=chips, text=text, known=known, must_choose=self.must_choose, wrong="aria-invalid" in (attrs or {})
        )
        return context


class DurationField(forms.Field):
    """A `timedelta`, chosen or typed."""

    widget = DurationChips

    def __init__(self, *, by_seconds: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.by_seconds = by_seconds

    def to_python(self, value: Any) -> timedelta | None:
        """The duration; an error in words for what is none."""
        if isinstance(value, timedelta):
            return value
        if not str(value or "").strip():
            return None
        try:
            return durations.parse(str(value), by_seconds=self.by_seconds)
        except ValueError:
            usual = "30s, 5m or 1h 30m" if self.by_seconds else "45m, 2h or 1h 30m"
            raise forms.ValidationError(f"Write a duration such as {usual}.", code="invalid") from None
