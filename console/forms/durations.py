"""The field for a duration: chips for the usual ones, and one to type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.forms.renderers import BaseRenderer
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from console import durations

#: The chips, shortest first.
CHIPS = (timedelta(minutes=30), timedelta(hours=1), timedelta(hours=4))
CUSTOM = "custom"


class DurationChips(forms.Widget):
    """Radio buttons that look like chips; `custom` comes with a text field. Chips longer than `longest` are off."""

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
        """As HTML: the chips, which of them is on, and what was typed. Written here, for a list has one in each row."""
        given = attrs or {}
        text = durations.compact(value) if isinstance(value, timedelta) else str(value or "")
        values = [durations.compact(chip) for chip in self.chips]
        typed = "" if text in values else text
        wrong = format_html(' aria-describedby="{}_error"', given.get("id", "")) if "aria-invalid" in given else ""
        radio = format_html('type="radio" name="{}"{}{}', name, _REQUIRED if self.must_choose else "", wrong)
        chips = format_html_join("", "{}", ((self._chip(radio, chip, text),) for chip in self.chips))
        custom = format_html(_CHIP, radio, CUSTOM, _ON if typed else "", "Custom")
        return format_html(_CHIPS, chips=chips, custom=custom, name=name, id=given.get("id", ""), typed=typed)

    def _chip(self, radio: SafeString, chip: timedelta, text: str) -> SafeString:
        value, off = durations.compact(chip), self.longest is not None and chip > self.longest
        state = _OFF if off else _ON if value == text else ""
        return format_html(_CHIP, radio, value, state, durations.spoken(chip))


_ON, _OFF, _REQUIRED = mark_safe(" checked"), mark_safe(" disabled"), mark_safe(" required")
_CHIP = '<label class="chip"><input {} value="{}"{}><span>{}</span></label>'
_CHIPS = """<div class="chips">{chips}
  {custom}
  <input class="form-control chip-text" name="{name}_custom" id="{id}_custom" value="{typed}" placeholder="e.g. 90m, 2h 30m" \
aria-label="Custom duration" maxlength="20" autocomplete="off" data-custom-duration>
</div>"""


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
