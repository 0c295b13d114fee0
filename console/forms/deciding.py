"""Deciding on requests, ending access, and talking about both."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms

from console.forms.durations import CHIPS, DurationChips, DurationField

_AREA = {"class": "form-control", "rows": 2}


class ContentForm(forms.Form):
    """Which content the person saw: the vote counts for that one and for no other."""

    content_hash = forms.RegexField(r"^[0-9a-f]{64}$", widget=forms.HiddenInput)


class ApproveForm(ContentForm):
    """Yes, perhaps for less time than was asked for."""

    duration = DurationField(label="Approve for", required=False)
    comment = forms.CharField(label="Comment", max_length=2000, required=False, widget=forms.Textarea(attrs=_AREA))

    def __init__(self, *args: Any, asked: timedelta | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        if asked is not None:
            # Only what is shorter is worth a chip: for as long as was asked there is the other button.
            shorter = tuple(chip for chip in (timedelta(minutes=15), *CHIPS) if chip < asked)
            self.fields["duration"].widget = DurationChips(chips=shorter, longest=asked)


class ShorterForm(ApproveForm):
    """Yes, for less time: whoever opens this has to say for how much less, and is never taken to mean all of it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["duration"]
        field.required = True
        field.error_messages["required"] = "Choose for how long."
        field.widget.must_choose = True


def approval_form(data: Mapping[str, Any], **options: Any) -> ApproveForm:
    """The button's form, or that of the sheet in which a duration is chosen: an empty choice there is one that is missing."""
    chooses = any(name in data for name in ("shorter", "duration", "duration_custom"))
    return (ShorterForm if chooses else ApproveForm)(data, **options)


class DenyForm(ContentForm):
    """No, and why."""

    comment = forms.CharField(
        label="Why not",
        max_length=2000,
        widget=forms.Textarea(attrs=_AREA | {"placeholder": "What has to be different?"}),
        error_messages={"required": "Say why: the requester has to know what to change."},
    )


class CommentForm(forms.Form):
    """One line of the conversation."""

    text = forms.CharField(
        label="Comment",
        max_length=2000,
        widget=forms.Textarea(attrs=_AREA | {"placeholder": "Ask or answer something"}),
        error_messages={"required": "Write something first."},
    )


class EndForm(forms.Form):
    """Ending an access before its time."""

    reason = forms.CharField(label="Why", max_length=2000, required=False, widget=forms.Textarea(attrs=_AREA))


class ReviewForm(forms.Form):
    """What came of a broken glass."""

    comment = forms.CharField(
        label="What you found",
        max_length=2000,
        widget=forms.Textarea(attrs=_AREA),
        error_messages={"required": "Write what you found: the auditor reads it."},
    )


class KeepForm(forms.Form):
    """Why access stays although its owner has left the team that allowed it."""

    comment = forms.CharField(
        label="Why it stays",
        max_length=2000,
        widget=forms.Textarea(attrs=_AREA),
        error_messages={"required": "Say why it stays: the auditor reads it."},
    )
