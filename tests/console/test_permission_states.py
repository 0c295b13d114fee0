"""Every address about a request or a grant × every role × every state: who sees it, and for whom it changes anything.

Statuses are in the other matrix. Here the database is looked at before and after, so a page that says no and does it all the
same is found, and so is one that says yes and does nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from access.models import AccessRequest, Comment, GatewayToken, Grant, Vote
from access.states import GrantState, RequestState
from tests.access.world import World
from tests.console.people_and_pages import activated, approved, ask, ended, signed_in, undone
from tests.console.test_permissions import (
    ADMINISTRATOR,
    ANONYMOUS,
    APPROVER,
    AUDITOR,
    ENGINEER,
    MATRIX,
    OUTSIDER,
    OWNER,
    ROLES,
    person,
)

SEE = {OWNER, APPROVER, AUDITOR, ADMINISTRATOR}
PENDING = {RequestState.PENDING}
BEFORE_THE_END = {GrantState.SCHEDULED, GrantState.PROVISIONING, GrantState.ACTIVE}

#: Name of an address → in which states it changes something → for whom.
REQUESTS: dict[str, tuple[set[RequestState], set[str]]] = {
    "request_edit": (PENDING, {OWNER}),
    "request_cancel": (PENDING, {OWNER}),
    "request_remind": (PENDING, {OWNER}),
    "request_comment": (set(RequestState), {OWNER, APPROVER, ADMINISTRATOR}),
    "request_approve": (PENDING, {APPROVER}),
    "request_deny": (PENDING, {APPROVER}),
}
GRANTS: dict[str, tuple[set[GrantState], set[str]]] = {
    "grant_reveal": ({GrantState.ACTIVE}, {OWNER}),
    "grant_token_make": ({GrantState.ACTIVE}, {OWNER}),
    "grant_token_revoke": (set(GrantState), {OWNER, APPROVER, ADMINISTRATOR}),
    "grant_extend": ({GrantState.ACTIVE}, {OWNER}),
    "grant_end": (BEFORE_THE_END, {OWNER, APPROVER, ADMINISTRATOR}),
    "grant_keep": (BEFORE_THE_END, {APPROVER, ADMINISTRATOR}),
    "grant_review": (set(GrantState), {APPROVER, ADMINISTRATOR}),
}
FORMS: dict[str, dict[str, str]] = {
    "request_edit": {"duration": "30m", "reason": "Something else"},
    "request_comment": {"text": "A word"},
    "request_deny": {"comment": "Not today"},
    "grant_extend": {"duration": "30m", "reason": "It takes longer"},
    "grant_keep": {"comment": "Hands over until noon"},
    "grant_review": {"comment": "It was right"},
}

pytestmark = [pytest.mark.django_db, pytest.mark.wide(one_in=4)]


def request_in(world: World, state: RequestState) -> AccessRequest:
    """Alice's request, as it is in that state."""
    request = ask(world)
    if state is RequestState.APPROVED:
        return approved(world, request).request
    if state is not RequestState.PENDING:
        AccessRequest.objects.filter(pk=request.pk).update(state=state, decided_at=timezone.now(), waits_for="")
    request.refresh_from_db()
    return request


def grant_in(world: World, state: GrantState) -> Grant:
    """Alice's grant, as it is in that state: taken by breaking the glass, and no longer allowed, so that all can be tried."""
    grant = activated(approved(world, ask(world)))
    if state is GrantState.REVOKED:
        grant = ended(grant)
    elif state is GrantState.FAILED:
        Grant.objects.filter(pk=ended(grant).pk).update(state=state)
    elif state is not GrantState.ACTIVE:
        later = timezone.now() + timedelta(hours=2)
        Grant.objects.filter(pk=grant.pk).update(state=state, ends_at=later)
    Grant.objects.filter(pk=grant.pk).update(is_break_glass=True, questioned_at=timezone.now())
    grant.refresh_from_db()
    return grant


def snapshot() -> dict[str, Any]:
    """Everything that these addresses could change."""
    return {
        model.__name__: list(model._default_manager.order_by("pk").values())
        for model in (AccessRequest, Grant, GatewayToken, Vote, Comment)
    }


def changes(client: Client, name: str, thing: AccessRequest | Grant, data: dict[str, str]) -> bool:
    path = address(name, thing)
    before = snapshot()
    client.post(path, data)
    return snapshot() != before


def who_changes(world: World, name: str, thing: AccessRequest | Grant, data: dict[str, str]) -> set[str]:
    """The roles for whom it changes something, each of which finds everything as it was before."""
    found = set()
    for role in ROLES:
        with undone():
            if changes(signed_in(person(world, role)), name, thing, data):
                found.add(role)
    return found


def address(name: str, thing: AccessRequest | Grant) -> str:
    if name == "grant_token_revoke":
        token = GatewayToken.objects.create(grant=thing, digest=uuid4().hex * 2, made_at=timezone.now())
        return reverse(name, args=[thing.reference, token.reference])
    return reverse(name, args=[thing.reference])


@pytest.mark.parametrize("state", RequestState)
@pytest.mark.parametrize("name", REQUESTS)
def test_what_a_request_lets_each_role_change(world: World, name: str, state: RequestState) -> None:
    request = request_in(world, state)
    states, roles = REQUESTS[name]
    data = {"content_hash": request.content_hash, **FORMS.get(name, {})}
    assert who_changes(world, name, request, data) == (roles if state in states else set())


@pytest.mark.parametrize("state", GrantState)
@pytest.mark.parametrize("name", GRANTS)
def test_what_a_grant_lets_each_role_change(world: World, name: str, state: GrantState) -> None:
    grant = grant_in(world, state)
    states, roles = GRANTS[name]
    assert who_changes(world, name, grant, FORMS.get(name, {})) == (roles if state in states else set())


@pytest.mark.parametrize("state", [*RequestState, *GrantState])
def test_who_sees_it_in_each_state(world: World, state: RequestState | GrantState) -> None:
    if isinstance(state, RequestState):
        path = reverse("request", args=[request_in(world, state).reference])
    else:
        path = reverse("grant", args=[grant_in(world, state).reference])
    for role in ROLES:
        expected = 302 if role == ANONYMOUS else 200 if role in SEE else 404
        assert (role, signed_in(person(world, role)).get(path).status_code) == (role, expected)


def test_no_address_is_missing() -> None:
    about = {name for name in MATRIX if name.startswith(("request_", "grant_")) and "POST" in MATRIX[name]}
    downloads = {"grant_ca", "grant_gateway_ca"}  # which take nothing from anybody
    assert about - {"request_new"} - downloads == set(REQUESTS) | set(GRANTS)
    assert {OUTSIDER, ENGINEER}.isdisjoint(SEE)
