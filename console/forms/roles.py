"""Adding and changing an access role."""

from __future__ import annotations

from typing import Any

from django import forms

from access.audience import Guarded
from access.models import AccessRole, Policy, Server
from access.scope_names import Names
from connectors.base import Level
from console.forms.durations import DurationField
from console.forms.gateway_rules import GatewayFields, initial_of_gateway
from console.forms.lines import DurationText, LinesField, TablesField
from console.forms.merging import seconds
from console.forms.short_names import ShortNameInput

_TEXT = {"class": "form-control"}
_CHOICE = {"class": "form-select"}
_LEVELS = {
    Level.READ: "read: look at data",
    Level.WRITE: "write: change data",
    Level.DDL: "ddl: change tables",
    Level.MEMBER: "member: join database roles that exist",
}


class RoleForm(GatewayFields):
    """What can be asked for on a server, and which policy guards it."""

    name = forms.CharField(
        max_length=100, widget=forms.TextInput(attrs=_TEXT), error_messages={"required": "Give the access role a name."}
    )
    slug = forms.SlugField(
        label="Short name",
        widget=ShortNameInput(attrs=_TEXT),
        error_messages={"required": "Give the access role a short name: it is part of addresses and of account names."},
    )
    server: forms.ModelChoiceField[Server] = forms.ModelChoiceField(
        queryset=Server.objects.none(),
        to_field_name="slug",
        empty_label="Choose a server",
        widget=forms.Select(attrs=_CHOICE),
        error_messages={"required": "Choose the server on which it can be asked for."},
    )
    description = forms.CharField(max_length=300, required=False, widget=forms.TextInput(attrs=_TEXT))
    policy: forms.ModelChoiceField[Policy] = forms.ModelChoiceField(
        queryset=Policy.objects.none(),
        to_field_name="slug",
        required=False,
        empty_label="None: nobody can request it",
        widget=forms.Select(attrs=_CHOICE),
    )
    level = forms.ChoiceField(
        choices=[(level.value, label) for level, label in _LEVELS.items()], widget=forms.Select(attrs=_CHOICE)
    )
    databases = LinesField(error_messages={"required": "Name at least one database."})
    schemas = LinesField(required=False)
    tables = TablesField(required=False)
    database_roles = LinesField(label="Database roles to join", required=False)
    own_identity = forms.BooleanField(required=False)
    longest = DurationField(
        label="Longest access", widget=DurationText(), error_messages={"required": "Say how long access may last."}
    )
    connections = forms.IntegerField(
        label="Connections at once",
        min_value=1,
        max_value=1000,
        required=False,
        widget=forms.NumberInput(attrs=_TEXT),
    )
    statement_timeout = DurationField(label="Longest statement", required=False, widget=DurationText())
    idle_in_transaction_timeout = DurationField(label="Longest idle transaction", required=False, widget=DurationText())
    is_enabled = forms.BooleanField(label="Can be requested", required=False)
    revision = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, role: AccessRole | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["policy"].queryset = Policy.objects.order_by("name")  # type: ignore[attr-defined]
        if role is None:
            del self.fields["is_enabled"], self.fields["revision"]
            self.fields["server"].queryset = Server.objects.order_by("name")  # type: ignore[attr-defined]
        else:
            del self.fields["slug"], self.fields["server"]
            self.fields["revision"].required = True

    def clean_level(self) -> Level:
        """As the value that it stands for."""
        return Level(self.cleaned_data["level"])

    def clean(self) -> dict[str, Any]:
        """Database roles go with the level that joins them, and with no other."""
        cleaned = super().clean()
        level, joined = cleaned.get("level"), cleaned.get("database_roles")
        if level is Level.MEMBER and joined == []:
            self.add_error("database_roles", "Name the database roles to join.")
        elif level is not None and level is not Level.MEMBER and joined:
            self.add_error("database_roles", "They go with the level member only.")
        return cleaned

    def names(self) -> Names:
        """What a valid form names on the server."""
        cleaned = self.cleaned_data
        return Names(cleaned["databases"], cleaned["schemas"], cleaned["tables"], cleaned["database_roles"])

    def guarded_so_far(self, role: AccessRole | None) -> Guarded:
        """What of the role decides who gets it how, as the form shows it, sent or not."""
        level = str(self["level"].value() or "")
        server = role.server if role else Server.objects.filter(slug=self["server"].value() or "").first()
        return Guarded(
            slug=role.slug if role else "",
            name=str(self["name"].value() or "This access role"),
            level=Level(level) if level in list(Level) else Level.WRITE,
            environment=server.environment if server else "",
        )

    def as_recorded(self) -> dict[str, Any]:
        """What was typed, as the audit trail would record it."""
        cleaned = self.cleaned_data
        names = (
            "name",
            "description",
            "databases",
            "schemas",
            "database_roles",
            "connections",
            "own_identity",
            "is_enabled",
        )
        durations = ("longest", "statement_timeout", "idle_in_transaction_timeout")
        return {
            **{name: cleaned[name] for name in names},
            **{f"{name}_s": seconds(cleaned[name]) for name in durations},
            "policy": cleaned["policy"].slug if cleaned["policy"] else "",
            "level": cleaned["level"].value,
            "tables": [list(pair) for pair in cleaned["tables"]],
            **self.gateway_as_recorded(),
        }


def initial_of(role: AccessRole) -> dict[str, Any]:
    """The access role as its form shows it."""
    names = (
        "name",
        "description",
        "level",
        "databases",
        "schemas",
        "tables",
        "database_roles",
        "longest",
        "revision",
        "own_identity",
    )
    limits = ("connections", "statement_timeout", "idle_in_transaction_timeout", "is_enabled")
    policy = role.policy.slug if role.policy else ""
    values = {name: getattr(role, name) for name in (*names, *limits)}
    return {**values, "policy": policy, **initial_of_gateway(role)}
