"""Addresses for signing in and out: those of allauth that the console means to offer, and none besides.

Left out on purpose: pages on which people change their own e-mail address. It is the login name and the name under which
the audit trail knows somebody.
"""

from __future__ import annotations

from allauth.account import views
from django.urls import URLPattern, path

from console.views import sign_in

urlpatterns: list[URLPattern] = [
    path("login/", views.login, name="account_login"),
    path("logout/", views.logout, name="account_logout"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    # Under the names that allauth looks for.
    path("sso/<slug:provider_id>/", sign_in.to_provider, name="openid_connect_login"),
    path("sso/<slug:provider_id>/back/", sign_in.from_provider, name="openid_connect_callback"),
    # Closed by `console.accounts`; allauth's own pages look for its name.
    path("signup/", views.signup, name="account_signup"),
]
