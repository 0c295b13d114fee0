"""All addresses of the console."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("console.sign_in_urls")),
    path("", include("console.page_urls")),
]
