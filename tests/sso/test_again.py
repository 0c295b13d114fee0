"""Signing in through a provider and what takes a fresh authentication: a provider that asks nothing proves nothing new."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from django.http import HttpRequest
from django.test import Client
from django.urls import reverse

from console.freshness import authenticated_at, is_fresh
from people.models import User
from people.services import add_person
from tests.access.world import SETUP
from tests.sso.conftest import SignIn, refusal
from tests.sso.peer import Peer

pytestmark = pytest.mark.django_db

ALICE = {"email": "alice@example.com", "email_verified": True, "name": "Alice"}


def in_the_browser(client: Client) -> HttpRequest:
    """What a view sees of the browser's next request."""
    request = HttpRequest()
    request.session = client.session
    request.user = User.objects.get(email="alice@example.com")
    return request


def test_signing_in_through_a_provider_is_fresh(sign_in: SignIn, provider: Peer) -> None:
    provider.knows("alice-1", **ALICE)
    client = Client()
    sign_in(client=client)
    assert is_fresh(in_the_browser(client))


def test_a_provider_that_only_remembered_the_browser_makes_nothing_fresh(sign_in: SignIn, provider: Peer) -> None:
    earlier = int(time.time()) - 3600
    provider.knows("alice-1", **ALICE, auth_time=earlier)
    client = Client()
    sign_in(client=client)
    assert not is_fresh(in_the_browser(client))
    last = authenticated_at(in_the_browser(client))
    assert last is not None
    assert last.timestamp() == earlier


def test_a_provider_that_does_not_say_when_makes_nothing_fresh(sign_in: SignIn, provider: Peer) -> None:
    provider.knows("alice-1", **ALICE)
    provider.forge = lambda claims: provider.sign({**claims, "auth_time": None})
    client = Client()
    assert sign_in(client=client).status_code == 302
    assert not is_fresh(in_the_browser(client))


def test_whoever_signs_in_again_where_nobody_says_when_is_refused_in_words(sign_in: SignIn, provider: Peer) -> None:
    provider.knows("alice-1", **ALICE)
    client = Client()
    sign_in(client=client)
    for silent in ({"auth_time": None}, {"auth_time": "yesterday"}, {"auth_time": True}):
        provider.forge = lambda claims, silent=silent: provider.sign({**claims, **silent})
        answer = sign_in(client=client, again="yes", next="/approvals/")
        assert refusal(answer) == "TimeNotTold"
        assert "/accounts/again/?next=/approvals/" in answer.content.decode()


def test_each_sign_in_asks_the_provider_to_say_when(begin: Callable[..., str], provider: Peer) -> None:
    asked = parse_qs(urlsplit(begin(Client())).query)
    assert int(asked["max_age"][0]) > 365 * 24 * 3600  # long enough to make nobody sign in anew
    assert "prompt" not in asked


@pytest.mark.parametrize("auth_time", [{}, {"auth_time": None}])
def test_an_identity_that_is_refused_makes_nobody_elses_session_fresh(
    sign_in: SignIn, provider: Peer, auth_time: dict[str, None]
) -> None:
    provider.knows("alice-1", **ALICE, auth_time=int(time.time()) - 3600)
    client = Client()
    sign_in(client=client)
    fresh = auth_time or {"auth_time": int(time.time())}
    provider.knows("stranger", email="mallory@elsewhere.test", email_verified=True, name="Mallory", **fresh)
    assert sign_in("stranger", client=client, again="yes").status_code == 403
    assert not is_fresh(in_the_browser(client))


def test_whoever_is_signed_in_is_always_asked_anew(sign_in: SignIn, begin: Callable[..., str], provider: Peer) -> None:
    provider.knows("alice-1", **ALICE)
    client = Client()
    sign_in(client=client)
    asked = parse_qs(urlsplit(begin(client)).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])


def test_the_page_that_asks_again_offers_the_provider_and_the_way_back(sign_in: SignIn, provider: Peer) -> None:
    provider.knows("alice-1", **ALICE)
    client = Client()
    sign_in(client=client)
    page = client.get(reverse("account_reauthenticate"), {"next": "/approvals/"}).content.decode()
    assert 'id="again-corp"' in page
    assert 'name="next" value="/approvals/"' in page
    assert 'name="password"' not in page
    answer = sign_in(client=client, again="yes", next="/approvals/")
    assert answer["Location"] == "/approvals/"


def test_wrong_passwords_for_an_account_do_not_keep_its_owner_from_signing_in_here(
    sign_in: SignIn, provider: Peer
) -> None:
    add_person(email="alice@example.com", display_name="Alice", password="correct-horse-battery", actor=SETUP)
    provider.knows("alice-1", **ALICE)
    door = {"login": "alice@example.com", "password": "wrong"}
    codes = [
        Client(REMOTE_ADDR=f"198.51.100.{count}").post(reverse("account_login"), door).status_code for count in range(6)
    ]
    assert codes[-1] == 429
    client = Client()
    sign_in(client=client)
    assert client.get(reverse("home")).status_code == 200
