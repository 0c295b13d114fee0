"""Every page of the console, and as whom it is looked at: what `make bench-console` measures.

A test fails when an address is in none of the lists here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.bench.console_world import Sizes, reference

NOBODY = "nobody"
ASKER, APPROVER, AUDITOR, ADMINISTRATOR = "asker", "approver", "auditor", "administrator"
EVERYBODY = (ASKER, APPROVER, AUDITOR, ADMINISTRATOR)
WATCHERS = (AUDITOR, ADMINISTRATOR)


@dataclass(frozen=True, slots=True)
class Page:
    """One address, as the people who see it ask for it."""

    name: str
    """Of the address, and of what is asked for there."""
    path: str
    """Words in braces are filled in from the world: `{asker_request}` and so on."""
    people: tuple[str, ...] = EVERYBODY
    part: bool = False
    """Asked for by htmx: a part of a page, or a poll."""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_new: bool = False
    """The earlier build has nothing like it, so there is nothing to compare."""


PAGES: tuple[Page, ...] = (
    Page("home", "/"),
    Page("pulse", "/pulse/", part=True),
    Page("request_new", "/request/"),
    Page("request_new?role", "/request/?role={role}&for=1h", (ASKER, APPROVER)),
    Page("request_new?q", "/request/?part=roles&q=role+00", (ASKER, APPROVER), part=True),
    Page("request_new?preview", "/request/?part=preview&role={role}&duration=3600", (ASKER,), part=True),
    Page("requests", "/requests/", is_new=True),
    Page("request", "/requests/{asker_request}/", (ASKER, AUDITOR, ADMINISTRATOR)),
    Page("request waiting", "/requests/{waiting_request}/", (APPROVER, AUDITOR, ADMINISTRATOR)),
    Page("request?progress", "/requests/{waiting_request}/?part=progress", (APPROVER,), part=True),
    Page("request_edit", "/requests/{own_request}/edit/", (ASKER,)),
    Page("approvals", "/approvals/"),
    Page("access", "/access/"),
    Page("grant", "/access/{asker_grant}/", (ASKER, APPROVER, AUDITOR, ADMINISTRATOR)),
    Page("grant?status", "/access/{asker_grant}/?part=status", (ASKER,), part=True),
    Page("account", "/account/"),
    Page("audit", "/audit/", WATCHERS),
    Page("audit?person", "/audit/?person=17", WATCHERS),
    Page("audit?event", "/audit/?event=grant.*", (AUDITOR,)),
    Page("audit?server", "/audit/?server=server-3&from=2026-01-01", (AUDITOR,)),
    Page("audit?before", "/audit/?before={middle_entry}", (AUDITOR,)),
    Page("audit?rows", "/audit/?part=rows&before={middle_entry}", (AUDITOR,), part=True),
    Page("statements", "/audit/statements/", WATCHERS),
    Page("statements?person", "/audit/statements/?person=17", (AUDITOR,)),
    Page("statements?verdict", "/audit/statements/?verdict=failed", (AUDITOR,)),
    Page("statement", "/audit/statements/{statement}/", WATCHERS),
    Page("servers", "/servers/", WATCHERS),
    Page("server_add", "/servers/add/", (ADMINISTRATOR,)),
    Page("server", "/servers/server-1/", WATCHERS),
    Page("server_edit", "/servers/server-1/edit/", (ADMINISTRATOR,)),
    Page("settings", "/settings/", WATCHERS),
    Page("settings_people", "/settings/people/", WATCHERS),
    Page("settings_people?q", "/settings/people/?q=person12", (ADMINISTRATOR,)),
    Page("settings_teams", "/settings/teams/", WATCHERS),
    Page("settings_team", "/settings/teams/everybody/", WATCHERS),
    Page("settings_team small", "/settings/teams/team-7/", (ADMINISTRATOR,)),
    Page("settings_policies", "/settings/policies/", WATCHERS),
    Page("settings_policy_add", "/settings/policies/add/", (ADMINISTRATOR,)),
    Page("settings_policy", "/settings/policies/policy-3/", WATCHERS),
    Page("settings_roles", "/settings/roles/", WATCHERS),
    Page("settings_role_add", "/settings/roles/add/", (ADMINISTRATOR,)),
    Page("settings_role", "/settings/roles/role-2/", WATCHERS),
    Page("patterns", "/patterns/", (ADMINISTRATOR,)),
    Page("account_login", "/accounts/login/", (NOBODY,)),
    Page("account_logout", "/accounts/logout/", (ASKER,)),
    Page("account_inactive", "/accounts/inactive/", (NOBODY,)),
    Page("account_reauthenticate", "/accounts/again/", (ASKER,)),
    Page("mfa_reauthenticate", "/accounts/again/code/", (ASKER,)),
    Page("mfa_activate_totp", "/accounts/methods/app/add/", (ASKER,)),
    Page("mfa_add_webauthn", "/accounts/methods/passkeys/add/", (ASKER,)),
    Page("mfa_generate_recovery_codes", "/accounts/methods/codes/make/", (ASKER,)),
)

#: Addresses that answer to POST alone: they change something, and lead to a page.
CHANGES = frozenset(
    """
    request_cancel request_remind request_comment request_approve request_deny approve_several grant_reveal
    grant_token_make grant_token_revoke grant_extend grant_end grant_keep grant_review account_session_end
    account_sessions_end_others audit_export statement_text server_test server_rotate settings_right_confirm
    settings_person_off settings_person_on settings_team_add_person settings_team_remove settings_team_map
    settings_team_unmap openid_connect_login statements_export
    server_secret server_confirm server_shut
    """.split()  # noqa: SIM905 - a list of quoted words reads worse
)

#: Files of some kilobytes that are the same for everybody.
FILES = frozenset({"grant_ca", "grant_gateway_ca"})

#: Steps of signing in, and pages of second factors that the personas do not have: nothing of the company is on them.
SIGNING_IN = frozenset(
    """
    account_signup openid_connect_callback mfa_authenticate mfa_login_webauthn mfa_reauthenticate_webauthn mfa_index
    mfa_deactivate_totp mfa_remove_webauthn mfa_view_recovery_codes
    """.split()  # noqa: SIM905
)


def words_of(sizes: Sizes) -> dict[str, str]:
    """What stands in the braces of addresses: things of the world, by what they are there for."""
    asker_living = next(n for n in range(sizes.ended + 1, sizes.ended + sizes.living) if n % 1_000 == 8)
    waiting = sizes.ended + sizes.living + sizes.denied + 1
    return {
        "role": "role-2",
        "asker_request": reference("R", asker_living),
        "asker_grant": reference("G", asker_living),
        "waiting_request": reference("R", waiting),
        "own_request": reference("R", sizes.requests),
        "middle_entry": str(sizes.events // 2),
        "statement": "00000000-0000-4000-8000-000000000001/2",
    }


def address_of(page: Page) -> str:
    """The name of the address that the page is at."""
    return page.name.partition("?")[0].partition(" ")[0]
