"""Asking for access, changing what was asked for, and asking for more time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest

from access.errors import AccessError, StartNotPossible
from access.models import AccessRole
from console.forms.durations import DurationField

#: A ticket's number in a reason: `OPS-4711`, or `#4711`.
_TICKET = re.compile(r"\b[A-Z][A-Z0-9]{1,9}-\d{1,7}\b|(?<!\w)#\d{1,9}\b")


def show(form: forms.BaseForm, error: AccessError) -> None:
    """Put what the domain refused beside the field that it is about; what was typed stays."""
    form.add_error(error.field if error.field in form.fields else None, error.sentence)


def tell_errors(request: HttpRequest, form: forms.BaseForm) -> None:
    """Say above the page what is wrong, for a form that the page does not show."""
    for errors in form.errors.values():
        for error in errors:
            messages.error(request, str(error))


class LocalTimeField(forms.DateTimeField):
    """A time as typed in a browser, without a zone; the form's `utc_offset` says what was meant."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "class": "form-control"}, format="%Y-%m-%dT%H:%M")

    def to_python(self, value: Any) -> datetime | None:
        """The time as typed, marked as UTC for now."""
        moment: datetime | None = super().to_python(value)
        return None if moment is None else moment.replace(tzinfo=UTC)


class WishesForm(forms.Form):
    """How long, why, and from when: what a new request and an edited one have in common."""

    duration = DurationField(label="For how long", error_messages={"required": "Choose how long you need the access."})
    reason = forms.CharField(
        label="Why",
        max_length=2000,
        widget=forms.Textarea(
            attrs={
                "class": "form-control",
                "rows": 2,
                "placeholder": "What are you about to do? A ticket such as OPS-4711 is linked by itself.",
            }
        ),
        error_messages={"required": "Say why you need the access: the approver reads it, and so does the auditor."},
    )
    ticket = forms.CharField(
        label="Ticket", max_length=100, required=False, widget=forms.TextInput(attrs={"class": "form-control"})
    )
    wished_start = LocalTimeField(label="Not before", required=False)
    utc_offset = forms.IntegerField(required=False, min_value=-840, max_value=840, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        """A ticket that only the reason names is taken from there; the wished start becomes a moment."""
        cleaned: dict[str, Any] = super().clean() or {}
        found = _TICKET.search(cleaned.get("reason", ""))
        if not cleaned.get("ticket") and found:
            cleaned["ticket"] = found.group()
        start = cleaned.get("wished_start")
        if start is not None:
            zone = timezone(timedelta(minutes=cleaned.get("utc_offset") or 0))
            try:
                cleaned["wished_start"] = start.replace(tzinfo=zone).astimezone(UTC)
            except OverflowError:
                self.add_error("wished_start", StartNotPossible().sentence)
        return cleaned


class AskForm(WishesForm):
    """A new request."""

    role: forms.ModelChoiceField[AccessRole] = forms.ModelChoiceField(
        queryset=AccessRole.objects.none(),
        to_field_name="slug",
        label="What",
        error_messages={
            "required": "Choose what you need access to.",
            "invalid_choice": "You cannot ask for this access role. Choose one of the list.",
        },
    )
    break_glass = forms.BooleanField(label="Emergency access", required=False)

    field_order = ("role", "duration", "reason", "ticket", "wished_start", "break_glass")

    def __init__(self, *args: Any, roles: QuerySet[AccessRole], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["role"].queryset = roles  # type: ignore[attr-defined]


class ExtendForm(forms.Form):
    """More time on an access that lives."""

    duration = DurationField(
        label="How much longer", error_messages={"required": "Choose how much longer you need the access."}
    )
    reason = forms.CharField(
        label="Why",
        max_length=2000,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 2}),
        error_messages={"required": "Say why you need more time: whoever decides reads it."},
    )
