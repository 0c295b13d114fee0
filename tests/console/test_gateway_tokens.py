"""Tokens on the page of an access: shown once, to the owner, in the answer to the button; told afterwards, never shown."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from access.models import GatewayToken
from access.services.tokens import digest_of
from audit.models import Entry
from tests.console.people_and_pages import Pages, signed_in


@pytest.mark.parametrize("headers", [{}, {"HTTP_HX_REQUEST": "true"}])
def test_a_token_is_shown_once_and_stored_as_a_hash(pages: Pages, headers: dict[str, str]) -> None:
    world, reference = pages.world, pages.active.reference
    make = reverse("grant_token_make", args=[reference])
    made = signed_in(world.alice).post(make, {"name": "psql on my laptop"}, **headers)
    text = made.content.decode()
    (token,) = set(re.findall(r"lgt_[\w-]{40,}", text))
    assert "This is the only time the token is shown." in text
    assert "no-store" in made.headers["Cache-Control"]
    stored = GatewayToken.objects.get()
    assert (stored.digest, stored.name) == (digest_of(token), "psql on my laptop")
    for who in (world.alice, world.bob, world.auditor):
        assert token not in signed_in(who).get(reverse("grant", args=[reference])).content.decode()
    assert "psql on my laptop" in signed_in(world.alice).get(reverse("grant", args=[reference])).content.decode()
    assert not [entry.seq for entry in Entry.objects.all() if token in str(entry.content())]


def test_whoever_may_end_the_access_revokes_its_token(pages: Pages) -> None:
    world, reference = pages.world, pages.active.reference
    signed_in(world.alice).post(reverse("grant_token_make", args=[reference]), {"name": "on my laptop"})
    token = GatewayToken.objects.get()
    revoke = reverse("grant_token_revoke", args=[reference, token.reference])
    assert signed_in(world.oscar).post(revoke).status_code == 404
    assert GatewayToken.objects.get().revoked_at is None
    answer = signed_in(world.bob).post(revoke, follow=True).content.decode()
    assert "The token is revoked, and its sessions end within a second." in answer
    assert GatewayToken.objects.get().revoked_by == world.bob
