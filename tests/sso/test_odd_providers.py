"""Providers that say odd things, or say them slowly: a sentence for whoever signs in, never an error of ours."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client

from console.freshness import is_fresh
from people.models import User
from people.sso import endpoints
from people.sso.tokens import signed_in_at
from tests.sso.conftest import SignIn, refusal
from tests.sso.peer import Peer
from tests.sso.test_again import ALICE, in_the_browser

pytestmark = pytest.mark.django_db

NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def _nothing_is_kept_of_another_provider() -> None:
    cache.clear()


@pytest.mark.parametrize(
    "told", [NOW + 3600, NOW * 1000, 10**400, math.inf, math.nan, 0, -5, True, str(int(NOW)), [NOW], None]
)
def test_a_time_that_cannot_be_says_nothing(told: object) -> None:
    assert signed_in_at({"auth_time": told}, now=NOW) is None


def test_a_clock_that_is_a_little_ahead_is_believed() -> None:
    assert signed_in_at({"auth_time": NOW + 30}, now=NOW) == NOW + 30


@pytest.mark.parametrize("ahead", [3600, 10**12])
def test_a_sign_in_that_is_yet_to_come_makes_nothing_fresh(sign_in: SignIn, provider: Peer, ahead: int) -> None:
    provider.knows("alice-1", **ALICE)
    provider.forge = lambda claims: provider.sign({**claims, "auth_time": int(time.time()) + ahead})
    client = Client()
    assert sign_in(client=client).status_code == 302
    assert not is_fresh(in_the_browser(client))
    assert refusal(sign_in(client=client, again="yes")) == "TimeNotTold"


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "a\x00b@example.com"},
        {"email": "@example.com"},
        {"email": "two words@example.com"},
        {"email": "a\nb@example.com"},
        {"email": f"{'a' * 300}@example.com"},
        {"email": ["alice@example.com"]},
        {"email": {"value": "alice@example.com"}},
        {"email": "<alice@example.com>"},
        {"email": "alice@example.com, bob"},
    ],
    ids=str,
)
def test_an_address_that_no_mail_reaches_is_refused(sign_in: SignIn, provider: Peer, claims: dict[str, Any]) -> None:
    provider.knows("alice-1", **ALICE)
    provider.forge = lambda honest: provider.sign({**honest, **claims})
    assert refusal(sign_in()) == "EmailUnreadable"
    assert not User.objects.filter(email__contains="@example.com").exists()


@pytest.mark.parametrize("subject", ["a\x00b", "\ud800", ""])
def test_a_subject_that_cannot_be_kept_is_refused(sign_in: SignIn, provider: Peer, subject: str) -> None:
    provider.knows("alice-1", **ALICE)
    provider.forge = lambda honest: provider.sign({**honest, "sub": subject})
    assert refusal(sign_in()) == "TokenUnreadable"


@pytest.mark.parametrize("groups", [["dba", "a\x00b"], ["dba", "\ud800"], ["dba", ""], ["dba", "x" * 300]])
def test_a_group_that_no_mapping_can_name_keeps_nobody_out(
    sign_in: SignIn, provider: Peer, configure: Callable[..., Any], groups: list[str]
) -> None:
    configure(groups_claim="groups")
    provider.knows("alice-1", **ALICE)
    provider.forge = lambda honest: provider.sign({**honest, "groups": groups})
    assert sign_in().status_code == 302


@pytest.mark.parametrize("groups", [{"dba": True}, [1], [["dba"]], [None], 5, True, [{"name": "dba"}]], ids=str)
def test_groups_that_are_no_names_are_refused_in_words(
    sign_in: SignIn, provider: Peer, configure: Callable[..., Any], groups: object
) -> None:
    configure(groups_claim="groups")
    provider.knows("alice-1", **ALICE)
    provider.forge = lambda honest: provider.sign({**honest, "groups": groups})
    assert refusal(sign_in()) == "GroupsNotReadable"


@pytest.mark.parametrize(
    "name", [{"first": "A"}, 5, "\ud800", "a\x00b", "x" * 5000], ids=["dict", "int", "half", "nul", "long"]
)
def test_a_name_that_cannot_be_read_keeps_nobody_out(sign_in: SignIn, provider: Peer, name: object) -> None:
    provider.knows("alice-1", **ALICE)
    provider.forge = lambda honest: provider.sign({**honest, "name": name})
    assert sign_in().status_code == 302


@pytest.mark.parametrize("nonce", ["\ud800", 5, ["x"], None])
def test_a_nonce_that_is_none_is_refused(sign_in: SignIn, provider: Peer, nonce: object) -> None:
    provider.knows("alice-1", **ALICE)
    provider.forge = lambda honest: provider.sign({**honest, "nonce": nonce})
    assert refusal(sign_in()) == "WrongNonce"


@pytest.mark.parametrize(
    "keys", [None, {}, "x", ["x"], [None], [{"kid": "peer", "kty": "RSA"}], [{"kid": "peer"}]], ids=str
)
def test_keys_that_cannot_be_read_are_the_providers_fault(sign_in: SignIn, provider: Peer, keys: object) -> None:
    provider.knows("alice-1", **ALICE)
    provider.pages["/jwks"] = (200, {"keys": keys})  # type: ignore[dict-item]
    assert refusal(sign_in()) in ("ProviderMisconfigured", "NotSignedByProvider")


@pytest.mark.parametrize("document", [[], "x", None, {"issuer": 5}, {}], ids=str)
def test_a_discovery_document_that_cannot_be_read_is_told_of(
    configure: Callable[..., Any], provider: Peer, document: Any
) -> None:
    provider.pages["/.well-known/openid-configuration"] = (200, document)
    answer = Client().post("/accounts/sso/corp/", {"next": "/access/"})
    assert refusal(answer) in ("ProviderMisconfigured", "WrongIssuer")
    assert "next=/access/" in answer.content.decode()


@pytest.mark.parametrize("told", [[], "x", None], ids=str)
def test_a_userinfo_endpoint_that_cannot_be_read_is_told_of(sign_in: SignIn, provider: Peer, told: Any) -> None:
    provider.knows("alice-1", name="Alice")
    provider.pages["/userinfo"] = (200, told)
    assert refusal(sign_in()) == "ProviderMisconfigured"


def test_who_arrives_while_new_keys_are_being_fetched_waits_for_them(
    sign_in: SignIn, provider: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.knows("alice-1", **ALICE)
    assert sign_in().status_code == 302
    published = endpoints._get
    fetching, go_on = threading.Event(), threading.Event()

    def slowly(address: str, access_token: str = "") -> dict[str, Any]:
        fetching.set()
        assert go_on.wait(10)
        return published(address, access_token)

    monkeypatch.setattr(endpoints, "_get", slowly)
    provider.published = {"alg": "RS256", "kid": "turned"}
    configured = endpoints_provider()
    found: list[jwt.PyJWK | None] = []

    def look() -> None:
        found.append(endpoints.find_key(configured, "turned", "RS256"))

    first, second = threading.Thread(target=look), threading.Thread(target=look)
    first.start()
    assert fetching.wait(10)
    second.start()
    second.join(1)
    assert found == []
    go_on.set()
    first.join()
    second.join()
    assert [key is not None for key in found] == [True, True]


def endpoints_provider() -> Any:
    """The provider as it is configured."""
    return settings.LOCKGATE_SSO["corp"]
