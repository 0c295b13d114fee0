"""Putting a server under management, and changing where it is."""

from __future__ import annotations

from typing import Any

from django import forms

from access.models import Environment, Server
from access.queries.pages import default_port_of, engine_choices, tls_values_of
from connectors.base import Tls
from console.forms.lines import AddressesField
from console.forms.short_names import ShortNameInput

_TEXT = {"class": "form-control"}
_CHOICE = {"class": "form-select"}
#: What each setting means. Switching encryption off has to be chosen, and says what it does.
_TLS = {
    Tls.VERIFY_FULL: "verify-full: encrypted, certificate and name checked",
    Tls.VERIFY_CA: "verify-ca: encrypted, certificate checked, its name not (PostgreSQL, MariaDB)",
    Tls.REQUIRE: "require: encrypted, but it could be another server's",
    Tls.DISABLE: "disable: NOT ENCRYPTED, anybody on the way can read it",
}


class ServerForm(forms.Form):
    """Where the server is, and as whom Lockgate works on it. No secret is typed here: only where one lies."""

    name = forms.CharField(max_length=100, widget=forms.TextInput(attrs=_TEXT))
    slug = forms.SlugField(
        label="Short name",
        widget=ShortNameInput(attrs=_TEXT),
        error_messages={"required": "Give the server a short name: it is part of addresses."},
    )
    engine = forms.ChoiceField(choices=engine_choices, widget=forms.Select(attrs=_CHOICE))
    environment = forms.ChoiceField(choices=Environment.choices, widget=forms.Select(attrs=_CHOICE))
    host = forms.CharField(label="Host", max_length=255, widget=forms.TextInput(attrs=_TEXT))
    port = forms.IntegerField(min_value=1, max_value=65535, required=False, widget=forms.NumberInput(attrs=_TEXT))
    database = forms.CharField(
        label="Database for server-wide work", max_length=128, required=False, widget=forms.TextInput(attrs=_TEXT)
    )
    tls = forms.ChoiceField(
        label="TLS", choices=[(tls.value, label) for tls, label in _TLS.items()], widget=forms.Select(attrs=_CHOICE)
    )
    tls_ca_file = forms.CharField(
        label="File with the certificate authority",
        max_length=500,
        required=False,
        widget=forms.TextInput(attrs=_TEXT),
    )
    admin_user = forms.CharField(
        label="Lockgate's own account", max_length=128, initial="lockgate", widget=forms.TextInput(attrs=_TEXT)
    )
    admin_secret = forms.CharField(
        label="Password reference or cloud identity",
        max_length=500,
        widget=forms.TextInput(
            attrs=_TEXT | {"placeholder": "file:/run/servers/orders, vault:…, azure:managed-identity, …"}
        ),
    )

    def clean_slug(self) -> str:
        """Short names are taken once."""
        slug = str(self.cleaned_data["slug"])
        if Server.objects.filter(slug=slug).exists():
            raise forms.ValidationError("Another server has this short name. Choose another one.")
        return slug

    def clean(self) -> dict[str, Any]:
        """The choices, as the values that they stand for."""
        cleaned: dict[str, Any] = super().clean() or {}
        if "port" in cleaned and cleaned["port"] is None:
            cleaned["port"] = default_port_of(self._engine())
            if cleaned["port"] is None:
                self.add_error("port", "Say on which port the server listens.")
        if "environment" in cleaned:
            cleaned["environment"] = Environment(cleaned["environment"])
        if "tls" in cleaned:
            cleaned["tls"] = Tls(cleaned["tls"])
        return cleaned

    def _engine(self) -> str:
        return str(self.cleaned_data.get("engine", ""))


class ChangeServerForm(ServerForm):
    """What of a server can change: not its short name, and not its engine."""

    slug = None  # type: ignore[assignment]
    engine = None  # type: ignore[assignment]
    admin_secret = forms.CharField(
        label="Password reference or cloud identity",
        max_length=500,
        required=False,
        widget=forms.TextInput(attrs=_TEXT | {"placeholder": "as before"}),
    )
    replicas = AddressesField(label="Replicas that people may read from", required=False)
    is_enabled = forms.BooleanField(label="Can be requested", required=False)
    revision = forms.IntegerField(widget=forms.HiddenInput)

    def offer_tls_of(self, engine: str) -> None:
        """Leave out what the engine's driver does not do."""
        offered = tls_values_of(engine)
        field = self.fields["tls"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [(tls.value, label) for tls, label in _TLS.items() if tls.value in offered]

    def as_recorded(self) -> dict[str, Any]:
        """What was typed, as the audit trail would record it; where the password lies is not in it."""
        names = ("name", "host", "port", "database", "tls_ca_file", "admin_user", "is_enabled")
        cleaned = self.cleaned_data
        return {
            **{name: cleaned[name] for name in names},
            "environment": cleaned["environment"].value,
            "tls": cleaned["tls"].value,
            "replicas": [f"{host}:{port}" for host, port in cleaned["replicas"]],
        }


def initial_of(server: Server) -> dict[str, Any]:
    """The server as its form shows it; where its password lies is nobody's business."""
    names = (
        "name",
        "environment",
        "host",
        "port",
        "database",
        "tls",
        "tls_ca_file",
        "admin_user",
        "replicas",
        "is_enabled",
    )
    return {name: getattr(server, name) for name in (*names, "revision")}
