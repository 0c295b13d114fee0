"""Fields of the catalogue's forms: durations as text, names one a line, tables, and the steps of a policy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.forms.renderers import BaseRenderer
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from console import durations
from console.forms.quick import options_of
from people.models import Team

_CONTROL = {"class": "form-control"}
_QUOTED = r'"(?:[^"]|"")+"'
_TABLE = re.compile(rf'({_QUOTED}|[^".]+)\.(.+)')


class DurationText(forms.TextInput):
    """A duration to type, such as `8h`; with `by_seconds` also `30s`."""

    def __init__(self, *, by_seconds: bool = False) -> None:
        super().__init__(attrs={**_CONTROL, "autocomplete": "off", "maxlength": 20})
        self.by_seconds = by_seconds

    def format_value(self, value: Any) -> str | None:
        """`1h30m` for what was saved, and whatever was typed as it was."""
        if isinstance(value, timedelta):
            value = durations.compact(value, by_seconds=self.by_seconds)
        shown: str | None = super().format_value(value)
        return shown


class LinesField(forms.Field):
    """Names, one a line. A name that begins or ends with a space stands in double quotes."""

    widget = forms.Textarea(attrs={**_CONTROL, "rows": 2, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        """As lines; what was typed stays as it was."""
        return value if isinstance(value, str) else "\n".join(_quoted(name) for name in value or ())

    def to_python(self, value: Any) -> list[str]:
        """The names."""
        return [_unquoted(line) for line in _lines(value)]


class TablesField(LinesField):
    """Tables, one `schema.table` a line; a schema with a dot in its name stands in double quotes."""

    def prepare_value(self, value: Any) -> Any:
        """As lines; what was typed stays as it was."""
        if isinstance(value, str):
            return value
        return "\n".join(line_of((container, table)) for container, table in value or ())

    def to_python(self, value: Any) -> list[Any]:
        """Pairs of schema and table; an error in words for a line that is none."""
        pairs = []
        for line in _lines(value):
            match = _TABLE.fullmatch(line)
            if match is None:
                raise forms.ValidationError(f"Write schema.table: “{line}” has no schema.", code="invalid")
            pairs.append((_unquoted(match[1]), _unquoted(match[2])))
        return pairs


class PatternsField(LinesField):
    """Patterns of names, one a line, as the gateway compares them."""

    def prepare_value(self, value: Any) -> Any:
        """As lines; what was typed stays as it was."""
        return value if isinstance(value, str) else "\n".join(value or ())

    def to_python(self, value: Any) -> list[str]:
        """The patterns, each once."""
        return list(dict.fromkeys(_lines(value)))


class AddressesField(LinesField):
    """Where servers listen, one `host:port` a line."""

    def prepare_value(self, value: Any) -> Any:
        """As lines; what was typed stays as it was."""
        return value if isinstance(value, str) else "\n".join(f"{host}:{port}" for host, port in value or ())

    def to_python(self, value: Any) -> list[Any]:
        """Pairs of host and port, each once; an error in words for a line that is none."""
        pairs = []
        for line in _lines(value):
            match = _ADDRESS.fullmatch(line)
            if match is None or not 0 < int(match[2]) < _PORTS:
                raise forms.ValidationError(f"Write host:port, which “{line}” is not.", code="invalid")
            pairs.append((match[1], int(match[2])))
        return list(dict.fromkeys(pairs))


_ADDRESS = re.compile(r"([^\s:/@]{1,255}|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})")
_PORTS = 65536

_SIZE = re.compile(r"([0-9]{1,15})\s*(?:bytes?|b|([kmgt])i?b?)?", re.IGNORECASE)
_SIZES = ("", "k", "m", "g", "t")


class SizeField(forms.Field):
    """A number of bytes, typed as `64 MiB`."""

    widget = forms.TextInput(attrs={**_CONTROL, "autocomplete": "off", "maxlength": 20})

    def prepare_value(self, value: Any) -> Any:
        """In the largest unit that leaves nothing over; what was typed stays as it was."""
        if not isinstance(value, int):
            return value
        power = next(power for power in reversed(range(len(_SIZES))) if value % 1024**power == 0)
        return f"{value // 1024**power} {f'{_SIZES[power].upper()}iB' if power and value else 'bytes'}"

    def to_python(self, value: Any) -> int | None:
        """The bytes; an error in words for what is no size."""
        text = str(value or "").strip()
        if not text:
            return None
        match = _SIZE.fullmatch(text)
        if match is None:
            raise forms.ValidationError("Write a size such as 500 KiB, 64 MiB or 2 GiB.", code="invalid")
        return int(match[1]) << 10 * _SIZES.index((match[2] or "").lower())


def _lines(value: Any) -> list[str]:
    return [line.strip() for line in str(value or "").splitlines() if line.strip()]


def _quoted(name: str, besides: str = "") -> str:
    plain = name == name.strip() and '"' not in name and not (besides and besides in name)
    return name if plain else '"' + name.replace('"', '""') + '"'


def line_of(name: str | tuple[str, str]) -> str:
    """A name, or a table with its schema, as one writes it into these fields."""
    return _quoted(name) if isinstance(name, str) else f"{_quoted(name[0], '.')}.{_quoted(name[1])}"


def _unquoted(text: str) -> str:
    return text[1:-1].replace('""', '"') if re.fullmatch(_QUOTED, text) else text


class StepsWidget(forms.Widget):
    """One row a step: a team and a number. The order on the page is the order of the steps."""

    template_name = "settings/_steps.html"
    #: What can be chosen: short names and names. The form sets it.
    teams: Sequence[tuple[str, str]] = ()

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> list[tuple[str, str]]:
        """Every row as it was typed."""
        if not hasattr(data, "getlist"):
            return list(data.get(name, []))
        return list(zip(data.getlist(f"{name}_team"), data.getlist(f"{name}_count"), strict=False))

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: BaseRenderer | None = None
    ) -> SafeString:
        """As HTML, from the project's own templates."""
        rows = [(options_of(self.teams, str(team)), str(count)) for team, count in value or ()]
        return render_to_string(self.template_name, {"name": name, "rows": rows})


class StepsField(forms.Field):
    """The ordered steps of a policy: pairs of a team and how many of its people."""

    widget = StepsWidget
    #: What can be chosen; the form sets it.
    teams: Sequence[Team] = ()

    def clean(self, value: Any) -> list[tuple[Team, int]]:
        """Teams and numbers; an error that names the step."""
        steps, problems = self.read(value)
        if problems:
            raise forms.ValidationError(problems)
        return steps

    def read(self, value: Any) -> tuple[list[tuple[Team, int]], list[str]]:
        """The steps that are complete, and what is wrong with the others."""
        teams = {team.slug: team for team in self.teams}
        steps, problems = [], []
        for number, (slug, text) in enumerate(value or (), start=1):
            count = str(text).strip()
            if slug not in teams:
                problems.append(f"Step {number}: choose a team.")
            elif not re.fullmatch(r"[0-9]{1,3}", count) or int(count) < 1:
                problems.append(f"Step {number}: write how many people, 1 or more.")
            else:
                steps.append((teams[slug], int(count)))
        return steps, problems


def moved(rows: Sequence[tuple[str, str]], move: str) -> list[tuple[str, str]]:
    """The rows after one of the buttons: `add`, `up-1`, `down-0`, `remove-2`; anything else changes nothing."""
    rows = list(rows)
    verb, _, text = move.partition("-")
    if verb == "add":
        return [*rows, ("", "1")]
    at = int(text) if text.isdecimal() else -1
    if not 0 <= at < len(rows):
        return rows
    if verb == "remove":
        return rows[:at] + rows[at + 1 :]
    other = {"up": at - 1, "down": at + 1}.get(verb, at)
    if 0 <= other < len(rows):
        rows[at], rows[other] = rows[other], rows[at]
    return rows


def typed(form: forms.BaseForm, data: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody has typed so far, as the initial values of a form that is not judged yet."""
    return {name: field.widget.value_from_datadict(data, {}, name) for name, field in form.fields.items()}
