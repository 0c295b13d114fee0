"""The short name of something new: typed, or made from its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.text import slugify

#: As long as any short name may be.
LONGEST = 50


class ShortNameInput(forms.TextInput):
    """Left empty, it says what the field `name` of the same form says, in letters, digits and dashes."""

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> str:
        """What was typed, or else what the name gives; empty where that gives nothing, as a name in other letters does."""
        typed = str(super().value_from_datadict(data, files, name) or "").strip()
        return typed or slugify(str(data.get("name") or ""))[:LONGEST].strip("-_")
