"""Every way in which a sign-in must not work, provoked for real: each has a page that says what to do, and an audit entry."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client

from people.models import User
from people.services import add_person
from tests.access.world import SETUP
from tests.sso.conftest import SignIn, refusal
from tests.sso.peer import Peer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def alice(provider: Peer) -> None:
    provider.knows("alice-1", email="alice@example.com", email_verified=True, name="Alice", groups=["engineers"])


def is_signed_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def test_an_honest_token_lets_one_in(sign_in: SignIn) -> None:
    client = Client()
    assert sign_in(client=client).status_code == 302
    assert is_signed_in(client)


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "issued by somebody else": (lambda claims: {**claims, "iss": "http://127.0.0.1:1"}, "WrongIssuer"),
    "made for another application": (lambda claims: {**claims, "aud": "another"}, "WrongAudience"),
    "made for two, and for another": (
        lambda claims: {**claims, "aud": [claims["aud"], "another"], "azp": "another"},
        "WrongAudience",
    ),
    "expired": (lambda claims: {**claims, "exp": int(time.time()) - 3600}, "OutOfTime"),
    "not valid yet": (lambda claims: {**claims, "nbf": int(time.time()) + 3600}, "OutOfTime"),
    "without an end": (lambda claims: {name: claims[name] for name in claims if name != "exp"}, "TokenUnreadable"),
    "for another sign-in": (lambda claims: {**claims, "nonce": "another"}, "WrongNonce"),
    "for no sign-in": (lambda claims: {name: claims[name] for name in claims if name != "nonce"}, "WrongNonce"),
    "about nobody": (lambda claims: {**claims, "sub": ""}, "TokenUnreadable"),
    "not verified": (lambda claims: {**claims, "email_verified": False}, "EmailNotVerified"),
    "not said to be verified": (
        lambda claims: {name: claims[name] for name in claims if name != "email_verified"},
        "EmailNotVerified",
    ),
    "of another domain": (lambda claims: {**claims, "email": "alice@example.com.evil.test"}, "DomainNotAllowed"),
    "with two at signs": (lambda claims: {**claims, "email": "alice@evil.test@example.com"}, "EmailNotVerified"),
    "with groups that are no list": (lambda claims: {**claims, "groups": {"a": 1}}, "GroupsNotReadable"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_token_that_proves_something_else_is_refused(sign_in: SignIn, provider: Peer, change: str) -> None:
    alter, expected = CHANGES[change]
    provider.forge = lambda claims: provider.sign(alter(claims))
    client = Client()
    assert refusal(sign_in(client=client)) == expected
    assert not is_signed_in(client)
    assert not User.objects.exists()


def test_a_token_signed_by_another_key_is_refused(sign_in: SignIn, provider: Peer) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    provider.forge = lambda claims: provider.sign(claims, key=other)
    assert refusal(sign_in()) == "NotSignedByProvider"
    provider.forge = lambda claims: provider.sign(claims, key=other, kid="unknown")
    assert refusal(sign_in()) == "NotSignedByProvider"


def test_a_token_that_nobody_signed_is_refused(sign_in: SignIn, provider: Peer) -> None:
    provider.forge = lambda claims: provider.sign(claims, algorithm="none")
    assert refusal(sign_in()) == "AlgorithmNotAllowed"


def test_the_public_key_is_no_shared_secret(sign_in: SignIn, provider: Peer) -> None:
    """The old trick: sign with HS256, and the published key as its secret."""
    pem = provider.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = jwt.utils.base64url_encode(b'{"alg":"HS256","typ":"JWT","kid":"peer"}')

    def forge(claims: dict[str, Any]) -> str:
        body = jwt.encode(claims, provider.key, algorithm="RS256").split(".")[1].encode()
        algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        signature = algorithm.sign(header + b"." + body, pem)
        return b".".join([header, body, jwt.utils.base64url_encode(signature)]).decode()

    provider.forge = forge
    assert refusal(sign_in()) == "AlgorithmNotAllowed"


def test_what_is_no_token_is_refused(sign_in: SignIn, provider: Peer) -> None:
    provider.forge = lambda claims: "not a token"
    assert refusal(sign_in()) == "TokenUnreadable"


def test_an_answer_cannot_be_used_twice(provider: Peer, begin: Callable[..., str]) -> None:
    client = Client()
    back = provider.consents(begin(client), "alice-1")
    assert client.get(back).status_code == 302
    client.post("/accounts/logout/")
    assert refusal(client.get(back)) == "StateUnknown"
    assert not is_signed_in(client)


def test_an_answer_is_of_no_use_in_another_browser(provider: Peer, begin: Callable[..., str]) -> None:
    back = provider.consents(begin(Client()), "alice-1")
    thief = Client()
    assert refusal(thief.get(back)) == "StateUnknown"
    assert not is_signed_in(thief)


def test_an_answer_that_comes_too_late_is_refused(
    provider: Peer, begin: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    back = provider.consents(begin(client), "alice-1")
    session = client.session
    states = session["socialaccount_states"]
    session["socialaccount_states"] = {key: (state, at - 601, who) for key, (state, at, who) in states.items()}
    session.save()
    assert refusal(client.get(back)) == "StateUnknown"


def test_an_answer_to_nothing_is_refused(configure: object) -> None:
    assert refusal(Client().get("/accounts/sso/corp/back/?code=abc&state=guessed")) == "StateUnknown"
    assert refusal(Client().get("/accounts/sso/corp/back/")) == "StateUnknown"


def test_a_code_is_of_no_use_without_the_verifier(provider: Peer, begin: Callable[..., str]) -> None:
    """A code that was caught on its way is exchanged by another browser, which began a sign-in of its own."""
    caught = parse_qs(urlsplit(provider.consents(begin(Client()), "alice-1")).query)["code"][0]
    thief = Client()
    state = parse_qs(urlsplit(begin(thief)).query)["state"][0]
    assert refusal(thief.get("/accounts/sso/corp/back/", {"code": caught, "state": state})) == "ProviderRefused"
    assert not is_signed_in(thief)


def test_somebody_who_says_no_at_the_provider_is_told_so(provider: Peer, begin: Callable[..., str]) -> None:
    client = Client()
    state = parse_qs(urlsplit(begin(client)).query)["state"][0]
    answer = client.get("/accounts/sso/corp/back/", {"error": "access_denied", "state": state})
    assert refusal(answer) == "ProviderRefused"


def test_a_provider_that_is_down_is_told_of(configure: object, provider: Peer, begin: Callable[..., str]) -> None:
    client = Client()
    back = provider.consents(begin(client), "alice-1")
    provider.stop()
    answer = client.get(back)
    assert answer.status_code == 503
    assert refusal(answer) == "ProviderDown"
    assert not is_signed_in(client)


def test_a_provider_that_is_down_from_the_start_is_told_of(configure: Callable[..., Any]) -> None:
    configure(issuer="http://127.0.0.1:1")
    answer = Client().post("/accounts/sso/corp/")
    assert answer.status_code == 503
    assert refusal(answer) == "ProviderDown"


def test_a_discovery_document_of_somebody_else_is_refused(configure: object, provider: Peer) -> None:
    provider.discovery = {"issuer": "https://login.evil.test"}
    assert refusal(Client().post("/accounts/sso/corp/")) == "WrongIssuer"


def test_a_discovery_document_without_keys_is_refused(configure: object, provider: Peer) -> None:
    provider.discovery = {"jwks_uri": None}
    assert refusal(Client().post("/accounts/sso/corp/")) == "ProviderMisconfigured"


def test_somebody_who_is_switched_off_stays_out(sign_in: SignIn) -> None:
    sign_in()
    User.objects.update(is_active=False)
    client = Client()
    assert refusal(sign_in(client=client)) == "SwitchedOff"
    assert not is_signed_in(client)


def test_an_address_that_was_given_to_somebody_new_opens_nothing(sign_in: SignIn, provider: Peer) -> None:
    sign_in()
    provider.knows("alice-2", email="alice@example.com", email_verified=True, name="Another Alice")
    assert refusal(sign_in("alice-2")) == "AddressTaken"


def test_a_new_address_that_is_somebody_elses_is_refused(sign_in: SignIn, provider: Peer) -> None:
    sign_in()
    add_person(email="bob@example.com", display_name="Bob", actor=SETUP)
    provider.knows("alice-1", email="bob@example.com", email_verified=True, name="Alice")
    assert refusal(sign_in()) == "AddressTaken"


def test_a_link_elsewhere_does_not_survive_the_trip(sign_in: SignIn) -> None:
    assert sign_in(next="https://evil.test/")["Location"] == "/"


def test_nothing_of_the_query_reaches_the_provider(provider: Peer, configure: object) -> None:
    client = Client()
    there = client.post("/accounts/sso/corp/?auth_params=nonce%3Dmine%26prompt%3Dnone&scope=admin&process=connect")
    asked = parse_qs(urlsplit(there["Location"]).query)
    assert asked["nonce"] != ["mine"]
    assert set(asked["scope"][0].split()) == {"openid", "profile", "email"}
    assert asked["code_challenge_method"] == ["S256"]


def test_a_get_begins_nothing(configure: object) -> None:
    assert Client().get("/accounts/sso/corp/").status_code == 405


def test_a_provider_that_is_not_configured_is_not_found(configure: object) -> None:
    assert Client().post("/accounts/sso/other/").status_code == 404
    assert Client().get("/accounts/sso/other/back/").status_code == 404
