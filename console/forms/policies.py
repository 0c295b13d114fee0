"""Adding and changing a policy."""

from __future__ import annotations

from typing import Any, cast

from django import forms

from access.audience import Rules
from access.models import Environment, Policy
from access.queries.catalogue import teams_to_choose
from access.quorum import Step
from access.services.catalogue import MOST_PEOPLE, MOST_STEPS
from console.forms.durations import DurationField
from console.forms.lines import DurationText, StepsField
from console.forms.merging import seconds
from console.forms.short_names import ShortNameInput
from people.models import Team

_TEXT = {"class": "form-control"}


class PolicyForm(forms.Form):
    """Who may ask, who has to agree, what happens by itself."""

    name = forms.CharField(
        max_length=100, widget=forms.TextInput(attrs=_TEXT), error_messages={"required": "Give the policy a name."}
    )
    slug = forms.SlugField(
        label="Short name",
        widget=ShortNameInput(attrs=_TEXT),
        error_messages={"required": "Give the policy a short name: it is part of addresses and of the audit log."},
    )
    requesters: forms.ModelMultipleChoiceField[Team] = forms.ModelMultipleChoiceField(
        queryset=Team.objects.none(),
        to_field_name="slug",
        label="Who may ask",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one team that may ask."},
    )
    steps = StepsField(label="Who must approve", required=False)
    self_approved_environments = forms.MultipleChoiceField(
        label="Reads are approved automatically on",
        choices=Environment.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    break_glass_team: forms.ModelChoiceField[Team] = forms.ModelChoiceField(
        queryset=Team.objects.none(),
        to_field_name="slug",
        label="Who may take emergency access",
        required=False,
        empty_label="Nobody",
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    longest = DurationField(
        label="Longest access", widget=DurationText(), error_messages={"required": "Say how long access may last."}
    )
    lapses_after = DurationField(
        label="A request stays open for",
        widget=DurationText(),
        error_messages={"required": "Say how long a request waits for votes."},
    )
    revision = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, policy: Policy | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.policy = policy
        # Read once for all fields that offer them.
        known = list(teams_to_choose())
        teams = [(team.slug, team.name) for team in known]
        for name in ("requesters", "break_glass_team"):
            self.fields[name].queryset = teams_to_choose()  # type: ignore[attr-defined]
        self.fields["requesters"].choices = teams  # type: ignore[attr-defined]
        self.fields["break_glass_team"].choices = [("", "Nobody"), *teams]  # type: ignore[attr-defined]
        self.fields["steps"].widget.teams = teams
        self._steps = cast(StepsField, self.fields["steps"])
        self._steps.teams = known
        if policy is not None:
            del self.fields["slug"]
            self.fields["revision"].required = True

    def clean_self_approved_environments(self) -> list[Environment]:
        """As the values that they stand for."""
        return [Environment(value) for value in self.cleaned_data["self_approved_environments"]]

    def clean(self) -> dict[str, Any]:
        """Somebody has to agree, or reads have to approve themselves somewhere."""
        cleaned: dict[str, Any] = super().clean() or {}
        if "steps" in cleaned and not cleaned["steps"] and not cleaned.get("self_approved_environments"):
            self.add_error(
                "steps", "Add a step, or say where reads are approved automatically: otherwise nobody gets anything."
            )
        return cleaned

    def rules_so_far(self) -> Rules:
        """The rules as the form shows them, sent or not; steps that are not complete are left out."""
        steps, _ = self._steps.read(self["steps"].value())
        return Rules(
            requesters=frozenset(str(team) for team in self["requesters"].value() or ()),
            steps=tuple(Step(team.slug, min(count, MOST_PEOPLE)) for team, count in steps[:MOST_STEPS]),
            self_approved_environments=frozenset(
                str(place) for place in self["self_approved_environments"].value() or ()
            ),
            break_glass_team=str(self["break_glass_team"].value() or ""),
        )

    def has_unfinished_steps(self) -> bool:
        """Whether a step is left out of `rules_so_far`."""
        _, problems = self._steps.read(self["steps"].value())
        return bool(problems)

    def as_recorded(self) -> dict[str, Any]:
        """What was typed, as the audit trail would record it."""
        cleaned = self.cleaned_data
        glass = cleaned["break_glass_team"]
        environments = cleaned["self_approved_environments"]
        return {
            "name": cleaned["name"],
            "requesters": sorted(team.slug for team in cleaned["requesters"]),
            "steps": [{"team": team.slug, "count": count} for team, count in cleaned["steps"]],
            "self_approved_environments": [place.value for place in Environment if place in environments],
            "break_glass_team": glass.slug if glass else "",
            "longest_s": seconds(cleaned["longest"]),
            "lapses_after_s": seconds(cleaned["lapses_after"]),
        }


def initial_of(policy: Policy) -> dict[str, Any]:
    """The policy as its form shows it."""
    return {
        "name": policy.name,
        "requesters": [team.slug for team in policy.requesters.all()],
        "steps": [(step.team.slug, step.count) for step in policy.steps.all()],
        "self_approved_environments": policy.self_approved_environments,
        "break_glass_team": policy.break_glass_team.slug if policy.break_glass_team else "",
        "longest": policy.longest,
        "lapses_after": policy.lapses_after,
        "revision": policy.revision,
    }
