"""A provider of one's own, configured, and a way to sign in through it without a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from audit.models import Entry
from people.sso.providers import Provider
from tests.sso.peer import CLIENT_ID, CLIENT_SECRET, Peer, peer

#: Signs somebody in, by the subject that the provider knows them under.
SignIn = Callable[..., HttpResponse]


@pytest.fixture
def provider() -> Iterator[Peer]:
    """A real provider."""
    with peer() as made:
        yield made


@pytest.fixture
def configure(settings: Settings, provider: Peer) -> Callable[..., Provider]:
    """Configures the provider, with some things otherwise."""

    def apply(**otherwise: object) -> Provider:
        made = Provider("corp", "Corp", provider.issuer, CLIENT_ID, CLIENT_SECRET, frozenset({"example.com"}))
        made = replace(made, **otherwise)  # type: ignore[arg-type]
        settings.LOCKGATE_SSO = {made.id: made}
        known = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]
        policy = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
        leads_to = {**policy, "form-action": [*policy["form-action"], made.origin]}
        settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": leads_to}
        settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {**known, "APPS": [made.as_app()]}}
        return made

    apply()
    return apply


@pytest.fixture
def begin(configure: object) -> Callable[..., str]:
    """Goes to the provider; gives the address there."""

    def go(client: Client, **form: str) -> str:
        answer = client.post("/accounts/sso/corp/", form)
        assert answer.status_code == 302, answer.content
        return answer["Location"]

    return go


@pytest.fixture
def sign_in(provider: Peer, begin: Callable[..., str]) -> SignIn:
    """The whole way: there, consent, and back."""

    def go(subject: str = "alice-1", *, client: Client | None = None, **form: str) -> HttpResponse:
        client = client or Client()
        return client.get(provider.consents(begin(client, **form), subject))

    return go


def refusal(answer: HttpResponse) -> str:
    """Which refusal the page tells of; it has to be in the audit trail as well."""
    assert answer.status_code >= 400
    text = answer.content.decode()
    name = text.partition('data-refusal="')[2].partition('"')[0]
    entry = Entry.objects.filter(event="person.sign_in_failed").latest("seq")
    assert entry.after is not None
    assert entry.after["problem"] == name
    return name
