"""Every address × every role: what each is let do, and that no address was forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from access.models import GatewayToken, HeldBack
from people.models import User
from tests.access.world import World
from tests.console.people_and_pages import Pages, signed_in, undone
from tests.gateway.stored import opened, sealed, store

ANONYMOUS, OUTSIDER, OWNER, ENGINEER, APPROVER, AUDITOR, ADMINISTRATOR = ROLES = (
    "anonymous",
    "outsider",
    "owner",
    "engineer",
    "approver",
    "auditor",
    "administrator",
)

SIGN_IN = "sign in"
EVERYBODY = dict.fromkeys(ROLES, 200)
SIGNED_IN = {**EVERYBODY, ANONYMOUS: SIGN_IN}
#: Alice's request and grant exist for her, for who may approve, and for who watches over everything.
SEEN = {**SIGNED_IN, OUTSIDER: 404, ENGINEER: 404}
WATCHERS = {**dict.fromkeys(ROLES, 403), ANONYMOUS: SIGN_IN, AUDITOR: 200, ADMINISTRATOR: 200}


def answers(default: int | str, **others: int) -> dict[str, int | str]:
    """The same answer for everybody but those named; people who are not signed in are sent to sign in."""
    return {**dict.fromkeys(ROLES, default), ANONYMOUS: SIGN_IN, **others}


#: Name of an address → method → role → status. 302: done, and back to a page. 422: refused in words.
#: Forms are sent empty but for what identifies them, so that 'let in' and 'done' are told apart.
MATRIX: dict[str, dict[str, dict[str, int | str]]] = {
    "account_login": {"GET": {**dict.fromkeys(ROLES, 302), ANONYMOUS: 200}},
    "account_logout": {"GET": {**EVERYBODY, ANONYMOUS: 302}},
    "account_inactive": {"GET": EVERYBODY},
    # Only for people in the middle of signing in; and a challenge is given to scripts alone.
    "mfa_authenticate": {method: {**dict.fromkeys(ROLES, 302), ANONYMOUS: SIGN_IN} for method in ("GET", "POST")},
    "mfa_login_webauthn": {
        "GET": {**dict.fromkeys(ROLES, 302), ANONYMOUS: SIGN_IN},
        "POST": {**dict.fromkeys(ROLES, 302), ANONYMOUS: SIGN_IN},
    },
    "account_reauthenticate": {"GET": SIGNED_IN, "POST": answers(422)},
    "mfa_reauthenticate": {"GET": SIGNED_IN, "POST": answers(422)},
    "mfa_reauthenticate_webauthn": {"GET": SIGNED_IN, "POST": answers(422)},
    "mfa_index": {"GET": answers(302), "POST": answers(405)},
    "mfa_activate_totp": {"GET": SIGNED_IN, "POST": answers(422)},
    "mfa_deactivate_totp": {"GET": answers(404), "POST": answers(404)},
    "mfa_add_webauthn": {"GET": SIGNED_IN, "POST": answers(422)},
    "mfa_remove_webauthn": {"GET": answers(404), "POST": answers(404)},
    "mfa_view_recovery_codes": {"GET": answers(404), "POST": answers(405)},
    "mfa_generate_recovery_codes": {"GET": SIGNED_IN, "POST": answers(422)},
    "account": {"GET": SIGNED_IN, "POST": answers(405)},
    "account_session_end": {"GET": answers(405), "POST": answers(302)},
    "account_sessions_end_others": {"GET": answers(405), "POST": answers(302)},
    "account_signup": {"GET": {**dict.fromkeys(ROLES, 302), ANONYMOUS: 200}},
    # No provider is configured here; tests/sso has one.
    "openid_connect_login": {"GET": dict.fromkeys(ROLES, 405), "POST": dict.fromkeys(ROLES, 404)},
    "openid_connect_callback": {"GET": dict.fromkeys(ROLES, 404), "POST": dict.fromkeys(ROLES, 405)},
    "home": {"GET": SIGNED_IN, "POST": answers(405)},
    "pulse": {"GET": SIGNED_IN, "POST": answers(405)},
    "patterns": {"GET": SIGNED_IN},
    "requests": {"GET": SIGNED_IN, "POST": answers(405)},
    "request_new": {"GET": SIGNED_IN, "POST": answers(422)},
    "request": {"GET": SEEN, "POST": answers(405)},
    "request_edit": {"GET": answers(404, owner=200), "POST": answers(404, owner=422)},
    "request_cancel": {"GET": answers(405), "POST": answers(302, outsider=404, engineer=404)},
    "request_remind": {"GET": answers(405), "POST": answers(302, outsider=404, engineer=404)},
    "request_comment": {"GET": answers(405), "POST": answers(422, outsider=404, engineer=404)},
    "request_approve": {"GET": answers(405), "POST": answers(422, outsider=404, engineer=404, approver=302)},
    "request_deny": {"GET": answers(405), "POST": answers(422, outsider=404, engineer=404, approver=302)},
    "approvals": {"GET": SIGNED_IN, "POST": answers(405)},
    "approve_several": {"GET": answers(405), "POST": answers(302)},
    "access": {"GET": SIGNED_IN, "POST": answers(405)},
    "grant": {"GET": SEEN, "POST": answers(405)},
    "grant_reveal": {"GET": answers(405), "POST": answers(422, outsider=404, engineer=404, owner=200)},
    "grant_token_make": {"GET": answers(405), "POST": answers(422, outsider=404, engineer=404, owner=200)},
    "grant_token_revoke": {"GET": answers(405), "POST": answers(302, outsider=404, engineer=404)},
    # Neither the server nor the gateway has a certificate authority of its own here.
    "grant_ca": {"GET": answers(404), "POST": answers(405)},
    "grant_gateway_ca": {"GET": answers(404), "POST": answers(405)},
    "grant_extend": {"GET": answers(405), "POST": answers(422, outsider=404, engineer=404, owner=302)},
    "grant_end": {"GET": answers(405), "POST": answers(302, outsider=404, engineer=404, auditor=422)},
    "grant_keep": {"GET": answers(405), "POST": answers(422, outsider=404, engineer=404)},
    "grant_review": {"GET": answers(405), "POST": answers(422, outsider=404, engineer=404)},
    "audit": {"GET": WATCHERS, "POST": answers(405)},
    "audit_export": {"GET": answers(405), "POST": WATCHERS},
    "statements": {"GET": WATCHERS, "POST": answers(405)},
    "statements_export": {"GET": answers(405), "POST": WATCHERS},
    "statement": {"GET": WATCHERS, "POST": answers(405)},
    "statement_text": {"GET": answers(405), "POST": answers(403, auditor=200)},
    "servers": {"GET": WATCHERS, "POST": answers(405)},
    "server_add": {"GET": answers(403, administrator=200), "POST": answers(403, administrator=422)},
    "server": {"GET": WATCHERS, "POST": answers(405)},
    "settings_people": {"GET": WATCHERS, "POST": answers(405)},
    "settings_person_off": {"GET": answers(405), "POST": answers(403, administrator=302)},
    "settings_person_on": {"GET": answers(405), "POST": answers(403, administrator=302)},
    "settings_teams": {"GET": WATCHERS, "POST": answers(403, administrator=422)},
    "settings_team": {"GET": WATCHERS, "POST": answers(405)},
    "settings_team_add_person": {"GET": answers(405), "POST": answers(403, administrator=422)},
    "settings_team_remove": {"GET": answers(405), "POST": answers(403, administrator=302)},
    "settings_team_map": {"GET": answers(405), "POST": answers(403, administrator=422)},
    "settings_team_unmap": {"GET": answers(405), "POST": answers(403, administrator=302)},
    # No server listens at the address: whoever is let in is told so. An auditor watches and tests nothing.
    "server_test": {"GET": answers(405), "POST": answers(403, auditor=422, administrator=422)},
    # Its secret is a variable, which nobody can rotate.
    "server_rotate": {"GET": answers(405), "POST": answers(403, auditor=422, administrator=422)},
    "server_confirm": {"GET": answers(405), "POST": answers(403, administrator=302)},
    "server_secret": {"GET": answers(405), "POST": answers(403, administrator=302)},
    "server_shut": {"GET": answers(405), "POST": answers(403, administrator=302)},
    "server_edit": {"GET": answers(403, administrator=200), "POST": answers(403, administrator=422)},
    "settings": {"GET": WATCHERS, "POST": answers(405)},
    "settings_policies": {"GET": WATCHERS, "POST": answers(405)},
    "settings_policy_add": {"GET": answers(403, administrator=200), "POST": answers(403, administrator=422)},
    "settings_policy": {"GET": WATCHERS, "POST": answers(403, administrator=422)},
    "settings_roles": {"GET": WATCHERS, "POST": answers(405)},
    "settings_role_add": {"GET": answers(403, administrator=200), "POST": answers(403, administrator=422)},
    "settings_role": {"GET": WATCHERS, "POST": answers(403, administrator=422)},
    "settings_right_confirm": {"GET": answers(405), "POST": answers(403, administrator=302)},
}


def named(patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    """Names of all addresses; an address without a name would escape the matrix, so it fails here."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from named(pattern.url_patterns)
        else:
            assert pattern.name, f"{pattern.pattern} has no name"
            yield pattern.name


def person(world: World, role: str) -> User | None:
    """Who plays the role. The engineer is of Alice's team and still may not see what is Alice's."""
    if role == ENGINEER:
        colleague = User.objects.create_user("frank@example.com")
        colleague.memberships.create(team=world.backend)
        return colleague
    people = {
        OUTSIDER: world.oscar,
        OWNER: world.alice,
        APPROVER: world.bob,
        AUDITOR: world.auditor,
        ADMINISTRATOR: world.erin,
    }
    return people.get(role)


def arguments(pages: Pages) -> dict[str, list[object]]:
    """Of addresses by how their names begin: Alice's pending request, her active grant, what they rest on."""
    dba = pages.world.dba.slug
    return {
        "account_session_end": [999999],
        "mfa_remove_webauthn": [999999],
        "settings_person_": [pages.world.oscar.pk],
        "settings_team_unmap": [dba, 999999],
        "settings_teams": [],
        "settings_team": [dba],
        "settings_policy_add": [],
        "settings_policy": [pages.world.policy.slug],
        "settings_role_add": [],
        "settings_roles": [],
        "settings_role": [pages.world.read.slug],
        "openid_connect": ["corp"],
        "grant": [pages.active.reference],
        "request_new": [],
        "requests": [],
        "request": [pages.pending.reference],
        "server_add": [],
        "servers": [],
        "server": [pages.world.server.slug],
    }


def address(name: str, pages: Pages) -> str:
    """The address, with the arguments of the longest beginning that fits."""
    if name == "settings_right_confirm":
        held, _ = HeldBack.objects.get_or_create(person=pages.world.bob, role=pages.world.read)
        return reverse(name, args=[held.pk])
    if name in ("statement", "statement_text"):
        stream = uuid4()
        store([opened(pages.active), sealed(stream, "SELECT 1")], stream=stream)
        return reverse(name, args=[stream, 2])
    if name == "grant_token_revoke":
        digest = uuid4().hex * 2
        token = GatewayToken.objects.create(grant=pages.active, digest=digest, made_at=timezone.now())
        return reverse(name, args=[pages.active.reference, token.reference])
    known = arguments(pages)
    fitting = max((one for one in known if name.startswith(one)), key=len, default="")
    return reverse(name, args=known.get(fitting, []))


def form(name: str, pages: Pages) -> dict[str, str]:
    """What the form of that address sends at least."""
    forms = {
        "request_approve": {"content_hash": pages.pending.content_hash},
        "request_deny": {"content_hash": pages.pending.content_hash, "comment": "Not today."},
        "grant_extend": {"duration": "30m", "reason": "It takes longer"},
        "settings_team_remove": {"person": pages.world.bob.email},
        "audit_export": {"format": "csv"},
        "statements_export": {"format": "csv"},
    }
    return forms.get(name, {})


def status(client: Client, method: str, path: str, data: dict[str, str]) -> int | str:
    """The status, or that the way leads to sign in."""
    response = client.get(path) if method == "GET" else client.post(path, data)
    if response.status_code == 302 and response["Location"].startswith(reverse("account_login")):
        return SIGN_IN
    if response.streaming:
        assert b"".join(response.streaming_content)  # type: ignore[arg-type]
    return response.status_code


CASES = [(name, method) for name, methods in MATRIX.items() for method in methods]


@pytest.mark.wide(one_in=3)
@pytest.mark.parametrize(("name", "method"), CASES)
def test_each_role_gets_what_the_matrix_says(pages: Pages, name: str, method: str) -> None:
    got: dict[str, int | str] = {}
    for role in MATRIX[name][method]:
        with undone():
            client = signed_in(person(pages.world, role))
            got[role] = status(client, method, address(name, pages), form(name, pages))
    assert got == MATRIX[name][method]


def test_no_address_is_missing_from_the_matrix() -> None:
    assert set(named(get_resolver().url_patterns)) == set(MATRIX)


@pytest.mark.wide(one_in=3)
@pytest.mark.parametrize("name", sorted(MATRIX))
def test_every_method_of_an_address_is_in_the_matrix(name: str) -> None:
    methods = set(MATRIX[name])
    pages_of_others = {"account_login", "account_logout", "account_inactive", "account_signup", "patterns"}
    assert methods == ({"GET"} if name in pages_of_others else {"GET", "POST"})


#: Pages for people who are not signed in, which answer to anybody.
OF_NOBODY = {
    "account_login",
    "account_logout",
    "account_signup",
    "openid_connect_login",
    "openid_connect_callback",
    "mfa_login_webauthn",
}


def test_a_person_who_was_switched_off_is_nobody(pages: Pages) -> None:
    client = signed_in(pages.world.alice)
    User.objects.filter(pk=pages.world.alice.pk).update(is_active=False)
    got: dict[str, int | str] = {}
    for name in sorted(set(MATRIX) - OF_NOBODY):
        with undone():
            got[name] = status(client, "GET", address(name, pages), {})
    assert got == {**dict.fromkeys(got, SIGN_IN), "account_inactive": 200}


def test_a_reference_that_does_not_exist_looks_like_one_that_is_not_yours(pages: Pages) -> None:
    client = signed_in(pages.world.oscar)
    foreign = client.get(reverse("request", args=[pages.pending.reference]))
    absent = client.get(reverse("request", args=["R-00000000"]))
    assert foreign.status_code == absent.status_code == 404
    assert foreign.content.replace(pages.pending.reference.encode(), b"R-00000000") == absent.content
