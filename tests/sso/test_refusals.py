"""Every way in which a sign-in must not work, provoked for real: each has a page that says what to do, and an audit entry."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.db import connection
from django.test import Client

from audit.models import Entry
from console.views import sign_in as sign_in_views
from people.models import User
from people.services import add_person
from people.sso.claims import groups_in, identity_from
from people.sso.errors import (
    ApplicationRefused,
    AskedForMore,
    Declined,
    ProviderOverloaded,
    ProviderRefused,
    SignInRefused,
)
from people.sso.providers import Provider
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
        "EmailNotVouchedFor",
    ),
    "of another domain": (lambda claims: {**claims, "email": "alice@example.com.evil.test"}, "DomainNotAllowed"),
    "with two at signs": (lambda claims: {**claims, "email": "alice@evil.test@example.com"}, "EmailUnreadable"),
    "with an address of no text": (lambda claims: {**claims, "email": ["alice@example.com"]}, "EmailUnreadable"),
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


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("access_denied", "Declined"),
        ("login_required", "AskedForMore"),
        ("interaction_required", "AskedForMore"),
        ("consent_required", "AskedForMore"),
        ("account_selection_required", "AskedForMore"),
        ("temporarily_unavailable", "ProviderOverloaded"),
        ("server_error", "ProviderOverloaded"),
        ("invalid_scope", "ApplicationRefused"),
        ("unauthorized_client", "ApplicationRefused"),
        ("something_new", "ProviderRefused"),
    ],
)
def test_each_refusal_of_the_provider_has_its_sentence_and_keeps_the_way_back(
    provider: Peer, begin: Callable[..., str], error: str, expected: str
) -> None:
    client = Client()
    state = parse_qs(urlsplit(begin(client, next="/request/?role=orders-read")).query)["state"][0]
    answer = client.get("/accounts/sso/corp/back/", {"error": error, "state": state})
    assert refusal(answer) == expected
    assert 'href="/accounts/login/?next=/request/%3Frole%3Dorders-read"' in answer.content.decode()
    assert error in Entry.objects.latest("seq").reason


def test_the_sentences_and_the_advice_of_the_refusals_differ() -> None:
    kinds = [Declined, AskedForMore, ProviderOverloaded, ApplicationRefused, ProviderRefused]
    assert len({(kind().sentence, kind().advice) for kind in kinds}) == len(kinds)


def test_the_way_back_is_kept_when_the_answer_is_nobodys(begin: Callable[..., str]) -> None:
    client = Client()
    begin(client, next="/approvals/")
    answer = client.get("/accounts/sso/corp/back/?code=abc&state=guessed")
    assert refusal(answer) == "StateUnknown"
    assert 'href="/accounts/login/?next=/approvals/"' in answer.content.decode()


def test_the_way_back_leads_to_no_other_site(begin: Callable[..., str]) -> None:
    client = Client()
    begin(client, next="https://evil.test/")
    answer = client.get("/accounts/sso/corp/back/?code=abc&state=guessed")
    assert "evil.test" not in answer.content.decode()


def test_whoever_is_refused_is_named_in_the_trail_as_far_as_the_token_told(
    sign_in: SignIn, provider: Peer, configure: Callable[..., Any]
) -> None:
    configure()
    sign_in()
    person = User.objects.get()
    provider.forge = lambda claims: provider.sign({**claims, "groups": {"unreadable": 1}})
    configure(groups_claim="groups")
    assert refusal(sign_in()) == "GroupsNotReadable"
    entry = Entry.objects.latest("seq")
    assert (entry.subject_kind, entry.subject_id) == ("person", str(person.pk))
    assert entry.after is not None
    assert (entry.after["subject"], entry.after["email"]) == ("alice-1", "alice@example.com")


def test_a_slow_provider_holds_up_nobody_but_those_who_wait_for_it(
    transactional_db: None, provider: Peer, begin: Callable[..., str]
) -> None:
    people = [Client() for _ in range(4)]
    ways_back = [provider.consents(begin(person), "alice-1") for person in people]
    provider.answers_after = 2.0
    with ThreadPoolExecutor(max_workers=4) as pool:
        begun = time.monotonic()

        def arrive(person: Client, back: str) -> tuple[int, str, float]:
            answer = person.get(back)
            connection.close()
            return answer.status_code, answer.headers.get("Refresh", ""), time.monotonic() - begun

        came = list(pool.map(arrive, people, ways_back))
    assert sorted(status for status, _, _ in came) == [302] * sign_in_views.AT_ONCE + [503] * (
        4 - sign_in_views.AT_ONCE
    )
    # The others are asked to come again at once, not when the provider is through.
    assert all(refresh == "3" and took < 2.0 for status, refresh, took in came if status == 503)
    provider.answers_after = 0.0
    later = [
        person.get(back).status_code
        for person, back, (status, _, _) in zip(people, ways_back, came, strict=True)
        if status == 503
    ]
    assert later == [302] * (4 - sign_in_views.AT_ONCE)  # with the very address that they came with
    assert not Entry.objects.filter(event="person.sign_in_failed").exists()


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


RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


@pytest.mark.parametrize("algorithm", RSA_ALGORITHMS)
def test_a_key_that_names_no_algorithm_is_for_each_of_its_kind(sign_in: SignIn, provider: Peer, algorithm: str) -> None:
    provider.published = {}
    provider.forge = lambda claims: provider.sign(claims, algorithm=algorithm)
    client = Client()
    assert sign_in(client=client).status_code == 302
    assert is_signed_in(client)


def test_a_key_that_names_its_algorithm_is_for_no_other(sign_in: SignIn, provider: Peer) -> None:
    provider.forge = lambda claims: provider.sign(claims, algorithm="RS512")
    assert refusal(sign_in()) == "AlgorithmNotAllowed"


def test_a_key_of_another_kind_than_the_token_says_is_refused(sign_in: SignIn, provider: Peer) -> None:
    provider.published = {}
    other = ec.generate_private_key(ec.SECP256R1())
    provider.forge = lambda claims: provider.sign(claims, key=other, algorithm="ES256")
    assert refusal(sign_in()) in {"AlgorithmNotAllowed", "NotSignedByProvider"}


@pytest.mark.parametrize(
    ("claims", "vouches", "expected"),
    [
        ({"preferred_username": "alice@example.com", "upn": "alice@example.com"}, False, "EmailMissing"),
        ({"email": ""}, True, "EmailMissing"),
        ({"email": None}, True, "EmailMissing"),
        ({"email": "alice@example.com"}, True, "EmailNotVouchedFor"),
        ({"email": "alice@example.com", "email_verified": None}, True, "EmailNotVouchedFor"),
        ({"email": "alice@example.com", "email_verified": "false"}, True, "EmailNotVerified"),
        ({"email": "no address", "email_verified": True}, True, "EmailUnreadable"),
    ],
)
def test_an_address_that_cannot_be_believed_is_refused_with_what_is_missing(
    configure: Callable[..., Provider], claims: dict[str, object], vouches: bool, expected: str
) -> None:
    with pytest.raises(SignInRefused) as caught:
        identity_from({"sub": "alice-1", **claims}, configure(vouches_for_email=vouches))
    assert caught.value.name == expected
    assert (
        "administrator" in caught.value.advice
        or "identity provider" in caught.value.advice
        or expected == "EmailNotVerified"
    )


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        ("groups", {"groups": ["dba"]}),
        ("realm_access.roles", {"realm_access": {"roles": ["dba"]}}),
        ("realm_access.roles", {"realm_access.roles": ["dba"]}),
        (
            "resource_access.lockgate.example.com.roles",
            {"resource_access": {"lockgate.example.com": {"roles": ["dba"]}, "lockgate": {"other": []}}},
        ),
        ("https://example.com/claims.groups", {"https://example.com/claims": {"groups": ["dba"]}}),
        ("https://example.com/groups", {"https://example.com/groups": ["dba"]}),
    ],
)
def test_groups_are_found_also_behind_names_with_dots(path: str, claims: dict[str, object]) -> None:
    assert groups_in(claims, path) == {"dba"}


def test_one_group_with_too_long_a_name_keeps_nobody_out() -> None:
    assert groups_in({"groups": ["dba", "x" * 300, ""]}, "groups") == {"dba"}
