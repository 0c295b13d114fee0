"""Addresses of the pages. Whatever changes something takes POST only, and has an address of its own."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, path

from console.views import (
    access,
    account,
    approvals,
    asking,
    audit,
    gateway,
    home,
    patterns,
    requests,
    server_words,
    servers,
    settings_directory,
    settings_overview,
    settings_policies,
    settings_roles,
    statements,
)

urlpatterns: list[URLPattern] = [
    path("", home.home, name="home"),
    path("pulse/", home.pulse, name="pulse"),
    path("request/", asking.ask, name="request_new"),
    path("requests/<str:reference>/", requests.show, name="request"),
    path("requests/<str:reference>/edit/", asking.edit, name="request_edit"),
    path("requests/<str:reference>/cancel/", requests.cancel, name="request_cancel"),
    path("requests/<str:reference>/remind/", requests.remind, name="request_remind"),
    path("requests/<str:reference>/comment/", requests.comment, name="request_comment"),
    path("requests/<str:reference>/approve/", approvals.approve, name="request_approve"),
    path("requests/<str:reference>/deny/", approvals.deny, name="request_deny"),
    path("approvals/", approvals.waiting, name="approvals"),
    path("approvals/several/", approvals.approve_several, name="approve_several"),
    path("access/", access.mine, name="access"),
    path("access/<str:reference>/", access.show, name="grant"),
    path("access/<str:reference>/password/", access.reveal, name="grant_reveal"),
    path("access/<str:reference>/tokens/", gateway.make, name="grant_token_make"),
    path("access/<str:reference>/tokens/<str:token>/revoke/", gateway.revoke, name="grant_token_revoke"),
    path("access/<str:reference>/extend/", access.extend, name="grant_extend"),
    path("access/<str:reference>/end/", access.end, name="grant_end"),
    path("access/<str:reference>/keep/", access.keep, name="grant_keep"),
    path("access/<str:reference>/review/", access.review, name="grant_review"),
    path("account/", account.show, name="account"),
    path("account/sessions/<int:pk>/end/", account.end_session, name="account_session_end"),
    path("account/sessions/end-others/", account.end_other_sessions, name="account_sessions_end_others"),
    path("audit/", audit.entries, name="audit"),
    path("audit/export/", audit.export, name="audit_export"),
    path("audit/statements/", statements.listed, name="statements"),
    path("audit/statements/export/", statements.export, name="statements_export"),
    path("audit/statements/<uuid:stream>/<int:seq>/", statements.show, name="statement"),
    path("audit/statements/<uuid:stream>/<int:seq>/text/", statements.text, name="statement_text"),
    path("servers/", servers.overview, name="servers"),
    path("servers/add/", servers.add, name="server_add"),
    path("servers/<slug:slug>/", servers.show, name="server"),
    path("servers/<slug:slug>/edit/", servers.edit, name="server_edit"),
    path("servers/<slug:slug>/test/", servers.test, name="server_test"),
    path("servers/<slug:slug>/rotate/", servers.rotate, name="server_rotate"),
    path("servers/<slug:slug>/confirm/", server_words.confirm, name="server_confirm"),
    path("servers/<slug:slug>/secret/", server_words.secret, name="server_secret"),
    path("servers/<slug:slug>/shut/", server_words.shut, name="server_shut"),
    path("settings/", settings_overview.overview, name="settings"),
    path("settings/rights/<int:pk>/confirm/", settings_overview.confirm_right, name="settings_right_confirm"),
    path("settings/people/", settings_directory.people, name="settings_people"),
    path("settings/people/<int:pk>/off/", settings_directory.switch_off, name="settings_person_off"),
    path("settings/people/<int:pk>/on/", settings_directory.switch_on, name="settings_person_on"),
    path("settings/teams/", settings_directory.teams, name="settings_teams"),
    path("settings/teams/<slug:slug>/", settings_directory.team, name="settings_team"),
    path("settings/teams/<slug:slug>/people/add/", settings_directory.add_member, name="settings_team_add_person"),
    path("settings/teams/<slug:slug>/people/remove/", settings_directory.remove_member, name="settings_team_remove"),
    path("settings/teams/<slug:slug>/groups/add/", settings_directory.map_group, name="settings_team_map"),
    path(
        "settings/teams/<slug:slug>/groups/<int:pk>/remove/", settings_directory.unmap_group, name="settings_team_unmap"
    ),
    path("settings/policies/", settings_policies.overview, name="settings_policies"),
    path("settings/policies/add/", settings_policies.add, name="settings_policy_add"),
    path("settings/policies/<slug:slug>/", settings_policies.edit, name="settings_policy"),
    path("settings/roles/", settings_roles.overview, name="settings_roles"),
    path("settings/roles/add/", settings_roles.add, name="settings_role_add"),
    path("settings/roles/<slug:slug>/", settings_roles.edit, name="settings_role"),
]

if settings.DEVELOPMENT:
    urlpatterns.append(path("patterns/", patterns.patterns, name="patterns"))
