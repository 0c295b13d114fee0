"""Forms of teams: a new one, a member, a group that fills it."""

from __future__ import annotations

from django import forms
from django.conf import settings

from console.forms.short_names import ShortNameInput
from people.models import Capability, User

_CONTROL = {"class": "form-control", "autocomplete": "off"}
_CHOICE = {"class": "form-select"}


class TeamForm(forms.Form):
    """A new team."""

    name = forms.CharField(
        label="Name",
        max_length=100,
        widget=forms.TextInput(attrs=_CONTROL),
        error_messages={"required": "Give the team a name."},
    )
    slug = forms.CharField(
        label="Short name",
        max_length=50,
        widget=ShortNameInput(attrs=_CONTROL),
        error_messages={"required": "Give it a short name, such as dba."},
    )
    capability = forms.ChoiceField(
        label="What it allows by itself",
        choices=Capability.choices,
        required=False,
        widget=forms.Select(attrs=_CHOICE),
    )


class MemberForm(forms.Form):
    """Somebody, by their address."""

    person = forms.EmailField(
        label="E-mail address",
        widget=forms.EmailInput(attrs=_CONTROL),
        error_messages={"required": "Enter an e-mail address.", "invalid": "This is not an e-mail address."},
    )

    def clean_person(self) -> User:
        """The person with the address."""
        found = User.objects.filter(email__iexact=self.cleaned_data["person"], is_active=True).first()
        if found is None:
            raise forms.ValidationError("Nobody with this address has an account here that is switched on.")
        return found


class MappingForm(forms.Form):
    """A group of a provider."""

    provider = forms.ChoiceField(label="Identity provider", widget=forms.Select(attrs=_CHOICE))
    group = forms.CharField(
        label="Group",
        max_length=255,
        widget=forms.TextInput(attrs=_CONTROL),
        error_messages={"required": "Say which group, exactly as the provider's token names it."},
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        choices = [(one.id, one.name) for one in settings.LOCKGATE_SSO.values() if one.groups_claim]
        self.fields["provider"].choices = choices  # type: ignore[attr-defined]
