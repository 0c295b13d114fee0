"""Fields of forms, written without a template for each: Django's own cost a millisecond a field, and a list has hundreds."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.forms.boundfield import BoundField
from django.forms.renderers import DjangoTemplates
from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe


class QuickRenderer(DjangoTemplates):
    """Writes common fields as Django's templates would, to the letter, and leaves all else to them."""

    def render(self, template_name: str, context: dict[str, Any], request: HttpRequest | None = None) -> str:
        """As HTML; everything is escaped."""
        write = _WRITERS.get(template_name)
        return write(context["widget"]) if write else str(super().render(template_name, context, request))


def ticks_of(field: BoundField) -> SafeString:
    """A box with its label for each choice of a field that takes several."""
    return mark_safe("".join(_tick(box.data) for box in field))  # noqa: S308 - each value is escaped below


def _tick(choice: Mapping[str, Any]) -> str:
    return f'<label class="tick">{_input(choice)} <span>{_escaped(choice["label"])}</span></label>'


def options_of(choices: Iterable[tuple[str, str]], chosen: str) -> SafeString:
    """The options of a select: values and labels."""
    written = (
        f'<option value="{_escaped(value)}"{" selected" if value == chosen else ""}>{_escaped(label)}</option>'
        for value, label in choices
    )
    return mark_safe("".join(written))  # noqa: S308 - each value is escaped above


def _input(widget: Mapping[str, Any]) -> str:
    value = "" if widget["value"] is None else f' value="{_escaped(widget["value"])}"'
    return f'<input type="{_escaped(widget["type"])}" name="{_escaped(widget["name"])}"{value}{_attributes(widget)}>'


def _area(widget: Mapping[str, Any]) -> str:
    # The first line end is the element's, and none of its text.
    return f'<textarea name="{_escaped(widget["name"])}"{_attributes(widget)}>\n{_escaped(widget["value"] or "")}</textarea>'


def _select(widget: Mapping[str, Any]) -> str:
    groups = "".join(_group(name, options) for name, options, _ in widget["optgroups"])
    return f'<select name="{_escaped(widget["name"])}"{_attributes(widget)}>{groups}\n</select>'


def _group(name: Any, options: list[dict[str, Any]]) -> str:
    written = "".join(
        f'\n  <option value="{_escaped(option["value"])}"{_attributes(option)}>{_escaped(option["label"])}</option>\n'
        for option in options
    )
    return f'\n  <optgroup label="{_escaped(name)}">{written}\n  </optgroup>' if name else written


def _attributes(widget: Mapping[str, Any]) -> str:
    return "".join(
        f" {_escaped(name)}" if value is True else f' {_escaped(name)}="{_escaped(value)}"'
        for name, value in widget["attrs"].items()
        if value is not False
    )


def _escaped(value: Any) -> str:
    return str(value) if isinstance(value, SafeString) else html.escape(str(value))


_INPUTS = ("text", "number", "email", "url", "password", "hidden", "date", "datetime", "time", "checkbox")

_WRITERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    **{f"django/forms/widgets/{kind}.html": _input for kind in _INPUTS},
    "django/forms/widgets/textarea.html": _area,
    "django/forms/widgets/select.html": _select,
}
