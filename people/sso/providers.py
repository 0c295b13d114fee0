"""The identity providers as they are configured: any number, each by variables of its own, with presets for the common ones.

`LOCKGATE_SSO=okta,partner` names them; `LOCKGATE_SSO_OKTA_CLIENT_ID` and so on describe each. docs/sign-in/ has a page for
each preset.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9][a-z0-9-]*[a-z0-9]")

#: Reads a variable: name and default.
Read = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of a kind of provider."""

    name: str
    issuer: str = ""
    """May have `{tenant}` in it; empty means that the issuer has to be given."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    groups_claim: str = "groups"
    vouches_for_email: bool = True
    """It sends `email_verified`. Where it does not, the domain and the issuer's tenant have to do."""
    has_hosted_domain: bool = False
    """It says in `hd` which organisation an account belongs to."""
    group_source: str = ""
    """Where to ask for the groups of somebody who has more of them than fit into a token."""
    account_claim: str = ""
    """The claim with the name of the person's account in the provider's directory, where databases may know that too."""


PRESETS = {
    "oidc": Preset("Single sign-on"),
    "okta": Preset("Okta", scopes=("openid", "profile", "email", "groups")),
    "entra": Preset(
        "Microsoft Entra ID",
        issuer="https://login.microsoftonline.com/{tenant}/v2.0",
        vouches_for_email=False,
        group_source="https://graph.microsoft.com/v1.0/me/transitiveMemberOf/microsoft.graph.group?$select=id&$top=999",
        account_claim="preferred_username",
    ),
    "google": Preset("Google Workspace", issuer="https://accounts.google.com", groups_claim="", has_hosted_domain=True),
}


@dataclass(frozen=True, slots=True)
class Provider:
    """One identity provider."""

    id: str
    """In addresses and in the audit trail; never changed, since identities are kept under it."""
    name: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    domains: frozenset[str]
    """E-mail domains whose people may sign in."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    groups_claim: str = "groups"
    """Name or dotted path of the claim with the groups; empty: teams are kept by hand."""
    vouches_for_email: bool = True
    has_hosted_domain: bool = False
    group_source: str = ""
    account_claim: str = ""

    @property
    def origin(self) -> str:
        """Scheme and host of the issuer: the sign-in form may lead there."""
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def auth_params(self) -> dict[str, str]:
        """What is sent along when somebody is sent there."""
        return {"hd": min(self.domains) if len(self.domains) == 1 else "*"} if self.has_hosted_domain else {}

    def as_app(self) -> dict[str, Any]:
        """As allauth wants it."""
        return {
            "provider_id": self.id,
            "name": self.name,
            "client_id": self.client_id,
            "secret": self.client_secret,
            "settings": {
                "server_url": self.issuer,
                "oauth_pkce_enabled": True,
                "scope": list(self.scopes),
                "auth_params": self.auth_params,
            },
        }


def read_providers(names: str, read: Read, *, development: bool) -> dict[str, Provider]:
    """The providers in `names` (the value of LOCKGATE_SSO), by id, each from variables of its own.

    Raises `ImproperlyConfigured` with a sentence that names the variable.
    """
    ids = [one.strip() for one in names.split(",") if one.strip()]
    for one in ids:
        if not _ID.fullmatch(one) or ids.count(one) > 1:
            raise ImproperlyConfigured(
                f"LOCKGATE_SSO has {one!r} in it; give each provider a short name of its own: okta, partner-2."
            )
    providers = {one: _read_provider(one, read, development) for one in ids}
    _check_domains(providers)
    return providers


def _read_provider(provider: str, read: Read, development: bool) -> Provider:
    prefix = f"LOCKGATE_SSO_{provider.upper().replace('-', '_')}_"

    def required(name: str, what: str) -> str:
        value = read(prefix + name, "").strip()
        if not value:
            raise ImproperlyConfigured(f"{prefix}{name} is missing. Set it, or {prefix}{name}_FILE, to {what}.")
        return value

    kind = read(f"{prefix}PRESET", "oidc")
    preset = PRESETS.get(kind)
    if preset is None:
        raise ImproperlyConfigured(f"{prefix}PRESET is {kind!r}; choose one of {', '.join(PRESETS)}.")
    return Provider(
        id=provider,
        name=read(f"{prefix}NAME", preset.name),
        issuer=_issuer(preset, prefix, required, development),
        client_id=required("CLIENT_ID", "what the provider calls this application"),
        client_secret=required("CLIENT_SECRET", "the secret that the provider gave this application"),
        domains=_domains(prefix, required("DOMAINS", "the e-mail domains of your people, with commas between")),
        scopes=tuple(read(f"{prefix}SCOPES", " ".join(preset.scopes)).split()),
        groups_claim=read(f"{prefix}GROUPS_CLAIM", preset.groups_claim).strip(),
        vouches_for_email=preset.vouches_for_email,
        has_hosted_domain=preset.has_hosted_domain,
        group_source=read(f"{prefix}GROUP_SOURCE", preset.group_source).strip(),
        account_claim=preset.account_claim,
    )


def _check_domains(providers: dict[str, Provider]) -> None:
    """Two providers that vouch for one domain could each speak for the other's people."""
    owners: dict[str, str] = {}
    for provider in providers.values():
        for domain in sorted(provider.domains):
            if domain in owners:
                raise ImproperlyConfigured(
                    f"LOCKGATE_SSO: both {owners[domain]} and {provider.id} have the domain {domain}. Give it to one of them:"
                    " each could sign in as the other's people."
                )
            owners[domain] = provider.id


def _issuer(preset: Preset, prefix: str, required: Callable[[str, str], str], development: bool) -> str:
    if "{tenant}" in preset.issuer:
        tenant = required("TENANT", "the directory's id (a UUID): accounts of any other directory are refused").lower()
        if not _UUID.fullmatch(tenant):
            raise ImproperlyConfigured(f"{prefix}TENANT is {tenant!r}; it takes the directory's id, a UUID.")
        return preset.issuer.format(tenant=tenant)
    issuer = preset.issuer or required("ISSUER", "the provider's issuer, as its discovery document has it")
    if not issuer.startswith("https://") and not (development and issuer.startswith("http://")):
        raise ImproperlyConfigured(f"{prefix}ISSUER is {issuer!r}; it begins with https://.")
    return issuer


def _domains(prefix: str, text: str) -> frozenset[str]:
    domains = frozenset(one.strip().lower() for one in text.split(",") if one.strip())
    for one in domains:
        if not _DOMAIN.fullmatch(one):
            raise ImproperlyConfigured(f"{prefix}DOMAINS has {one!r} in it, which is no domain such as example.com.")
    return domains
