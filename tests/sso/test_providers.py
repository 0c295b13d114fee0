"""The providers as they are configured: presets, what is missing or wrong, and that the documentation has every variable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from people.sso import providers
from people.sso.providers import PRESETS, Provider, read_providers

ROOT = Path(__file__).resolve().parent.parent.parent
TENANT = "11111111-2222-3333-4444-555555555555"
CORP = {
    "LOCKGATE_SSO": "corp",
    "LOCKGATE_SSO_CORP_ISSUER": "https://login.example.com",
    "LOCKGATE_SSO_CORP_CLIENT_ID": "lockgate",
    "LOCKGATE_SSO_CORP_CLIENT_SECRET": "hidden",
    "LOCKGATE_SSO_CORP_DOMAINS": "Example.com, example.org",
}


def read(environment: dict[str, str], *, development: bool = False) -> dict[str, Provider]:
    names = environment.get("LOCKGATE_SSO", "")
    return read_providers(names, lambda name, default: environment.get(name, default), development=development)


def refusal(environment: dict[str, str]) -> str:
    with pytest.raises(ImproperlyConfigured) as refused:
        read(environment)
    return str(refused.value)


def test_nothing_has_to_be_configured() -> None:
    assert read({}) == {}


def test_any_provider_with_a_discovery_document() -> None:
    corp = read(CORP)["corp"]
    assert corp.domains == {"example.com", "example.org"}
    assert corp.scopes == ("openid", "profile", "email")
    assert corp.groups_claim == "groups"
    assert "hidden" not in repr(corp)


def test_several_side_by_side() -> None:
    more = {name.replace("CORP", "NIGHT_SHIFT"): value for name, value in CORP.items()}
    more["LOCKGATE_SSO_NIGHT_SHIFT_DOMAINS"] = "night.example"
    assert list(read({**more, **CORP, "LOCKGATE_SSO": "corp, night-shift"})) == ["corp", "night-shift"]


def test_a_domain_belongs_to_one_of_them() -> None:
    more = {name.replace("CORP", "PARTNER"): value for name, value in CORP.items()}
    sentence = refusal({**more, **CORP, "LOCKGATE_SSO": "corp,partner"})
    assert "both corp and partner have the domain example.com" in sentence


def test_okta_is_asked_for_groups() -> None:
    assert "groups" in read({**CORP, "LOCKGATE_SSO_CORP_PRESET": "okta"})["corp"].scopes


def test_entra_is_one_directory_whose_word_on_addresses_is_not_needed() -> None:
    environment = {**CORP, "LOCKGATE_SSO_CORP_PRESET": "entra", "LOCKGATE_SSO_CORP_TENANT": TENANT.upper()}
    entra = read(environment)["corp"]
    assert entra.issuer == f"https://login.microsoftonline.com/{TENANT}/v2.0"
    assert not entra.vouches_for_email
    assert entra.group_source.startswith("https://graph.microsoft.com/")
    assert "LOCKGATE_SSO_CORP_TENANT is 'common'" in refusal({**environment, "LOCKGATE_SSO_CORP_TENANT": "common"})


def test_google_is_held_to_the_hosted_domain_and_tells_no_groups() -> None:
    google = read({**CORP, "LOCKGATE_SSO_CORP_PRESET": "google", "LOCKGATE_SSO_CORP_DOMAINS": "example.com"})["corp"]
    assert google.issuer == "https://accounts.google.com"
    assert google.has_hosted_domain
    assert google.auth_params == {"hd": "example.com"}
    assert google.groups_claim == ""


@pytest.mark.parametrize("name", ["ISSUER", "CLIENT_ID", "CLIENT_SECRET", "DOMAINS"])
def test_what_is_missing_is_named(name: str) -> None:
    variable = f"LOCKGATE_SSO_CORP_{name}"
    assert refusal({key: value for key, value in CORP.items() if key != variable}).startswith(f"{variable} is missing")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LOCKGATE_SSO", "Corp"),
        ("LOCKGATE_SSO", "corp,corp"),
        ("LOCKGATE_SSO_CORP_PRESET", "auth0"),
        ("LOCKGATE_SSO_CORP_ISSUER", "http://login.example.com"),
        ("LOCKGATE_SSO_CORP_DOMAINS", "*"),
        ("LOCKGATE_SSO_CORP_DOMAINS", "@example.com"),
        ("LOCKGATE_SSO_CORP_DOMAINS", "localhost"),
    ],
)
def test_what_is_wrong_is_named(variable: str, value: str) -> None:
    assert refusal({**CORP, variable: value}).startswith(variable)


def test_plain_http_is_for_development() -> None:
    environment = {**CORP, "LOCKGATE_SSO_CORP_ISSUER": "http://127.0.0.1:9400"}
    assert read(environment, development=True)["corp"].origin == "http://127.0.0.1:9400"


def test_the_documentation_has_every_variable_and_every_preset() -> None:
    source = Path(providers.__file__).read_text()
    read_there = set(re.findall(r'(?:required\("|\{prefix\})([A-Z_]+)', source))
    documented = set(re.findall(r"`LOCKGATE_SSO_<NAME>_([A-Z_]+)`", (ROOT / "docs" / "sign-in.md").read_text()))
    assert documented == read_there
    assert {path.stem for path in (ROOT / "docs" / "sign-in").glob("*.md")} == set(PRESETS) - {"oidc"}


@pytest.mark.parametrize("preset", ["okta", "entra", "google"])
def test_the_settings_to_paste_work(preset: str) -> None:
    """The block on the preset's page, with the secret as a value."""
    page = (ROOT / "docs" / "sign-in" / f"{preset}.md").read_text()
    block = page.split("```")[1]
    lines = dict(line.split("=", 1) for line in block.strip().splitlines() if not line.startswith("#"))
    pasted = {name.removesuffix("_FILE"): value for name, value in lines.items()}
    assert read(pasted)[preset].domains == {"example.com"}
