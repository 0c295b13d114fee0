"""Addresses for signing in and out: those of allauth that the console means to offer, and none besides.

Left out on purpose: pages on which people change their own e-mail address. It is the login name and the name under which
the audit trail knows somebody.
"""

from __future__ import annotations

from allauth.account import views
from django.urls import URLPattern, path

from console.views import reauthenticate, second_factor, sign_in

urlpatterns: list[URLPattern] = [
    path("login/", views.login, name="account_login"),
    path("logout/", views.logout, name="account_logout"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    # Under the names that allauth looks for.
    path("sso/<slug:provider_id>/", sign_in.to_provider, name="openid_connect_login"),
    path("sso/<slug:provider_id>/back/", sign_in.from_provider, name="openid_connect_callback"),
    path("again/", reauthenticate.with_password, name="account_reauthenticate"),
    path("again/code/", reauthenticate.with_code, name="mfa_reauthenticate"),
    path("again/passkey/", reauthenticate.with_passkey, name="mfa_reauthenticate_webauthn"),
    path("second-factor/", second_factor.authenticate, name="mfa_authenticate"),
    path("passkey/", second_factor.sign_in_with_passkey, name="mfa_login_webauthn"),
    path("methods/", second_factor.index, name="mfa_index"),
    path("methods/app/add/", second_factor.activate_app, name="mfa_activate_totp"),
    path("methods/app/remove/", second_factor.deactivate_app, name="mfa_deactivate_totp"),
    path("methods/passkeys/add/", second_factor.add_passkey, name="mfa_add_webauthn"),
    path("methods/passkeys/<int:pk>/remove/", second_factor.remove_passkey, name="mfa_remove_webauthn"),
    path("methods/codes/", second_factor.show_codes, name="mfa_view_recovery_codes"),
    path("methods/codes/make/", second_factor.make_codes, name="mfa_generate_recovery_codes"),
    # Closed by `console.accounts`; allauth's own pages look for its name.
    path("signup/", views.signup, name="account_signup"),
]
